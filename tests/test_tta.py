"""Test-time augmentation: how views are transformed, and which view is read."""

import numpy as np
import pytest

from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas
from crnn_keras.images.tta import TTA_VIEWS, transform_view
from crnn_keras.inference.base import BaseRecognizer
from crnn_keras.model.decoding import Lexicon

DIGITS = CharDict.from_preset("digits")


def canvas_of(rows):
    return np.array(rows, np.uint8)[None, ..., None]


def test_a_level_line_rises_to_the_right():
    line = canvas_of([[0, 0, 0], [9, 9, 9], [0, 0, 0]])
    view = transform_view(line, 1, 0)[0, ..., 0]
    assert view.tolist() == [[0, 0, 9], [0, 9, 0], [9, 0, 0]]


def test_an_upright_line_leans_to_the_right():
    line = canvas_of([[0, 9, 0], [0, 9, 0], [0, 9, 0]])
    view = transform_view(line, 0, 1)[0, ..., 0]
    assert view.tolist() == [[0, 0, 9], [0, 9, 0], [9, 0, 0]]


def test_between_two_pixels_both_count_and_edges_are_repeated():
    # The outer columns are half a pixel from the middle, so a quarter of a row is moved.
    view = transform_view(canvas_of([[10, 10], [50, 50], [90, 90]]), 0.5, 0)[0, ..., 0]
    assert view.tolist() == [[10, 20], [40, 60], [80, 90]]


@pytest.mark.parametrize("view", TTA_VIEWS)
def test_views_keep_shape_and_type_and_the_middle(view):
    canvases = np.random.default_rng(0).integers(0, 256, (3, 33, 101, 1), np.uint8)
    transformed = transform_view(canvases, *view)
    assert (transformed.shape, transformed.dtype) == (canvases.shape, np.uint8)
    assert (transformed[:, 16, 50] == canvases[:, 16, 50]).all()


class BandReader(BaseRecognizer):
    """Reads a higher digit, with more confidence, the more of a rising band lies level."""

    def __init__(self):
        super().__init__(DIGITS, Canvas())
        self.batches = 0

    def predict_logits(self, canvases):
        self.batches += 1
        level = canvases[:, 15:17].mean((1, 2, 3)) / 255
        rows = np.zeros((len(canvases), DIGITS.num_classes))
        for row, fraction in zip(rows, level, strict=True):
            row[1 + int(9 * fraction)] = 20 * fraction
        return np.repeat(rows[:, None], 25, axis=1)


def band(slope):
    """An image of a dark sheet with a bright band through its middle that rises to the right."""
    rows, columns = np.mgrid[0:32, 0:100]
    return np.where(np.abs(rows - 15.5 + slope * (columns - 49.5)) < 2, 255, 0).astype(np.uint8)


def test_the_view_with_the_highest_confidence_is_read():
    reader = BandReader()
    images = [band(0.07), band(0.0), band(-0.07), b"no image"]
    one, three = (reader.read(images, tta_views=views) for views in (1, 3))
    assert reader.batches == 1 + 3
    assert [prediction.text for prediction in three] == ["9", "9", "9", None]
    assert one[0].text != "9" and one[1] == three[1] and one[3] == three[3]
    assert three[0].confidence > one[0].confidence
    # A lexicon applies to every view.
    found = reader.read(images, lexicon=Lexicon(["9", "8"], DIGITS), delta=1, tta_views=3)
    assert [prediction.text for prediction in found] == ["9", "9", "9", None]


def test_windows_and_batches_give_the_same():
    images = [band(slope) for slope in np.linspace(-0.1, 0.1, 30)]
    reader = BandReader()
    assert reader.read(images, batch_size=4, tta_views=5) == reader.read(images, tta_views=5)


@pytest.mark.parametrize("views", [0, 2, 6, None, "3"])
def test_another_number_of_views_is_refused(views):
    with pytest.raises(ValueError, match=r"tta_views .*1, 3, 5"):
        BandReader().read([band(0)], tta_views=views)

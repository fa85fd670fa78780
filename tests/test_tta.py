"""Several looks at an image: what is turned how, and which look is believed."""

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
    found = transform_view(line, 1, 0)[0, ..., 0]
    assert found.tolist() == [[0, 0, 9], [0, 9, 0], [9, 0, 0]]


def test_an_upright_line_leans_to_the_right():
    line = canvas_of([[0, 9, 0], [0, 9, 0], [0, 9, 0]])
    found = transform_view(line, 0, 1)[0, ..., 0]
    assert found.tolist() == [[0, 0, 9], [0, 9, 0], [9, 0, 0]]


def test_between_two_pixels_both_count_and_edges_are_repeated():
    # The outer columns are half a pixel from the middle, so a quarter of a row is moved.
    found = transform_view(canvas_of([[10, 10], [50, 50], [90, 90]]), 0.5, 0)[0, ..., 0]
    assert found.tolist() == [[10, 20], [40, 60], [80, 90]]


@pytest.mark.parametrize("look", TTA_VIEWS)
def test_looks_keep_shape_and_type_and_leave_the_middle(look):
    given = np.random.default_rng(0).integers(0, 256, (3, 33, 101, 1), np.uint8)
    found = transform_view(given, *look)
    assert (found.shape, found.dtype) == (given.shape, np.uint8)
    assert (found[:, 16, 50] == given[:, 16, 50]).all()


class BandReader(BaseRecognizer):
    """Surer, and of another digit, the more of a rising band of ink lies level."""

    def __init__(self):
        super().__init__(DIGITS, Canvas())
        self.batches = 0

    def logits(self, canvases):
        self.batches += 1
        level = canvases[:, 15:17].mean((1, 2, 3)) / 255
        rows = np.zeros((len(canvases), DIGITS.num_classes))
        for row, share in zip(rows, level, strict=True):
            row[1 + int(9 * share)] = 20 * share
        return np.repeat(rows[:, None], 25, axis=1)


def band(slope):
    """An image of a dark sheet with a bright band through its middle that rises to the right."""
    rows, columns = np.mgrid[0:32, 0:100]
    return np.where(np.abs(rows - 15.5 + slope * (columns - 49.5)) < 2, 255, 0).astype(np.uint8)


def test_the_look_that_is_surest_is_read():
    reader = BandReader()
    images = [band(0.07), band(0.0), band(-0.07), b"no image"]
    once, more = (reader.read(images, tta_views=looks) for looks in (1, 3))
    assert reader.batches == 1 + 3
    assert [reading.text for reading in more] == ["9", "9", "9", None]
    assert once[0].text != "9" and once[1] == more[1] and once[3] == more[3]
    assert more[0].confidence > once[0].confidence
    # The words of a list are looked for in every look as well.
    found = reader.read(images, lexicon=Lexicon(["9", "8"], DIGITS), delta=1, tta_views=3)
    assert [reading.text for reading in found] == ["9", "9", "9", None]


def test_windows_and_batches_give_the_same():
    images = [band(slope) for slope in np.linspace(-0.1, 0.1, 30)]
    reader = BandReader()
    assert reader.read(images, 4, tta_views=5) == reader.read(images, 64, tta_views=5)


@pytest.mark.parametrize("looks", [0, 2, 6, None, "3"])
def test_another_number_of_looks_is_refused(looks):
    with pytest.raises(ValueError, match=r"tta_views is .*Expected one of \(1, 3, 5\)"):
        BandReader().read([band(0)], tta_views=looks)

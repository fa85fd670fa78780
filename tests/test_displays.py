"""Drawn displays are the same for the same seed, and no shipped reader reads them well."""

import doctest
import os

import numpy as np
import pytest

from crnn_keras.data.labels import read_samples
from crnn_keras.images import to_gray
from crnn_keras.inference.onnx_recognizer import SHIPPED, OnnxRecognizer
from crnn_keras.notebook import displays
from crnn_keras.notebook.displays import draw_display, draw_displays


def test_examples():
    assert doctest.testmod(displays).failed == 0


def test_an_image_depends_on_seed_and_index_alone(tmp_path):
    samples = read_samples(draw_displays(tmp_path / "set", 8, seed=3)).samples
    assert len(samples) == 8
    for index in (7, 2):
        image, text = draw_display(3, index)
        assert samples[index].text == text
        np.testing.assert_array_equal(to_gray(samples[index].read()), np.asarray(image))
    assert draw_display(4, 2)[0].tobytes() != draw_display(3, 2)[0].tobytes()


def test_texts_and_images_vary_within_bounds():
    drawn = [draw_display(0, index) for index in range(300)]
    texts = [text for _, text in drawn]
    assert set("".join(texts)) <= set(displays._GLYPHS)
    assert min(map(len, texts)) >= 2 and max(map(len, texts)) <= 8
    assert len(set(texts)) > 200
    heights = {image.height for image, _ in drawn}
    assert min(heights) == 28 and max(heights) == 55
    borders = [np.asarray(image)[[0, -1]].mean() for image, _ in drawn]
    assert 0.2 < np.mean(np.array(borders) > 128) < 0.4


def test_every_character_has_its_own_glyph():
    rows = list(displays._GLYPHS.values())
    assert len(set(rows)) == len(rows)
    assert all(len(bytes.fromhex(row)) == 7 for row in rows)
    assert all(row < 32 for glyph in rows for row in bytes.fromhex(glyph))


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    draw_displays(tmp_path, 3)
    draw_displays(tmp_path, 2)
    assert sorted(os.listdir(tmp_path)) == ["00000.png", "00001.png", "labels.tsv"]
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match="something other than displays"):
        draw_displays(tmp_path, 3)
    assert len(os.listdir(tmp_path)) == 4


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_readers_read_few_of_them(name):
    drawn = [draw_display(0, index) for index in range(100)]
    texts = OnnxRecognizer.load(name).read([image for image, _ in drawn])
    pairs = zip(texts, (text for _, text in drawn), strict=True)
    assert sum(found.text.upper() == text for found, text in pairs) < 40

"""A canvas of other types or of huge sizes is refused by name, wherever its config comes from."""

import json

import numpy as np
import pytest

from crnn_keras.images import Canvas, make_canvas
from crnn_keras.utils.limits import MAX_CANVAS_HEIGHT, MAX_CANVAS_WIDTH, MAX_CANVAS_WIDTHS

NO_NUMBERS = ["32", None, True, 32.0, 32.5, float("nan"), float("inf"), [32], {}]


@pytest.mark.parametrize("value", [*NO_NUMBERS, 528, 10**9, -16], ids=repr)
def test_a_height_is_a_whole_number_within_its_bound(value):
    with pytest.raises(ValueError, match="height"):
        Canvas(height=value)
    with pytest.raises(ValueError, match="height"):
        make_canvas("keep", 216, value)


@pytest.mark.parametrize("value", [*NO_NUMBERS, 100.9, 8196, 10**12, -4], ids=repr)
def test_a_width_is_a_whole_number_within_its_bound(value):
    with pytest.raises(ValueError, match="width"):
        Canvas(widths=(value,))
    with pytest.raises(ValueError, match="width"):
        Canvas("keep", 32, [64, value])
    for mode in ("stretch", "keep"):
        with pytest.raises(ValueError, match="width"):
            make_canvas(mode, value)


@pytest.mark.parametrize("value", [100, "100", None, {100: 1}, {100}, iter([100]), 1.5], ids=type)
def test_widths_are_a_list(value):
    with pytest.raises(ValueError, match="widths"):
        Canvas(widths=value)


def test_there_is_a_bound_on_the_widths():
    widths = range(8, 8 + 4 * (MAX_CANVAS_WIDTHS + 1), 4)
    with pytest.raises(ValueError, match=f"{MAX_CANVAS_WIDTHS + 1} widths.*{MAX_CANVAS_WIDTHS}"):
        Canvas("keep", 32, widths)
    assert len(Canvas("keep", 32, widths[1:]).widths) == MAX_CANVAS_WIDTHS
    assert Canvas("stretch", MAX_CANVAS_HEIGHT, (MAX_CANVAS_WIDTH,))


@pytest.mark.parametrize("mode", [None, 1, True, "Keep", ["keep"], {}], ids=repr)
def test_a_mode_is_one_of_two(mode):
    with pytest.raises(ValueError, match="mode .*'stretch' or 'keep'"):
        Canvas(mode)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5), (5, 2.5), ("5", 5), (None, 5)])
def test_an_image_has_a_size(size):
    for canvas in (Canvas(), make_canvas("keep", 216)):
        with pytest.raises(ValueError, match="(height|width) is "):
            canvas.fit(*size)


def test_numbers_of_numpy_become_plain_ones():
    canvas = Canvas("keep", np.int64(32), np.array([64, 128]))
    assert canvas == Canvas("keep", 32, (64, 128))
    assert json.loads(json.dumps(canvas.get_config())) == {
        "mode": "keep",
        "height": 32,
        "widths": [64, 128],
    }

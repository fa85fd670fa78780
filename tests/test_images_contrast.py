import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from crnn_keras import synth
from crnn_keras.images import MIN_CONTRAST, Canvas, make_canvas, measure_contrast, to_canvas

CANVASES = [Canvas(), make_canvas("keep", 320)]
FONT = next(font for font in synth.bundled_fonts() if font.endswith("DejaVuSans.ttf"))


def _text(text, size, paper, ink):
    font = ImageFont.truetype(FONT, size)
    right = int(font.getlength(text)) + size // 3 * 2
    image = Image.new("L", (right, size * 7 // 5), paper)
    ImageDraw.Draw(image).text((size // 3, 0), text, font=font, fill=ink)
    return image


@pytest.mark.parametrize("canvas", CANVASES, ids=["stretch", "keep"])
@pytest.mark.parametrize("size", [(32, 100), (20, 60), (60, 300), (300, 1200)])
@pytest.mark.parametrize("level", [0, 3, 128, 252, 255])
def test_a_uniform_image_shows_nothing_even_with_the_noise_of_jpeg(encode, canvas, size, level):
    noise = np.random.default_rng(size).normal(0, 1.5, size)
    noisy = Image.fromarray(np.clip(level + noise, 0, 255).astype(np.uint8))
    for quality in (30, 75, 95):
        made = to_canvas(encode(noisy, "JPEG", quality=quality), canvas)
        assert measure_contrast(made) < MIN_CONTRAST
    for uniform in (size, (1, 1), (1, 40), (40, 1)):
        made = to_canvas(Image.new("L", uniform[::-1], level), canvas)
        assert measure_contrast(made) == 0


@pytest.mark.parametrize("canvas", CANVASES, ids=["stretch", "keep"])
@pytest.mark.parametrize("text", ["hello", "i", "1", "The quick brown fox jumps over it"])
@pytest.mark.parametrize(("paper", "ink"), [(255, 245), (128, 138), (10, 0), (0, 10), (255, 0)])
def test_faint_but_legible_text_shows(encode, canvas, text, paper, ink):
    for size in (12, 24, 60):
        for options in ({"format": "PNG"}, {"format": "JPEG", "quality": 90}):
            encoded = encode(_text(text, size, paper, ink), options.pop("format"), **options)
            assert measure_contrast(to_canvas(encoded, canvas)) >= MIN_CONTRAST, size


def test_single_pixels_of_dust_are_no_contrast():
    dusty = np.full((32, 100), 200, np.uint8)
    dusty[5, 70] = 0
    assert measure_contrast(dusty) == measure_contrast(dusty[..., None]) == 0


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4)), np.zeros((4, 4, 3), "uint8"), np.zeros((0, 4), "uint8")]
)
def test_arrays_that_are_no_canvas_are_refused(array):
    with pytest.raises(ValueError, match=r"uint8 array of shape \(height, width\)"):
        measure_contrast(array)

import itertools
import json
import struct

import numpy as np
import pytest
from PIL import Image

from crnn_keras.images import (
    Canvas,
    ImageError,
    make_canvas,
    open_image,
    to_canvas,
    to_gray,
)

STRETCH = Canvas("stretch", 32, (100,))
KEEP = Canvas("keep", 32, (64, 128, 256))


def _image(height, width, mode="RGB", seed=0):
    """Noise on a slope: every pixel counts, and a shift of one pixel shows."""
    rng = np.random.default_rng([seed, height, width])
    slope = np.linspace(0, 160, width)[None, :, None] + np.linspace(0, 30, height)[:, None, None]
    pixels = (slope + rng.integers(0, 60, (height, width, 3))).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.fixture(scope="module")
def tf_error(tf_canvas):
    """Function `(bytes)`: the message of the error that TensorFlow's canvas raises for them."""
    import tensorflow as tf

    def message(encoded):
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            tf_canvas(encoded, STRETCH)
        return str(caught.value)

    return message


# The settings.


@pytest.mark.parametrize(
    ("size", "inner", "outer"),
    [
        ((32, 10), 10, 64),
        ((32, 64), 64, 64),
        ((32, 65), 65, 128),
        ((32, 256), 256, 256),
        ((32, 257), 256, 256),
        ((32, 5000), 256, 256),
        ((64, 10), 5, 64),
        ((33, 10), 10, 64),
        ((31, 62), 64, 64),
        ((31, 63), 66, 128),
        ((900, 1), 1, 64),
        ((1, 1), 32, 64),
        ((1, 9), 256, 256),
    ],
)
def test_keep_scales_to_the_height_and_rounds_the_width_up(size, inner, outer):
    assert KEEP.fit(*size) == (inner, outer)
    assert KEEP.frames(*size) == outer // 4


@pytest.mark.parametrize("size", [(1, 1), (32, 100), (7, 900), (900, 7)])
def test_stretch_has_one_size_for_all(size):
    assert STRETCH.fit(*size) == (100, 100)
    assert STRETCH.frames(*size) == 25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("squeeze",), "'squeeze'.*'stretch' or 'keep'"),
        (("stretch", 30), "height 30 .* 16"),
        (("stretch", 0), "height 0 .* 16"),
        (("stretch", 32, ()), r"widths \(\)"),
        (("keep", 32, (128, 64)), r"widths \(128, 64\)"),
        (("keep", 32, (64, 64)), r"widths \(64, 64\)"),
        (("stretch", 32, (102,)), "102.* 4 pixels"),
        (("stretch", 32, (4,)), "4.* at least 8"),
        (("stretch", 32, (64, 128)), r"'stretch'.*\(64, 128\)"),
    ],
)
def test_settings_that_make_no_canvas(arguments, message):
    with pytest.raises(ValueError, match=message):
        Canvas(*arguments)


@pytest.mark.parametrize("canvas", [Canvas(), KEEP, Canvas("keep", 48, [160])])
def test_settings_come_back_from_json(canvas):
    again = Canvas(**json.loads(json.dumps(canvas.get_config())))
    assert again == canvas and hash(again) == hash(canvas)


def test_an_image_may_be_an_open_file(tmp_path):
    image = _image(20, 50, "L")
    image.save(tmp_path / "a.png")
    with open(tmp_path / "a.png", "rb") as file:
        assert np.array_equal(np.asarray(to_gray(file)), np.asarray(image))


@pytest.mark.parametrize(
    ("arguments", "widths"),
    [
        ((), (100,)),
        (("stretch", 160, 48), (160,)),
        (("keep", 216), (64, 96, 144, 216)),
        (("keep", 160), (64, 96, 144, 160)),
        (("keep", 100), (64, 96, 100)),
        (("keep", 96), (64, 96)),
        (("keep", 64), (64,)),
        (("keep", 40), (40,)),
        (("keep", 320, 64), (128, 192, 288, 320)),
    ],
)
def test_make_canvas_has_a_few_widths_up_to_its_argument(arguments, widths):
    assert make_canvas(*arguments).widths == widths


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("wide", 100), "'wide'"), (("keep", 0), "0"), (("keep", -8), "-8"), (("keep", 90), "90")],
)
def test_make_canvas_checks_its_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_canvas(*arguments)


@pytest.mark.parametrize("width", [64, 100, 160, 256, 320, 1000])
def test_at_most_a_third_of_a_kept_canvas_is_padding(width):
    canvas = make_canvas("keep", width)
    for inner in range(64, width + 1):
        outer = canvas.fit(32, inner)[1]
        # Widths are rounded up to whole frames.
        assert outer - inner <= outer / 3 + 1


# Gray.


@pytest.mark.parametrize(
    ("color", "gray"),
    [
        ((255, 0, 0), 76),
        ((0, 255, 0), 150),
        ((0, 0, 255), 29),
        ((255, 255, 255), 255),
        ((0, 0, 0), 0),
        ((90, 90, 90), 90),
    ],
)
def test_gray_has_the_weights_of_itu_601(encode, tf_canvas, color, gray):
    image = Image.new("RGB", (100, 32), color)
    assert np.unique(to_gray(image)).tolist() == [gray]
    assert np.unique(tf_canvas(encode(image, "PNG"), STRETCH)).tolist() == [gray]


def test_every_source_of_an_image_gives_the_same_gray(tmp_path, encode):
    image = _image(13, 29)
    path = tmp_path / "a.png"
    path.write_bytes(encode(image, "PNG"))
    expected = np.asarray(image.convert("L"))
    for source in (path, str(path), path.read_bytes(), image, np.asarray(image)):
        assert np.array_equal(to_gray(source), expected)
    for source in (expected, expected[..., None], to_gray(image)):
        assert np.array_equal(to_gray(source), expected)


def test_a_pillow_image_stays_open():
    image = _image(13, 29)
    to_gray(image)
    assert image.convert("L").size == (29, 13)


def test_16_bits_are_scaled_to_8(encode):
    levels = [0, 255, 256, 32_767, 32_768, 65_535]
    wide = Image.fromarray(np.array([levels], np.uint16))
    for image_format in ("PNG", "TIFF"):
        encoded = encode(wide, image_format)
        assert np.asarray(to_gray(encoded)).tolist() == [[0, 0, 1, 127, 128, 255]]


# The canvas.


def test_an_image_of_the_canvas_size_stays_as_it_is(encode, tf_canvas):
    image = _image(32, 100, "L")
    pixels = np.asarray(image)[..., None]
    assert np.array_equal(to_canvas(image, STRETCH), pixels)
    assert np.array_equal(tf_canvas(encode(image, "PNG"), STRETCH), pixels)


def test_an_image_twice_as_large_is_weighed_by_a_triangle():
    # Each new pixel weighs four old ones by 1, 3, 3, 1 eighths.
    row = np.zeros((32, 200), np.uint8)
    row[:, 50] = 240
    canvas = to_canvas(row, STRETCH)[..., 0]
    assert np.all(canvas == canvas[0])
    assert canvas[0, 23:28].tolist() == [0, 30, 90, 0, 0]
    column = np.zeros((64, 100), np.uint8)
    column[20] = 240
    assert to_canvas(column, STRETCH)[8:13, 50, 0].tolist() == [0, 30, 90, 0, 0]


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (5, 7), (500, 333)])
@pytest.mark.parametrize("canvas", [STRETCH, KEEP])
def test_an_even_image_stays_even(encode, tf_canvas, canvas, size):
    image = Image.new("L", size[::-1], 123)
    made = to_canvas(image, canvas)
    assert made.shape == (32, canvas.fit(*size)[1], 1) and made.dtype == np.uint8
    assert np.all(made == 123)
    assert np.array_equal(tf_canvas(encode(image, "PNG"), canvas), made)


def test_keep_pads_on_the_right_with_the_last_column():
    image = _image(32, 70, "L")
    canvas = to_canvas(image, KEEP)[..., 0]
    assert canvas.shape == (32, 128)
    assert np.array_equal(canvas[:, :70], image)
    assert np.array_equal(canvas[:, 70:], np.repeat(np.asarray(image)[:, 69:], 58, axis=1))


def test_keep_squeezes_what_is_wider_than_the_last_canvas():
    image = _image(32, 900, "L")
    assert np.array_equal(to_canvas(image, KEEP), to_canvas(image, Canvas("keep", 32, (256,))))


def test_a_canvas_does_not_depend_on_the_images_before_it(encode, tf_canvas):
    sizes = [(31, 20), (9, 200), (64, 64), (31, 130), (120, 31)]
    images = [encode(_image(*size), "PNG") for size in sizes]
    for make in (to_canvas, tf_canvas):
        alone = [make(image, KEEP) for image in images]
        assert [canvas.shape[1] for canvas in alone] == [KEEP.fit(*size)[1] for size in sizes]
        for order in itertools.islice(itertools.permutations(range(5)), 0, 120, 17):
            for index in order:
                assert np.array_equal(make(images[index], KEEP), alone[index])


# Pillow and TensorFlow.

_RNG = np.random.default_rng(7)
_SIZES = [(1, 1), (1, 50), (50, 1), (2, 3), (31, 99), (32, 101), (33, 257), (96, 300)]
_SIZES += [tuple(int(n) for n in _RNG.integers((4, 4), (130, 400))) for _ in range(7)]
_KINDS = [
    ("PNG", {}),
    ("JPEG", {"quality": 70}),
    ("JPEG", {"quality": 95, "subsampling": 0}),
    ("BMP", {}),
]


@pytest.mark.parametrize("canvas", [STRETCH, KEEP], ids=["stretch", "keep"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_tensorflow_makes_the_same_canvas_to_the_last_bit(encode, tf_canvas, canvas, mode):
    for size, (image_format, options) in itertools.product(_SIZES, _KINDS):
        encoded = encode(_image(*size, mode), image_format, **options)
        by_pillow, by_tf = to_canvas(encoded, canvas), tf_canvas(encoded, canvas)
        assert np.array_equal(by_pillow, by_tf), (size, image_format, options)


@pytest.mark.parametrize(
    ("mode", "image_format", "options"),
    [
        ("RGBA", "PNG", {}),
        ("LA", "PNG", {}),
        ("P", "PNG", {}),
        ("P", "PNG", {"transparency": 3}),
        ("P", "PNG", {"transparency": bytes(range(0, 250, 5))}),
        ("L", "PNG", {"transparency": 3}),
        ("1", "PNG", {}),
        ("I;16", "PNG", {}),
        ("CMYK", "JPEG", {}),
        ("RGB", "JPEG", {"progressive": True}),
        ("RGBA", "BMP", {}),
        ("P", "BMP", {}),
    ],
)
def test_tensorflow_agrees_on_rarer_sorts_of_files(encode, tf_canvas, mode, image_format, options):
    image = _image(41, 133)
    if mode == "P":
        image = image.quantize(50)
    elif mode == "I;16":
        levels = np.random.default_rng(0).integers(0, 65_536, (41, 133))
        image = Image.fromarray(levels.astype(np.uint16))
    else:
        image = image.convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(_image(41, 133, "L", seed=1))
    assert image.mode == mode
    encoded = encode(image, image_format, **options)
    for canvas in (STRETCH, KEEP):
        assert np.array_equal(to_canvas(encoded, canvas), tf_canvas(encoded, canvas))


@pytest.mark.parametrize(
    "name",
    [
        "captcha_v2",
        "iiit5k_test",
        "iiit5k_train",
        "mjsynth_mini",
        "plates_cn",
        "sroie_words",
        "svt_test",
        "svt_train",
    ],
)
def test_tensorflow_agrees_on_real_crops(data_folder, tf_canvas, name):
    paths = sorted((data_folder(name) / "images").iterdir())
    paths = paths[:: max(len(paths) // 8, 1)][:8]
    assert paths
    for path, canvas in itertools.product(paths, (STRETCH, KEEP)):
        encoded = path.read_bytes()
        assert np.array_equal(to_canvas(encoded, canvas), tf_canvas(encoded, canvas)), path


# Files and arrays that are no image.


def test_an_image_of_40000_by_40000_is_refused_by_its_header(
    tmp_path, encode, png_of_size, tf_error
):
    encoded = png_of_size(40_000, 40_000)
    path = tmp_path / "huge.png"
    path.write_bytes(encoded)
    for read in (open_image, to_gray, lambda source: to_canvas(source, STRETCH)):
        with pytest.raises(ImageError, match=r"huge\.png .*50,000,000 pixels"):
            read(path)
    with pytest.raises(ImageError, match="the image .*50,000,000 pixels"):
        to_canvas(encoded, STRETCH)
    assert "50,000,000 pixels" in tf_error(encoded)


@pytest.mark.parametrize("size", [(8000, 7000), (7000, 8000), (70_000, 1), (1, 70_000)])
def test_an_image_over_our_own_limits_is_refused_by_its_header(png_of_size, tf_error, size):
    encoded = png_of_size(*size)
    message = rf"{size[0]} x {size[1]} pixels.*50,000,000.*65,535"
    with pytest.raises(ImageError, match=message):
        to_canvas(encoded, STRETCH)
    assert "65,535" in tf_error(encoded)


def test_the_limits_hold_for_images_and_arrays_in_memory():
    for source in (Image.new("L", (70_000, 1)), np.zeros((1, 70_000), np.uint8)):
        with pytest.raises(ImageError, match="70000 x 1 pixels"):
            to_canvas(source, STRETCH)


def _broken(encode):
    image = _image(60, 200)
    png, jpeg = encode(image, "PNG"), encode(image, "JPEG")
    flipped = bytearray(png)
    flipped[len(png) // 2] ^= 1
    return {
        "text": b"I am a text file, whatever my name says.\n",
        "nothing": b"",
        "cut jpeg": jpeg[: len(jpeg) // 2],
        "jpeg without its end": jpeg[:-20],
        "cut png": png[: len(png) // 2],
        "flipped png": bytes(flipped),
        "cut bmp": encode(image, "BMP")[:5000],
        "start of a png": png[:4],
        "start of a jpeg": jpeg[:3],
        "start of a bmp": b"BM",
    }


@pytest.mark.parametrize("which", _broken(lambda *_: b"0" * 64))
def test_a_damaged_file_is_refused_by_name(tmp_path, encode, tf_error, which):
    encoded = _broken(encode)[which]
    path = tmp_path / "word.png"
    path.write_bytes(encoded)
    with pytest.raises(ImageError, match=r"word\.png (is not|cannot)"):
        to_canvas(path, STRETCH)
    with pytest.raises(ImageError, match=r"the image (is not|cannot)"):
        to_canvas(encoded, STRETCH)
    assert tf_error(encoded)


def test_damage_that_pillow_does_not_expect_is_refused_too(encode):
    # The pixels of this TIFF begin at a fraction of a byte: Pillow raises a TypeError.
    encoded = encode(_image(60, 200, "L"), "TIFF")
    offset_tag, integer, real = 273, 4, 11
    integer_offset = struct.pack("<HH", offset_tag, integer)
    assert encoded.count(integer_offset) == 1
    damaged = encoded.replace(integer_offset, struct.pack("<HH", offset_tag, real))
    with pytest.raises(ImageError, match="the image"):
        to_gray(damaged)


def test_a_program_with_the_name_of_an_image_is_refused(tmp_path, tf_error):
    # Pillow would hand this one to Ghostscript.
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 9\n%%EndComments\nshowpage\n"
    path = tmp_path / "word.png"
    path.write_bytes(program)
    with pytest.raises(ImageError, match=r"word\.png .*BMP, GIF, JPEG"):
        open_image(path)
    assert "jpeg, png or bmp" in tf_error(program)


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "TIFF"])
def test_pillow_alone_reads_the_other_formats(encode, tf_error, image_format):
    options = {"lossless": True} if image_format == "WEBP" else {}
    image = _image(20, 40, "L")
    encoded = encode(image, image_format, **options)
    assert np.array_equal(to_canvas(encoded, STRETCH), to_canvas(image, STRETCH))
    assert "jpeg, png or bmp" in tf_error(encoded)


def test_a_path_that_leads_to_no_file_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"absent\.png"):
        to_gray(tmp_path / "absent.png")
    with pytest.raises(ImageError, match=str(tmp_path)):
        to_gray(tmp_path)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4), np.float32), r"float32 .*\(4, 4\)"),
        (np.zeros((4, 4), np.uint16), r"uint16 .*\(4, 4\)"),
        (np.zeros(4, np.uint8), r"uint8 .*\(4,\)"),
        (np.zeros((4, 4, 4), np.uint8), r"uint8 .*\(4, 4, 4\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"uint8 .*\(2, 4, 4, 3\)"),
        (np.zeros((0, 4), np.uint8), "4 x 0 pixels"),
        (np.zeros((4, 0, 3), np.uint8), "0 x 4 pixels"),
    ],
)
def test_arrays_that_are_no_image(array, message):
    with pytest.raises(ImageError, match=message):
        to_gray(array)


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_a_pillow_image_without_pixels_is_refused(size):
    with pytest.raises(ImageError, match=f"{size[0]} x {size[1]} pixels.* 1 x 1"):
        to_canvas(Image.new("L", size), STRETCH)

"""Images are read as they are shown: upright, on paper; by Pillow and TensorFlow alike."""

import io
import itertools
import os
import socket
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

from crnn_keras import synth
from crnn_keras.data import records
from crnn_keras.data.labels import Sample
from crnn_keras.images import (
    MIN_CONTRAST,
    SUFFIXES,
    Canvas,
    ImageError,
    measure_contrast,
    open_image,
    to_canvas,
    to_gray,
    upright_size,
)
from crnn_keras.images.exif import find_exif, parse_orientation

KEEP = Canvas("keep", 32, (64, 128, 256))
FONT = next(font for font in synth.bundled_fonts() if font.endswith("DejaVuSans.ttf"))


def _noise(height, width, *channels, seed=0):
    rng = np.random.default_rng([seed, height, width])
    return rng.integers(0, 256, (height, width, *channels)).astype(np.uint8)


def _exif(value, order="<", kind=3, before=0):
    """EXIF data with one orientation, after some other entries."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries = [struct.pack(order + "HHII", 0x100 + n, 4, 1, n) for n in range(before)]
    number = struct.pack(order + ("H" if kind == 3 else "I"), value).ljust(4, b"\0")
    entries.append(struct.pack(order + "HHI", 0x112, kind, 1) + number)
    count = struct.pack(order + "H", len(entries))
    return mark + struct.pack(order + "I", 8) + count + b"".join(entries) + bytes(4)


def _segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def _chunk(name, content):
    crc = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + crc


def _in_jpeg(jpeg, exif, *before):
    return jpeg[:2] + b"".join([*before, _segment(0xE1, b"Exif\0\0" + exif)]) + jpeg[2:]


def _in_png(png, exif, *, late=False, prefix=b""):
    place = png.index(b"IEND") - 4 if late else 33
    return png[:place] + _chunk(b"eXIf", prefix + exif) + png[place:]


def _agree(tf_canvas, encoded):
    made = to_canvas(encoded, KEEP)
    assert np.array_equal(tf_canvas(encoded, KEEP), made)
    return made


# Orientation.


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_an_image_is_turned_as_exif_says(encode, tf_canvas, orientation, image_format, mode):
    image = Image.fromarray(_noise(30, 70, 3)).convert(mode)
    exif = Image.Exif()
    exif[0x112] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 90}}.get(image_format, {})
    stored = encode(image, image_format, exif=exif, **options)
    plain = np.asarray(to_gray(encode(image, image_format, **options)))
    ways = {  # where the corner (row 0, column 0) of what is shown lies among the stored pixels
        1: plain,
        2: plain[:, ::-1],
        3: plain[::-1, ::-1],
        4: plain[::-1],
        5: plain.T,
        6: plain[::-1].T,
        7: plain[::-1, ::-1].T,
        8: plain[:, ::-1].T,
    }
    assert np.array_equal(to_gray(stored), ways[orientation])
    assert upright_size(open_image(stored)) == ways[orientation].shape[::-1]
    # An opened image of Pillow, before and after its pixels are loaded, and a copy of it.
    opened = Image.open(io.BytesIO(stored))
    assert np.array_equal(to_gray(opened), ways[orientation])
    assert np.array_equal(to_gray(opened), ways[orientation])
    assert np.array_equal(to_gray(opened.copy()), ways[orientation])
    turned = ImageOps.exif_transpose(opened)
    assert np.array_equal(to_gray(turned), ways[orientation])
    if image_format in ("JPEG", "PNG"):
        _agree(tf_canvas, stored)


_JPEG_PARTS = [
    (),
    (_segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),),
    (_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>"), _segment(0xE2, b"ICC" * 9)),
    (b"\xff" * 3,),  # bytes that only fill
    (_segment(0xFE, b"a comment with Exif\0\0II*\0 in it"),),
]


@pytest.mark.parametrize("before", range(len(_JPEG_PARTS)))
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [3, 4])
def test_exif_of_any_byte_order_is_found_behind_other_segments(
    encode, tf_canvas, before, order, kind
):
    jpeg = encode(Image.fromarray(_noise(30, 70)), "JPEG")
    stored = _in_jpeg(jpeg, _exif(6, order, kind, before=before), *_JPEG_PARTS[before])
    assert to_gray(stored).size == (30, 70)
    _agree(tf_canvas, stored)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0", b"Exif\0\0" * 2])
@pytest.mark.parametrize("order", "<>")
def test_exif_of_a_png_is_found_before_and_after_its_pixels(encode, tf_canvas, late, prefix, order):
    png = encode(Image.fromarray(_noise(30, 70, 3)), "PNG")
    stored = _in_png(png, _exif(8, order), late=late, prefix=prefix)
    assert upright_size(open_image(stored)) == to_gray(stored).size == (30, 70)
    _agree(tf_canvas, stored)


def _broken_exif():
    whole = _exif(6, before=2)
    yield from (whole[:length] for length in range(0, len(whole), 3))
    yield from (_exif(value) for value in (0, 9, 255, 65_535))
    yield from (_exif(6, kind=4)[:-6] + b"\xff" * 6, _exif(6, kind=4, before=3)[2:])
    yield whole.replace(b"\x08\0\0\0", b"\xff\xff\xff\xff", 1)  # an offset far outside
    yield whole.replace(b"\x08\0\0\0", b"\0\0\0\0", 1)
    yield whole.replace(b"\x03\0", b"\xff\xff", 1)  # more entries than there are
    yield b"II*\0" + b"\xff" * 40
    yield b"Exif\0\0" * 3
    yield bytes(200)


def test_broken_exif_is_ignored_the_same_way(encode, tf_canvas):
    image = Image.fromarray(_noise(30, 70))
    jpeg, png = encode(image, "JPEG"), encode(image, "PNG")
    for exif in _broken_exif():
        expected = (30, 70) if parse_orientation(exif) >= 5 else (70, 30)
        for stored in (_in_jpeg(jpeg, exif), _in_png(png, exif), _in_png(png, exif, late=True)):
            assert to_gray(stored).size == expected
            _agree(tf_canvas, stored)
    assert {parse_orientation(exif) for exif in list(_broken_exif())[-12:]} <= {1, 6}
    assert parse_orientation(_exif(9)) == parse_orientation(b"") == 1
    assert find_exif(b"GIF89a") == find_exif(b"") == b""


def test_records_and_boxes_hold_upright_images(tmp_path, encode):
    pixels = _noise(30, 70)
    exif = Image.Exif()
    exif[0x112] = 6
    stored = encode(Image.fromarray(pixels), "PNG", exif=exif)
    for decode in (True, False):
        record = records.make_record(stored, "a", "a.png", decode=decode)
        assert (record.height, record.width) == (70, 30)
        assert np.array_equal(to_gray(record.encoded), pixels[::-1].T)
    (tmp_path / "page.png").write_bytes(stored)
    # A box is given on the page as it is shown: 30 pixels in width, 70 in height.
    sample = Sample(str(tmp_path / "page.png"), "a", "page.xml", box=(5, 40, 20, 25))
    assert np.array_equal(to_gray(sample.read()), pixels[::-1].T[40:65, 5:25])


# Transparency.


def _text(ink, alpha=255, size=24):
    """Text on transparent black: gray `ink`, as opaque as `alpha`."""
    font = ImageFont.truetype(FONT, size)
    mask = Image.new("L", (int(font.getlength("Exit 24")) + 12, size * 3 // 2))
    ImageDraw.Draw(mask).text((6, 2), "Exit 24", font=font, fill=alpha)
    color = Image.new("L", mask.size, ink)
    color = Image.composite(color, Image.new("L", mask.size), mask.point(lambda a: 255 * (a > 0)))
    return color, mask


def _transparent_files(encode, ink, alpha=255):
    color, mask = _text(ink, alpha)
    rgba = Image.merge("RGBA", (color, color, color, mask))
    yield "RGBA", encode(rgba, "PNG")
    yield "LA", encode(Image.merge("LA", (color, mask)), "PNG")
    for image_format in ("TIFF", "WEBP"):
        options = {"lossless": True, "exact": True} if image_format == "WEBP" else {}
        yield image_format, encode(rgba, image_format, **options)
    yield "lossy webp", encode(rgba, "WEBP", quality=80)
    # One color is transparent, every other one is opaque.
    is_ink = np.asarray(mask) > alpha // 2
    background = 255 - ink if ink in (0, 255) else 3
    levels = Image.fromarray(np.where(is_ink, ink, background).astype(np.uint8))
    yield "L tRNS", encode(levels, "PNG", transparency=background)
    rgb = levels.convert("RGB")
    yield "RGB tRNS", encode(rgb, "PNG", transparency=(background,) * 3)
    indices = Image.fromarray(is_ink.astype(np.uint8), "P")
    indices.putpalette([background] * 3 + [ink] * 3)
    yield "palette", encode(indices, "PNG", transparency=0)
    yield "palette of 1 bit", encode(indices, "PNG", transparency=b"\0\xff", bits=1)
    yield "gif", encode(indices, "GIF", transparency=0)


@pytest.mark.parametrize(("ink", "alpha"), [(0, 255), (255, 255), (0, 90), (255, 90), (120, 255)])
@pytest.mark.parametrize("kind", [kind for kind, _ in _transparent_files(lambda *_, **__: b"", 0)])
def test_text_on_transparent_ground_can_be_seen(encode, tf_canvas, kind, ink, alpha):
    encoded = dict(_transparent_files(encode, ink, alpha))[kind]
    made = to_canvas(encoded, KEEP)
    assert measure_contrast(made) > 40
    # The paper is the corner; it is white, or black behind white text.
    assert made[0, 0, 0] == (0 if ink == 255 else 255)
    if encoded.startswith(b"\x89PNG"):
        assert np.array_equal(tf_canvas(encoded, KEEP), made)
    assert np.array_equal(to_canvas(Image.open(io.BytesIO(encoded)), KEEP), made)


@pytest.mark.parametrize("color", [0, 77, 255])
def test_a_wholly_transparent_image_is_white(encode, tf_canvas, color):
    for mode, image_format in itertools.product(("RGBA", "LA"), ("PNG", "TIFF")):
        image = Image.fromarray(_noise(30, 70) // 255 * 0 + np.uint8(color)).convert(mode)
        image.putalpha(0)
        encoded = encode(image, image_format)
        assert np.unique(to_gray(encoded)).tolist() == [255]
        if image_format == "PNG":
            assert measure_contrast(_agree(tf_canvas, encoded)) == 0 < MIN_CONTRAST


@pytest.mark.parametrize("light", [0, 100, 200])
def test_pillow_and_tensorflow_put_any_pixels_on_the_same_paper(encode, tf_canvas, light):
    pixels = np.maximum(_noise(41, 133, 4), np.uint8([light, light, light, 0]))
    gray = np.asarray(Image.fromarray(pixels[..., :3]).convert("L"), np.int64)
    alpha = pixels[..., 3].astype(np.int64)
    paper = 0 if (gray * alpha).sum() > 191 * alpha.sum() else 255
    assert (paper == 0) == (light == 200)
    expected = (gray * alpha + paper * (255 - alpha) + 127) // 255
    encoded = encode(Image.fromarray(pixels), "PNG")
    assert np.array_equal(to_gray(encoded), expected)
    _agree(tf_canvas, encoded)
    # A black pixel, hidden or not, does not change with what lies below it.
    opaque = encode(Image.fromarray(pixels[..., :3]), "PNG")
    assert np.array_equal(to_gray(opaque), gray)


def _png(width, height, bits, color, rows, *chunks):
    """A png by hand: each row is bytes, without its filter."""
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    content = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [_chunk(b"IHDR", header), *chunks, _chunk(b"IDAT", content), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("alphas", [None, bytes([0, 255]), bytes([15, 15]), bytes([3, 1])])
def test_palettes_of_any_depth(encode, tf_canvas, bits, alphas):
    indices = Image.fromarray(_noise(30, 65) & 1, "P")
    indices.putpalette(_noise(2, 3).tobytes())
    options = {} if alphas is None else {"transparency": alphas}
    _agree(tf_canvas, encode(indices, "PNG", bits=bits, **options))


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_one_transparent_gray_level_of_a_png_of_any_depth(tf_canvas, bits):
    levels = 2 ** min(bits, 8)
    for key in {0, 1, levels // 2, levels - 1}:
        values = np.random.default_rng(bits).integers(0, levels, (30, 64))
        if bits == 16:
            values, key = values * 257, key * 257
            rows = [row.astype(">u2").tobytes() for row in values]
        else:
            octets = np.packbits(
                np.unpackbits(values.astype(np.uint8)[..., None], axis=2)[..., -bits:], axis=None
            )
            rows = [row.tobytes() for row in octets.reshape(30, -1)]
        encoded = _png(64, 30, bits, 0, rows, _chunk(b"tRNS", struct.pack(">H", key)))
        gray = values >> 8 if bits == 16 else values * 255 // (levels - 1)
        visible = values != key
        paper = 0 if gray[visible].mean() > 191 else 255
        assert np.array_equal(to_gray(encoded), np.where(visible, gray, paper)), key
        _agree(tf_canvas, encoded)
    encoded = _png(64, 30, bits, 0, rows)
    assert np.array_equal(to_gray(encoded), gray)
    _agree(tf_canvas, encoded)


@pytest.mark.parametrize(("bits", "color"), [(16, 4), (16, 6), (8, 4), (8, 6)])
def test_alpha_of_8_and_16_bits(tf_canvas, bits, color):
    channels = {4: 2, 6: 4}[color]
    values = np.random.default_rng(color).integers(0, 2**bits, (30, 64 * channels))
    rows = [row.astype(f">u{bits // 8}").tobytes() for row in values]
    _agree(tf_canvas, _png(64, 30, bits, color, rows))


def test_one_transparent_color_of_16_bits_is_compared_in_8(tf_canvas):
    values = np.zeros((30, 64, 3), ">u2")
    values[:, :32] = 0x1234
    for key in (0, 0x1234, 0x4321):
        key = _chunk(b"tRNS", struct.pack(">HHH", key, key, key))
        encoded = _png(64, 30, 16, 2, [row.tobytes() for row in values], key)
        _agree(tf_canvas, encoded)
    _agree(tf_canvas, _png(64, 30, 16, 2, [row.tobytes() for row in values]))
    assert np.unique(to_gray(encoded)).tolist() == [0, 0x12]


# Colors and bits.


def _cmyk_jpegs(encode):
    image = Image.fromarray(_noise(40, 120, 4) // 3 + np.uint8(60), "CMYK")
    for options in ({"quality": 80}, {"quality": 95, "subsampling": 0}, {"progressive": True}):
        jpeg = encode(image, "JPEG", **options)
        place = jpeg.index(b"Adobe") - 4
        yield "Adobe", jpeg
        yield "YCCK", jpeg[: place + 15] + b"\x02" + jpeg[place + 16 :]
        yield "plain", jpeg[:place] + jpeg[place + 16 :]
        # Too short a mark counts as none.
        yield "short", jpeg[:place] + _segment(0xEE, b"Adobe" + bytes(4)) + jpeg[place + 16 :]


def test_cmyk_jpegs_agree_to_the_last_bit(encode, tf_canvas):
    for kind, jpeg in _cmyk_jpegs(encode):
        canvas = Canvas("stretch", 48, (120,))
        assert np.array_equal(to_canvas(jpeg, canvas), tf_canvas(jpeg, canvas)), kind
    # No ink is white, all of it black, with Adobe's inversion and without.
    for ink, gray in ((0, 255), (255, 0)):
        image = Image.new("CMYK", (64, 32), (ink,) * 4)
        jpeg = encode(image, "JPEG", quality=100)
        assert np.unique(to_gray(jpeg)).tolist() == [gray]
        assert np.unique(to_gray(encode(image, "TIFF"))).tolist() == [gray]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (np.float32([[0, 0.5, 1.0]]), [0, 128, 255]),
        (np.float32([[0, 100.4, 254.6]]), [0, 100, 255]),
        (np.float32([[0, 256, 65_535]]), [0, 1, 255]),
        (np.float32([[-1, 0, 1]]), [0, 128, 255]),
        (np.float32([[1e6, 2e6, 3e6]]), [0, 128, 255]),
        (np.float32([[-7, -7, -7]]), [0, 0, 0]),
        (np.int32([[0, 100, 255]]), [0, 100, 255]),
        (np.int32([[0, 256, 65_535]]), [0, 1, 255]),
        (np.int32([[0, 1, 1]]), [0, 255, 255]),
        (np.int32([[-300, 0, 300]]), [0, 128, 255]),
        (np.int32([[0, 2**30, 2**31 - 1]]), [0, 128, 255]),
    ],
)
def test_floats_and_32_bits_are_scaled_by_what_they_hold(encode, numbers, expected):
    encoded = encode(Image.fromarray(numbers), "TIFF")
    assert np.asarray(to_gray(encoded)).tolist() == [expected]
    assert np.asarray(to_gray(Image.fromarray(numbers))).tolist() == [expected]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_floats_that_are_no_numbers_are_refused(encode, value):
    encoded = encode(Image.fromarray(np.float32([[0, value]])), "TIFF")
    with pytest.raises(ImageError, match="the image holds pixels that are no finite numbers"):
        to_gray(encoded)


def test_the_first_page_is_read(encode):
    pages = [Image.new("L", (40, 20), level) for level in (30, 200)]
    for image_format in ("TIFF", "GIF", "PNG"):
        encoded = encode(pages[0], image_format, save_all=True, append_images=pages[1:])
        assert np.unique(to_gray(encoded)).tolist() == [30]


def _bmp(bits, pixels, *, header=40, compression=0, palette=(), down=False, colors=None, masks=()):
    """A bmp by hand; `pixels` are the bytes of the rows from the top."""
    rows = [row + bytes(-len(row) % 4) for row in pixels[0]]
    width, height = pixels[1], len(rows)
    table = b"".join(bytes([*own[::-1], 0]) for own in palette)
    info = struct.pack(
        "<IiiHHIIiiII",
        *(header, width, -height if down else height, 1, bits, compression, 0, 0, 0),
        *(len(palette) if colors is None else colors, 0),
    )
    info = info + struct.pack(f"<{len(masks)}I", *masks)
    info = info.ljust(header, b"\0")
    start = 14 + len(info) + len(table)
    content = b"".join(rows if down else rows[::-1])
    size = start + len(content)
    return b"BM" + struct.pack("<IHHI", size, 0, 0, start) + info + table + content


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("width", [61, 64, 77])
@pytest.mark.parametrize("palette", ["colors", "gray", "two", "black and white", "long"])
def test_bmps_with_a_palette(tf_canvas, bits, down, width, palette):
    count = {"two": 2, "black and white": 2}.get(palette, 2**bits)
    colors = {
        "gray": [(v, v, v) for v in np.linspace(0, 255, count).astype(int)],
        "black and white": [(0, 0, 0), (255, 255, 255)],
    }.get(palette, _noise(count, 3, seed=bits).tolist())
    indices = np.random.default_rng(width).integers(0, count, (33, width))
    padded = np.pad(indices, ((0, 0), (0, -width % 8))).astype(np.uint8)
    octets = np.packbits(np.unpackbits(padded[..., None], axis=2)[..., -bits:].reshape(33, -1), 1)
    rows = [row.tobytes()[: -(-width * bits // 8)] for row in octets]
    count = 0 if palette == "long" else None
    encoded = _bmp(bits, (rows, width), palette=colors, down=down, colors=count)
    expected = Image.fromarray(np.uint8(colors)[indices]).convert("L")
    assert np.array_equal(to_gray(encoded), expected)
    _agree(tf_canvas, encoded)


def test_pixels_of_a_bmp_without_a_color_are_black(tf_canvas):
    indices = np.arange(256, dtype=np.uint8).reshape(4, 64)
    encoded = _bmp(8, ([row.tobytes() for row in indices], 64), palette=[(200, 10, 30)] * 16)
    assert np.unique(np.asarray(to_gray(encoded)).ravel()[16:]).tolist() == [0]
    _agree(tf_canvas, encoded)


_MASKS = (0xFF0000, 0xFF00, 0xFF)


@pytest.mark.parametrize(
    ("bits", "options"),
    [
        (24, {}),
        (24, {"down": True}),
        (32, {}),
        (32, {"header": 124}),
        (32, {"header": 56, "compression": 3, "masks": (*_MASKS, 0xFF000000)}),
        (32, {"header": 124, "compression": 3, "masks": (*_MASKS, 0xFF000000)}),
        (32, {"header": 108, "compression": 3, "masks": (*_MASKS, 0)}),
        (32, {"compression": 3, "masks": _MASKS}),
    ],
)
def test_bmps_of_24_and_32_bits(tf_canvas, bits, options):
    pixels = _noise(33, 61, bits // 8)
    encoded = _bmp(bits, ([row.tobytes() for row in pixels], 61), **options)
    _agree(tf_canvas, encoded)
    with pytest.raises(ImageError, match="truncated"):
        to_gray(encoded[:-200])
    if "masks" not in options:
        expected = Image.fromarray(pixels[..., 2::-1]).convert("L")
        assert np.array_equal(to_gray(encoded), expected)


def test_other_bmps_are_refused_by_tensorflow_by_name(encode, tf_canvas):
    import tensorflow as tf

    rows = [bytes(40)] * 8
    others = [
        _bmp(16, (rows, 20)),
        _bmp(8, (rows, 40), compression=1, palette=[(0, 0, 0)] * 256),
        _bmp(4, (rows, 80), compression=2, palette=[(0, 0, 0)] * 16),
        _bmp(32, (rows, 10), compression=3, masks=(0xFF, 0xFF00, 0xFF0000)),
        _bmp(24, (rows, 10), compression=4),
        b"BM" + bytes(8) + struct.pack("<IIHHHH", 26, 12, 10, 10, 1, 24) + bytes(400),
    ]
    for encoded in others:
        with pytest.raises(tf.errors.InvalidArgumentError, match="1, 4, 8, 24 or 32 bits"):
            tf_canvas(encoded, KEEP)


# Bounds.


@pytest.mark.parametrize(("scans", "is_read"), [(10, True), (60, True), (90, False), (5000, False)])
def test_a_jpeg_of_thousands_of_scans_is_refused_before_it_is_decoded(
    tf_canvas, jpeg_of_scans, scans, is_read
):
    import tensorflow as tf

    encoded = jpeg_of_scans(scans)
    if is_read:
        _agree(tf_canvas, encoded)
        return
    with pytest.raises(ImageError, match="scans"):
        open_image(encoded)
    with pytest.raises(tf.errors.InvalidArgumentError, match="scans"):
        tf_canvas(encoded, KEEP)


def test_bytes_that_look_like_scans_by_chance_do_no_harm(encode, tf_canvas):
    jpeg = encode(Image.fromarray(_noise(30, 70)), "JPEG")
    _agree(tf_canvas, jpeg + _noise(1, 3_000_000).tobytes())


def test_the_bound_of_pixels_can_be_set_for_tensorflow(encode):
    import tensorflow as tf

    from crnn_keras.images import tf_ops

    encoded = encode(Image.new("L", (50, 20)), "PNG")
    assert tf_ops.to_canvas(tf.constant(encoded), KEEP, max_pixels=1000).shape == (32, 128, 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="999 pixels.*50 x 20"):
        tf_ops.to_canvas(tf.constant(encoded), KEEP, max_pixels=999)


# Paths.


@pytest.fixture
def strange_paths(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket.png"))
        yield tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("pipe.png", "a pipe"),
        ("link.png", "a pipe"),
        ("folder.png", "a folder"),
        ("device.png", "a device"),
        ("socket.png", "a socket"),
    ],
)
def test_what_is_no_file_is_never_opened(strange_paths, monkeypatch, name, kind):
    path = strange_paths / name
    monkeypatch.setattr("builtins.open", lambda *_: pytest.fail("it was opened"))
    for read in (open_image, to_gray, lambda source: to_canvas(source, KEEP)):
        with pytest.raises(ImageError, match=rf"{name} is {kind}"):
            read(path)


def test_a_file_that_is_slow_to_open_does_not_hold_up_others(tmp_path, encode, monkeypatch):
    encoded = encode(Image.new("L", (40, 20), 7), "PNG")
    for name in ("slow.png", "quick.png"):
        (tmp_path / name).write_bytes(encoded)
    is_open, may_go = threading.Event(), threading.Event()

    def slow_open(path, *args):
        if str(path).endswith("slow.png"):
            is_open.set()
            may_go.wait(30)
        return io.open(path, *args)  # noqa: UP020

    monkeypatch.setattr("builtins.open", slow_open)
    slow = threading.Thread(target=to_gray, args=(tmp_path / "slow.png",))
    slow.start()
    try:
        assert is_open.wait(30)
        quick = threading.Thread(target=to_gray, args=(tmp_path / "quick.png",), daemon=True)
        quick.start()
        quick.join(10)
        assert not quick.is_alive()
    finally:
        may_go.set()
        slow.join()


@pytest.mark.parametrize("name", ["a\0b.png", "x" * 300 + ".png", "a\ud800.png", ""])
def test_names_that_no_file_can_have_are_refused(name):
    with pytest.raises(ImageError):
        to_gray(name)


@pytest.mark.parametrize("source", [None, 5, {}, ["a.png"], io.StringIO("a.png")])
def test_what_is_no_image_is_refused_by_its_type(source):
    with pytest.raises(ImageError, match=r"got (NoneType|int|dict|list|str)"):
        to_gray(source)


def test_bytes_in_any_form_are_an_image(encode):
    encoded = encode(Image.fromarray(_noise(20, 50)), "PNG")
    for source in (bytearray(encoded), memoryview(encoded), io.BytesIO(encoded)):
        assert np.array_equal(to_gray(source), _noise(20, 50))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix_is_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    pillow_format = {".dib": "BMP", ".apng": "PNG"}.get(suffix)
    Image.fromarray(_noise(20, 50)).save(path, pillow_format)
    assert to_gray(path).size == (50, 20)
    assert {".jfif", ".jpe", ".dib", ".webp"} < set(SUFFIXES)

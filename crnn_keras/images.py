"""From any picture to its canvas: the one place that decides size, mode and scale.

A canvas is a uint8 array of shape `(height, width, 1)`. Its width depends on the picture alone,
never on its neighbours in a batch. The same canvas is made two ways: by Pillow (reading, checking)
and by TensorFlow ops (training, serving). They agree to the last bit, which a test holds, since
both use Pillow's integer arithmetic for gray and for the resize.
"""

import io
import pathlib
import warnings
from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

# Four pixels of the canvas make one frame of the network: it halves the width twice.
PIXELS_PER_FRAME = 4
# A larger picture is no cropped word; its decoding could eat the machine's memory.
MAX_PIXELS = 50_000_000
MAX_SIDE = 65_535
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

# Pillow's gray: ITU-R 601 weights as 16-bit integers.
_GRAY = (19595, 38470, 7471)
# Pillow's resize holds its weights as integers with this many bits behind the point.
_RESIZE_BITS = 22


class ImageError(ValueError):
    """A picture that cannot be read; the message says why."""


@dataclass(frozen=True)
class Canvas:
    """Size and mode of the pictures a model sees.

    Args:
        mode: `"stretch"`: every picture is scaled to `height` x `widths[0]`, as in the paper.
            `"keep"`: scaled to `height` with its aspect kept, and padded on the right with its
            last column to the next of `widths`; a picture wider than the last is squeezed to it.
        height: height in pixels.
        widths: allowed widths in pixels, ascending, each a multiple of 4.

    Raises:
        ValueError: an argument is none of these.
    """

    mode: str = "stretch"
    height: int = 32
    widths: tuple = (100,)

    def __post_init__(self):
        object.__setattr__(self, "widths", tuple(int(width) for width in self.widths))
        if self.mode not in ("stretch", "keep"):
            raise ValueError(f"Canvas mode {self.mode!r} is unknown. Expected 'stretch' or 'keep'.")
        if self.height < 16 or self.height % 16:
            raise ValueError(f"Canvas height {self.height} is no multiple of 16 pixels.")
        if not self.widths or list(self.widths) != sorted(set(self.widths)):
            raise ValueError(f"Canvas widths {self.widths} must ascend.")
        if any(width < 8 or width % PIXELS_PER_FRAME for width in self.widths):
            raise ValueError(
                f"Canvas widths {self.widths} must be multiples of {PIXELS_PER_FRAME} pixels, "
                "at least 8."
            )
        if self.mode == "stretch" and len(self.widths) != 1:
            raise ValueError(f"Canvas mode 'stretch' has one width, got {self.widths}.")

    def fit(self, height, width):
        """Where a picture lies on its canvas.

        Args:
            height: the picture's height in pixels.
            width: the picture's width in pixels.

        Returns:
            Tuple `(inner, outer)`: the width in pixels that the picture is scaled to, and the
            width of its canvas.
        """
        if self.mode == "stretch":
            return self.widths[0], self.widths[0]
        scaled = max(-(-width * self.height // height), 1)
        inner = min(scaled, self.widths[-1])
        return inner, next(outer for outer in self.widths if outer >= inner)

    def frames(self, height, width):
        """Frames that the network makes of a picture of this size.

        Args:
            height: the picture's height in pixels.
            width: the picture's width in pixels.

        Returns:
            Canvas width / 4.
        """
        return self.fit(height, width)[1] // PIXELS_PER_FRAME

    def get_config(self):
        """Plain dict from which `Canvas(**config)` makes this canvas again."""
        return {**asdict(self), "widths": list(self.widths)}


def make_canvas(mode="stretch", width=100, height=32):
    """A canvas from one width.

    Args:
        mode: `"stretch"` or `"keep"`, see `Canvas`.
        width: width in pixels; in mode `"keep"` the largest of several: 64, 96, 144, 216, ...
        height: height in pixels.

    Returns:
        `Canvas`.
    """
    widths = [width]
    if mode == "keep":
        # Each step is half as wide again: at most a third of a canvas is padding.
        steps = [2 * height]
        while steps[-1] < width:
            steps.append(-(-steps[-1] * 3 // 2 // PIXELS_PER_FRAME) * PIXELS_PER_FRAME)
        widths = [*steps[:-1], width] if steps[-1] >= width else steps
    return Canvas(mode, height, tuple(widths))


def _label(source):
    return str(source) if isinstance(source, str | pathlib.Path) else "the image"


def _check_size(width, height, label):
    if 0 in (width, height) or width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise ImageError(
            f"{label} has {width} x {height} pixels. Expected at least 1 x 1, not over "
            f"{MAX_PIXELS:,} in all or {MAX_SIDE:,} along a side. Crop it to one word or line first"
        )


def open_image(source):
    """Reads the header of a picture, without its pixels.

    Args:
        source: path, or bytes of an encoded image.

    Returns:
        Pillow image, not loaded yet.

    Raises:
        ImageError: no such file, not an image, more than `MAX_PIXELS` pixels in all or `MAX_SIDE`
            along a side.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
    except FileNotFoundError:
        raise ImageError(f"{_label(source)} does not exist") from None
    except UnidentifiedImageError:
        raise ImageError(f"{_label(source)} is not an image that Pillow knows") from None
    except Image.DecompressionBombError:
        # Pillow has a limit of its own, above ours, and does not tell width and height.
        raise ImageError(
            f"{_label(source)} has over {MAX_PIXELS:,} pixels. Crop it to one word or line first"
        ) from None
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageError(f"{_label(source)} cannot be opened: {error}") from None
    try:
        _check_size(image.width, image.height, _label(source))
    except ImageError:
        image.close()
        raise
    return image


def to_gray(source):
    """Reads a picture and makes it gray.

    Args:
        source: path, bytes of an encoded image, Pillow image, or uint8 array of shape
            `(height, width)`, `(height, width, 1)` or `(height, width, 3)` in RGB.

    Returns:
        Gray Pillow image (mode L). Transparency is ignored; 16-bit pictures are scaled to 8 bits.

    Raises:
        ImageError: it cannot be read, is truncated, has no pixels or too many.
    """
    if isinstance(source, np.ndarray):
        return _array_to_gray(source)
    image = source if isinstance(source, Image.Image) else open_image(source)
    _check_size(image.width, image.height, _label(source))
    try:
        with image if image is not source else image.copy() as opened:
            opened.load()
            if opened.mode.startswith("I;16"):
                # The upper byte, as libpng and TensorFlow take it.
                return Image.fromarray((np.asarray(opened) >> 8).astype(np.uint8))
            # Palette pictures go through RGB: their transparency would change the gray.
            return (opened.convert("RGB") if opened.mode == "P" else opened).convert("L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{_label(source)} cannot be decoded: {error}") from None


def _array_to_gray(array):
    array = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if array.dtype != np.uint8 or not (array.ndim == 2 or array.shape[2:] == (3,)):
        raise ImageError(
            f"Expected a uint8 array of shape (height, width), (height, width, 1) or "
            f"(height, width, 3), got {array.dtype} of shape {array.shape}"
        )
    _check_size(array.shape[1], array.shape[0], "the array")
    return Image.fromarray(array).convert("L")


def to_canvas(source, canvas):
    """Puts a picture on its canvas, by Pillow.

    Args:
        source: anything that `to_gray` takes.
        canvas: a `Canvas`.

    Returns:
        uint8 array of shape `(canvas.height, width, 1)`, `width` one of `canvas.widths`.

    Raises:
        ImageError: as `to_gray`.
    """
    gray = to_gray(source)
    inner, outer = canvas.fit(gray.height, gray.width)
    # Two steps of one axis each: which axis goes first differs between releases of Pillow.
    across = gray.resize((inner, gray.height), Image.Resampling.BILINEAR)
    pixels = np.asarray(across.resize((inner, canvas.height), Image.Resampling.BILINEAR))
    return np.pad(pixels, ((0, 0), (0, outer - inner)), mode="edge")[..., None]


def tf_to_canvas(encoded, canvas):
    """Puts a picture on its canvas, by TensorFlow ops; the same pixels as `to_canvas`.

    Args:
        encoded: scalar string tensor, the bytes of a jpeg, a png, or a bmp of 8, 24 or 32 bits.
        canvas: a `Canvas`.

    Returns:
        uint8 tensor of shape `(canvas.height, width, 1)`.

    Raises:
        tf.errors.InvalidArgumentError: when run on bytes that are no such image, are truncated or
            have more pixels than `to_canvas` takes.
    """
    import tensorflow as tf

    gray = _tf_gray(tf, encoded)
    height, width = tf.shape(gray)[0], tf.shape(gray)[1]
    if canvas.mode == "stretch":
        inner = outer = tf.constant(canvas.widths[0])
    else:
        inner = tf.clip_by_value(-(-width * canvas.height // height), 1, canvas.widths[-1])
        widths = tf.constant(canvas.widths)
        outer = widths[tf.searchsorted(widths, inner[None])[0]]
    pixels = _tf_resize(tf, gray, tf.constant(canvas.height), inner)
    pixels = tf.gather(pixels, tf.minimum(tf.range(outer), inner - 1), axis=1)
    static_width = canvas.widths[0] if len(canvas.widths) == 1 else None
    return tf.ensure_shape(tf.cast(pixels, tf.uint8)[..., None], (canvas.height, static_width, 1))


def _tf_gray(tf, encoded):
    """Decodes to int32 gray levels of shape `(height, width)`, refusing bombs by their header."""
    is_jpeg = tf.io.is_jpeg(encoded)
    is_png = tf.strings.substr(encoded, 0, 4) == b"\x89PNG"
    is_bmp = tf.strings.substr(encoded, 0, 2) == b"BM"
    known = tf.debugging.Assert(
        is_jpeg | is_png | is_bmp, ["Expected the bytes of a jpeg, png or bmp image."], name="known"
    )
    with tf.control_dependencies([known]):
        size = tf.case(
            [
                (is_jpeg, lambda: tf.cast(tf.image.extract_jpeg_shape(encoded)[:2], tf.int64)),
                (is_png, lambda: _tf_integers(tf, encoded, 16, 2, little_endian=False)),
            ],
            default=lambda: _tf_integers(tf, encoded, 18, 2, little_endian=True),
        )
    sides = tf.abs(size)  # the height of a bmp may be negative
    small = tf.debugging.Assert(
        (size[0] > 0) & (sides[0] * sides[1] <= MAX_PIXELS) & (tf.reduce_max(sides) <= MAX_SIDE),
        [f"Expected 1 to {MAX_PIXELS:,} pixels, {MAX_SIDE:,} at most along a side, got", size],
        name="small",
    )
    with tf.control_dependencies([small]):
        # Without INTEGER_ACCURATE, jpeg pixels differ from Pillow's by up to 20 grey levels.
        pixels = tf.case(
            [
                (
                    is_jpeg,
                    lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
                ),
                (is_png, lambda: tf.io.decode_png(encoded, channels=3)),
            ],
            default=lambda: _tf_bmp(tf, encoded),
        )
    weighted = tf.cast(pixels, tf.int32) * tf.constant(_GRAY)
    return (tf.reduce_sum(weighted, axis=-1) + 0x8000) // 0x10000


def _tf_bmp(tf, encoded):
    """Decodes a bmp to RGB. TensorFlow shows the numbers of palette colours, not the colours."""
    pixels = tf.image.decode_bmp(encoded, channels=3)
    bits = _tf_integers(tf, encoded, 28, 1, little_endian=True)[0] % 0x10000

    def colours():
        start = 14 + _tf_integers(tf, encoded, 14, 1, little_endian=True)[0]
        palette = tf.strings.substr(encoded + b"\0" * 1024, tf.cast(start, tf.int32), 1024)
        blue_green_red = tf.reshape(tf.io.decode_raw(palette, tf.uint8), (256, 4))[:, :3]
        return tf.gather(blue_green_red[:, ::-1], tf.cast(pixels[..., 0], tf.int32))

    return tf.cond(bits == 8, colours, lambda: pixels)


def _tf_integers(tf, encoded, position, count, little_endian):
    """32-bit integers out of a header; zeros if the bytes end before."""
    part = tf.strings.substr(encoded + b"\0" * 32, position, 4 * count)
    numbers = tf.io.decode_raw(part, tf.int32, little_endian=little_endian)
    return tf.ensure_shape(tf.cast(numbers, tf.int64), (count,))


def _tf_resize(tf, gray, height, width):
    """Pillow's bilinear resize: first across, then down, each rounded to whole grey levels."""
    across = _tf_resize_weights(tf, tf.shape(gray)[1], width)
    down = _tf_resize_weights(tf, tf.shape(gray)[0], height)
    half, one = 2.0 ** (_RESIZE_BITS - 1), 2.0**_RESIZE_BITS
    # float64 holds these sums of integers exactly.
    pixels = tf.cast(gray, tf.float64)
    pixels = tf.floor((tf.matmul(pixels, across, transpose_b=True) + half) / one)
    return tf.floor((tf.matmul(down, pixels) + half) / one)


def _tf_resize_weights(tf, size_in, size_out):
    """Weights of Pillow's triangle filter as a float64 matrix `(size_out, size_in)` of integers."""
    scale = tf.cast(size_in, tf.float64) / tf.cast(size_out, tf.float64)
    support = tf.maximum(scale, 1.0)
    centers = (tf.range(tf.cast(size_out, tf.float64), dtype=tf.float64) + 0.5)[:, None] * scale
    first = tf.floor(tf.maximum(centers - support + 0.5, 0.0))
    last = tf.floor(tf.minimum(centers + support + 0.5, tf.cast(size_in, tf.float64)))
    pixels = tf.range(tf.cast(size_in, tf.float64), dtype=tf.float64)[None, :]
    weights = tf.maximum(1.0 - tf.abs((pixels - centers + 0.5) / support), 0.0)
    weights = tf.where((pixels >= first) & (pixels < last), weights, 0.0)
    weights /= tf.reduce_sum(weights, axis=1, keepdims=True)
    return tf.floor(weights * 2.0**_RESIZE_BITS + 0.5)

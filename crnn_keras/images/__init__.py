"""Any image to its canvas: the one place that decides size, mode and scale.

| file | subject |
|---|---|
| `canvas` | `Canvas`, `to_canvas`: by Pillow, for training and reading |
| `tf_ops` | the same canvas by TensorFlow ops, for serving |
| `tta` | canvases turned and leaning, for test-time augmentation |
"""

from crnn_keras.images.canvas import (
    MAX_PIXELS,
    MAX_SIDE,
    PIXELS_PER_FRAME,
    SUFFIXES,
    Canvas,
    ImageError,
    find_canvas,
    make_canvas,
    open_image,
    to_canvas,
    to_gray,
)

__all__ = [
    "MAX_PIXELS",
    "MAX_SIDE",
    "PIXELS_PER_FRAME",
    "SUFFIXES",
    "Canvas",
    "ImageError",
    "find_canvas",
    "make_canvas",
    "open_image",
    "to_canvas",
    "to_gray",
]

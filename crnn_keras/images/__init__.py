"""Images to canvases: the one place that decides size, mode and scale.

| file | subject |
|---|---|
| `canvas` | `Canvas`, `to_canvas`: by Pillow, for training and inference |
| `contrast` | `measure_contrast`: whether an image shows anything at all |
| `tf_ops` | the same canvas by TensorFlow ops, for serving |
| `augment` | canvases changed at random, for training |
| `tta` | canvases turned and sheared, for test-time augmentation |
"""

from crnn_keras.images.canvas import (
    MAX_PIXELS,
    MAX_SIDE,
    PIXELS_PER_FRAME,
    SUFFIXES,
    Canvas,
    ImageError,
    ImageSource,
    make_canvas,
    open_image,
    to_canvas,
    to_gray,
)
from crnn_keras.images.contrast import MIN_CONTRAST, measure_contrast

__all__ = [
    "MAX_PIXELS",
    "MAX_SIDE",
    "MIN_CONTRAST",
    "PIXELS_PER_FRAME",
    "SUFFIXES",
    "Canvas",
    "ImageError",
    "ImageSource",
    "make_canvas",
    "measure_contrast",
    "open_image",
    "to_canvas",
    "to_gray",
]

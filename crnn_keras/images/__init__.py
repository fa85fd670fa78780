"""Images to canvases: the one place that decides size, mode and scale.

| file | subject |
|---|---|
| `source` | `open_image`: paths and bytes of strangers, errors that name them |
| `exif` | `upright_size`: how an image must be turned |
| `gray` | `to_gray`: orientation, transparency, bits and colors |
| `canvas` | `Canvas`, `to_canvas`, `Placement`: by Pillow, for training and inference |
| `contrast` | `measure_contrast`: whether an image shows anything at all |
| `tf_ops` | the same canvas by TensorFlow ops, for serving |
| `augmentation` | canvases changed at random, for training |
| `tta` | canvases turned and sheared, for test-time augmentation |
"""

from crnn_keras.images.canvas import (
    PIXELS_PER_FRAME,
    Canvas,
    Placement,
    make_canvas,
    to_canvas,
    to_canvas_with_placement,
)
from crnn_keras.images.contrast import MIN_CONTRAST, measure_contrast
from crnn_keras.images.exif import upright_size
from crnn_keras.images.gray import to_gray
from crnn_keras.images.source import SUFFIXES, ImageError, ImageSource, open_image, read_file

__all__ = [
    "MIN_CONTRAST",
    "PIXELS_PER_FRAME",
    "SUFFIXES",
    "Canvas",
    "ImageError",
    "ImageSource",
    "Placement",
    "make_canvas",
    "measure_contrast",
    "open_image",
    "read_file",
    "to_canvas",
    "to_canvas_with_placement",
    "to_gray",
    "upright_size",
]

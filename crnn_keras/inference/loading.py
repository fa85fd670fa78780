"""Loads images of any form onto their canvases, the first step of a prediction."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from PIL import Image as pillow

from crnn_keras.images import Canvas, ImageError, Placement, to_canvas_with_placement
from crnn_keras.images.source import Encoded
from crnn_keras.utils.checks import COUNT, NATURAL, check_arguments

# A path, the bytes of an encoded image, a Pillow image, a uint8 array, an open file or a `Sample`.
Image: TypeAlias = object
# One image, a list or an iterator of them, or a folder.
Images: TypeAlias = Image | Iterable[Image]


@dataclass(frozen=True)
class Window:
    """Images on their canvases, with a place for each that could not be loaded.

    Args:
        sources: Name of each image: its path, the place of its label, or `#position`.
        canvases: uint8 array `(height, width, 1)` of each image; None if it could not be loaded.
        errors: Reason why an image could not be loaded, for each; None if it was.
        placements: The `Placement` of each image on its canvas; None if it could not be loaded.
    """

    sources: list[str]
    canvases: list[np.ndarray | None]
    errors: list[str | None]
    placements: list[Placement | None]

    @check_arguments(batch_size=COUNT)
    def batches(self, batch_size: int = 64) -> Iterator[tuple[list[int], np.ndarray]]:
        """Yields batches of canvases of one width, so that no canvas is padded.

        Args:
            batch_size: Largest number of canvases in a batch. Defaults to `64`.

        Yields:
            Tuple `(positions, canvases)`: the canvases' positions in the window, and a uint8 array
            of shape `(batch, height, width, 1)`.

        Raises:
            ValueError: The batch size is no whole number of at least 1.
        """
        positions_by_width = {}
        for position, canvas in enumerate(self.canvases):
            if canvas is not None:
                positions_by_width.setdefault(canvas.shape[1], []).append(position)
        for positions in positions_by_width.values():
            for start in range(0, len(positions), batch_size):
                batch = positions[start : start + batch_size]
                yield batch, np.stack([self.canvases[position] for position in batch])


def load_images(images: Images, canvas: Canvas, *, start: int = 0) -> Window:
    """Loads images onto their canvases.

    An image that cannot be loaded, and anything in a list that is no image, leaves an error in its
    place. All canvases are in memory at once; `BaseRecognizer.stream` loads a long list window by
    window.

    Args:
        images: See `BaseRecognizer.read`.
        canvas: The `Canvas` of the recognizer.
        start: Position of the first image, for the names of images without a path. Defaults to `0`.

    Returns:
        `Window`.

    Raises:
        ValueError: See `iter_images`.

    Example:

        >>> import numpy as np
        >>> from crnn_keras import Canvas
        >>> from crnn_keras.inference import load_images
        >>> window = load_images([np.zeros((20, 60), "uint8"), "no_such.png"], Canvas())
        >>> window.canvases[0].shape, window.errors[1]
        ((32, 100, 1), 'no_such.png does not exist')
    """
    sources, canvases, errors, placements = [], [], [], []
    for image, source in iter_images(images, start=start):
        loaded = reason = placement = None
        try:
            loaded, placement = to_canvas_with_placement(image, canvas)
        except ImageError as error:
            reason = str(error)
        except MemoryError:
            raise
        except Exception as error:  # A decoder, or a `read` of the caller's, may raise anything.
            reason = f"{source} cannot be loaded: {type(error).__name__}: {error}"
        sources.append(source)
        canvases.append(loaded)
        errors.append(reason)
        placements.append(placement)
    return Window(sources, canvases, errors, placements)


_PORTABLE = (str, os.PathLike, bytes, bytearray, np.ndarray)


class _Job(NamedTuple):
    """Images that another process may load."""

    images: list[Image]
    canvas: Canvas
    start: int


def make_portable(images: list[Image], canvas: Canvas, *, start: int = 0) -> _Job | Window:
    """Makes a job of images for `load_portable`, in another process.

    Args:
        images: The images. Open files and images of Pillow cannot go there: if there are any, all
            are loaded here.
        canvas: The `Canvas` of the recognizer.
        start: See `load_images`. Defaults to `0`.
    """
    # A `Sample` knows the place of its label, and can be pickled.
    if all(isinstance(image, _PORTABLE) or hasattr(image, "where") for image in images):
        return _Job(images, canvas, start)
    return load_images(images, canvas, start=start)


def load_portable(job: _Job | Window) -> Window:
    """Loads what `make_portable` made."""
    return load_images(job.images, job.canvas, start=job.start) if isinstance(job, _Job) else job


@check_arguments(start=NATURAL)
def iter_images(images: Images, *, start: int = 0) -> Iterator[tuple[Image, str]]:
    """Iterates over images given in any form.

    Args:
        images: See `BaseRecognizer.read`.
        start: Position of the first image. Defaults to `0`.

    Returns:
        Iterator of pairs `(image, name)`. An image without a path or a label is named by its
        position: `"#0"`.

    Raises:
        ValueError: The images are a set or a dict, an empty path, or something that is neither an
            image nor holds images.
    """
    return _with_names(_split_container(images), start)


def _split_container(images):
    """Returns an iterable of the images in whatever holds them: a folder, a list, one image."""
    if isinstance(images, str | os.PathLike):
        path = os.fsdecode(images)
        if not path:
            raise ValueError("The path of the images is empty. Name a folder, or a file.")
        if not os.path.isdir(path):
            return [images]
        with os.scandir(path) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file())
        return [os.path.join(path, name) for name in names]
    # An open file is an iterator too, but of lines.
    if isinstance(images, Encoded | pillow.Image) or hasattr(images, "read"):
        return [images]
    if isinstance(images, np.ndarray):
        # A column of paths, as pandas gives it; any other array is an image, or none.
        return images if images.ndim == 1 and images.dtype.kind in "OTU" else [images]
    if isinstance(images, Mapping | Set):
        raise ValueError(
            f"The images are a {type(images).__name__}. Expected a list: the predictions come in "
            "the order of the images."
        )
    if not isinstance(images, Iterable):
        raise ValueError(
            f"The images are a {type(images).__name__}. Expected a folder, an image, or a list or "
            "an iterator of images."
        )
    return images


def _with_names(images, start):
    for position, image in enumerate(images, start):
        if isinstance(image, str | os.PathLike):
            yield image, os.fsdecode(image)
        else:
            # A `Sample` knows the place of its label.
            yield image, getattr(image, "where", f"#{position}")

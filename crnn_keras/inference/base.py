"""Images in, readings out: what every reader fractions, whatever runs its network. No Keras here.

A long list is read in windows of a few batches. Threads decode the images of the next windows
while the network reads this one, and memory does not grow with the number of images.
"""

import collections
import itertools
import math
import os
import pathlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from crnn_keras.images import ImageError, to_canvas
from crnn_keras.images.tta import TTA_COUNTS, TTA_VIEWS, transform_view
from crnn_keras.model.decoding import Lexicon, LexiconChoice, ids_of, likelihoods
from crnn_keras.model.decoding.best_path import best_path

_BATCHES_OF_MIXED_WIDTHS = 4

# What each of the readers that come with the package is called.
_SHIPPED = ("words", "ascii")


def shipped_files(suffix):
    """The readers that come with the package.

    Args:
        suffix: of their files: `".keras"` or `".onnx"`.

    Returns:
        Dict of `name: path`.
    """
    folder = pathlib.Path(__file__).parents[1] / "readers"
    return {name: folder / f"{name}{suffix}" for name in _SHIPPED}


@dataclass(frozen=True)
class Prediction:
    """What was read from one image.

    Args:
        text: the text; None if the image could not be read.
        confidence: chance that the whole text is right, from 0 to 1: `raw_confidence` through the
            reader's calibration, the same if it has none; 0 if the image could not be read.
        source: path of the image, where its label stands, or its position among those given.
        error: why the image could not be read; None if it was.
        spans: see `decode.Decoded`; with a lexicon, those of `raw_text`.
        raw_confidence: the network's own, from 0 to 1: the probability of all paths that spell
            the text. Not that of the best path alone: the more ways there are to place the same
            characters in the frames, the lower it is, so that it tells right from wrong less well.
        choice: the `lexicon.LexiconChoice`; None without a lexicon.
    """

    text: str | None
    confidence: float
    source: str
    error: str | None = None
    spans: tuple = ()
    raw_confidence: float = 0.0
    choice: LexiconChoice | None = None

    @property
    def raw_text(self):
        """What was read without the lexicon; None if the image could not be read."""
        return self.text if self.choice is None else self.choice.best_path.text


class BaseRecognizer:
    """Base of the readers: a subclass gives `logits`.

    Args:
        char_dict: the `CharDict` of the logits' classes.
        canvas: the `images.Canvas` that the network sees.
        calibration: the `calibration.Calibration` of the network's confidences; None without one.
    """

    def __init__(self, char_dict, canvas, calibration=None):
        self.char_dict = char_dict
        self.canvas = canvas
        self.calibration = calibration
        self.threads = busy_threads(os.cpu_count() or 1)

    def logits(self, canvases):
        """The network's output for canvases of one width.

        Args:
            canvases: uint8 array `(batch, height, width, 1)`.

        Returns:
            float32 array `(batch, width / 4, classes)`, not normalised.
        """
        raise NotImplementedError

    def read(self, images, batch_size=64, lexicon=None, delta=None, tta_views=1):
        """Reads images of any sizes.

        Args:
            images: a folder, whose files are read in the order of their names; or a list or an
                iterator of paths, bytes of encoded images, Pillow images, uint8 arrays, open files
                and `samples.Sample`s; or one of these.
            batch_size: the most images that go through the network at once.
            lexicon: a `lexicon.Lexicon` with this reader's char dict: of its words near the text,
                the likeliest is read. Or a list or an iterator with one for each image, in
                order, None for an image without. None: no list of words.
            delta: with a lexicon, how many edits are near; see `Lexicon.choose`.
            tta_views: 1, 3 or 5: how often the network reads each image: also turned a little up and
                down, also leaning either way. What it is surest of is read. That takes so many
                times as long, and the confidence is the chosen look's: take a threshold from
                images that were read with as many.

        Returns:
            List of `Prediction`s, one for each image, in order. An image that cannot be read
            gives a reading with an error; the others are read all the same. How an image is
            read does not depend on its neighbours.

        Raises:
            ValueError: a lexicon is none of this reader's char dict, there are fewer or more of
                them than images, delta is negative, or tta_views is another number.

        Example:

            >>> lexicon = Lexicon(["Door", "Wild"], recognizer.char_dict)
            >>> (reading,) = recognizer.read("door.jpg", lexicon=lexicon, delta=2)
            >>> reading.text, reading.raw_text
            ('door', 'doar')
        """
        return list(self.stream(images, batch_size, lexicon, delta, tta_views))

    def stream(self, images, batch_size=64, lexicon=None, delta=None, tta_views=1):
        """Reads images as `read` does, and gives each reading when its turn has come.

        A few windows of images are under way at a time: a million is read in the memory of some
        hundreds, but for the names of the files where a folder is given.

        Args:
            images: see `read`.
            batch_size: see `read`.
            lexicon: see `read`.
            delta: see `read`.
            tta_views: see `read`.

        Yields:
            `Prediction`s, in order.

        Raises:
            ValueError: see `read`.
        """
        if tta_views not in TTA_COUNTS:
            raise ValueError(f"tta_views is {tta_views!r}. Expected one of {TTA_COUNTS}.")
        # Of several widths, so many images that each has a batch worth the name.
        size = batch_size * (1 if len(self.canvas.widths) == 1 else _BATCHES_OF_MIXED_WIDTHS)
        listed = self._with_lexicons(list_images(images), lexicon, delta)
        windows = _windows(listed, size)
        first = list(itertools.islice(windows, 2))
        if len(first) == 2:
            work = self._read_windows(itertools.chain(first, windows), batch_size, tta_views)
        else:
            # One image, or a few: to start threads would take longer.
            work = (self._read(self._prepared(window), batch_size, tta_views) for window in first)
        for readings in work:
            yield from readings

    def _read_windows(self, windows, batch_size, tta_views):
        """A list of readings for each window: threads make canvases, the network runs in this."""
        jobs = ((window,) for window in windows)
        for prepared in in_threads(self._prepared, jobs, self.threads):
            yield self._read(prepared, batch_size, tta_views)

    def _prepared(self, window):
        """What `make_canvases` makes of a window, and the lexicon and delta of each image."""
        images, lexicons = zip(*window, strict=True)
        return *make_canvases(images, self.canvas), lexicons

    def _with_lexicons(self, images, lexicon, delta):
        """Pairs of an image, as `list_images` gives it, and of a lexicon, or None, and delta."""
        if not isinstance(lexicon, Iterable):
            self._check_lexicon(lexicon)
            yield from ((image, (lexicon, delta)) for image in images)
            return
        end = object()
        for image, own in itertools.zip_longest(images, lexicon, fillvalue=end):
            if image is end or own is end:
                raise ValueError(
                    f"There are {'more' if image is end else 'fewer'} lexicons than images. "
                    "Give one Lexicon for all, or one for each, None for an image without."
                )
            self._check_lexicon(own)
            yield image, (own, delta)

    def _check_lexicon(self, lexicon):
        if lexicon is None:
            return
        if not isinstance(lexicon, Lexicon) or lexicon.char_dict != self.char_dict:
            raise ValueError(
                f"{lexicon!r} is no lexicon of this reader's {self.char_dict!r}. Expected "
                "Lexicon(words, reader.char_dict), or a list with one for each image."
            )

    def _read(self, prepared, batch_size, tta_views, logits=None):
        """What `_prepared` gives to a list of readings, by `self.logits` or another function."""
        names, readings, canvases, lexicons = prepared
        for queue in canvases.values():
            for start in range(0, len(queue), batch_size):
                positions, batch = zip(*queue[start : start + batch_size], strict=True)
                batch = np.stack(batch)
                for look in TTA_VIEWS[:tta_views]:
                    seen = transform_view(batch, *look) if any(look) else batch
                    found = self._read_batch((logits or self.logits)(seen))
                    for position, *result in zip(positions, *found, strict=True):
                        reading = self._reading(names[position], *result, *lexicons[position])
                        best = readings[position]
                        if best is None or reading.raw_confidence > best.raw_confidence:
                            readings[position] = reading
        return readings

    def _read_batch(self, logits):
        """A batch's logits, what the best paths spell, and the probabilities of that."""
        decoded = best_path(logits, [logits.shape[1]] * len(logits), self.char_dict)
        ids = [ids_of(read.text, self.char_dict) for read in decoded]
        return logits, decoded, likelihoods(logits, ids).tolist()

    def _reading(self, name, logits, decoded, raw, lexicon, delta):
        """The `Prediction` of one image."""
        text, choice = decoded.text, None
        if lexicon is not None:
            choice = lexicon.choose(logits, decoded, delta)
            # A sum of many paths may exceed 1 by its rounding.
            text, raw = choice.text, min(math.exp(choice.log_likelihood), 1.0)
        chance = raw if self.calibration is None else float(self.calibration.apply(raw))
        return Prediction(text, chance, name, None, decoded.spans, raw, choice)


def make_canvases(window, canvas):
    """Puts images on their canvases.

    Args:
        window: list of pairs of an image and its name.
        canvas: an `images.Canvas`.

    Returns:
        Tuple of the names; a list with a `Prediction` for each image that cannot be read, and None
        for the others; and a dict from width in pixels to pairs of position and canvas.
    """
    names, readings, canvases = [name for _, name in window], [None] * len(window), {}
    for position, (source, name) in enumerate(window):
        try:
            made = to_canvas(source, canvas)
        except ImageError as error:
            readings[position] = Prediction(None, 0.0, name, error=str(error))
        else:
            canvases.setdefault(made.shape[1], []).append((position, made))
    return names, readings, canvases


def list_images(images):
    """Images in whatever form, one by one.

    Args:
        images: see `BaseRecognizer.read`.

    Yields:
        Pairs of an image and its name.
    """
    if isinstance(images, str | pathlib.Path) and pathlib.Path(images).is_dir():
        folder = pathlib.Path(images)
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file())
        for name in names:
            path = str(folder / name)
            yield path, path
        return
    # An open file is an iterator too, but of lines.
    several = isinstance(images, list | tuple) or (
        isinstance(images, Iterator) and not hasattr(images, "read")
    )
    for position, image in enumerate(images if several else [images]):
        if isinstance(image, str | pathlib.Path):
            yield image, str(image)
        else:
            yield image, getattr(image, "where", f"#{position}")


def busy_threads(cores):
    """How many threads keep so many cores busy, though one of them may wait for the interpreter.

    Args:
        cores: how many cores may work.

    Returns:
        One more than the cores; of one core, one.
    """
    return cores + 1 if cores > 1 else 1


def in_threads(function, jobs, threads):
    """Calls a function for every job, in threads of this process.

    Args:
        function: what is called.
        jobs: iterable of tuples of its arguments; a few more are drawn than results are taken.
        threads: how many threads work.

    Yields:
        What the function returns, in the order of the jobs.
    """
    pool, waiting = ThreadPoolExecutor(threads), collections.deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(function, *job))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # Who wants no more readings does not wait for those under way.
        pool.shutdown(wait=False, cancel_futures=True)


def _windows(images, size):
    images = iter(images)
    while window := list(itertools.islice(images, size)):
        yield window

"""What all recognizers share, whatever runs their network. No Keras here.

An image becomes text in three steps, each of which can be called alone:

    window = load_images(images, recognizer.canvas)         # images -> canvases
    for positions, canvases in window.batches():
        logits = recognizer.predict_logits(canvases)        # canvases -> logits
        predictions = recognizer.decode(logits)             # logits -> texts with confidences

`read` and `stream` call them for windows of a few batches: threads load the next windows while the
network reads this one, and memory does not grow with the number of images.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import KW_ONLY, dataclass, replace
from operator import attrgetter
from typing import NamedTuple, TypeAlias

import numpy as np

from crnn_keras.char_dict import CharDict, frames_needed
from crnn_keras.images import PIXELS_PER_FRAME, Canvas, Placement
from crnn_keras.images.tta import TTA_COUNTS, TTA_VIEWS, transform_view
from crnn_keras.inference.boxes import Alignment, CharacterBox, make_boxes
from crnn_keras.inference.loading import Image, Images, Window, iter_images, load_images
from crnn_keras.model.calibration import Calibration
from crnn_keras.model.decoding import (
    Lexicon,
    LexiconChoice,
    align_texts,
    best_path,
    likelihoods,
)
from crnn_keras.utils.checks import COUNT, NATURAL, TEXT, Of, OneOf, check_arguments, check_value
from crnn_keras.utils.parallel import thread_map

# One for all images, or one for each, None for an image without.
Lexicons: TypeAlias = Lexicon | Iterable[Lexicon | None] | None

_checks_of_reading = check_arguments(
    batch_size=COUNT, delta=NATURAL.or_none(), tta_views=OneOf(TTA_COUNTS)
)

# With several canvas widths, a window holds more images so that its batches are not small.
_BATCHES_OF_MIXED_WIDTHS = 4


@dataclass(frozen=True)
class Prediction:
    """Text of one image, with its confidence.

    There are two probabilities of a text. `raw_confidence` sums all paths of the CTC lattice that
    spell the text, and `confidence` is made of it. `Decoded.confidence` is the probability of the
    best path alone: it is smaller, the more ways there are to place the same characters in the
    frames, and therefore tells correct texts from wrong ones less well.

    Args:
        text: The text; None if the image could not be loaded.
        confidence: Chance that the whole text is correct, from 0 to 1: `raw_confidence` mapped by
            the recognizer's calibration, or `raw_confidence` itself without a calibration. 0 if the
            image could not be loaded.
        source: Name of the image: its path, the place of its label, or `#position`.
        error: Reason why the image could not be loaded. Defaults to `None`: it was loaded.
        spans: `(first frame, last frame, probability)` for each character of `text`, see
            `Decoded.spans`; where a lexicon changed the text, see `Aligned.spans`. Defaults to
            `()`.
        raw_confidence: Probability of all paths that spell the text, from 0 to 1. Defaults to
            `0.0`.
        choice: The `LexiconChoice`. Defaults to `None`: there was no lexicon.
        placement: `Placement` of the image on its canvas. Defaults to `None`: it is not known.

    Example:

        >>> from crnn_keras import OnnxRecognizer
        >>> (prediction,) = OnnxRecognizer.load("words").read("exit.png")
        >>> prediction.text, round(prediction.confidence, 2)
        ('exit', 1.0)
        >>> [box.character for box in prediction.boxes]
        ['e', 'x', 'i', 't']
    """

    text: str | None
    confidence: float
    source: str
    _: KW_ONLY
    error: str | None = None
    spans: tuple[tuple[int, int, float], ...] = ()
    raw_confidence: float = 0.0
    choice: LexiconChoice | None = None
    placement: Placement | None = None

    @property
    def boxes(self) -> tuple[CharacterBox, ...]:
        """Returns the box of each character of the text in the image's pixels, see `make_boxes`.

        There are none if the image could not be loaded, or was decoded without its placement.
        """
        return () if self.placement is None else make_boxes(self.text, self.spans, self.placement)

    @property
    def raw_text(self) -> str | None:
        """Returns the text without the lexicon, or None if the image could not be loaded."""
        return self.text if self.choice is None else self.choice.best_path.text


class _Chunk(NamedTuple):
    """The images of one window before they are loaded, with the position of the first.

    With each image comes its lexicon or None, or its text.
    """

    start: int
    images: list[Image]
    partners: list[Lexicon | str | None]


class BaseRecognizer:
    """Base of the recognizers. A subclass implements `predict_logits`.

    Args:
        char_dict: The `CharDict` of the logits' classes.
        canvas: The `Canvas` that the network takes.
        calibration: The `Calibration` of the confidences. Defaults to `None`: raw confidences.
        cores: Number of cores to use. Defaults to `None`: all.

    Attributes:
        threads: Number of threads that load images.
    """

    @check_arguments(cores=COUNT.or_none())
    def __init__(
        self,
        char_dict: CharDict,
        canvas: Canvas,
        calibration: Calibration | None = None,
        *,
        cores: int | None = None,
    ):
        self.char_dict = char_dict
        self.canvas = canvas
        self.calibration = calibration
        self._cores = cores or os.cpu_count() or 1
        # One thread more than cores, since one may wait for the interpreter's lock.
        self.threads = self._cores + 1 if self._cores > 1 else 1
        # A subclass that knows what its network takes makes it smaller, for canvases that are vast.
        self._largest_batch = sys.maxsize

    @_checks_of_reading
    def read(
        self,
        images: Images,
        *,
        batch_size: int = 64,
        lexicon: Lexicons = None,
        delta: int | None = None,
        tta_views: int = 1,
    ) -> list[Prediction]:
        """Reads the texts of images of any sizes.

        Args:
            images: A folder, whose files are read in the order of their names; or a list or an
                iterator of paths, bytes of encoded images (`bytes`, `bytearray` or `memoryview`),
                Pillow images, uint8 arrays, open files and `Sample`s; or one of these.
            batch_size: Largest number of images that go through the network at once. Defaults to
                `64`.
            lexicon: A `Lexicon` with the char dict of this recognizer: the likeliest of its words
                near the text is read. Or a list or an iterator with one for each image, in order,
                None for an image without. Defaults to `None`: no lexicon.
            delta: With a lexicon, the largest edit distance to the text; see `Lexicon.choose`.
                Defaults to `None`: all words.
            tta_views: 1, 3 or 5: how many views of each image the network reads (test-time
                augmentation). With 3 the image is also rotated a little up and down, with 5 also
                slanted to either side. The prediction with the largest raw confidence is kept. The
                time grows by as much. Take a threshold of confidence from images that were read
                with as many views. Defaults to `1`.

        Returns:
            List of `Prediction`s, one for each image, in order. An image that cannot be loaded, and
            an element that is no image, gives a prediction with an error; the others are read all
            the same. The prediction of an image does not depend on its neighbours.

        Raises:
            ValueError: The images are a set, a dict, an empty path or nothing that holds images; a
                lexicon has another char dict; the numbers of lexicons and images differ; or
                batch_size, delta or tta_views is another number.

        Example:

            >>> from crnn_keras import Lexicon, Recognizer, render_word
            >>> from crnn_keras.synth import bundled_fonts
            >>> recognizer = Recognizer.load("words")
            >>> image = render_word("door", bundled_fonts()[0], seed=1)
            >>> [prediction.text for prediction in recognizer.read([image])]
            ['door']
            >>> lexicon = Lexicon(["Floor", "Wild"], recognizer.char_dict)
            >>> (prediction,) = recognizer.read(image, lexicon=lexicon, delta=2)
            >>> prediction.text, prediction.raw_text
            ('floor', 'door')
        """
        options = {"lexicon": lexicon, "delta": delta, "tta_views": tta_views}
        return list(self.stream(images, batch_size=batch_size, **options))

    @_checks_of_reading
    def stream(
        self,
        images: Images,
        *,
        batch_size: int = 64,
        lexicon: Lexicons = None,
        delta: int | None = None,
        tta_views: int = 1,
    ) -> Iterator[Prediction]:
        """Reads images as `read` does, and yields each prediction as soon as it is ready.

        Only a few windows of images are in memory at a time, so a million images take as much as
        some hundreds, except for the file names of a folder.

        Args:
            images: See `read`.
            batch_size: See `read`. Defaults to `64`.
            lexicon: See `read`. Defaults to `None`.
            delta: See `read`. Defaults to `None`.
            tta_views: See `read`. Defaults to `1`.

        Returns:
            Iterator of `Prediction`s, in order.

        Raises:
            ValueError: See `read`. What is wrong with an argument is raised by the call, what is
                wrong with one of several lexicons when its image is reached.
        """
        # Not a generator, which would check nothing before its first prediction is asked for.
        pairs = self._with_lexicons(iter_images(images), lexicon)
        predict = functools.partial(self._predict_window, delta=delta, tta_views=tta_views)
        return self._stream(pairs, predict, batch_size)

    @check_arguments(texts=Of(Iterable), batch_size=COUNT)
    def align(
        self, images: Images, texts: str | Iterable[str], *, batch_size: int = 64
    ) -> list[Alignment]:
        """Finds where the characters of known texts stand in their images (forced alignment).

        It serves to check labels that are doubted, and to cut training material.

        Args:
            images: See `read`.
            texts: A list or an iterator with one text for each image, in order; or the text of all.
            batch_size: See `read`. Defaults to `64`.

        Returns:
            List of `Alignment`s, one for each image, in order. An image that cannot be loaded, and
            a text that the char dict cannot write or that needs more frames than its image has,
            give an alignment with an error that says what to do.

        Raises:
            ValueError: The images are as `read` refuses them, one of the texts is none, the numbers
                of images and texts differ, or batch_size is another number.

        Example:

            >>> from crnn_keras import OnnxRecognizer, render_word
            >>> from crnn_keras.synth import bundled_fonts
            >>> recognizer = OnnxRecognizer.load("words")
            >>> image = render_word("door", bundled_fonts()[0], seed=1)
            >>> door, dock = recognizer.align([image, image], ["door", "dock"])
            >>> [box.character for box in door.boxes], door.probability > dock.probability
            (['d', 'o', 'o', 'r'], True)

        Reference:
            Graves et al., 2006, Connectionist Temporal Classification.
        """
        if isinstance(texts, Mapping | Set):
            raise ValueError(
                f"The texts are a {type(texts).__name__}. Expected a list: each text belongs to "
                "the image in its place."
            )
        images = (image for image, _ in iter_images(images))
        if isinstance(texts, str):
            pairs = zip(images, itertools.repeat(texts), strict=False)
        else:
            check_text = functools.partial(check_value, "One of the texts", rule=TEXT)
            pairs = self._pair(images, texts, name="texts", check=check_text)
        return list(self._stream(pairs, self._align_window, batch_size))

    def _stream(self, pairs, predict, batch_size):
        """Yields what a function for windows makes of pairs of an image and its partner."""
        batch_size = min(batch_size, self._largest_batch)
        size = batch_size * (1 if len(self.canvas.widths) == 1 else _BATCHES_OF_MIXED_WIDTHS)
        chunks = self._split(pairs, size)
        predict = functools.partial(predict, batch_size=batch_size)
        first = list(itertools.islice(chunks, 2))
        if len(first) == 2:
            windows = self._predict_in_threads(predict, itertools.chain(first, chunks))
        else:
            # One window, or none: starting threads would take longer.
            windows = itertools.starmap(predict, map(self._load, first))
        yield from itertools.chain.from_iterable(windows)

    def predict_logits(self, canvases: np.ndarray) -> np.ndarray:
        """Runs the network on canvases of one width.

        Args:
            canvases: uint8 array of shape `(batch, height, width, 1)`, see `Window.batches`.

        Returns:
            float32 array of shape `(batch, width / 4, num_classes)`, not normalized.
        """
        raise NotImplementedError

    @check_arguments(delta=NATURAL.or_none())
    def decode(
        self,
        logits: np.ndarray,
        sources: Sequence[str] | None = None,
        *,
        lexicon: Lexicon | Sequence[Lexicon | None] | None = None,
        delta: int | None = None,
        placements: Sequence[Placement] | None = None,
    ) -> list[Prediction]:
        """Decodes logits: best path or the likeliest word of a lexicon, with its confidence.

        Args:
            logits: float32 array of shape `(batch, frames, num_classes)`, see `predict_logits`.
            sources: Names of the images. Defaults to `None`: their positions in the batch.
            lexicon: A `Lexicon`, or a list with one for each image, see `read`. Defaults to `None`.
            delta: See `read`. Defaults to `None`.
            placements: `Placement`s of the images, see `Window`. Defaults to `None`: the
                predictions have no boxes.

        Returns:
            List of `Prediction`s, one for each row.

        Raises:
            ValueError: The logits are not finite or have other classes than the char dict, a
                lexicon has another char dict, delta is no whole number of at least 0, or the
                numbers of logits, sources, lexicons and placements differ.

        Example:

            >>> from crnn_keras import Recognizer, render_word
            >>> from crnn_keras.inference import load_images
            >>> from crnn_keras.synth import bundled_fonts
            >>> recognizer = Recognizer.load("words")
            >>> image = render_word("door", bundled_fonts()[0], seed=1)
            >>> window = load_images(image, recognizer.canvas)
            >>> logits = recognizer.predict_logits(window.canvases[0][None])
            >>> recognizer.decode(logits)[0].text
            'door'
        """
        if sources is None:
            sources = [f"#{position}" for position in range(len(logits))]
        lexicons = lexicon if isinstance(lexicon, Sequence) else [lexicon] * len(logits)
        placements = [None] * len(logits) if placements is None else placements
        if {len(sources), len(lexicons), len(placements)} != {len(logits)}:
            raise ValueError(
                f"Got logits of {len(logits)} images, {len(sources)} sources, {len(lexicons)} "
                f"lexicons and {len(placements)} placements. Expected one of each for an image."
            )
        decoded = best_path(logits, self.char_dict)
        raw_confidences = likelihoods(logits, [best.ids for best in decoded]).tolist()
        choices = {}
        for position, own in enumerate(lexicons):
            if own is not None:
                self._check_lexicon(own)
                choice = own.choose(logits[position], decoded[position], delta)
                choices[position] = choice
                # A sum of many paths may exceed 1 by its rounding.
                raw_confidences[position] = min(math.exp(choice.log_likelihood), 1.0)
        spans = self._align_changed(logits, decoded, choices)
        predictions = []
        rows = zip(decoded, raw_confidences, sources, placements, strict=True)
        for position, (best, raw, source, placement) in enumerate(rows):
            choice = choices.get(position)
            text = best.text if choice is None else choice.text
            chance = raw if self.calibration is None else float(self.calibration.apply(raw))
            details = {"raw_confidence": raw, "choice": choice, "placement": placement}
            own = spans.get(position, best.spans)
            predictions.append(Prediction(text, chance, source, spans=own, **details))
        return predictions

    def _align_changed(self, logits, decoded, choices):
        """Returns a dict of `position: spans` for the texts that a lexicon changed."""
        changed = {
            position: choice.text
            for position, choice in choices.items()
            if choice.text != decoded[position].text
        }
        aligned = align_texts(logits[list(changed)], list(changed.values()), self.char_dict)
        return {n: found.spans for n, (_, found) in zip(changed, aligned, strict=True)}

    def _check_canvases(self, canvases):
        """Raises a ValueError unless an array holds canvases of this recognizer."""
        height, widths = self.canvas.height, self.canvas.widths
        shape = getattr(canvases, "shape", ())
        if (
            getattr(canvases, "dtype", None) != np.uint8
            or len(shape) != 4
            or not shape[0]
            or (shape[1], shape[3]) != (height, 1)
            or shape[2] not in widths
        ):
            raise ValueError(
                f"The canvases are {getattr(canvases, 'dtype', type(canvases).__name__)} of shape "
                f"{tuple(shape)}. Expected uint8 of shape (batch, {height}, width, 1) with a width "
                f"of {widths}, see Window.batches."
            )

    def _load(self, chunk: _Chunk) -> tuple[Window, list]:
        """Loads the images of a window, and passes their partners through."""
        return load_images(chunk.images, self.canvas, start=chunk.start), chunk.partners

    def _predict_window(
        self, window, lexicons, *, batch_size, delta, tta_views, predict_logits=None
    ) -> list[Prediction]:
        """Predicts the images of a window, batch by batch and view by view."""
        predict_logits = predict_logits or self.predict_logits
        predictions = [
            Prediction(None, 0.0, source, error=error)
            for source, error in zip(window.sources, window.errors, strict=True)
        ]
        for positions, canvases in window.batches(batch_size):
            sources = [window.sources[position] for position in positions]
            options = {
                "lexicon": [lexicons[position] for position in positions],
                "placements": [window.placements[position] for position in positions],
                "delta": delta,
            }
            views = (
                transform_view(canvases, *view) if any(view) else canvases
                for view in TTA_VIEWS[:tta_views]
            )
            by_view = [self.decode(predict_logits(view), sources, **options) for view in views]
            for position, *found in zip(positions, *by_view, strict=True):
                predictions[position] = max(found, key=attrgetter("raw_confidence"))
        return predictions

    def _align_window(self, window, texts, *, batch_size, predict_logits=None) -> list[Alignment]:
        """Aligns the texts of a window to its images, batch by batch."""
        predict_logits = predict_logits or self.predict_logits
        alignments = [
            Alignment(text, -math.inf, source, error=error, placement=placement)
            for text, source, error, placement in zip(
                texts, window.sources, window.errors, window.placements, strict=True
            )
        ]
        for positions, canvases in window.batches(batch_size):
            frames = canvases.shape[2] // PIXELS_PER_FRAME
            possible = []
            for n, position in enumerate(positions):
                if error := self._explain_text(texts[position], window.sources[position], frames):
                    alignments[position] = replace(alignments[position], error=error)
                else:
                    possible.append(n)
            if not possible:
                continue
            logits = predict_logits(canvases[possible])
            chosen = [positions[n] for n in possible]
            pairs = align_texts(logits, [texts[position] for position in chosen], self.char_dict)
            for position, (text, found) in zip(chosen, pairs, strict=True):
                alignments[position] = replace(alignments[position], text=text, **found._asdict())
        return alignments

    def _explain_text(self, text, source, frames):
        """Returns why a text cannot be aligned to an image of so many frames; None if it can."""
        if unknown := self.char_dict.unknown(text):
            return (
                f"{source} cannot be aligned to {text!r:.80}: {self.char_dict!r} lacks "
                f"{unknown!r:.80}. Correct the text, or take a reader that knows these characters."
            )
        needed = frames_needed(self.char_dict.encode(text))
        if needed > frames:
            return (
                f"{source} cannot be aligned to {text!r:.80}: the text needs {needed} frames, the "
                f"image has {frames} on {self.canvas}. Crop it to fewer words, or take a reader "
                "with a wider canvas."
            )
        return None

    def _predict_in_threads(
        self, predict: Callable, chunks: Iterable[_Chunk]
    ) -> Iterable[list[Prediction] | list[Alignment]]:
        """Returns what `predict` makes of each chunk: threads load it, this one predicts."""
        return itertools.starmap(predict, thread_map(self._load, chunks, self.threads))

    def _split(self, pairs, size) -> Iterator[_Chunk]:
        """Splits images, each with its partner, into the chunks of windows."""
        for start in itertools.count(0, size):
            if not (chunk := list(itertools.islice(pairs, size))):
                return
            yield _Chunk(start, *map(list, zip(*chunk, strict=True)))

    def _with_lexicons(self, images, lexicon):
        """Returns an iterator of pairs of an image and its lexicon, or None.

        Args:
            images: Iterator of pairs of an image and its name.
            lexicon: See `read`.
        """
        images = (image for image, _ in images)
        # Lexicons without an order are none for the images.
        if isinstance(lexicon, Iterable) and not isinstance(lexicon, str | Mapping | Set):
            return self._pair(images, lexicon, name="lexicons", check=self._check_lexicon)
        self._check_lexicon(lexicon)
        return zip(images, itertools.repeat(lexicon), strict=False)

    @staticmethod
    def _pair(images, partners, *, name, check):
        """Yields each image with its partner, which is checked."""
        end = object()
        for image, own in itertools.zip_longest(images, partners, fillvalue=end):
            if image is end or own is end:
                raise ValueError(
                    f"There are {'more' if image is end else 'fewer'} {name} than images. "
                    "Pass one for all, or one for each image."
                )
            check(own)
            yield image, own

    def _check_lexicon(self, lexicon):
        if lexicon is None:
            return
        # The same object in most cases; comparing thousands of characters takes a while.
        if isinstance(lexicon, Lexicon) and lexicon.char_dict is self.char_dict:
            return
        if not isinstance(lexicon, Lexicon) or lexicon.char_dict != self.char_dict:
            raise ValueError(
                f"{lexicon!r} is not a lexicon with the char dict of this recognizer, "
                f"{self.char_dict!r}. Expected Lexicon(words, recognizer.char_dict), or a list "
                "with one for each image."
            )

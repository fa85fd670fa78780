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
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import KW_ONLY, dataclass, replace
from operator import attrgetter
from typing import NamedTuple, Self, TypeAlias

import numpy as np

from crnn_keras.char_dict import CharDict, frames_needed
from crnn_keras.images import PIXELS_PER_FRAME, Canvas, Placement
from crnn_keras.images.tta import TTA_COUNTS, TTA_VIEWS, transform_view
from crnn_keras.inference.boxes import Alignment, CharacterBox, make_boxes
from crnn_keras.inference.loading import Image, Images, Window, iter_images, load_images
from crnn_keras.model.calibration import Calibration
from crnn_keras.model.decoding import (
    Constraint,
    LanguageModel,
    Lexicon,
    LexiconChoice,
    Pattern,
    align_texts,
    decode_texts,
)
from crnn_keras.utils.checks import (
    COUNT,
    NATURAL,
    TEXT,
    Either,
    Of,
    OneOf,
    check_arguments,
    check_value,
)
from crnn_keras.utils.cores import count_cores
from crnn_keras.utils.parallel import thread_map

# One for all images, or one for each, None for an image without.
Lexicons: TypeAlias = Lexicon | Iterable[Lexicon | None] | None
Patterns: TypeAlias = str | Pattern | Iterable[str | Pattern | None] | None
# The language model that the recognizer has.
OWN = "own"

_CHECKS_OF_DECODING = {
    "delta": NATURAL.or_none(),
    "language_model": Either(Of(LanguageModel), OneOf((None, OWN))),
    "alternatives": NATURAL,
}
_checks_of_reading = check_arguments(
    batch_size=COUNT, tta_views=OneOf(TTA_COUNTS), **_CHECKS_OF_DECODING
)

# A pattern over thousands of characters takes some megabytes.
_KEPT_PATTERNS = 64
# With several canvas widths, a window holds more images so that its batches are not small.
_BATCHES_OF_MIXED_WIDTHS = 4
# So many windows are decoded at once where a beam searches, unless there are more numbers.
_SEARCHED_TOGETHER, _MOST_LOGITS = 4, 2**23


@dataclass(frozen=True)
class Prediction:
    """Text of one image, with its confidence.

    There are two probabilities of a text. `raw_confidence` sums all paths of the CTC lattice that
    spell the text, and `confidence` is made of it. `Decoded.confidence` is the probability of the
    best path alone: it is smaller, the more ways there are to place the same characters in the
    frames, and therefore tells correct texts from wrong ones less well. With a pattern both are the
    chance given that the text matches.

    Args:
        text: The text; None if the image could not be loaded, or if no text matches the pattern.
        confidence: Chance that the whole text is correct, from 0 to 1: `raw_confidence` mapped by
            the recognizer's calibration, or `raw_confidence` itself without a calibration. 0 if
            there is no text.
        source: Name of the image: its path, the place of its label, or `#position`.
        error: Reason why there is no text. Defaults to `None`: there is one.
        spans: `(first frame, last frame, probability)` for each character of `text`, see
            `Decoded.spans`; where a language model, a pattern or a lexicon changed the text, see
            `Aligned.spans`. Defaults to `()`.
        raw_confidence: Probability of all paths that spell the text, from 0 to 1, see
            `decode_texts`. Defaults to `0.0`.
        choice: The `LexiconChoice`. Defaults to `None`: there was no lexicon.
        placement: `Placement` of the image on its canvas. Defaults to `None`: it is not known.
        alternatives: `(text, chance that it is correct)` of the likeliest texts, as many as were
            asked for or fewer; the first is `text` with its confidence, the others share what is
            left. Defaults to `()`.

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
    alternatives: tuple[tuple[str, float], ...] = ()

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

    With each image comes its `Constraint`, or its text.
    """

    start: int
    images: list[Image]
    partners: list[Constraint | str]


class _Computed(NamedTuple):
    """A window whose images went through the network.

    For each batch there are the positions of its images, and the logits of each view.
    """

    window: Window
    constraints: list[Constraint]
    batches: list[tuple[list[int], list[np.ndarray]]]


class BaseRecognizer:
    """Base of the recognizers. A subclass implements `predict_logits`.

    A recognizer may be read with for as long as it is there, or in a `with` block, which closes it
    at its end: see `close`. Several threads may read with one recognizer.

    Args:
        char_dict: The `CharDict` of the logits' classes.
        canvas: The `Canvas` that the network takes.
        calibration: The `Calibration` of the confidences. Defaults to `None`: raw confidences.
        language_model: The `LanguageModel` to read with. Defaults to `None`: none.
        cores: Number of cores to use. Defaults to `None`: all.

    Attributes:
        threads: Number of threads that load images.
    """

    _is_closed = False

    @check_arguments(cores=COUNT.or_none())
    def __init__(
        self,
        char_dict: CharDict,
        canvas: Canvas,
        calibration: Calibration | None = None,
        *,
        language_model: LanguageModel | None = None,
        cores: int | None = None,
    ):
        self.char_dict = char_dict
        self.canvas = canvas
        self.calibration = calibration
        self.language_model = language_model
        self._cores = cores or count_cores()
        # One thread more than cores, since one may wait for the interpreter's lock.
        self.threads = self._cores + 1 if self._cores > 1 else 1
        # A subclass that knows what its network takes makes it smaller, for canvases that are vast.
        self._largest_batch = sys.maxsize

    def close(self) -> None:
        """Gives up the network and its threads; their memory is freed once nobody reads any more.

        Close a recognizer when all that was asked of it has been read. To read with it afterwards,
        or to save it, is an error; to close it again is none.

        Example:

            >>> from crnn_keras import OnnxRecognizer
            >>> recognizer = OnnxRecognizer.load("words")
            >>> recognizer.close()
            >>> recognizer.read("exit.png")
            Traceback (most recent call last):
            ValueError: The recognizer is closed. Load it again, or read before it is closed.
        """
        self._is_closed = True

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_open(self):
        if self._is_closed:
            raise ValueError(
                "The recognizer is closed. Load it again, or read before it is closed."
            )

    @_checks_of_reading
    def read(
        self,
        images: Images,
        *,
        batch_size: int = 64,
        lexicon: Lexicons = None,
        delta: int | None = None,
        allow: str | Iterable[str | None] | None = None,
        pattern: Patterns = None,
        language_model: LanguageModel | str | None = OWN,
        alternatives: int = 0,
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
            allow: Characters that a text may have, such as `"0123456789"`. Or a list or an iterator
                with such a string, or None, for each image. Defaults to `None`: all characters.
            pattern: A regular expression that the whole text matches, such as `r"[A-Z]{2}-\\d{4}"`;
                see `Pattern` for what it may have. Or a `Pattern`; or one or None for each image.
                An image of which no text matches gives an error. Defaults to `None`: any text.
            language_model: A `LanguageModel`; None reads without one. Defaults to `"own"`: the one
                of this recognizer, if it has one.
            alternatives: How many of the likeliest texts each prediction lists. Defaults to `0`.
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
                lexicon or pattern has another char dict, or a pattern is none or impossible; the
                numbers of lexicons, patterns and images differ; both allow and pattern are given;
                batch_size, delta, alternatives or tta_views is another number; or the recognizer is
                closed.

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
            >>> (prediction,) = recognizer.read(image, pattern=r"\\w{3}")
            >>> len(prediction.text)
            3
        """
        options = {"lexicon": lexicon, "delta": delta, "allow": allow, "pattern": pattern}
        options |= {"language_model": language_model, "alternatives": alternatives}
        options |= {"batch_size": batch_size, "tta_views": tta_views}
        return list(self.stream(images, **options))

    @_checks_of_reading
    def stream(
        self,
        images: Images,
        *,
        batch_size: int = 64,
        lexicon: Lexicons = None,
        delta: int | None = None,
        allow: str | Iterable[str | None] | None = None,
        pattern: Patterns = None,
        language_model: LanguageModel | str | None = OWN,
        alternatives: int = 0,
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
            allow: See `read`. Defaults to `None`.
            pattern: See `read`. Defaults to `None`.
            language_model: See `read`. Defaults to `"own"`.
            alternatives: See `read`. Defaults to `0`.
            tta_views: See `read`. Defaults to `1`.

        Returns:
            Iterator of `Prediction`s, in order.

        Raises:
            ValueError: See `read`. What is wrong with an argument is raised by the call, what is
                wrong with one of several lexicons or patterns when its image is reached.
        """
        # Not a generator, which would check nothing before its first prediction is asked for.
        self._check_open()
        constraints = self._constrain(lexicon, allow, pattern)
        images = (image for image, _ in iter_images(images))
        if isinstance(constraints, Constraint):
            pairs = zip(images, itertools.repeat(constraints), strict=False)
        else:
            pairs = self._pair(images, constraints, names=("images", "lexicons or patterns"))
        options = {"delta": delta, "language_model": language_model, "alternatives": alternatives}
        model = self.language_model if language_model == OWN else language_model
        is_searched = model is not None or allow is not None or pattern is not None or alternatives
        run = functools.partial(self._run_window, tta_views=tta_views)
        windows = self._stream(pairs, run, batch_size)
        frames = batch_size * self.canvas.widths[-1] // PIXELS_PER_FRAME
        fitting = max(_MOST_LOGITS // (frames * self.char_dict.num_classes), 1)
        together = min(_SEARCHED_TOGETHER, fitting) if is_searched else 1
        return self._decode_windows(windows, options, together)

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
        self._check_open()
        if isinstance(texts, Mapping | Set):
            raise ValueError(
                f"The texts are a {type(texts).__name__}. Expected a list: each text belongs to "
                "the image in its place."
            )
        images = (image for image, _ in iter_images(images))
        if isinstance(texts, str):
            pairs = zip(images, itertools.repeat(texts), strict=False)
        else:
            checked = map(_check_text, texts)
            pairs = self._pair(images, checked, names=("images", "texts"))
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

    @check_arguments(**_CHECKS_OF_DECODING)
    def decode(
        self,
        logits: np.ndarray,
        sources: Sequence[str] | None = None,
        *,
        constraints: Sequence[Constraint] | None = None,
        delta: int | None = None,
        language_model: LanguageModel | str | None = OWN,
        alternatives: int = 0,
        placements: Sequence[Placement] | None = None,
    ) -> list[Prediction]:
        """Decodes logits: the likeliest texts with their confidences.

        Args:
            logits: float32 array of shape `(batch, frames, num_classes)`, see `predict_logits`.
            sources: Names of the images. Defaults to `None`: their positions in the batch.
            constraints: A `Constraint` for each image: its lexicon and its pattern. Defaults to
                `None`: no constraints.
            delta: See `read`. Defaults to `None`.
            language_model: See `read`. Defaults to `"own"`.
            alternatives: See `read`. Defaults to `0`.
            placements: `Placement`s of the images, see `Window`. Defaults to `None`: the
                predictions have no boxes.

        Returns:
            List of `Prediction`s, one for each row.

        Raises:
            ValueError: The logits are not finite or have other classes than the char dict, a
                lexicon or pattern has another char dict, delta or alternatives is no whole number
                of at least 0, or the numbers of logits, sources, constraints and placements differ.

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
        count = len(logits)
        sources = [f"#{position}" for position in range(count)] if sources is None else sources
        constraints = [Constraint()] * count if constraints is None else constraints
        placements = [None] * count if placements is None else placements
        if {len(sources), len(constraints), len(placements)} != {count}:
            raise ValueError(
                f"Got logits of {count} images, {len(sources)} sources, {len(constraints)} "
                f"constraints and {len(placements)} placements. Expected one of each for an image."
            )
        for constraint in constraints:
            self._check_constraint(constraint)
        decoded = decode_texts(
            logits,
            self.char_dict,
            constraints,
            language_model=self.language_model if language_model == OWN else language_model,
            delta=delta,
            alternatives=alternatives,
        )
        rows = zip(decoded, sources, placements, strict=True)
        return [self._make_prediction(*row) for row in rows]

    def _make_prediction(self, decoded, source, placement):
        """Makes the prediction of a `DecodedText`, with calibrated confidences."""
        raw = decoded.raw_confidence
        chance = raw if self.calibration is None else float(self.calibration.apply(raw))
        if decoded.text is None:
            error = f"{source}: {decoded.error}."
            return Prediction(None, 0.0, source, error=error, placement=placement)
        alternatives = decoded.alternatives
        if alternatives:
            # The others share what the likeliest text leaves, none with more than it has.
            share = (1 - chance) / (1 - raw) if raw < 1 else 0.0
            others = ((text, min(share * own, chance)) for text, own in alternatives[1:])
            alternatives = ((decoded.text, chance), *others)
        return Prediction(
            decoded.text,
            chance,
            source,
            spans=decoded.spans,
            raw_confidence=raw,
            choice=decoded.choice,
            placement=placement,
            alternatives=alternatives,
        )

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

    def _run_window(
        self, window, constraints, *, batch_size, tta_views, predict_logits=None
    ) -> list[_Computed]:
        """Runs the network on the images of a window, batch by batch and view by view."""
        predict_logits = predict_logits or self.predict_logits
        computed = []
        for positions, canvases in window.batches(batch_size):
            views = (
                transform_view(canvases, *view) if any(view) else canvases
                for view in TTA_VIEWS[:tta_views]
            )
            logits = [predict_logits(view) for view in views]
            computed.append((positions, logits))
        return [_Computed(window, constraints, computed)]

    def _decode_windows(self, windows, options, count) -> Iterator[Prediction]:
        """Yields the predictions of windows, decoding the images of so many at once.

        A beam takes much the same time for a few images as for many.
        """
        while group := list(itertools.islice(windows, count)):
            predictions = [
                [
                    Prediction(None, 0.0, source, error=error)
                    for source, error in zip(window.sources, window.errors, strict=True)
                ]
                for window, _, _ in group
            ]
            # By the number of frames: the places of images, and the logits of their views.
            batches = {}
            for index, (_, _, computed) in enumerate(group):
                for positions, logits in computed:
                    places, arrays = batches.setdefault(logits[0].shape[1], ([], []))
                    places.extend((index, position) for position in positions)
                    arrays.append(logits)
            for places, arrays in batches.values():
                known = {
                    "sources": [group[n].window.sources[i] for n, i in places],
                    "constraints": [group[n].constraints[i] for n, i in places],
                    "placements": [group[n].window.placements[i] for n, i in places],
                }
                views = (np.concatenate(view) for view in zip(*arrays, strict=True))
                by_view = [self.decode(view, **known, **options) for view in views]
                for (n, i), *found in zip(places, *by_view, strict=True):
                    predictions[n][i] = max(found, key=attrgetter("raw_confidence"))
            yield from itertools.chain.from_iterable(predictions)

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
    ) -> Iterable[list[_Computed] | list[Alignment]]:
        """Returns what `predict` makes of each chunk: others load it, this thread predicts."""
        return itertools.starmap(predict, self._load_ahead(chunks))

    def _load_ahead(self, chunks: Iterable[_Chunk]) -> Iterator[tuple[Window, list]]:
        """Yields the windows of chunks and their partners, some of them loaded ahead by threads."""
        return thread_map(self._load, chunks, self.threads)

    def _split(self, pairs, size) -> Iterator[_Chunk]:
        """Splits images, each with its partner, into the chunks of windows."""
        for start in itertools.count(0, size):
            if not (chunk := list(itertools.islice(pairs, size))):
                return
            yield _Chunk(start, *map(list, zip(*chunk, strict=True)))

    def _constrain(self, lexicon, allow, pattern):
        """Returns the `Constraint` of all images, or an iterator with one for each.

        Args:
            lexicon: See `read`.
            allow: See `read`.
            pattern: See `read`.
        """
        if allow is not None and pattern is not None:
            raise ValueError(
                f"Got both allow ({allow!r:.80}) and pattern ({pattern!r:.80}). Expected one of "
                "them: write the allowed characters into the pattern, such as '[0-9]{4}'."
            )
        make = Pattern if allow is None else Pattern.allow
        # Of many images with patterns of their own, few are alike: the last ones are kept.
        compile_text = functools.lru_cache(_KEPT_PATTERNS)(
            lambda expression: make(expression, self.char_dict)
        )

        def make_constraint(own, value):
            constraint = Constraint(own, compile_text(value) if isinstance(value, str) else value)
            self._check_constraint(constraint)
            return constraint

        patterns = pattern if allow is None else allow
        # Lexicons and patterns without an order are none for the images.
        several = [
            isinstance(values, Iterable) and not isinstance(values, str | Mapping | Set)
            for values in (lexicon, patterns)
        ]
        if not any(several):
            return make_constraint(lexicon, patterns)
        columns = [
            values if is_several else itertools.repeat(values)
            for values, is_several in zip((lexicon, patterns), several, strict=True)
        ]
        if all(several):
            rows = self._pair(*columns, names=("lexicons", "patterns"))
        else:
            rows = zip(*columns, strict=False)
        return itertools.starmap(make_constraint, rows)

    @staticmethod
    def _pair(values, partners, *, names):
        """Yields each value with its partner."""
        end = object()
        for value, own in itertools.zip_longest(values, partners, fillvalue=end):
            if value is end or own is end:
                raise ValueError(
                    f"There are {'more' if value is end else 'fewer'} {names[1]} than {names[0]}. "
                    "Pass one for all, or one for each image."
                )
            yield value, own

    def _check_constraint(self, constraint):
        """Raises a ValueError unless lexicon and pattern are of this recognizer's char dict."""
        lexicon, pattern = constraint
        self._check_lexicon(lexicon)
        if pattern is None:
            return
        if not isinstance(pattern, Pattern) or not self._is_own(pattern.char_dict):
            raise ValueError(
                f"{pattern!r:.200} is not a pattern with the char dict of this recognizer, "
                f"{self.char_dict!r}. Expected a regular expression, or "
                "Pattern(expression, recognizer.char_dict), or a list with one for each image."
            )

    def _is_own(self, char_dict):
        # The same object in most cases; comparing thousands of characters takes a while.
        return char_dict is self.char_dict or char_dict == self.char_dict

    def _check_lexicon(self, lexicon):
        if lexicon is None:
            return
        if not isinstance(lexicon, Lexicon) or not self._is_own(lexicon.char_dict):
            raise ValueError(
                f"{lexicon!r} is not a lexicon with the char dict of this recognizer, "
                f"{self.char_dict!r}. Expected Lexicon(words, recognizer.char_dict), or a list "
                "with one for each image."
            )


def _check_text(text):
    check_value("One of the texts", text, TEXT)
    return text

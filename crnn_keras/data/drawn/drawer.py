"""The canvas and the label of a drawn word: a pure function of its number, on any machine."""

from __future__ import annotations

import functools
import itertools
import json
from typing import NamedTuple

import numpy as np

from crnn_keras.char_dict import PROTOCOLS, CharDict
from crnn_keras.data.issues import Issue
from crnn_keras.data.labels import check_label
from crnn_keras.images import Canvas, to_canvas
from crnn_keras.images.canvas import PIXELS_PER_FRAME
from crnn_keras.synth import Recipe

# The image that replaces one that cannot be trained on is so far behind it, in the endless row of
# images of a recipe; that which replaces it too, as far again.
_NEXT_TRY = 2**40
_MOST_TRIES = 1000


class DrawingError(RuntimeError):
    """Says which words cannot be drawn, and why."""


class Drawn(NamedTuple):
    """Holds a drawn word.

    Args:
        canvas: uint8 array `(height, width, 1)`.
        ids: list of int, the label's ids.
        text: string, the label.
        index: int, its index among the images of the recipe.
    """

    canvas: np.ndarray
    ids: list[int]
    text: str
    index: int


class Drawer:
    """Draws the words of a recipe as `Batches` would read them from records.

    Word `number` is image `number * processes + rank` of the recipe. If its label cannot be trained
    on, another image takes its place, the same on every machine.

    Args:
        recipe: a `synth.Recipe`.
        char_dict: a `CharDict`.
        canvas: a `Canvas`.
        protocol: string, the rule by which labels are compared, see `Batches`. Defaults to
            `"exact"`.
        drop_unknown: bool, whether characters without an id are dropped from labels. Defaults to
            `False`.
        shard: tuple `(rank, processes)`, see `Batches`. Defaults to `(0, 1)`.
    """

    def __init__(
        self,
        recipe: Recipe,
        char_dict: CharDict,
        canvas: Canvas,
        *,
        protocol: str = "exact",
        drop_unknown: bool = False,
        shard: tuple[int, int] = (0, 1),
    ):
        self.recipe = recipe
        self.char_dict = char_dict
        self.canvas = canvas
        self.protocol = protocol
        self.drop_unknown = drop_unknown
        self.shard = shard
        self._renderer = recipe.open()
        self._most_frames = canvas.widths[-1] // PIXELS_PER_FRAME

    def to_json(self) -> str:
        """Returns the drawer as text from which `load_drawer` makes it again."""
        return json.dumps(
            {
                "recipe": self.recipe.get_config(),
                "char_dict": self.char_dict.get_config(),
                "canvas": self.canvas.get_config(),
                "protocol": self.protocol,
                "drop_unknown": self.drop_unknown,
                "shard": self.shard,
            }
        )

    @property
    def longest_label(self) -> int:
        """The most ids that a label may have, by the recipe and the canvas."""
        texts = self.recipe.texts
        letters = texts["max_length" if texts["kind"] == "words" else "longest"]
        # A normalization may make several characters of one.
        growth = max(len(self.char_dict.normalize(c)) for c in self._renderer.characters)
        return min(letters * max(growth, 1), self._most_frames)

    def draw(self, number: int) -> tuple[Drawn, list[Issue]]:
        """Draws a word.

        Args:
            number: int, from 0.

        Returns:
            The word, and an `Issue` for each image that it replaces.

        Raises:
            DrawingError: the image cannot be drawn, or none of a thousand can be trained on.
        """
        issues = []
        for index in self._tries(number):
            label, issue = self._check(index, self._most_frames)
            if not issue:
                canvas = to_canvas(self._sample(index), self.canvas)
                # In mode "keep" a narrow image has fewer frames.
                frames = canvas.shape[1] // PIXELS_PER_FRAME
                if frames < self._most_frames:
                    label, issue = self._check(index, frames)
            if not issue:
                return Drawn(canvas, self.char_dict.encode(label), label, index), issues
            issues.append(issue)
        raise DrawingError(
            f"None of {len(issues):,} images in a row can be trained on. The last: "
            f"{issues[-1].where}: {issues[-1].reason} Take a recipe of other texts, a char dict "
            "that has their characters, or a wider canvas."
        )

    def describe(self, drawn: Drawn) -> str:
        """Names a word for a message: `"rendered 7, seed 1, label 'hello'"`."""
        return f"{self._where(drawn.index)}, label {drawn.text!r}"

    def _tries(self, number):
        rank, processes = self.shard
        first = number * processes + rank
        return range(first, first + _MOST_TRIES * _NEXT_TRY, _NEXT_TRY)

    def _where(self, index):
        return f"rendered {index}, seed {self.recipe.seed}"

    def _check(self, index, frames):
        """Returns the label of an image, and what is wrong with it or None."""
        text = PROTOCOLS[self.protocol](self._renderer.label(self._renderer.text(index)))
        if self.drop_unknown:
            text = self.char_dict.without_unknown(text)
        where = self._where(index)
        issue = check_label(text, self.char_dict, frames, where=where, canvas=self.canvas)
        return (text, issue) if issue else (self.char_dict.normalize(text), None)

    def _sample(self, index):
        try:
            return self._renderer.sample(index)[0]
        except Exception as error:
            text = self._renderer.text(index)
            raise DrawingError(
                f"{self._where(index)}, text {text!r}, cannot be drawn: {error} Check the fonts "
                "and photographs of the recipe: `recipe.check()`."
            ) from error


@functools.lru_cache(maxsize=2)
def load_drawer(content: str) -> Drawer:
    """Makes the `Drawer` that `to_json` returned; fonts are read once a process."""
    config = json.loads(content)
    recipe = Recipe.from_config(config.pop("recipe"))
    char_dict = CharDict.from_config(config.pop("char_dict"))
    canvas = Canvas(**config.pop("canvas"))
    return Drawer(recipe, char_dict, canvas, **config)


class DrawnChunk(NamedTuple):
    """Holds words on their way from one process to another: one array is pickled fast.

    Args:
        pixels: uint8 array `(height, sum of the widths, 1)`, the canvases side by side.
        widths: list of int, their widths.
        labels: list of tuples `(ids, text, index)`, see `Drawn`.
        issues: list of `Issue`s, one for each image that a word replaces.
    """

    pixels: np.ndarray
    widths: list[int]
    labels: list[tuple[list[int], str, int]]
    issues: list[Issue]

    def words(self) -> list[Drawn]:
        """Returns the words; their canvases are views of `pixels`."""
        starts = itertools.accumulate(self.widths, initial=0)
        return [
            Drawn(self.pixels[:, start : start + width], *label)
            for start, width, label in zip(starts, self.widths, self.labels, strict=False)
        ]


def draw_words(job: tuple[str, range]) -> DrawnChunk:
    """Draws some words, in a process of its own.

    Args:
        job: tuple of what `to_json` returned, and the words' numbers.
    """
    content, numbers = job
    drawer = load_drawer(content)
    drawn, issues = zip(*map(drawer.draw, numbers), strict=True)
    return DrawnChunk(
        pixels=np.concatenate([word.canvas for word in drawn], axis=1),
        widths=[word.canvas.shape[1] for word in drawn],
        labels=[word[1:] for word in drawn],
        issues=[issue for found in issues for issue in found],
    )

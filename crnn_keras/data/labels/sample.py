"""One labelled image, and a set of them."""

from __future__ import annotations

import collections
import os
import re
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING

from crnn_keras.char_dict import frames_needed
from crnn_keras.data.issues import Issue
from crnn_keras.data.labels import image_sources
from crnn_keras.images import PIXELS_PER_FRAME, read_file
from crnn_keras.utils.checks import NATURAL, check_arguments
from crnn_keras.utils.log import printable

if TYPE_CHECKING:
    from crnn_keras.char_dict import CharDict
    from crnn_keras.images import Canvas


@dataclass(frozen=True)
class Sample:
    """Names a labelled image: its bytes are read when they are needed.

    Args:
        image: string, path of the image file; or of the LMDB, the parquet file, the tar, or the
            larger image, that holds the image.
        text: string, the label.
        where: string, file and line of the label, for messages: `"labels.tsv, line 12"`.
        key: string, name of the image in an LMDB (`"image-000000012"`), a parquet file
            (`"image[12]"`) or a tar (`"words/12.jpg"`). Defaults to `""`.
        box: `(left, top, width, height)` in pixels of a word in a larger image. Defaults to
            `()`: the image is the word.
        span: `(offset, size)` in bytes of the image in a tar. Defaults to `()`:
            it is not in a tar.
        content: string, hash of what was there when the sample was listed for records, `""` if it
            could not be read. It takes no part in comparisons. Defaults to `None`: it is unknown.
    """

    image: str
    text: str
    where: str
    _: KW_ONLY
    key: str = ""
    box: tuple[int, ...] = ()
    span: tuple[int, ...] = ()
    content: str | None = field(default=None, compare=False, repr=False)

    @property
    def identity(self) -> str:
        """Returns the image's name, independent of where its set lies: `"images/226md.png"`.

        It consists of the last two parts of the path, the key and the box.
        """
        parts = re.split(r"[/\\]", self.image)
        # A path of one part, or one with dots, does not name its folder.
        if len(parts) < 2 or {"", ".", ".."} & set(parts[-2:]):
            parts = re.split(r"[/\\]", os.path.abspath(self.image))
        box = ",".join(str(side) for side in self.box)
        return "/".join([*parts[-2:], *filter(None, (self.key, box))])

    def read(self) -> bytes:
        """Reads the encoded image from its file, its LMDB, parquet file or tar, or its box.

        Returns:
            Bytes. A box is clipped at the edges of the larger image and encoded as PNG.

        Raises:
            ImageError: the image is missing or cannot be read, or its box lies outside the
                larger image.
        """
        if self.span:
            return image_sources.from_span(self.image, self.key, self.span)
        if self.key:
            return image_sources.from_entry(self.image, self.key)
        if self.box:
            return image_sources.crop(self.image, self.box)
        return read_file(self.image)


@dataclass
class LabelledSet:
    """Holds what was read from a label source.

    Args:
        samples: list of the usable `Sample`s, in the order of the source.
        issues: list of an `Issue` for each row that was skipped.
        description: string, how the source was understood.
        layout: string, the layout, one of `LAYOUTS`.
        lexicons: dict of the word lists that come with the images, by the name of the list and
            by `Sample.image`: `{"50": {path: words}}`.
    """

    samples: list[Sample] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    _: KW_ONLY
    description: str = ""
    layout: str = ""
    lexicons: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)

    def summary(self) -> str:
        """Returns a few lines: the description, the counts, and the skipped rows by kind."""
        rows, skipped = len(self.samples) + len(self.issues), len(self.issues)
        lines = [
            self.description,
            f"{rows} rows: {len(self.samples)} usable, {skipped} skipped",
        ]
        kinds = collections.Counter(issue.kind for issue in self.issues)
        for kind, count in kinds.most_common():
            first = next(issue for issue in self.issues if issue.kind == kind)
            shown = printable(f"{first.where}: {first.reason}")
            lines.append(f"  {kind}: {count}, first in {shown}")
        return "\n".join(lines)


@check_arguments(frames=NATURAL)
def check_label(
    text: str, char_dict: CharDict, frames: int, *, where: str, canvas: Canvas | None = None
) -> Issue | None:
    """Checks that a label can be trained on.

    Every character is known, the text comes back from the order of the image, and it fits the
    frames.

    Args:
        text: string, the label.
        char_dict: a `CharDict`.
        frames: int, frames that the network makes of the image.
        where: string, file and line of the label, for the message.
        canvas: the `Canvas` that the frames come from, for the message. Defaults to `None`.

    Returns:
        An `Issue`, or `None` if the label is usable.

    Example:

    >>> check_label("aa", CharDict("ab"), 2, where="line 5", canvas=Canvas(widths=(8,))).reason
    "'aa' needs 3 frames, its image has 2. Use a canvas of at least 12 pixels in width."
    """
    unknown = char_dict.unknown(text)
    if unknown:
        reason = f"{text!r} has {unknown!r}, outside the char dict of {len(char_dict)} characters."
        return Issue("unknown character", where, reason)
    if not char_dict.comes_back(text):
        read = char_dict.decode(char_dict.encode(text))
        fact = f"looks like {read!r}" if read != text else "holds an invisible mark of direction"
        reason = f"{text!r} {fact}, with direction={char_dict.direction!r}."
        return Issue("direction of writing", where, reason)
    needed = frames_needed(char_dict.encode(text))
    if needed > frames:
        advice = _more_frames(needed, frames, canvas)
        reason = f"{text!r} needs {needed} frames, its image has {frames}. {advice}"
        return Issue("label too long", where, reason)
    return None


def _more_frames(needed, frames, canvas):
    """Returns what gives an image the frames that its label needs."""
    width = f"of at least {needed * PIXELS_PER_FRAME} pixels in width"
    if canvas is None or canvas.mode == "stretch":
        return f"Use a canvas {width}."
    stretched = f"Use mode 'stretch' and a canvas {width}, or is the label that of another image?"
    if frames * PIXELS_PER_FRAME < canvas.widths[-1]:
        return (
            "A wider canvas does not help: in mode 'keep' a narrow image has the frames of its own "
            f"width. {stretched}"
        )
    return (
        f"If the image is wider than {canvas.widths[-1]} pixels at the height of the canvas, use "
        f"one {width}. If not: {stretched}"
    )

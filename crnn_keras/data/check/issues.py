"""A `Finding`, the kinds of them, and how text from outside is shown."""

import unicodedata
from dataclasses import dataclass

# Characters that draw nothing, although Unicode does not call them controls or formats.
_DRAWS_NOTHING = "\u00a0\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"

# What to do about each kind, the problems of reading label files and images among them.
ADVICE = {
    "no image": "Name an image in the row, or remove the row.",
    "path outside the folder": "Write the path relative to the images' folder.",
    "too many columns": "Put a label with a comma or tab in quotation marks, or use a tsv.",
    "line break in label": "Cut the image into lines, one label each.",
    "quotation mark missing": "Put the label in quotation marks, as its data set does.",
    "no json": "Write one JSON object a line.",
    "label is no text": "Write the label as text.",
    "half a character": "Write the label again in whole characters.",
    "not in the lexicon": "Bring the lexicon that the data set came with.",
    "label differs from the lexicon": "Bring the lexicon that the data set came with.",
    "entry missing or damaged": "Make the LMDB anew from its source.",
    "image named twice": "Keep the row whose label is right.",
    "box not clear": "Write the box as numbers: left, top, width, height.",
    "label not clear": "Rename the file to label.png, label_12.png or 373_label_14845.png.",
    "empty label": "Give the image a label, or remove the row.",
    "missing file": "Bring the file, or mend the path; `images_folder` says where paths start.",
    "unreadable image": "Make the file anew from its source, or remove the row.",
    "unknown character": "Add the characters to the char dict, or correct the labels.",
    "label too long": "Use a wider canvas, or cut the image into shorter ones.",
    "conflicting labels": "Look at the image and correct the wrong label.",
    "leakage": "Keep it only in the part that measures.",
    "exact duplicate": "Keep one of them.",
    "near duplicate": "Keep one of them.",
    "nearly the same image, other label": "Look at both: is one of the labels wrong?",
    "vertical text": "Turn the image by 90 degrees, or leave it out: a line is read across.",
    "narrow characters": "Use a wider canvas or a larger image; is the label this image's?",
    "spaces in label": "Remove spaces at the ends and double ones.",
    "invisible character": "Remove it, unless the script needs it: no reader can see it.",
    "full-width and half-width mixed": "Set the normalization half_width of the char dict.",
    "Unicode form": "Set the normalization NFC of the char dict.",
    "labels that differ in case only": "Nothing, if case is to be read; else set fold_case.",
    "characters never trained": "Add training images that hold them.",
    "unused characters": "Nothing, if they are to come; else take them out of the char dict.",
    "rare characters": "Add training images that hold them, for example rendered ones.",
}


@dataclass(frozen=True)
class Finding:
    """A usable row, or something about all of them, that deserves a look.

    Args:
        kind: one of `ADVICE`.
        where: file and line of the row; of the first row, where a finding is about several.
        reason: what it is and what to do, with file and line of the other row if there is one.
        leave_out: whether `DataCheck.cleaned` leaves the row out.
        row: position of the row in `DataCheck.facts`; None where a finding is about several.
        other: position of the other row; None if there is none.
    """

    kind: str
    where: str
    reason: str
    leave_out: bool = False
    row: int | None = None
    other: int | None = None


def make_finding(kind, where, fact, leave_out=False, row=None, other=None):
    """A `Finding` whose reason is a fact and the advice for its kind.

    Args:
        kind: one of `ADVICE`.
        where: file and line.
        fact: what it is, a sentence without its full stop.
        leave_out: see `Finding`.
        row: see `Finding`.
        other: see `Finding`.

    Returns:
        `Finding`.
    """
    return Finding(kind, where, f"{fact}. {ADVICE[kind]}", leave_out, row, other)


def is_invisible(character):
    """Whether a character draws nothing and is no plain space: controls, formats, bidi marks."""
    if character.isascii():
        return not " " <= character <= "~"
    category = unicodedata.category(character)
    return category in ("Cc", "Cf", "Cs", "Zl", "Zp") or character in _DRAWS_NOTHING


def visible(text):
    """The text with every character that draws nothing written as `<U+200B>`."""
    return "".join(f"<{code_point(c)}>" if is_invisible(c) else c for c in str(text))


def code_point(character):
    """The character's number, such as `U+7701`."""
    return f"U+{ord(character):04X}"


def counted(number, noun):
    """A number and its noun: `1 label`, `2,000 labels`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def examples(items, most=12):
    """The first of some strings in quotation marks, and how many more there are.

    Args:
        items: list of strings.
        most: number shown, at most.

    Returns:
        String such as `"'a', 'b' and 3 more"`.
    """
    shown = ", ".join(f"'{visible(item)}'" for item in items[:most])
    return shown + (f" and {len(items) - most:,} more" if len(items) > most else "")

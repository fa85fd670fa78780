"""The kinds of issues, in the order of a report, and what to do about each."""

from __future__ import annotations

from crnn_keras.data.issues import Issue

ADVICE = {
    # Rows that cannot be used, of label files and images.
    "no image": "Name an image in the row, or remove the row.",
    "path outside the folder": "Write the path relative to the images' folder.",
    "comment": "Nothing: a line that begins with # and names no image is no row.",
    "other separator": "Write the row with the separator of the others.",
    "line break in path": "Rename the file, or correct the row.",
    "path too long": "Correct the row: is a separator or a quotation mark missing?",
    "too many columns": "Put a label with a comma or tab in quotation marks, or use a tsv. Name "
    "further columns in a first row.",
    "line break in label": "Cut the image into lines, one label each.",
    "quotation mark missing": "Put the label in quotation marks, as its data set does.",
    "not JSON": "Write one JSON object a line.",
    "label is not text": "Write the label as text.",
    "no annotation": "Label the task, or leave it out of the export.",
    "overlong label": "Correct the row: is a line break or a quotation mark missing?",
    "control character": "Write the label again, or state the encoding of the file.",
    "not UTF-8": "Rename the file, or write the label again, in UTF-8.",
    "image without text": "Write the text, or remove the image.",
    "text without image": "Add the image, or remove the text.",
    "several images for one text": "Keep one image for each text.",
    "text too large": "Keep one line of text in the file.",
    "damaged row": "Correct the row, or remove it.",
    "segmentation error": "Nothing: the data set says itself that the word was cut wrongly.",
    "damaged shard": "Copy or download the file again, or write it again.",
    "no plain file": "Write the archive again, of plain files only.",
    "lexicon is not text": "Use the lexicon that came with the data set.",
    "not in the lexicon": "Use the lexicon that came with the data set.",
    "label differs from the lexicon": "Use the lexicon that came with the data set.",
    "entry missing or damaged": "Write the LMDB again from its source.",
    "image named twice": "Keep the row with the correct label.",
    "invalid box": "Write the box as numbers: left, top, width, height.",
    "no label in the name": "Rename the file to label.png, label_12.png or 373_label_14845.png.",
    "empty label": "Give the image a label, or remove the row.",
    "missing file": "Add the file, or correct the path; `images_folder` is where paths start.",
    "unreadable image": "Make the file again from its source, or remove the row.",
    "unknown character": "Add the characters to the char dict, or correct the labels.",
    "direction of writing": "Choose another direction of the char dict (visual, visual_rtl), "
    "remove invisible marks of direction from the label, or cut the image into words.",
    "label too long": "Cut the image into shorter ones, or give its label more frames: the reason "
    "says how. Is it the label of this image?",
    # Usable rows.
    "conflicting labels": "Look at the image and correct the wrong label.",
    "leakage": "Keep it only in the split that measures.",
    "exact duplicate": "Keep one of them.",
    "near duplicate": "Keep one of them.",
    "similar image, other label": "Look at both: is one of the labels wrong?",
    "image shows nothing": "Make the image again from its source, or remove the row.",
    "placeholder label": "Write what the image shows, or remove the row.",
    "number of a copy in label": "Rename the file: the number was added when it was copied.",
    "vertical text": "Turn the image by 90 degrees, or remove it: a line is read across.",
    "narrow characters": "Use a wider canvas or a larger image. Does the label fit the image?",
    "spaces in label": "Remove spaces at the ends and double ones.",
    "invisible character": "Remove it, unless the script needs it: no model can see it.",
    # The set as a whole.
    "empty split": "Add images to it, or give it a larger fraction.",
    "few training images": "crnn-keras fine-tune --labels PATH --run mine does so; notebook 04 "
    'with start = "words".',
    "few images to measure": "Give folds=5 (crnn-keras fine-tune --labels PATH --run mine --folds "
    "5), so that every image is tested once, or more images.",
    "labels hardly differ": "Were labels taken from names such as IMG_0001.jpg? Write what each "
    "image shows.",
    "labels are numbers of classes": "Nothing, if the images show these numbers; else write "
    "the text of each image.",
    "right-to-left labels in logical order": "Set the direction visual of the char dict, unless "
    "the labels are in the order of the image already: CTC reads from left to right.",
    "full-width and half-width mixed": "Set the normalization half_width of the char dict.",
    "Unicode form": "Set the normalization NFC of the char dict.",
    "labels that differ in case only": "Nothing, if case matters; else set fold_case.",
    "characters never trained": "Add training images that hold them.",
    "unused characters": "Nothing, if they will come; else remove them from the char dict.",
    "rare characters": "Add training images that hold them, for example rendered ones.",
}
# Kinds that are normal in many sets.
_INFO = ("labels that differ in case only", "unused characters", "rare characters")


def make_issue(
    kind: str,
    where: str,
    fact: str,
    *,
    drop: bool = False,
    row: int | None = None,
    other: int | None = None,
) -> Issue:
    """Makes an issue of a usable row or of a set: its reason is a fact and the kind's advice.

    Args:
        kind: string, one of `ADVICE`.
        where: string, file and line.
        fact: string, what was found, without a full stop.
        drop: see `Issue`. Defaults to `False`.
        row: see `Issue`. Defaults to `None`.
        other: see `Issue`. Defaults to `None`.

    Returns:
        `Issue` of severity `"warning"` or `"info"`.
    """
    severity = "info" if kind in _INFO else "warning"
    reason = f"{fact}. {ADVICE[kind]}"
    return Issue(kind, where, reason, severity, drop=drop, row=row, other=other)

"""Issues of labels: spaces, invisible characters, forms of one character, rare characters."""

from __future__ import annotations

import collections
import pathlib
import re
import unicodedata
from collections.abc import Sequence

import pandas as pd

from crnn_keras.char_dict import CharDict, has_right_to_left
from crnn_keras.data.check.display import code_point, counted, examples, is_invisible, visible
from crnn_keras.data.check.kinds import make_issue
from crnn_keras.data.issues import Issue

# A character seen less often in training is hardly learned.
RARE = 5
TRAINING = "train"

_SPACES = re.compile(r"^\s|\s$|\s\s")
_IDEOGRAPHIC_SPACE = "\u3000"
# What data sets write for text that nobody could read; and what systems add to a copied file.
_PLACEHOLDER = re.compile(
    r"#{2,}|\*{3,}|\?{3,}|[\[<({]\W*(unk|unknown|illegible|unreadable|blank|none|null)\W*[\])>}]",
    re.IGNORECASE,
)
_COPY = re.compile(r"(.+?)( ?\([1-9][0-9]?\)| - copy| copy|_copy)", re.IGNORECASE)


def find_odd_labels(facts: pd.DataFrame, labels: Sequence[str], char_dict: CharDict) -> list[Issue]:
    """Finds labels that hide something, and characters that training hardly sees.

    Args:
        facts: table, `DataCheck.facts`.
        labels: list with the label of each row, as the char dict writes it.
        char_dict: a `CharDict`.

    Returns:
        List of `Issue`s: of single rows in the order of the rows, then those about several.
        Placeholders and copies drop their row, the others do not.
    """
    where, images = list(facts["where"]), list(facts["image"])
    known = set(labels)
    issues = []
    for row, text in enumerate(labels):
        if _PLACEHOLDER.fullmatch(text):
            fact = f"'{visible(text)}' stands for text that could not be read"
            issues.append(make_issue("placeholder label", where[row], fact, drop=True, row=row))
        copied = _COPY.fullmatch(text)
        if copied and (
            copied[1] in known or text.lower() in pathlib.PurePath(images[row]).stem.lower()
        ):
            fact = f"'{visible(text)}' ends as the name of a copied file does"
            kind = "number of a copy in label"
            issues.append(make_issue(kind, where[row], fact, drop=True, row=row))
        if _SPACES.search(text):
            fact = f"'{visible(text)}' has spaces at an end, or two in a row"
            issues.append(make_issue("spaces in label", where[row], fact, row=row))
        hidden = "".join(dict.fromkeys(c for c in text if is_invisible(c)))
        if hidden:
            fact = f"'{visible(text)}' holds {visible(hidden)}"
            issues.append(make_issue("invisible character", where[row], fact, row=row))
    issues += _find_directions(labels, where) if char_dict.direction == "logical" else []
    issues += _find_widths(labels, where)
    issues += _find_unicode_forms(labels, where)
    issues += [] if char_dict.fold_case else _find_cases(labels, where)
    return issues + _find_rare_characters(facts, labels, char_dict)


def _find_directions(labels, where):
    """Returns one issue if labels run against the frames."""
    rows = [row for row, text in enumerate(labels) if has_right_to_left(text)]
    if not rows:
        return []
    shown = examples(list(dict.fromkeys(labels[row] for row in rows)), 5)
    fact = f"characters of scripts that run from right to left in {counted(len(rows), 'label')}: "
    kind = "right-to-left labels in logical order"
    return [make_issue(kind, where[rows[0]], fact + shown)]


def _half_width(character):
    """Returns the ASCII character that a full-width one looks like, or None."""
    if character == _IDEOGRAPHIC_SPACE:
        return " "
    return chr(ord(character) - 0xFEE0) if "\uff01" <= character <= "\uff5e" else None


def _sort_of(plain):
    """Returns the sort of a character that has two widths: there is one issue a sort."""
    if plain == " ":
        return "space"
    return "letters" if plain.isalpha() else "digits" if plain.isdigit() else "punctuation"


def _find_widths(labels, where):
    """Returns the issues of characters that come in both widths, one a sort of character."""
    counts, first = collections.Counter(), {}
    for row, text in enumerate(labels):
        counts.update(text)
        for character in text:
            first.setdefault(character, row)
    sorts = collections.defaultdict(list)
    for character in counts:
        plain = _half_width(character)
        if plain and plain in counts:
            sorts[_sort_of(plain)].append((character, plain))
    issues = []
    for sort, pairs in sorted(sorts.items()):
        pairs.sort(key=lambda pair: (-counts[pair[0]], pair[0]))
        shown = ", ".join(
            f"'{wide}' ({code_point(wide)}) {counted(counts[wide], 'time')} beside "
            f"'{plain}' {counted(counts[plain], 'time')}"
            for wide, plain in pairs[:5]
        )
        more = f" and {len(pairs) - 5:,} more" if len(pairs) > 5 else ""
        row = min(first[wide] for wide, _ in pairs)
        fact = f"{sort}: {shown}{more}; first in '{visible(labels[row])}'"
        issues.append(make_issue("full-width and half-width mixed", where[row], fact))
    return issues


def _find_unicode_forms(labels, where):
    """Returns one issue if characters are written in several code points."""
    rows = [row for row, text in enumerate(labels) if not unicodedata.is_normalized("NFC", text)]
    if not rows:
        return []
    shown = examples(list(dict.fromkeys(labels[row] for row in rows)), 5)
    fact = f"a character in several code points in {counted(len(rows), 'label')}: {shown}"
    return [make_issue("Unicode form", where[rows[0]], fact)]


def _find_cases(labels, where):
    """Returns one issue if words are written in several cases."""
    spellings = collections.defaultdict(dict)
    for row, text in enumerate(labels):
        spellings[text.lower()].setdefault(text, row)
    several = {word: texts for word, texts in spellings.items() if len(texts) > 1}
    if not several:
        return []
    first = min(list(texts.values())[1] for texts in several.values())
    shown = ["/".join(list(texts)[:3]) for texts in several.values()]
    fact = f"{counted(len(several), 'word')}: {examples(shown, 5)}"
    return [make_issue("labels that differ in case only", where[first], fact)]


def _find_rare_characters(facts, labels, char_dict):
    """Returns the issues of characters that training sees rarely, never, or only elsewhere."""
    where, splits = list(facts["where"]), list(facts["split"])
    counts, first = collections.Counter(), {}
    for row, (split, text) in enumerate(zip(splits, labels, strict=True)):
        if split == TRAINING:
            counts.update(text)
            for character in text:
                first.setdefault(character, row)
    if not counts:
        return []
    issues = []
    unseen = {split: collections.defaultdict(list) for split in splits}
    for row, (split, text) in enumerate(zip(splits, labels, strict=True)):
        for character in text:
            if character not in counts:
                unseen[split][character].append(row)
    for split, found in unseen.items():
        if found:
            rows = [row for one in found.values() for row in one]
            times = counted(len(rows), "time")
            fact = f"{len(found):,} in {split}, {times}: {examples(list(found))}"
            issues.append(make_issue("characters never trained", where[min(rows)], fact))
    unused = [c for c in char_dict.characters if c not in counts]
    if unused:
        fact = f"{len(unused):,} of {len(char_dict):,} in no training label: {examples(unused)}"
        issues.append(make_issue("unused characters", "char dict", fact))
    rare = sorted((c for c in counts if counts[c] < RARE), key=lambda c: (counts[c], first[c]))
    if rare:
        row = min(first[c] for c in rare)
        fact = f"{len(rare):,} fewer than {RARE} times in training: {examples(rare)}"
        issues.append(make_issue("rare characters", where[row], fact))
    return issues

"""Findings about labels: spaces, invisible characters, forms of one character, rare ones."""

import collections
import re
import unicodedata

from crnn_keras.data.check.issues import (
    code_point,
    counted,
    examples,
    is_invisible,
    make_finding,
    visible,
)

# A character seen less often in training is hardly learnt.
RARE = 5
TRAINING = "train"

_SPACES = re.compile(r"^\s|\s$|\s\s")
_IDEOGRAPHIC_SPACE = "\u3000"


def label_findings(facts, labels, char_dict):
    """Labels that hide something, and characters that training hardly sees.

    Args:
        facts: `DataCheck.facts`.
        labels: list with the label of each row, as the char dict writes it.
        char_dict: a `CharDict`.

    Returns:
        List of `Finding`s: of single rows in the order of the rows, then those about several.
        None of them advises to leave a row out.
    """
    where = list(facts["where"])
    findings = []
    for row, text in enumerate(labels):
        if _SPACES.search(text):
            fact = f"'{visible(text)}' has spaces at an end, or two in a row"
            findings.append(make_finding("spaces in label", where[row], fact, row=row))
        hidden = "".join(dict.fromkeys(c for c in text if is_invisible(c)))
        if hidden:
            fact = f"'{visible(text)}' holds {visible(hidden)}"
            findings.append(make_finding("invisible character", where[row], fact, row=row))
    findings += _widths(labels, where)
    findings += _unicode_forms(labels, where)
    findings += [] if char_dict.fold_case else _cases(labels, where)
    return findings + _characters(list(facts["part"]), labels, where, char_dict)


def _half_width(character):
    """The ASCII character that a full-width one looks like, or None."""
    if character == _IDEOGRAPHIC_SPACE:
        return " "
    return chr(ord(character) - 0xFEE0) if "\uff01" <= character <= "\uff5e" else None


def _sort_of(plain):
    """What sort of character has two widths, for one finding a sort."""
    if plain == " ":
        return "space"
    return "letters" if plain.isalpha() else "digits" if plain.isdigit() else "punctuation"


def _widths(labels, where):
    """Characters that come in both widths, one finding a sort."""
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
    findings = []
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
        findings.append(make_finding("full-width and half-width mixed", where[row], fact))
    return findings


def _unicode_forms(labels, where):
    rows = [row for row, text in enumerate(labels) if not unicodedata.is_normalized("NFC", text)]
    if not rows:
        return []
    shown = examples(list(dict.fromkeys(labels[row] for row in rows)), 5)
    fact = f"a character in several code points in {counted(len(rows), 'label')}: {shown}"
    return [make_finding("Unicode form", where[rows[0]], fact)]


def _cases(labels, where):
    """One finding, for words that are written in several cases; normal in most languages."""
    spellings, first = collections.defaultdict(dict), {}
    for row, text in enumerate(labels):
        spellings[text.lower()].setdefault(text, row)
    several = {word: texts for word, texts in spellings.items() if len(texts) > 1}
    if not several:
        return []
    first = min(list(texts.values())[1] for texts in several.values())
    shown = ["/".join(list(texts)[:3]) for texts in several.values()]
    fact = f"{counted(len(several), 'word')}: {examples(shown, 5)}"
    return [make_finding("labels that differ in case only", where[first], fact)]


def _characters(parts, labels, where, char_dict):
    """Characters that no training label has, that only other parts have, and rare ones."""
    counts, first = collections.Counter(), {}
    for row, (part, text) in enumerate(zip(parts, labels, strict=True)):
        if part == TRAINING:
            counts.update(text)
            for character in text:
                first.setdefault(character, row)
    if not counts:
        return []
    findings = []
    for part in dict.fromkeys(parts):
        unseen = {}
        for row, text in enumerate(labels):
            if parts[row] == part:
                for character in text:
                    if character not in counts:
                        unseen.setdefault(character, []).append(row)
        if unseen:
            rows = [row for found in unseen.values() for row in found]
            fact = (
                f"{len(unseen):,} in {part}, {counted(len(rows), 'time')}: {examples(list(unseen))}"
            )
            findings.append(make_finding("characters never trained", where[min(rows)], fact))
    unused = [c for c in char_dict.characters if c not in counts]
    if unused:
        fact = f"{len(unused):,} of {len(char_dict):,} in no training label: {examples(unused)}"
        findings.append(make_finding("unused characters", "char dict", fact))
    rare = sorted((c for c in counts if counts[c] < RARE), key=lambda c: (counts[c], first[c]))
    if rare:
        row = min(first[c] for c in rare)
        fact = f"{len(rare):,} fewer than {RARE} times in training: {examples(rare)}"
        findings.append(make_finding("rare characters", where[row], fact))
    return findings

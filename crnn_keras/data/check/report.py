"""`DataCheck`: what a check of labelled images found, as text, tables, images and a page."""

import collections
from dataclasses import dataclass, field

import pandas as pd

from crnn_keras.data.check import page
from crnn_keras.data.check.image_checks import PAIRED
from crnn_keras.data.check.issues import ADVICE, code_point, counted, visible
from crnn_keras.images import to_gray


@dataclass
class DataCheck:
    """What a check of labelled images found.

    Args:
        parts: dict of `part name: list of Samples` that can be trained on.
        problems: `Problem`s: rows that were left out.
        findings: `Finding`s: usable rows that deserve a look.
        facts: table with one row a usable sample, part after part: `part`, `image`, `text` and
            `where` of the sample; `width` and `height` of the image, `canvas_width`, and
            `inner_width` of the image on its canvas, in pixels; `frames` and `frames_needed`;
            `length` of the label in characters; `digest` (64 bits of its gray pixels) and `hash`
            (32 bytes, see `hashes.perceptual_hash`).
        char_dict: the `CharDict` that labels were held against.
        given: dict of `part name: number of samples` before the check.
        unknown: dict of `part name: Counter` of the characters without an id.
    """

    parts: dict
    problems: list
    findings: list
    facts: pd.DataFrame
    char_dict: object
    given: dict
    unknown: dict = field(default_factory=dict)

    def cleaned(self):
        """The parts without the rows that the findings advise to leave out.

        Returns:
            Dict of `part name: list of Samples`.
        """
        skipped = {finding.row for finding in self.findings if finding.leave_out}
        start, parts = 0, {}
        for name, samples in self.parts.items():
            numbered = enumerate(samples, start)
            parts[name] = [sample for row, sample in numbered if row not in skipped]
            start += len(samples)
        return parts

    def counts(self):
        """Table of the parts: samples given, usable, and left after `cleaned`; characters."""
        cleaned, texts = self.cleaned(), self._labels_by_part()
        rows = [
            {
                "part": name,
                "given": self.given[name],
                "usable": len(samples),
                "cleaned": len(cleaned[name]),
                "characters": sum(map(len, texts[name])),
                "distinct characters": len(set().union(*texts[name])),
            }
            for name, samples in self.parts.items()
        ]
        return pd.DataFrame(rows, columns=list(rows[0]) if rows else ["part"])

    def table(self):
        """Table for a notebook, one row a kind of problem or finding, problems first.

        Returns:
            Table with the columns `kind`, `count`, `left out` (rows that are in no part, or that
            `cleaned` leaves out), `first` (file and line) and `what to do`.
        """
        rows = []
        for entries in (self.problems, self.findings):
            for kind, found in self.by_kind(entries).items():
                skipped = sum(getattr(entry, "leave_out", True) for entry in found)
                advice = ADVICE.get(kind, found[0].reason)
                rows.append((kind, len(found), skipped, visible(found[0].where), visible(advice)))
        return pd.DataFrame(rows, columns=["kind", "count", "left out", "first", "what to do"])

    def summary(self):
        """A few lines: how many rows are usable, left out by kind, findings by kind."""
        usable = sum(map(len, self.parts.values()))
        sizes = ", ".join(f"{name} {len(samples):,}" for name, samples in self.parts.items())
        lines = [f"{usable + len(self.problems):,} rows: {usable:,} usable ({sizes})"]
        lines[-1] += f", {len(self.problems):,} left out"
        for kind, found in self.by_kind(self.problems).items():
            lines.append(f"  {kind}: {len(found):,}, the first in {_first(found)}")
        dropped = usable - sum(map(len, self.cleaned().values()))
        lines.append(
            f"{counted(len(self.findings), 'finding')}: {counted(dropped, 'row')} better left out"
        )
        for kind, found in self.by_kind(self.findings).items():
            lines.append(f"  {kind}: {len(found):,}, the first in {_first(found)}")
        return "\n".join(lines)

    def characters(self):
        """Table of the characters of the labels, as the char dict writes them, and of its own.

        Returns:
            Table with the columns `character`, `code point` (`U+0041`), one for each part with
            the character's count there, `total` and `in char dict`, the most frequent first.
            Unknown characters are counted where they were left out; characters of the char dict
            that no label has come last.
        """
        texts = self._labels_by_part()
        counts = {
            name: collections.Counter("".join(texts[name])) + self.unknown.get(name, {})
            for name in self.parts
        }
        known = dict.fromkeys(self.char_dict.characters)
        total = sum(counts.values(), collections.Counter())
        order = sorted({*total, *known}, key=lambda c: (-total[c], c))
        columns = {
            "character": pd.Series(order, dtype=object),
            "code point": [code_point(c) for c in order],
        }
        columns |= {name: [count[c] for c in order] for name, count in counts.items()}
        columns |= {"total": [total[c] for c in order], "in char dict": [c in known for c in order]}
        return pd.DataFrame(columns)

    def pairs(self, kinds=PAIRED, most=12):
        """Images that were found twice, to look at.

        Args:
            kinds: kinds of findings.
            most: number of pairs, at most; of more, some from all over the findings.

        Returns:
            List of `(image, other image, title)`: gray Pillow images, and the kind with the
            labels of both.
        """
        samples = [sample for part in self.parts.values() for sample in part]
        found = {}
        for finding in self.findings:
            if finding.kind in kinds and finding.other is not None:
                found.setdefault(frozenset((finding.row, finding.other)), finding)
        chosen = list(found.values())[:: max(-(-len(found) // most), 1)]
        both = [(finding.kind, samples[finding.row], samples[finding.other]) for finding in chosen]
        return [
            (*(to_gray(s.read()) for s in two), f"{kind}: {_labels(*two)}") for kind, *two in both
        ]

    def write_page(self, path, figures=()):
        """Writes the report as one html page, and its lists as tables beside it.

        Args:
            path: html file to write; `skipped.tsv` and `findings.tsv` go beside it.
            figures: matplotlib `Figure`s to show on the page.
        """
        page.write(path, self, figures)

    @staticmethod
    def by_kind(entries):
        """Problems or findings by kind: dict of `kind: list`, in the order of `ADVICE`."""
        kinds = collections.defaultdict(list)
        for entry in entries:
            kinds[entry.kind].append(entry)
        order = list(ADVICE)
        return dict(
            sorted(
                kinds.items(),
                key=lambda item: order.index(item[0]) if item[0] in order else -1,
            )
        )

    def _labels_by_part(self):
        return {
            name: [self.char_dict.normalize(sample.text) for sample in samples]
            for name, samples in self.parts.items()
        }


def _labels(sample, other):
    texts = dict.fromkeys(visible(s.text) for s in (sample, other))
    return " and ".join(f"'{text}'" for text in texts)


def _first(found):
    return visible(f"{found[0].where}: {found[0].reason}")

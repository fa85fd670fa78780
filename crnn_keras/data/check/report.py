"""`DataCheck`, the result of a check of labelled images: as text, tables, images and a page."""

from __future__ import annotations

import collections
import math
import os
from collections.abc import Collection, Iterable
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from crnn_keras.data.check import page
from crnn_keras.data.check.display import code_point, counted, visible
from crnn_keras.data.check.image_checks import PAIRED
from crnn_keras.data.check.kinds import ADVICE
from crnn_keras.data.issues import SEVERITIES, Issue
from crnn_keras.images import to_gray
from crnn_keras.utils.checks import COUNT, check_arguments

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

    from crnn_keras.char_dict import CharDict
    from crnn_keras.data.labels.sample import Sample


@dataclass
class DataCheck:
    """Holds the result of a check of labelled images, see `check_splits`.

    Args:
        splits: dict of `split: list of Samples` that can be trained on.
        issues: list of `Issue`s: rows that were skipped, and usable rows that should be checked.
        facts: table with one row a usable sample, split after split: `split`, `image`, `text` and
            `where` of the sample; `width` and `height` of the image, `canvas_width`, and
            `inner_width` of the image on its canvas, in pixels; `frames` and `frames_needed`;
            `length` of the label in characters; `contrast` of the canvas in levels; `digest`
            (64 bits of its gray pixels) and `hash` (32 bytes, see `hashes.perceptual_hash`).
        char_dict: the `CharDict` that labels were checked against.
        num_samples: dict of `split: number of samples` before the check.
        unknown: dict of `split: Counter` of the characters without an id.
    """

    splits: dict[str, list[Sample]]
    issues: list[Issue]
    facts: pd.DataFrame
    _: KW_ONLY
    char_dict: CharDict
    num_samples: dict[str, int]
    unknown: dict[str, collections.Counter] = field(default_factory=dict)

    @property
    def skipped(self) -> list[Issue]:
        """Returns the issues of severity `"error"`: one for each row that was skipped."""
        return self._of_severity("error")

    @property
    def warnings(self) -> list[Issue]:
        """Returns the issues of severity `"warning"`."""
        return self._of_severity("warning")

    @property
    def notes(self) -> list[Issue]:
        """Returns the issues of severity `"info"`."""
        return self._of_severity("info")

    def _of_severity(self, severity):
        return [issue for issue in self.issues if issue.severity == severity]

    def by_kind(self, severity: str) -> dict[str, list[Issue]]:
        """Returns the issues of a severity, grouped by kind in the order of `kinds.ADVICE`.

        Args:
            severity: `"error"`, `"warning"` or `"info"`.

        Returns:
            Dict of `kind: list of Issues`.
        """
        kinds = collections.defaultdict(list)
        for issue in self._of_severity(severity):
            kinds[issue.kind].append(issue)
        order = {kind: index for index, kind in enumerate(ADVICE)}
        return dict(sorted(kinds.items(), key=lambda item: order.get(item[0], -1)))

    def cleaned(self) -> dict[str, list[Sample]]:
        """Returns the splits without the rows that the warnings advise to drop.

        Returns:
            Dict of `split: list of Samples`.
        """
        dropped = {issue.row for issue in self.issues if issue.drop}
        start, splits = 0, {}
        for name, samples in self.splits.items():
            rows = enumerate(samples, start)
            splits[name] = [sample for row, sample in rows if row not in dropped]
            start += len(samples)
        return splits

    def counts(self) -> pd.DataFrame:
        """Counts the samples of each split before the check, usable, and after `cleaned`.

        Returns:
            Table with the columns `split`, `samples`, `usable`, `cleaned`, `characters` and
            `distinct characters`.
        """
        cleaned, labels = self.cleaned(), self._labels()
        rows = [
            {
                "split": name,
                "samples": self.num_samples[name],
                "usable": len(samples),
                "cleaned": len(cleaned[name]),
                "characters": sum(map(len, labels[name])),
                "distinct characters": len(set().union(*labels[name])),
            }
            for name, samples in self.splits.items()
        ]
        return pd.DataFrame(rows, columns=list(rows[0]) if rows else ["split"])

    def table(self) -> pd.DataFrame:
        """Counts the issues, one row a kind, the worst severity first.

        Returns:
            Table with the columns `severity`, `kind`, `count`, `skipped` (rows that are in no
            split), `cleaned drops` (rows that are in no split of `cleaned`), `first` (file and
            line) and `what to do`.
        """
        rows = []
        for severity in SEVERITIES:
            for kind, found in self.by_kind(severity).items():
                skipped = len(found) if severity == "error" else 0
                dropped = sum(issue.drop for issue in found)
                where, advice = visible(found[0].where), visible(ADVICE.get(kind, found[0].reason))
                rows.append((severity, kind, len(found), skipped, dropped, where, advice))
        columns = ["severity", "kind", "count", "skipped", "cleaned drops", "first", "what to do"]
        return pd.DataFrame(rows, columns=columns)

    def summary(self) -> str:
        """Returns a few lines: how many rows are usable, and the issues by kind."""
        usable, skipped = sum(map(len, self.splits.values())), len(self.skipped)
        warnings = counted(len(self.warnings), "warning")
        sizes = ", ".join(f"{name} {len(samples):,}" for name, samples in self.splits.items())
        dropped = usable - sum(map(len, self.cleaned().values()))
        return "\n".join(
            [
                f"{usable + skipped:,} rows: {usable:,} usable ({sizes}), {skipped:,} skipped",
                *self._lines("error"),
                f"{warnings}; cleaning drops {counted(dropped, 'row')}",
                *self._lines("warning"),
                counted(len(self.notes), "note"),
                *self._lines("info"),
            ]
        )

    def _lines(self, severity):
        for kind, found in self.by_kind(severity).items():
            first = visible(f"{found[0].where}: {found[0].reason}")
            yield f"  {kind}: {len(found):,}, first in {first}"

    def characters(self) -> pd.DataFrame:
        """Counts the characters of the labels, as the char dict writes them, and its own.

        Returns:
            Table with the columns `character`, `code point` (`U+0041`), one for each split with
            the character's count there, `total` and `in char dict`, the most frequent first.
            Unknown characters are counted though their rows were skipped; characters of the char
            dict that no label has come last.
        """
        labels = self._labels()
        counts = {
            name: collections.Counter("".join(labels[name])) + self.unknown.get(name, {})
            for name in self.splits
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

    @check_arguments(most=COUNT)
    def pairs(
        self, kinds: Collection[str] = PAIRED, most: int = 12
    ) -> list[tuple[Image.Image, Image.Image, str]]:
        """Returns pairs of images that are about the same, to look at.

        Args:
            kinds: kinds of issues. Defaults to all that are about two images.
            most: int, number of pairs at most; of more, some from all over the issues. Defaults
                to `12`.

        Returns:
            List of `(image, other image, title)`: gray Pillow images, and the kind with the
            labels of both.
        """
        samples = [sample for split in self.splits.values() for sample in split]
        found = {}
        for issue in self.issues:
            if issue.kind in kinds and issue.other is not None:
                found.setdefault(frozenset((issue.row, issue.other)), issue)
        pairs = []
        for issue in list(found.values())[:: max(math.ceil(len(found) / most), 1)]:
            both = samples[issue.row], samples[issue.other]
            texts = " and ".join(dict.fromkeys(f"'{visible(sample.text)}'" for sample in both))
            image, other = (to_gray(sample.read()) for sample in both)
            pairs.append((image, other, f"{issue.kind}: {texts}"))
        return pairs

    def write_page(
        self, path: str | os.PathLike, figures: Iterable[Figure] = (), *, name: str = ""
    ) -> None:
        """Writes the report as one HTML page, and all issues as a table beside it.

        Args:
            path: HTML file to write; `issues.tsv` is written beside it.
            figures: iterable of matplotlib `Figure`s for the page. Defaults to `()`.
            name: string, what was checked, for the page's title. Defaults to `""`: the name of
                the page's folder.
        """
        page.write_page(path, self, figures, name=name)

    def _labels(self):
        """Returns the labels of each split, as the char dict writes them."""
        return {
            name: [self.char_dict.normalize(sample.text) for sample in samples]
            for name, samples in self.splits.items()
        }

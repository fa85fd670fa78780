"""One record for everything that is wrong, or worth a look, in a labelled set."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass

from crnn_keras.utils import files
from crnn_keras.utils.log import printable

# From the worst to the mildest.
SEVERITIES = ("error", "warning", "info")
_COLUMNS = ("severity", "kind", "where", "reason")


@dataclass(frozen=True)
class Issue:
    """Describes what is wrong with a row of a labelled set, or with the set.

    Args:
        kind: string, the kind of issue, for counting: `"missing file"`, `"empty label"`, ...
        where: string, file and line of the row: `"labels.tsv, line 12"`; of the first row, if
            the issue concerns several.
        reason: string, one or two sentences that say what is wrong and how to repair it.
        severity: `"error"`: the row cannot be used and was skipped. `"warning"`: the row is
            usable, but should be checked. `"info"`: good to know. Defaults to `"error"`.
        drop: bool, whether `DataCheck.cleaned` drops the row. Defaults to `False`.
        row: int, position of the row in `DataCheck.facts`; `None` if the row was skipped or the
            issue concerns several. Defaults to `None`.
        other: int, position there of the other row, if the issue is about two. Defaults to
            `None`.

    Raises:
        ValueError: the severity is unknown.

    Example:

    >>> Issue("empty label", "labels.tsv, line 12", "'a.png' has no label.").severity
    'error'
    """

    kind: str
    where: str
    reason: str
    severity: str = "error"
    _: KW_ONLY
    drop: bool = False
    row: int | None = None
    other: int | None = None

    def __post_init__(self):
        if self.severity not in SEVERITIES:
            raise ValueError(
                f"Severity {self.severity!r} is unknown. Expected one of {list(SEVERITIES)}."
            )


def issue_line(issue: Issue | None = None) -> bytes:
    r"""Returns an issue as one line of a tsv file: severity, kind, where, reason.

    Args:
        issue: an `Issue`; `None` for the line with the names of the columns. Defaults to `None`.

    Returns:
        Bytes that end in a line break; tabs and line breaks in the texts become spaces, and what a
        terminal would obey becomes an escape, see `printable`.

    Example:

    >>> issue_line()
    b'severity\tkind\twhere\treason\n'
    """
    cells = [getattr(issue, name) for name in _COLUMNS] if issue else _COLUMNS
    line = "\t".join(printable(re.sub(r"[\t\n\r]", " ", cell)) for cell in cells)
    return f"{line}\n".encode("utf-8", "backslashreplace")


def write_issues(path: str | os.PathLike, issues: Iterable[Issue]) -> None:
    """Writes issues as a tsv file with a header, see `issue_line`.

    Args:
        path: file to write.
        issues: iterable of `Issue`s.
    """
    files.write_atomic(path, b"".join(map(issue_line, [None, *issues])))

"""A file of two columns that this program writes, and an editor may change in between."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

from crnn_keras.data.labels.source import IMAGE_COLUMNS, TEXT_COLUMNS
from crnn_keras.images import SUFFIXES
from crnn_keras.utils import files


class Change(NamedTuple):
    """What another program did to a file, and what was done about it.

    Args:
        added: Names of rows that are new.
        changed: Names of rows whose text differs.
        removed: Names of rows that are gone.
        restored: Names of rows that were written here, were gone, and have been written again.
    """

    added: list[str]
    changed: list[str]
    removed: list[str]
    restored: list[str]


class _Line(NamedTuple):
    """A line as it stands in the file; its name and text if it is a row."""

    content: str
    name: str | None = None
    text: str = ""


class Table:
    """Holds a file of names and texts, separated by a tab, one row a line.

    Each change is written at once: the whole file under a temporary name, flushed to the disk and
    renamed. So it is complete at any moment, whatever is killed. Lines that are no rows, such as
    comments, stay as they are. What another program added or changed is kept; a row that was
    written here and is gone (an editor saved what it had read before) is written again.

    Args:
        path: The file; it need not exist.
        header: The first line of a file that is made here. Defaults to `""`: none.
        restores: Whether rows that were written here and are gone are written again. Defaults to
            `True`.

    Attributes:
        rows: Dict of texts by name. Of a name that comes twice it is the last.
        odd: Numbers of the lines that are neither rows, nor comments, nor blank.

    Raises:
        ValueError: The file is not UTF-8, or has other columns.
        OSError: The file cannot be read.
    """

    def __init__(self, path: str | os.PathLike, header: str = "", *, restores: bool = True) -> None:
        self.path = pathlib.Path(path)
        self.rows: dict[str, str] = {}
        self.odd: list[int] = []
        self._header = header
        self._restores = restores
        self._lines: list[_Line] = []
        self._own: dict[str, str] = {}
        self._state = self._look()
        if self._state:
            self._read()

    def sync(self) -> Change | None:
        """Reads the file again if another program has changed it.

        Returns:
            A `Change`; None if nothing changed.

        Raises:
            ValueError: See the class. What is known stays as it is.
            OSError: The file cannot be read, or rows cannot be written again.
        """
        state = self._look()
        if state == self._state:
            return None
        known = self._lines, self.rows, self.odd, self._own, self._state
        before, lost = self.rows, self._own
        try:
            if state is None:
                # Nobody empties a label file by removing it while it is in use.
                self._lines, self.rows, self.odd, lost = [], {}, [], before
            else:
                self._read()
            self._state = state
            restored = [name for name in lost if name not in self.rows and self._restores]
            self._own = {name: self.rows.get(name, text) for name, text in self._own.items()}
            if restored:
                self._write(self.rows | {name: lost[name] for name in restored})
        except BaseException:
            self._lines, self.rows, self.odd, self._own, self._state = known
            raise
        return Change(
            [name for name in self.rows if name not in before],
            [name for name, text in self.rows.items() if before.get(name, text) != text],
            [name for name in before if name not in self.rows],
            restored,
        )

    def put(self, changes: Mapping[str, str | None]) -> None:
        """Changes rows and writes the file, if anything differs.

        Call `sync` before.

        Args:
            changes: Texts by name; None removes the row.

        Raises:
            OSError: The file cannot be written. Then nothing has changed.
        """
        rows = self.rows | {name: text for name, text in changes.items() if text is not None}
        for name, text in changes.items():
            if text is None:
                rows.pop(name, None)
        if rows != self.rows:
            self._write(rows)
        for name, text in changes.items():
            if text is None:
                self._own.pop(name, None)
            else:
                self._own[name] = text

    def _look(self):
        """Returns what tells one state of the file from another; None if there is no file."""
        try:
            return _state_of(os.stat(self.path))
        except FileNotFoundError:
            return None

    def _read(self):
        content = self.path.read_bytes()
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{self.path} is not UTF-8 ({error.reason} at byte {error.start}): nothing is "
                "written to it. Save it as UTF-8, or give another name."
            ) from None
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()
        parsed = [_parse(line) for line in lines]
        self.odd = []
        for number, line in enumerate(parsed, 1):
            content = line.content.removeprefix("\ufeff").strip()
            if line.name is not None or not content or content.startswith("#"):
                continue
            if number > 1 or not self._is_header(content):
                self.odd.append(number)
        self._lines = parsed
        self.rows = {line.name: line.text for line in parsed if line.name is not None}

    def _is_header(self, line):
        """Whether a first line names the columns of this file.

        Raises:
            ValueError: It names others.
        """
        names = [name.strip().casefold() for name in line.split("\t")]
        if line == self._header or (
            len(names) == 2 and names[0] in IMAGE_COLUMNS and names[1] in TEXT_COLUMNS
        ):
            return True
        if set(names) & set(IMAGE_COLUMNS):
            raise ValueError(
                f"{self.path} has the columns {', '.join(names)}: nothing is written to it. "
                "Expected a path, a tab and a text a line. Give another name."
            )
        return False

    def _write(self, rows):
        end = "\r" if self._lines and self._lines[0].content.endswith("\r") else ""
        last = {line.name: index for index, line in enumerate(self._lines)}
        lines = []
        for index, line in enumerate(self._lines):
            if line.name is None or rows.get(line.name) == line.text and last[line.name] == index:
                lines.append(line)
            elif line.name in rows and last[line.name] == index:
                lines.append(
                    _Line(f"{line.name}\t{rows[line.name]}{end}", line.name, rows[line.name])
                )
        lines += [
            _Line(f"{name}\t{text}{end}", name, text)
            for name, text in rows.items()
            if name not in last
        ]
        if self._header and not self._lines:
            lines.insert(0, _Line(self._header))
        with files.atomic(self.path) as file:
            file.write("".join(f"{line.content}\n" for line in lines).encode())
            file.flush()
            # Of the file before it has its name: after that, another program may have changed it.
            state = _state_of(os.fstat(file.fileno()))
        self._lines, self.rows, self._state = lines, dict(rows), state


def _state_of(stat):
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _parse(line):
    cells = [cell.strip() for cell in line.removeprefix("\ufeff").rstrip().split("\t")]
    if len(cells) == 2 and cells[1] and cells[0].lower().endswith(SUFFIXES):
        return _Line(line, *cells)
    return _Line(line)

"""What a person decided about images, on disk: labels, marks, and pseudo-labels apart from them."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

from crnn_keras.labelling.table import Table
from crnn_keras.utils.locks import lock

SKIPPED, UNREADABLE, CHECKED = "skipped", "unreadable", "checked"
_SHOWN = 3


class State(NamedTuple):
    """What is known of one image.

    Args:
        label: Its text in the label file. Defaults to `None`: it has none.
        mark: `"skipped"`, `"unreadable"` or `"checked"`. Defaults to `None`.
        pseudo: A text that a reader was sure of and nobody has looked at. Defaults to `None`.
    """

    label: str | None = None
    mark: str | None = None
    pseudo: str | None = None


class LabelStore:
    """Keeps labels in three files, of which each is complete at any moment.

    | file | what is in it |
    |---|---|
    | `labels.tsv` | `path<tab>text` of each label |
    | `labels.status.tsv` | `path<tab>status` of what was skipped, is unreadable, or was checked |
    | `labels.pseudo.tsv` | `path<tab>text` of pseudo-labels: removing the file takes them out |

    It is a context manager, and holds the lock of the label file: no second program labels there.

    Args:
        path: The label file. A symbolic link is followed.

    Attributes:
        labels: `Table` of the labels.
        marks: `Table` of the marks.
        pseudo: `Table` of the pseudo-labels.

    Raises:
        LockedError: Another process labels there.
        ValueError: A file is not UTF-8, or has other columns.
        OSError: A file cannot be read, or the folder cannot be written to.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = pathlib.Path(os.path.realpath(path))
        stem = self.path.with_suffix("") if self.path.suffix == ".tsv" else self.path
        self._held = contextlib.ExitStack()
        self._held.enter_context(lock(self.path, "the labels"))
        try:
            self.labels = Table(self.path)
            self.marks = Table(f"{stem}.status.tsv", header="image\tstatus")
            # Removing this file takes the pseudo-labels out.
            self.pseudo = Table(f"{stem}.pseudo.tsv", restores=False)
        except BaseException:
            self._held.close()
            raise

    def __enter__(self) -> LabelStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def state(self, name: str) -> State:
        """Returns what is known of an image.

        A label outweighs a mark that the image is unreadable, and both a pseudo-label: a program
        that was killed between two files, or an editor, may have left both.

        Args:
            name: The image's name.
        """
        label, mark = self.labels.rows.get(name), self.marks.rows.get(name)
        if label is not None and mark == UNREADABLE:
            mark = None
        pseudo = self.pseudo.rows.get(name) if label is None and mark is None else None
        return State(label, mark, pseudo)

    def put(self, name: str, state: State) -> None:
        """Saves what was decided about an image; it is on the disk when this returns.

        What is gained is written before what is lost, so that a kill in between loses nothing.

        Args:
            name: The image's name.
            state: The new `State`.

        Raises:
            OSError: A file cannot be written.
        """
        tables = zip((self.labels, self.marks, self.pseudo), state, strict=True)
        for table, text in sorted(tables, key=lambda pair: pair[1] is None):
            table.put({name: text})

    def put_pseudo(self, changes: Mapping[str, str | None]) -> None:
        """Saves pseudo-labels.

        Args:
            changes: Texts by the images' names; None takes one out.

        Raises:
            OSError: The file cannot be written.
        """
        self.pseudo.put(changes)

    def sync(self) -> tuple[list[str], set[str]]:
        """Takes over what other programs wrote into the files.

        Returns:
            Sentences that say what they did, and the names of the images that it is about.

        Raises:
            ValueError: A file cannot be understood any more.
            OSError: A file cannot be read or written.
        """
        sentences, names = [], set()
        for table in (self.labels, self.marks, self.pseudo):
            change = table.sync()
            if change is None:
                continue
            facts = [
                f"{len(found)} {what} ({_shown(found)})"
                for what, found in zip(
                    ("added", "changed", "removed", "written again that were gone"),
                    change,
                    strict=True,
                )
                if found
            ]
            if facts:
                sentences.append(f"Another program changed {table.path.name}: {', '.join(facts)}")
            names.update(*change)
        return sentences, names


def _shown(names):
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")

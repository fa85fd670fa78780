"""A sitting of labelling: readings in the background, order by doubt, decisions, undo."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from crnn_keras.data.labels.source import check_text
from crnn_keras.inference.base import BaseRecognizer, Prediction
from crnn_keras.labelling.items import Item
from crnn_keras.labelling.store import CHECKED, SKIPPED, UNREADABLE, LabelStore, State
from crnn_keras.utils.checks import COUNT, FRACTION, NATURAL, OneOf, check_arguments
from crnn_keras.utils.log import printable

ORDERS = ("doubt", "name")
VIEWS = ("todo", "labelled", "pseudo", "skipped", "unreadable")
_DAMAGED = "damaged"
# What becomes one space: a label is one line, and a tab ends a column.
_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
# Sentences and damaged images that the page is told of, and seconds between pseudo-labels' writes.
_MOST_SHOWN = 20
_SECONDS = 1.0


class RefusedError(ValueError):
    """Raised for a decision that cannot be saved; the message says why."""


class ConflictError(RefusedError):
    """Raised where somebody else, or another tab, has decided about an image meanwhile."""


class LabelSession:
    """Holds the images of one sitting, what was read in them, and what was decided.

    It may be used by several threads.

    Args:
        store: An open `LabelStore`.
        items: List of `Item`s. If they have labels, these are checked: they stay in the label file
            unless they are changed or the image is unreadable.
        order: `"doubt"`: the image whose label is least certain comes first; or `"name"`. Defaults
            to `"doubt"`.
        accept_above: Readings of at least this confidence become pseudo-labels. Defaults to
            `None`: none do.
        say: Function that is called with each sentence about the files and the reading. Defaults
            to `None`.

    Raises:
        OSError: The labels to check cannot be written.
    """

    @check_arguments(order=OneOf(ORDERS), accept_above=FRACTION.or_none())
    def __init__(
        self,
        store: LabelStore,
        items: Sequence[Item],
        *,
        order: str = "doubt",
        accept_above: float | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.store = store
        self.items = list(items)
        self.checks = any(item.given is not None for item in items)
        self._by_doubt = order == "doubt"
        self._accept_above = accept_above
        self._say = say
        self._lock = threading.RLock()
        self._indices = {item.name: index for index, item in enumerate(self.items)}
        self._predictions: list[Prediction | None] = [None] * len(self.items)
        self._revisions = [0] * len(self.items)
        self._unread: set[int] = set()
        self._normalize: Callable[[str], str] = str
        self._history: list[tuple[int, State, State]] = []
        self._notices: list[str] = []
        self._reading_error = ""
        self._thread: threading.Thread | None = None
        self._is_ending = threading.Event()
        if self.checks:
            self._add_given()

    # ---- reading -----------------------------------------------------------------------------

    @check_arguments(batch_size=COUNT)
    def start_reading(self, recognizer: BaseRecognizer, *, batch_size: int = 64) -> None:
        """Starts to read the images that are not decided yet, in a thread.

        Args:
            recognizer: Reads them.
            batch_size: See `BaseRecognizer.read`. Defaults to `64`.
        """
        views = {"todo", "skipped"} | ({"pseudo"} if self._accept_above is not None else set())
        waiting = [index for index in range(len(self.items)) if self._view_of(index) in views]
        self._normalize = recognizer.char_dict.normalize
        self._unread = set(waiting)
        arguments = recognizer, waiting, batch_size
        self._thread = threading.Thread(target=self._read, args=arguments, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Waits until all images are read."""
        if self._thread:
            self._thread.join()

    def close(self) -> None:
        """Ends the sitting: no more is read or decided. What was decided is on the disk already."""
        with self._lock:
            self._is_ending.set()
        self.join()

    def _read(self, recognizer, waiting, batch_size):
        accepted: dict[str, str | None] = {}
        saved = time.monotonic()
        try:
            paths = [self.items[index].image for index in waiting]
            predictions = recognizer.stream(iter(paths), batch_size=batch_size)
            for index, prediction in zip(waiting, predictions, strict=True):
                if self._is_ending.is_set():
                    break
                with self._lock:
                    self._predictions[index] = prediction
                    self._unread.discard(index)
                if self._accept_above is not None:
                    accepted[self.items[index].name] = self._accepted(prediction)
                if time.monotonic() - saved > _SECONDS:
                    accepted = {} if self._save_pseudo(accepted) else accepted
                    saved = time.monotonic()
        except Exception as error:  # The page goes on without readings, and says why.
            self._reading_error = f"The images cannot be read: {printable(error)}"
            self._note(self._reading_error)
        self._save_pseudo(accepted)
        with self._lock:
            self._unread = set()

    def _accepted(self, prediction):
        """Returns the text of a pseudo-label, or None if the reading is none."""
        text = prediction.text or ""
        is_sure = prediction.error is None and prediction.confidence >= self._accept_above
        is_label = text == _clean(text) and not check_text("", text, "")
        return text if is_sure and is_label else None

    def _save_pseudo(self, accepted):
        """Saves pseudo-labels of images that nobody has decided about; returns whether it could."""
        with self._lock:
            try:
                self._sync()
                self.store.put_pseudo(
                    {
                        name: text
                        for name, text in accepted.items()
                        if self._view_of(self._indices[name]) in ("todo", "pseudo", _DAMAGED)
                    }
                )
            except (OSError, ValueError) as error:
                self._note(f"The pseudo-labels are not saved: {printable(error)}")
                return False
        return True

    # ---- what the page shows -----------------------------------------------------------------

    def _view_of(self, index):
        """Tells where an image is: in one of `VIEWS`, or `"damaged"`."""
        state = self.store.state(self.items[index].name)
        if state.mark == CHECKED if self.checks else state.label is not None:
            return "labelled"
        if state.mark in (SKIPPED, UNREADABLE):
            return state.mark
        if state.pseudo is not None:
            return "pseudo"
        prediction = self._predictions[index]
        return _DAMAGED if prediction and prediction.error else "todo"

    def counts(self) -> dict[str, int]:
        """Counts the images by where they are.

        Returns:
            Dict of counts by the names of `VIEWS`, and `"damaged"`, `"total"` and `"missing"`:
            labels of images that are not there.
        """
        with self._lock:
            return self._count(self._views())

    def _views(self):
        return [self._view_of(index) for index in range(len(self.items))]

    def _count(self, views):
        counts = {view: views.count(view) for view in (*VIEWS, _DAMAGED)}
        return counts | {"total": len(views), "missing": len(self.missing())}

    def missing(self) -> list[str]:
        """Lists the names of labels whose images are not among those of this sitting."""
        return [name for name in self.store.labels.rows if name not in self._indices]

    def damaged(self) -> dict[str, str]:
        """Returns why images cannot be opened, by their names."""
        with self._lock:
            return {
                item.name: prediction.error
                for item, prediction in zip(self.items, self._predictions, strict=True)
                if prediction and prediction.error
            }

    @check_arguments(index=NATURAL.or_none(), after=NATURAL.or_none(), step=OneOf((1, -1)))
    def show(
        self, view: str, *, index: int | None = None, after: int | None = None, step: int = 1
    ) -> dict[str, Any]:
        """Returns what the page shows: one image and what is known of all.

        Args:
            view: One of `VIEWS`.
            index: Index of the image to show. Defaults to `None`: the first of the view.
            after: Index of the image whose neighbour in the view is shown. Defaults to `None`.
            step: 1 for the one after it, -1 for the one before it; from the last one on, the first.
                Defaults to `1`.

        Returns:
            Plain data.

        Raises:
            RefusedError: There is no such view or image.
        """
        if view not in VIEWS:
            raise RefusedError(f"There is no view {view!r}. Expected one of {VIEWS}.")
        with self._lock:
            self._try_to_sync()
            views = self._views()
            order = self._order(views, view)
            if index is not None:
                self._check(index)
            elif after is not None:
                self._check(after)
                index = _neighbour(order, self._key(after), step)
            elif order:
                index = order[0][-1]
            upcoming = _neighbour(order, self._key(index), 1) if index is not None else None
            damaged = self.damaged()
            return {
                "item": None if index is None else self._describe(index),
                "upcoming": upcoming,
                "counts": self._count(views),
                "read": {"left": len(self._unread), "error": self._reading_error},
                "damaged": list(damaged.items())[:_MOST_SHOWN],
                "notices": self._notices[-_MOST_SHOWN:],
                "num_notices": len(self._notices),
            }

    def _order(self, views, view):
        """Returns the sorted keys of the images of a view that can be shown now."""
        shown = (index for index, own in enumerate(views) if own == view)
        return sorted(self._key(index) for index in shown if index not in self._unread)

    def _key(self, index):
        """Returns what the images are sorted by; its last element is the index."""
        return (-self._doubt(index) if self._by_doubt else 0.0, index)

    def _doubt(self, index):
        """Returns how doubtful a label is: the reading, or the given label that it contradicts."""
        prediction, given = self._predictions[index], self.items[index].given
        if prediction is None or prediction.text is None:
            return 1.0
        if given is not None and not self._agrees(prediction.text, given):
            return 1.0 + prediction.confidence
        return 1.0 - prediction.confidence

    def _agrees(self, text, given):
        return self._normalize(text) == self._normalize(given)

    def _describe(self, index):
        item, prediction = self.items[index], self._predictions[index]
        state = self.store.state(item.name)
        reading = prediction.text if prediction and prediction.text is not None else None
        text = next(
            (t for t in (state.label, item.given, state.pseudo, reading) if t is not None), ""
        )
        return {
            "index": index,
            "name": item.name,
            "view": self._view_of(index),
            "text": text,
            "given": item.given,
            "reading": reading,
            "agrees": item.given is None or reading is None or self._agrees(reading, item.given),
            "confidence": prediction.confidence if reading is not None else None,
            "revision": self._revisions[index],
        }

    # ---- decisions ---------------------------------------------------------------------------

    @check_arguments(index=NATURAL, revision=NATURAL.or_none())
    def decide(
        self, index: int, action: str, *, text: str = "", revision: int | None = None
    ) -> str:
        """Saves a decision; it is on the disk when this returns.

        Tabs and line breaks in a text become one space, and spaces at its ends are removed.

        Args:
            index: Index of the image.
            action: `"label"`, `"skip"` or `"unreadable"`. To skip an image leaves a label that it
                has as it is.
            text: The label. Defaults to `""`.
            revision: That of the image when it was shown. Defaults to `None`: the newest.

        Returns:
            The text as it was saved; empty for other actions.

        Raises:
            ConflictError: Somebody else has decided about the image meanwhile.
            RefusedError: There is no such image or action, or the text is no label.
            OSError: It cannot be saved, such as on a full disk.
        """
        with self._lock:
            self._check_open()
            self._check(index)
            item = self.items[index]
            self._sync()
            before = self.store.state(item.name)
            if revision not in (None, self._revisions[index]):
                raise ConflictError(
                    f"{printable(item.name)} was changed meanwhile, in another tab or program: "
                    f"{_said(before)}. Decide again to replace that."
                )
            text = _clean(text) if action == "label" else ""
            after = self._after(before, action, text, name=item.name)
            if after != before:
                self.store.put(item.name, after)
                self._history.append((index, before, after))
                self._revisions[index] += 1
            return text

    def undo(self) -> tuple[int, str | None]:
        """Takes the last decision of this sitting back.

        Returns:
            Tuple of the image's index, and the label that was taken back, or None.

        Raises:
            RefusedError: There is none, or the image was changed since.
            OSError: It cannot be saved; the decision stays.
        """
        with self._lock:
            self._check_open()
            if not self._history:
                raise RefusedError("There is no decision of this sitting to take back.")
            self._sync()
            index, before, after = self._history[-1]
            name = self.items[index].name
            if self.store.state(name) != after:
                self._history.pop()
                raise RefusedError(
                    f"{printable(name)} was changed since by another program, and stays as it is."
                )
            self.store.put(name, before)
            self._history.pop()
            self._revisions[index] += 1
            return index, after.label if after.label != before.label else None

    def _after(self, before, action, text, *, name):
        """Returns the `State` after a decision."""
        if action == "label":
            if not text:
                raise RefusedError("The text is empty. Write what the image shows, or skip it.")
            if issue := check_text(name, text, name):
                raise RefusedError(issue.reason)
            return State(text, CHECKED if self.checks else None)
        if action == "unreadable":
            return State(mark=UNREADABLE)
        if action != "skip":
            raise RefusedError(f"{action!r} is unknown. Expected label, skip or unreadable.")
        if before.mark == CHECKED or (before.label is not None and not self.checks):
            return before
        return State(before.label, SKIPPED)

    def _check_open(self):
        if self._is_ending.is_set():
            raise RefusedError("Not saved: the program has ended. Start the same command again.")

    def _check(self, index):
        if index >= len(self.items):
            raise RefusedError(f"There is no image {index}. Expected 0 to {len(self.items) - 1}.")

    # ---- the files ---------------------------------------------------------------------------

    def _add_given(self):
        """Writes the labels to check that are not in the label file yet."""
        states = {item.name: self.store.state(item.name) for item in self.items}
        self.store.labels.put(
            {
                item.name: item.given
                for item in self.items
                if states[item.name].label is None and states[item.name].mark != UNREADABLE
            }
        )

    def _sync(self):
        sentences, names = self.store.sync()
        for name in names & self._indices.keys():
            self._revisions[self._indices[name]] += 1
        for sentence in sentences:
            self._note(sentence)

    def _try_to_sync(self):
        try:
            self._sync()
        except (OSError, ValueError) as error:
            self._note(str(error))

    def _note(self, sentence):
        with self._lock:
            if self._notices[-1:] == [sentence]:
                return
            self._notices.append(sentence)
        if self._say:
            self._say(sentence)


def _neighbour(order, key, step):
    """Returns the index of the image after or before a key; the other end's if there is none."""
    if step > 0:
        following = [own for own in order if own > key]
        return (following or order)[0][-1] if order else None
    before = [own for own in order if own < key]
    return (before or order)[-1][-1] if order else None


def _clean(text):
    return _BREAKS.sub(" ", text.replace("\ufeff", "")).strip()


def _said(state):
    if state.label is not None:
        return f"its label is {printable(state.label)!r}"
    return f"it is {state.mark}" if state.mark else "it is undecided"

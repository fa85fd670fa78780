"""The states of a run on disk, each complete or not there."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import logging
import os
import pathlib
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from crnn_keras.utils import files

if TYPE_CHECKING:
    import keras

    from crnn_keras.model.crnn import CRNN

# Raised when states of before can no longer be continued.
_FORMAT = 2
_logger = logging.getLogger(__name__)


def run_variables(model: CRNN) -> list[keras.Variable]:
    """Lists everything in memory that the next step of a run depends on.

    Args:
        model: A compiled `CRNN`.

    Returns:
        Keras variables: weights, seeds of the dropout (which Keras' own checkpoints leave out),
        optimizer, and the sums of the running training loss.
    """
    return [*model.variables, *model.optimizer.variables, *model.metrics_variables]


@dataclasses.dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: Steps done in all.
        seconds: Seconds spent so far in the running epoch.
        history: List of dicts, one for each epoch that was trained and validated.
    """

    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def describe(self, steps: int, epochs: int) -> str:
        """Tells how far the run is.

        Args:
            steps: Steps in an epoch.
            epochs: Epochs of the run.

        Returns:
            String, such as `"epoch 2 of 4"` or `"step 350 of 2,350 in epoch 3 of 4"`.
        """
        epoch = len(self.history)
        done = self.step - epoch * steps
        if done:
            return f"step {done:,} of {steps:,} in epoch {epoch + 1} of {epochs}"
        return f"epoch {epoch} of {epochs}"


class RunState:
    """The states of a run: the newest one and the one before it, in numbered folders.

    A state is written under a name that is not read (`000012.part`), flushed to the disk and
    renamed to a name that never existed. Only then the oldest one is removed. So there is a usable
    state at every moment after the first.

    Args:
        folder: The run folder. The states are in `state/` in it.
        settings: Plain dict of what must not change when the run continues.

    Attributes:
        newest: Folder of the newest state that was saved or loaded. `None` before that.
    """

    def __init__(self, folder: str | os.PathLike, settings: dict[str, Any]):
        self.folder = pathlib.Path(folder) / "state"
        self.settings = settings
        self.newest: pathlib.Path | None = None

    def save(self, variables: Sequence[keras.Variable], progress: Progress) -> None:
        """Writes a state, and removes all but the one before it.

        Args:
            variables: Keras variables, see `run_variables`.
            progress: The `Progress`.

        Raises:
            FloatingPointError: A variable holds nan or inf. Nothing is written.
            OSError: The disk is full, or cannot be written to. The earlier states are untouched.
        """
        arrays = [variable.numpy() for variable in variables]
        _check_finite(variables, arrays, progress.step)
        buffer = io.BytesIO()
        np.savez(buffer, *arrays)
        content = buffer.getbuffer()
        state = {
            "format": _FORMAT,
            **dataclasses.asdict(progress),
            "sha256": hashlib.sha256(content).hexdigest(),
            "settings": self.settings,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        for temporary in self.folder.glob("*.part"):  # left by a run that was killed
            shutil.rmtree(temporary)
        indices = [int(folder.name) for folder in self._complete()]
        final = self.folder / f"{max(indices, default=0) + 1:06d}"
        temporary = final.with_name(f"{final.name}.part")
        try:
            with files.explain_full_disk("the state of the run", self.folder, len(content)):
                files.write_atomic(temporary / "variables.npz", content)
                files.write_json(temporary / "state.json", state)
                os.rename(temporary, final)
                for folder in (self.folder, self.folder.parent):
                    files.sync(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        for old in self._complete():
            if old not in (final, self.newest):
                # Renamed first, so that no state that is half removed has a final name.
                shutil.rmtree(old.rename(old.with_name(f"{old.name}.part")))
        self.newest = final

    def _complete(self):
        """Lists the folders of the states under their final names, the newest last."""
        names = (path for path in self.folder.glob("*") if path.name.isdecimal())
        return sorted(names, key=lambda path: int(path.name))

    def load(self, variables: Sequence[keras.Variable]) -> Progress | None:
        """Loads the newest sound state into the variables.

        Args:
            variables: Keras variables, as passed to `save`.

        Returns:
            The `Progress`, or `None` if there is no state.

        Raises:
            ValueError: The state belongs to other settings, and the message names what differs; it
                is of an earlier version of crnn_keras; or there are states, and all are damaged.
        """
        for folder in reversed(self._complete()):
            try:
                state = files.read_json(folder / "state.json")
                content = (folder / "variables.npz").read_bytes()
                sound = hashlib.sha256(content).hexdigest() == state["sha256"]
            except (OSError, ValueError, KeyError, TypeError):
                sound = False
            if not sound:
                _logger.warning("%s is damaged. The state before it is tried.", folder)
                continue
            self._check_format(folder, state.get("format"))
            self._check_settings(state["settings"])
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                for index, variable in enumerate(variables):
                    variable.assign(arrays[f"arr_{index}"])
            self.newest = folder
            names = [field.name for field in dataclasses.fields(Progress)]
            return Progress(**{name: state[name] for name in names})
        if self._complete():
            raise ValueError(
                f"Every state in {self.folder} is damaged, so the run cannot be continued. Remove "
                "the folder to begin it anew."
            )
        return None

    def _check_format(self, folder, found):
        if found != _FORMAT:
            raise ValueError(
                f"{folder} has the format {found!r}, expected {_FORMAT}: another version of "
                "crnn_keras saved it, so its training cannot be continued. Begin a new run under "
                f"another name, or remove {self.folder}. `model.keras` beside it stays usable."
            )

    def _check_settings(self, saved):
        names = {**saved, **self.settings}
        differ = [n for n in names if saved.get(n) != self.settings.get(n)]
        if differ:
            lines = [f"  {n}: {saved.get(n)!r} saved, {self.settings.get(n)!r} now" for n in differ]
            raise ValueError(
                f"{self.folder} holds a run with other settings:\n" + "\n".join(lines) + "\n"
                "Continue it with its own settings, begin a new run under another name, or remove "
                "the folder."
            )


def _check_finite(variables, arrays, step):
    floats = [
        (variable.path, array)
        for variable, array in zip(variables, arrays, strict=True)
        if np.issubdtype(array.dtype, np.floating)
    ]
    bad = [path for path, array in floats if not np.isfinite(array).all()]
    if bad:
        raise FloatingPointError(
            f"After step {step:,} {len(bad)} of {len(floats)} variables hold nan or inf, the first "
            f"of them {bad[0]}. They are not saved."
        )

"""The states of a run on disk, each complete or not there."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import logging
import os
import pathlib
import shutil
import zipfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from crnn_keras.training.settings import differing_settings, to_plain
from crnn_keras.utils import files
from crnn_keras.utils.checks import (
    COUNT,
    NATURAL,
    NOT_NEGATIVE,
    TEXT,
    Of,
    check_arguments,
    check_value,
)
from crnn_keras.utils.limits import MAX_STATE_JSON_BYTES

if TYPE_CHECKING:
    import keras

    from crnn_keras.model.crnn import CRNN

# Raised when states of before can no longer be continued.
_FORMAT = 4
# Earlier ones had no checksum over `state.json`.
_WITHOUT_CHECKSUM = (1, 2)
# Bytes of an array's header and of its entries in the zip file, with room to spare.
_ENTRY_BYTES = 1024
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

    @check_arguments(steps=COUNT, epochs=COUNT)
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


_FIELDS = dataclasses.fields(Progress)


class RunState:
    """The states of a run: the newest one and the one before it, in numbered folders.

    A state is written under a name that is not read (`000012.part`), flushed to the disk and
    renamed to a name that never existed. Only then the oldest one is removed. So there is a usable
    state at every moment after the first. `state.json` has a checksum over all that it says, the
    checksum of `variables.npz` included: a state in which one bit has changed is not continued.

    One process at a time saves to a folder: `train` holds its lock.

    Args:
        folder: The run folder. The states are in `state/` in it.
        settings: Plain dict of what must not change when the run continues.

    Attributes:
        newest: Folder of the newest state that was saved or loaded. `None` before that.
    """

    def __init__(self, folder: str | os.PathLike, settings: dict[str, Any]):
        self.folder = pathlib.Path(folder) / "state"
        self.settings = to_plain(settings)
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
        state["checksum"] = _checksum(state)
        self.folder.mkdir(parents=True, exist_ok=True)
        for temporary in self.folder.glob("*.part"):  # left by a run that was killed
            files.remove(temporary)
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
                files.remove(old.rename(old.with_name(f"{old.name}.part")))
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
            ValueError: The state belongs to other settings, or to a model of other shapes, and the
                message names what differs; it is of another version of crnn_keras; or there are
                states, and all are damaged.
        """
        other_version = None
        for folder in reversed(self._complete()):
            try:
                state = _read_state(folder)
                self._check_settings(state["settings"])
                arrays = _read_arrays(folder / "variables.npz", state["sha256"], variables)
            except _DamagedError as error:
                other_version = other_version or error.other_version
                _logger.warning("%s is damaged: %s. The state before it is tried.", folder, error)
                continue
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(array)
            self.newest = folder
            return Progress(**{field.name: state[field.name] for field in _FIELDS})
        if other_version:
            raise ValueError(other_version)
        if self._complete():
            raise ValueError(
                f"Every state in {self.folder} is damaged, so the run cannot be continued. Remove "
                "the folder to begin it anew."
            )
        return None

    def _check_settings(self, saved):
        differ = differing_settings(saved, self.settings)
        if differ:
            now = self.settings
            lines = [f"  {n}: {saved.get(n)!r} saved, {now.get(n)!r} now" for n in differ]
            reader = self.folder.with_name("model.keras")
            raise ValueError(
                f"{self.folder} holds a run with other settings:\n" + "\n".join(lines) + "\n"
                "Continue it with its own settings. Or begin a new run, which leaves this one as "
                "it is: another `run` with `records` set to these records, or another `folder` of "
                f"`train`; with `start` set to {reader} it goes on from the best weights of this "
                "run. More epochs alone need no new run where `schedule` is 'constant' or 'step'."
            )


class _DamagedError(Exception):
    """A state that cannot be used, while the one before it may be sound.

    Attributes:
        other_version: What to say if none is sound, since the state may be of another version.
    """

    def __init__(self, reason: object, other_version: str | None = None):
        super().__init__(str(reason).rstrip("."))
        self.other_version = other_version


def _read_state(folder):
    """Returns what a `state.json` says, if its checksum holds and its values have their types."""
    path = folder / "state.json"
    try:
        if not path.is_file() or path.stat().st_size > MAX_STATE_JSON_BYTES:
            raise ValueError(f"state.json is no file of at most {MAX_STATE_JSON_BYTES:,} bytes")
        state = files.read_json(path)
    except (OSError, ValueError) as error:
        raise _DamagedError(error) from None
    if not isinstance(state, dict) or "settings" not in state:
        raise _DamagedError("state.json holds no state")
    found, checksum = state.get("format"), state.pop("checksum", None)
    other_version = None
    if found != _FORMAT:
        other_version = (
            f"{folder} has the format {found!r}, expected {_FORMAT}: another version of crnn_keras "
            "saved it, so its training cannot be continued. Begin a new run under another name, or "
            f"remove {folder.parent}. `model.keras` beside it stays usable."
        )
        if checksum is None and found in _WITHOUT_CHECKSUM:
            raise ValueError(other_version)
    try:
        is_sound = checksum == _checksum(state)
    except RecursionError:  # Brackets as deep as can just be read.
        is_sound = False
    if not is_sound:
        raise _DamagedError("the checksum of state.json does not hold", other_version)
    if other_version:
        raise ValueError(other_version)
    try:
        check_value("step", state.get("step"), NATURAL)
        check_value("seconds", state.get("seconds"), NOT_NEGATIVE)
        check_value("sha256", state.get("sha256"), TEXT)
        check_value("settings", state.get("settings"), Of(dict))
        check_value("history", state.get("history"), Of(list))
        for row in state["history"]:
            check_value("a row of the history", row, Of(dict))
            for name, value in row.items():
                check_value(name, value, Of((int, float)))
    except ValueError as error:
        raise _DamagedError(error) from None
    return state


def _checksum(state):
    """Computes the SHA-256 of a state's JSON in one form: its keys sorted, without blanks."""
    text = json.dumps(state, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _read_arrays(path, digest, variables):
    """Returns the arrays of a `variables.npz`; reads no more than the variables' own sizes."""
    wanted = [variable.numpy() for variable in variables]
    room = sum(array.nbytes for array in wanted) + _ENTRY_BYTES * (len(wanted) + 1)
    try:
        # Not opened otherwise: a pipe would never answer.
        if not path.is_file():
            raise _DamagedError("variables.npz is no file")
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise _DamagedError("the checksum of variables.npz does not hold")
            if (size := file.tell()) > room:
                raise _OtherModelError(f"{size:,} bytes, where at most {room:,} are expected")
            with zipfile.ZipFile(file) as archive:
                return _unpack(archive, variables, wanted)
    except _OtherModelError as error:
        raise ValueError(
            f"{path} belongs to another model: {error}. Continue the run with the model that it "
            "began with, or begin a new run under another name."
        ) from None
    except _DamagedError:
        raise
    except Exception as error:  # A file that was made by hand: zipfile and NumPy raise anything.
        raise _DamagedError(f"variables.npz: {error!r}") from None


class _OtherModelError(Exception):
    """Arrays that are sound but not those of the model's variables."""


def _unpack(archive, variables, wanted):
    entries = archive.infolist()
    if len(entries) != len(wanted):
        raise _OtherModelError(f"{len(entries)} arrays, where {len(wanted)} are expected")
    arrays = []
    for index, (variable, own) in enumerate(zip(variables, wanted, strict=True)):
        entry = archive.getinfo(f"arr_{index}.npy")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise _DamagedError(f"{entry.filename} in variables.npz is compressed")
        with archive.open(entry) as file:
            version = np.lib.format.read_magic(file)
            shape, _, dtype = _READ_HEADER[version](file)
        if (shape, dtype) != (own.shape, own.dtype):
            raise _OtherModelError(
                f"{variable.path} has the shape {shape} in {dtype}, where {own.shape} in "
                f"{own.dtype} is expected"
            )
        with archive.open(entry) as file:
            arrays.append(np.lib.format.read_array(file, allow_pickle=False))
    return arrays


_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


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

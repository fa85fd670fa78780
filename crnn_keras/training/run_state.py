"""The states of a run on disk, each whole or not there."""

import dataclasses
import hashlib
import io
import os
import pathlib
import shutil

import numpy as np

from crnn_keras.utils import files


@dataclasses.dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: steps done in all.
        seconds: spent so far in the epoch under way.
        history: list of dicts, a row for each epoch that was trained and validated.
    """

    step: int = 0
    seconds: float = 0.0
    history: list = dataclasses.field(default_factory=list)

    def place(self, steps, epochs):
        """Says where the run stands.

        Args:
            steps: steps in an epoch.
            epochs: epochs of the run.

        Returns:
            String, such as `"epoch 2 of 4"` or `"step 350 of 2,350 in epoch 3 of 4"`.
        """
        epoch = len(self.history)
        done = self.step - epoch * steps
        if done:
            return f"step {done:,} of {steps:,} in epoch {epoch + 1} of {epochs}"
        return f"epoch {epoch} of {epochs}"


class RunState:
    """The states of a run: the newest one and the one before it, in folders with rising numbers.

    A state is filled under a name that is not read (`000012.part`), flushed to the disk and renamed
    to a name that never existed; only then the oldest one is removed. So there is a usable state
    at every moment after the first.

    Args:
        folder: the run folder; the states go to `state/` in it.
        settings: plain dict of what must not change between the parts of a run.

    Attributes:
        newest: folder of the newest state that was saved or loaded; None before that.
    """

    def __init__(self, folder, settings):
        self.folder = pathlib.Path(folder) / "state"
        self.settings = settings
        self.newest = None

    def save(self, variables, progress):
        """Writes a state, and removes all but the one before it.

        Args:
            variables: list of Keras variables.
            progress: `Progress`.

        Raises:
            FloatingPointError: a variable holds nan or inf; nothing is written.
            OSError: the disk is full, and the like. The earlier states are untouched.
        """
        arrays = [variable.numpy() for variable in variables]
        _refuse_not_finite(variables, arrays, progress.step)
        buffer = io.BytesIO()
        np.savez(buffer, *arrays)
        content = buffer.getbuffer()
        state = {
            **dataclasses.asdict(progress),
            "sha256": hashlib.sha256(content).hexdigest(),
            "settings": self.settings,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        for part in self.folder.glob("*.part"):  # left by a run that was killed
            shutil.rmtree(part)
        numbers = [int(folder.name) for folder in self._complete()]
        whole = self.folder / f"{max(numbers, default=0) + 1:06d}"
        part = whole.with_name(f"{whole.name}.part")
        try:
            with files.explain_full_disk("the state of the run", self.folder, len(content)):
                files.write_atomic(part / "variables.npz", content)
                files.write_json(part / "state.json", state)
                os.rename(part, whole)
                for folder in (self.folder, self.folder.parent):
                    files.sync(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        for old in self._complete():
            if old not in (whole, self.newest):
                # No state that is half removed has the name of a whole one.
                shutil.rmtree(old.rename(old.with_name(f"{old.name}.part")))
        self.newest = whole

    def _complete(self):
        """Folders of the states under their final names, damaged ones too, the newest last."""
        names = (path for path in self.folder.glob("*") if path.name.isdecimal())
        return sorted(names, key=lambda path: int(path.name))

    def load(self, variables):
        """Puts the newest sound state into the variables.

        Args:
            variables: list of Keras variables, as given to `save`.

        Returns:
            `Progress`; None if there is no state.

        Raises:
            ValueError: the state belongs to other settings; the message names what differs. Or
                there are states, and all are damaged.
        """
        for folder in reversed(self._complete()):
            try:
                state = files.read_json(folder / "state.json")
                content = (folder / "variables.npz").read_bytes()
                sound = hashlib.sha256(content).hexdigest() == state["sha256"]
            except (OSError, ValueError, KeyError, TypeError):
                sound = False
            if not sound:
                print(f"{folder} is damaged: looking for an earlier state.", flush=True)
                continue
            self._refuse_other_settings(state["settings"])
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                for number, variable in enumerate(variables):
                    variable.assign(arrays[f"arr_{number}"])
            self.newest = folder
            names = [field.name for field in dataclasses.fields(Progress)]
            return Progress(**{name: state[name] for name in names})
        if self._complete():
            raise ValueError(
                f"Every state in {self.folder} is damaged, so the run cannot be continued. Remove "
                "the folder to begin it anew."
            )
        return None

    def _refuse_other_settings(self, there):
        names = {**there, **self.settings}
        differ = [n for n in names if there.get(n) != self.settings.get(n)]
        if differ:
            lines = [f"  {n}: {there.get(n)!r} there, {self.settings.get(n)!r} now" for n in differ]
            raise ValueError(
                f"{self.folder} holds a run with other settings:\n" + "\n".join(lines) + "\n"
                "Continue it with its own settings, begin a new run under another name, or remove "
                "the folder."
            )


def _refuse_not_finite(variables, arrays, step):
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

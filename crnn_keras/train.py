"""Training with a state on disk: a run that is killed goes on to the same weights.

A run folder holds `model.keras` (the newest epoch's reader), `history.csv` (a line an epoch),
`curve.json` (settings) and `state/epoch-00007/` (weights, optimizer and seeds of the last epochs).
"""

import csv
import hashlib
import io
import json
import math
import os
import pathlib
import shutil
import time

import keras
import numpy as np

from crnn_keras import __version__, files
from crnn_keras.ctc import CTCLayer, ctc_loss
from crnn_keras.decode import best_path
from crnn_keras.evaluate import evaluate
from crnn_keras.progress import ProgressLine

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "step", "constant")
HISTORY_COLUMNS = (
    "epoch",
    "steps",
    "learning_rate",
    "train_loss",
    "loss",
    "sequence_distance",
    "word_accuracy",
    "character_accuracy",
    "left_out",
    "seconds",
)
_KEPT_STATES = 2


def make_schedule(schedule, learning_rate, total_steps):
    """Learning rate as a function of the step.

    Args:
        schedule: `"cosine"`: up in a twentieth of the steps, then down to 0 along a cosine;
            `"step"`: times 0.1 every 10,000 steps, the old project's; `"constant"`.
        learning_rate: the largest value.
        total_steps: steps of the whole run, used by `"cosine"`.

    Returns:
        A Keras schedule or a float.

    Raises:
        ValueError: the schedule is unknown.
    """
    if schedule == "cosine":
        warmup = max(total_steps // 20, 1)
        return keras.optimizers.schedules.CosineDecay(
            learning_rate / 100,
            max(total_steps - warmup, 1),
            warmup_target=learning_rate,
            warmup_steps=warmup,
        )
    if schedule == "step":
        return keras.optimizers.schedules.ExponentialDecay(
            learning_rate, decay_steps=10_000, decay_rate=0.1, staircase=True
        )
    if schedule == "constant":
        return learning_rate
    raise ValueError(f"Schedule {schedule!r} is unknown. Expected one of {SCHEDULES}.")


def make_optimizer(optimizer, learning_rate):
    """An optimizer with clipped gradients.

    Args:
        optimizer: `"adamw"` or `"sgd"` (momentum 0.9, as in the old project).
        learning_rate: float or Keras schedule.

    Returns:
        A Keras optimizer.

    Raises:
        ValueError: the optimizer is unknown.
    """
    if optimizer == "adamw":
        return keras.optimizers.AdamW(learning_rate, weight_decay=0.01, global_clipnorm=5.0)
    if optimizer == "sgd":
        return keras.optimizers.SGD(learning_rate, momentum=0.9, global_clipnorm=5.0)
    raise ValueError(f"Optimizer {optimizer!r} is unknown. Expected one of {OPTIMIZERS}.")


def training_model(model, longest_label):
    """The reader with its loss: `{canvas, labels, frames}` in, one loss an image out.

    Args:
        model: a `CRNN`.
        longest_label: length of the label rows.

    Returns:
        `keras.Model` that shares the reader's weights.
    """
    canvas = keras.Input(model.input_shape[1:], name="canvas")
    labels = keras.Input((longest_label,), dtype="int32", name="labels")
    frames = keras.Input((), dtype="int32", name="frames")
    loss = CTCLayer(name="ctc")([model(canvas), labels, frames])
    return keras.Model({"canvas": canvas, "labels": labels, "frames": frames}, loss)


def _mean_of_losses(_, losses):
    return keras.ops.mean(losses)


def _refuse_other_batches(model, batches):
    if batches.char_dict != model.char_dict:
        differ = model.char_dict.difference(batches.char_dict)
        raise ValueError(f"The model and the batches have other characters: {differ}.")
    if batches.canvas != model.canvas:
        raise ValueError(f"The model reads {model.canvas}, the batches hold {batches.canvas}.")


def validate(model, batches):
    """Reads every record of a set once and compares with the labels.

    Args:
        model: a `CRNN`.
        batches: a `dataset.Batches`.

    Returns:
        Tuple of the mean CTC loss in nats and an `evaluate.Report` in the order of
        `batches.texts`.

    Raises:
        ValueError: the batches have another char dict or canvas than the model.
    """
    _refuse_other_batches(model, batches)
    total, decoded = 0.0, [None] * len(batches)
    for inputs, positions in batches.once():
        logits = model.predict_on_batch(inputs["canvas"])
        losses = ctc_loss(logits, inputs["labels"], inputs["frames"])
        total += float(keras.ops.convert_to_numpy(losses)[: len(positions)].sum())
        for position, reading in zip(
            positions, best_path(logits, inputs["frames"], model.char_dict), strict=False
        ):
            decoded[position] = reading
    report = evaluate(
        batches.texts, [reading.text for reading in decoded], [r.confidence for r in decoded]
    )
    return total / len(batches), report


class RunState:
    """States of a run on disk, each whole or not there.

    Args:
        folder: the run folder.
        settings: plain dict of what must not change between the parts of a run.
    """

    def __init__(self, folder, settings):
        self.folder = pathlib.Path(folder) / "state"
        self.settings = settings

    def save(self, epoch, variables, history):
        """Writes the state after an epoch and removes the oldest ones.

        Args:
            epoch: number of finished epochs.
            variables: list of Keras variables.
            history: list of dicts, a row an epoch.
        """
        name = f"epoch-{epoch:05d}"
        part = self.folder / f"{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        try:
            buffer = io.BytesIO()
            np.savez(buffer, *[variable.numpy() for variable in variables])
            weights = buffer.getvalue()
            files.write_atomic(part / "variables.npz", weights)
            state = {
                "epoch": epoch,
                "sha256": hashlib.sha256(weights).hexdigest(),
                "settings": self.settings,
                "history": history,
            }
            files.write_json(part / "state.json", state)
            shutil.rmtree(self.folder / name, ignore_errors=True)
            os.rename(part, self.folder / name)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        for old in self._complete()[:-_KEPT_STATES]:
            shutil.rmtree(old)

    def _complete(self):
        return sorted(p for p in self.folder.glob("epoch-*") if p.suffix != ".part")

    def load(self, variables):
        """Puts the newest sound state into the variables.

        Args:
            variables: list of Keras variables, as given to `save`.

        Returns:
            The history, a row a finished epoch; empty if there is no state.

        Raises:
            ValueError: the state belongs to other settings; the message names what differs. Or
                there are states, and all are damaged.
        """
        for folder in reversed(self._complete()):
            try:
                state = files.read_json(folder / "state.json")
                weights = (folder / "variables.npz").read_bytes()
                sound = hashlib.sha256(weights).hexdigest() == state["sha256"]
            except (OSError, ValueError, KeyError, TypeError):
                sound = False
            if not sound:
                print(f"{folder} is damaged: looking for an earlier state.", flush=True)
                continue
            self._refuse_other_settings(state["settings"])
            with np.load(io.BytesIO(weights), allow_pickle=False) as arrays:
                for number, variable in enumerate(variables):
                    variable.assign(arrays[f"arr_{number}"])
            return state["history"]
        if self._complete():
            raise ValueError(
                f"Every state in {self.folder} is damaged, so the run cannot be continued. Remove "
                "the folder to begin it anew."
            )
        return []

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


class _EndOfEpoch(keras.callbacks.Callback):
    """Validates, writes the history, the state and the reader, and says so in a line."""

    def __init__(self, reader, validation, state, variables, history, batches, epochs):
        super().__init__()
        self.reader = reader
        self.validation = validation
        self.state = state
        self.tracked = variables
        self.history = history
        self.left_out = len(batches.left_out) + len(validation.left_out)
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.monotonic()
        self.line = ProgressLine(self.params["steps"], f"epoch {epoch + 1} of {self.epochs}")
        self.line.__enter__()

    def on_train_batch_end(self, batch, logs=None):
        self.line.step(batch + 1, f"loss {logs['loss']:.3f}")

    def on_epoch_end(self, epoch, logs=None):
        self.line.__exit__()
        if not math.isfinite(logs["loss"]):
            raise ValueError(
                f"The training loss of epoch {epoch + 1} is {logs['loss']}: the learning rate is "
                "too large. Begin a new run with a smaller one under another name."
            )
        loss, report = validate(self.reader, self.validation)
        optimizer = self.model.optimizer
        row = {
            "epoch": epoch + 1,
            "steps": int(optimizer.iterations),
            "learning_rate": float(keras.ops.convert_to_numpy(optimizer.learning_rate)),
            "train_loss": logs["loss"],
            "loss": loss,
            "sequence_distance": sum(c.distance for c in report.cases) / len(report.cases),
            "word_accuracy": report.word_accuracy,
            "character_accuracy": 1 - report.cer,
            "left_out": self.left_out,
            "seconds": round(time.monotonic() - self.started, 1),
        }
        self.history.append(row)
        self.state.save(epoch + 1, self.tracked, self.history)
        write_history(self.state.folder.parent / "history.csv", self.history)
        save_model(self.reader, self.state.folder.parent / "model.keras")
        print(
            f"epoch {epoch + 1:3d} of {self.epochs}: training loss {row['train_loss']:7.3f}, "
            f"validation loss {loss:7.3f}, word accuracy {report.word_accuracy:7.2%}, "
            f"character accuracy {row['character_accuracy']:7.2%}, {row['seconds']:.0f} s",
            flush=True,
        )


def write_history(path, history):
    """Writes a history as csv, whole or not at all.

    Args:
        path: file to write.
        history: list of dicts with the keys of `HISTORY_COLUMNS`.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, HISTORY_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    files.write_atomic(path, buffer.getvalue().encode())


def save_model(model, path):
    """Saves a reader with its char dict and canvas, whole or not at all.

    Args:
        model: a `CRNN`.
        path: file to write; must end in `.keras`.
    """
    path = pathlib.Path(path)
    part = path.with_name("part-" + path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        model.save(part)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def train(
    model,
    batches,
    validation,
    folder,
    epochs,
    steps_per_epoch=0,
    optimizer="adamw",
    schedule="cosine",
    learning_rate=2e-3,
):
    """Trains a reader; continues where an earlier call with the same settings was stopped.

    A continued run ends with the weights of an unbroken one, bit for bit, on the same backend and
    with the same number of CPU threads. The history's `left_out` counts the records of both sets
    that are in no batch.

    Args:
        model: a `CRNN` with fresh weights, or those of `extend.reader_from`.
        batches: a `dataset.Batches` to train on.
        validation: a `dataset.Batches` to measure on after each epoch.
        folder: the run folder.
        epochs: number of epochs in all, those before an interruption included.
        steps_per_epoch: batches in an epoch; 0: one pass over the records.
        optimizer: see `make_optimizer`.
        schedule: see `make_schedule`.
        learning_rate: see `make_schedule`.

    Returns:
        The history: a list of dicts with the keys of `HISTORY_COLUMNS`, a row an epoch.

    Raises:
        ValueError: the folder holds a run with other settings, a setting is unknown, the batches
            have another char dict or canvas than the model, or the loss is no longer finite.
    """
    folder = pathlib.Path(folder)
    for data in (batches, validation):
        _refuse_other_batches(model, data)
    steps = steps_per_epoch or batches.steps_per_pass
    settings = {
        "epochs": epochs,
        "steps_per_epoch": steps,
        "optimizer": optimizer,
        "schedule": schedule,
        "learning_rate": learning_rate,
        "batch_size": batches.batch_size,
        "seed": batches.seed,
        "shuffle": batches.shuffle,
        "augment": batches.augment,
        "records": batches.records.fingerprint[:16],
        "validation": validation.records.fingerprint[:16],
        "char_dict": f"{model.char_dict!r} {_fingerprint(model.char_dict)}",
        "canvas": model.canvas.get_config(),
        "preset": model.preset,
        "model_seed": model.seed,
        "origin": model.origin,
        "versions": f"crnn_keras {__version__}, keras {keras.__version__}",
        "backend": keras.backend.backend(),
    }
    whole = training_model(model, batches.labels.shape[1])
    rate = make_schedule(schedule, learning_rate, epochs * steps)
    whole.compile(optimizer=make_optimizer(optimizer, rate), loss=_mean_of_losses)
    whole.optimizer.build(whole.trainable_variables)
    # Model.variables counts the seeds of the dropout, which Keras' own checkpoints forget.
    variables = [*whole.variables, *whole.optimizer.variables]
    state = RunState(folder, settings)
    history = state.load(variables)
    if history:
        print(f"{folder} stands after epoch {len(history)} of {epochs}.", flush=True)
    if len(history) < epochs:
        whole.fit(
            batches.training(start_step=len(history) * steps),
            initial_epoch=len(history),
            epochs=epochs,
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
            callbacks=[_EndOfEpoch(model, validation, state, variables, history, batches, epochs)],
        )
    write_history(folder / "history.csv", history)
    save_model(model, folder / "model.keras")
    return history


def _fingerprint(char_dict):
    config = json.dumps(char_dict.get_config(), sort_keys=True)
    return hashlib.sha256(config.encode()).hexdigest()[:16]

"""The runs in `data/` and `reports/`, with their figures side by side."""

from __future__ import annotations

import contextlib
import csv
import datetime
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from crnn_keras.data.records.sidecar import fingerprint, join_fingerprints, read_sidecar
from crnn_keras.notebook.run import is_run_name, read_results
from crnn_keras.utils import files
from crnn_keras.utils.checks import COUNT, FRACTION, NATURAL, TEXT, Of, check_value
from crnn_keras.utils.limits import MAX_STATE_JSON_BYTES

# Digits of a set's fingerprint in the settings of a training.
_DIGITS = 16
# Characters of a start, which may be a path.
_LONGEST = 60
_SPLITS = ("train", "validation", "test")
# The training of a run, that of its Chinese lines, and the one that a fine-tuning was measured on.
_TRAININGS = ("train", "measured", "*/train")
# Notebooks whose results are those of another training than the run's own.
_OTHERS = {"07_chinese": "chinese", "08_teach_it_your_images": "taught"}


@dataclass
class RunSummary:
    """What is known of a training, or of a run that has none yet.

    Args:
        run: Name of the run; with its folder if the training is not the run's own: `"a/chinese"`.
        when: When the training or its results were written last, such as `"2026-05-01 12:30"`.
        start: Architecture, and what the weights were at first.
        records: Run whose records were trained on: `"own"`, the name of another one, or
            `"elsewhere"` for records that are in no run now, several sets among them; `"drawn"` for
            words that were drawn while it trained.
        images: Number of these images, if the records are in a run.
        epochs: Number of epochs that are done.
        planned: Number of epochs that were asked for.
        validation: The best word accuracy on the validation set.
        test: Word accuracy on the test set.
        low: Lower end of its 95 % interval.
        high: Upper end of its interval.
        test_images: Number of images that it was measured on.
        measured: The model that was measured, if it is not that of the training.
        model: Path of the model.
        damaged: A sentence for each file that cannot be read.
    """

    run: str
    when: str = ""
    start: str = ""
    records: str = ""
    images: int | None = None
    epochs: int | None = None
    planned: int | None = None
    validation: float | None = None
    test: float | None = None
    low: float | None = None
    high: float | None = None
    test_images: int | None = None
    measured: str = ""
    model: str = ""
    damaged: list[str] = field(default_factory=list)


def list_runs(
    data: str | os.PathLike = "data", reports: str | os.PathLike = "reports"
) -> list[RunSummary]:
    """Lists the runs, the one that was written last first.

    Nothing is written, and no model is loaded. A file that is damaged or half written is named in
    the run's `damaged`, and the rest of the run is listed all the same.

    Args:
        data: Folder of what notebooks read. Defaults to `"data"`.
        reports: Folder of what people read. Defaults to `"reports"`.

    Returns:
        List of `RunSummary`s. Folders that hold nothing of a run are not in it.

    Example:

        >>> import tempfile
        >>> list_runs(tempfile.mkdtemp(), tempfile.mkdtemp())
        []
    """
    data, reports = pathlib.Path(data), pathlib.Path(reports)
    names = {path.name for folder in (data, reports) for path in _listed(folder) if path.is_dir()}
    sets = dict(_find_sets(data))
    rows = []
    for name in sorted(filter(is_run_name, names)):
        rows += _summarize(name, data / name, reports / name, sets=sets)
    return sorted(rows, key=lambda row: row.when, reverse=True)


def _listed(folder: pathlib.Path) -> list[pathlib.Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _find_sets(data: pathlib.Path) -> Iterator[tuple[str, tuple[str, int]]]:
    """Yields the fingerprint of each set to train on, its run and its number of records.

    That of all splits together comes too: a fine-tuning ends with all images.
    """
    for pattern in ("*/records", "*/*/records"):
        for folder in sorted(data.glob(pattern)):
            owner, infos = folder.parent.relative_to(data).as_posix(), []
            for split in _SPLITS:
                with contextlib.suppress(ValueError, OSError):
                    infos.append(read_sidecar(folder / split))
                    if split == "train":
                        yield fingerprint(infos[0])[:_DIGITS], (owner, infos[0]["records"])
            joined = join_fingerprints(map(fingerprint, infos))
            yield joined[:_DIGITS], (owner, sum(info["records"] for info in infos))


def _summarize(
    name: str, data: pathlib.Path, reports: pathlib.Path, *, sets: Mapping[str, tuple[str, int]]
) -> list[RunSummary]:
    """Returns a row for each training of a run, or one for the records that it has so far."""
    main = RunSummary(name)
    results = _read(main, reports / "results.json", lambda path: read_results(path.parent)) or {}
    rows, written = {name: main}, {name: [reports / "results.json", data / "records"]}
    for pattern in _TRAININGS:
        for folder in sorted(data.glob(pattern)):
            if (folder / "state").is_dir() or (folder / "model.keras").is_file():
                parts = [part for part in folder.relative_to(data).parts if part != "train"]
                own = "/".join([name, *parts])
                row = rows.setdefault(own, RunSummary(own))
                written.setdefault(own, []).extend([folder / "state", folder / "model.keras"])
                _add_training(row, folder, sets=sets)
    if main.epochs is None:
        # The set to train on comes before all splits together.
        main.images = next((count for owner, count in sets.values() if owner == name), None)
        main.records = "own" if main.images is not None else ""
    for notebook, result in results.items():
        own = f"{name}/{_OTHERS[notebook]}" if notebook in _OTHERS else name
        if own in rows and "interval_95" in result:
            _add_result(rows[own], result, reports / "results.json")
    for own, row in rows.items():
        row.when = _newest(written[own])
    has_training = main.records or main.model or main.epochs is not None
    if not (has_training or main.damaged or main.test or results and len(rows) == 1):
        del rows[name]
    return list(rows.values())


def _newest(paths: list[pathlib.Path]) -> str:
    seconds = [path.stat().st_mtime for path in paths if path.exists()]
    return f"{datetime.datetime.fromtimestamp(max(seconds)):%Y-%m-%d %H:%M}" if seconds else ""


def _read(row: RunSummary, path: pathlib.Path, read: Callable[[pathlib.Path], Any]) -> Any:
    """Returns what a function reads; None if there is no such file or it is damaged."""
    try:
        if not os.path.lexists(path):
            return None
        # A pipe would never answer.
        if not path.is_file() or path.stat().st_size > MAX_STATE_JSON_BYTES:
            raise ValueError(f"no file of at most {MAX_STATE_JSON_BYTES:,} bytes")
        return read(path)
    except (ValueError, OSError, KeyError, TypeError, csv.Error) as error:
        text = " ".join(str(error).split())
        row.damaged.append(text if str(path) in text else f"{path}: {text}")
        return None


def _add_training(
    row: RunSummary, folder: pathlib.Path, *, sets: Mapping[str, tuple[str, int]]
) -> None:
    """Fills in what the newest state says that can be read; without one, the csv beside it."""
    if (folder / "model.keras").is_file():
        row.model = str(folder / "model.keras")
    names = [path for path in _listed(folder / "state") if path.name.isdecimal()]
    for path in sorted(names, key=lambda path: int(path.name), reverse=True):
        if found := _read(row, path / "state.json", _read_state):
            break
    else:
        if accuracies := _read(row, folder / "history.csv", _read_history):
            row.epochs, row.validation = len(accuracies), max(accuracies)
        return
    settings, accuracies = found
    row.epochs, row.planned = len(accuracies), settings["epochs"]
    row.validation = max(accuracies, default=None)
    row.start = f"{settings.get('architecture')}, {settings.get('origin')}"[:_LONGEST]
    owner, row.images = sets.get(settings["records"], ("elsewhere", None))
    row.records = "own" if owner == row.run else owner
    if str(settings["records"]).startswith("drawn "):
        row.records = "drawn"


def _read_state(path: pathlib.Path) -> tuple[dict[str, Any], list[float]]:
    """Returns the settings of a `state.json`, and the word accuracy of each epoch."""
    state = files.read_json(path)
    check_value("the state", state, Of(dict))
    check_value("settings", state.get("settings"), Of(dict))
    check_value("epochs", state["settings"].get("epochs"), COUNT)
    check_value("records", state["settings"].get("records"), TEXT)
    check_value("history", state.get("history"), Of(list))
    return state["settings"], list(map(_accuracy, state["history"]))


def _read_history(path: pathlib.Path) -> list[float]:
    with open(path, encoding="utf-8", newline="") as file:
        return [
            _accuracy({"word_accuracy": float(r["word_accuracy"])}) for r in csv.DictReader(file)
        ]


def _accuracy(epoch: Any) -> float:
    check_value("an epoch", epoch, Of(dict))
    check_value("word_accuracy", epoch.get("word_accuracy"), FRACTION)
    return epoch["word_accuracy"]


def _add_result(row: RunSummary, result: Mapping[str, Any], path: pathlib.Path) -> None:
    """Fills in a measurement; one that is damaged is named."""
    try:
        check_value("word_accuracy", result.get("word_accuracy"), FRACTION)
        check_value("images", result.get("images"), NATURAL)
        low, high = result["interval_95"]
        check_value("interval_95", low, FRACTION)
        check_value("interval_95", high, FRACTION)
    except (ValueError, TypeError) as error:
        row.damaged.append(f"{path}: {error}")
        return
    row.test, row.low, row.high = result["word_accuracy"], low, high
    row.test_images = result["images"]
    if "start" in result and row.start:
        row.start = f"{row.start.partition(',')[0]}, {result['start']}"[:_LONGEST]
    model = str(result.get("model", row.model))
    row.measured = "" if model == row.model else model

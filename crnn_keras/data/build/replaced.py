"""What a preparation says before it replaces or removes a set of before."""

from __future__ import annotations

import contextlib
import pathlib

from crnn_keras.data.records.sidecar import SIDECAR, fingerprint, read_sidecar

# Digits of a set's fingerprint in the settings of a training.
_DIGITS = 16


def records_in(folder: pathlib.Path) -> int:
    """Returns how many records a set has; 0 if there is none."""
    info = _info(folder)
    return info["records"] if info else 0


def announce_replacement(folder: pathlib.Path, *, is_removed: bool = False) -> None:
    """Prints a line if a folder holds a set that is about to go.

    Args:
        folder: folder of the set.
        is_removed: whether no other takes its place. Defaults to `False`.
    """
    info = _info(folder)
    if not info:
        return
    digest = info.get("specification")
    facts = [f"{info['records']:,} records", *([f"specification {digest[:8]}"] if digest else [])]
    line = f"the set of before ({', '.join(facts)})"
    if trainings := _trained_on(folder, fingerprint(info)[:_DIGITS]):
        line = f"{line}, on which {', '.join(map(str, trainings))} was trained"
    how = "removes" if is_removed else "replaces"
    reason = ", for no split of now has this name" if is_removed else ""
    print(f"{folder}: {how} {line}{reason}", flush=True)


def _info(folder):
    with contextlib.suppress(ValueError, OSError):
        return read_sidecar(folder) if (folder / SIDECAR).exists() else None


def _trained_on(folder, start):
    """Lists the folders of the trainings beside a run's records whose states name a set."""
    run = folder.parent.parent if folder.parent.name == "records" else None
    states = run.glob("*/state/*/state.json") if run else ()
    found = set()
    for state in states:
        with contextlib.suppress(OSError):
            if start in state.read_text(encoding="utf-8", errors="replace"):
                found.add(state.parents[2])
    return sorted(found)

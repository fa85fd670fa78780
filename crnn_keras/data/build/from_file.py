"""The records of a specification's file, on this machine or on Beam: `crnn-keras prepare`."""

from __future__ import annotations

import os
from collections.abc import Sequence

from crnn_keras.data.build.local import prepare
from crnn_keras.data.build.specification import Specification
from crnn_keras.utils.checks import COUNT, check_arguments
from crnn_keras.utils.extras import naming_extras


@check_arguments(processes=COUNT.or_none())
def prepare_from_file(
    specification_path: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    processes: int | None = None,
    beam_options: Sequence[str] | None = None,
) -> dict:
    """Writes the set of a specification's file: only shards that are missing or damaged.

    Args:
        specification_path: JSON file that `Specification.save` wrote.
        folder: path of the set's folder; with Beam also one that its file systems know, such as
            `"gs://bucket/train"`.
        processes: int, how many processes work. Defaults to `None`: as many as there are cores.
        beam_options: list of Beam's command line options, such as `["--runner=DataflowRunner"]`;
            an empty list is for Beam on this machine. Defaults to `None`: work without Beam.

    Returns:
        The sidecar's content, a dict; see `prepare`.

    Raises:
        ValueError: the file is not a specification, no row is usable, `folder` holds something
            else.
        ModuleNotFoundError: Beam is not installed.
        OSError: the file is missing, the disk is full, and the like.
    """
    specification = Specification.load(specification_path)
    if beam_options is None:
        return prepare(specification, folder, processes=processes)
    with naming_extras("prepare_from_file(beam_options=...)"):
        from crnn_keras.data.build.beam import prepare_on_beam
    return prepare_on_beam(specification, folder, beam_options)

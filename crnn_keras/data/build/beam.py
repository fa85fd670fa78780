"""Preparation on many machines by Apache Beam: the same function, the same bytes.

Needs the extra `beam`. Which runner works, and where, is a matter of Beam's own options; see
`docs/many_machines.md`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import secrets
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from crnn_keras.data.build.lists import SKIPPED
from crnn_keras.data.build.notes import (
    OTHER_BYTES,
    SPECIFICATION,
    are_notes,
    make_notes,
    notes_name,
    repair_error,
    sidecar_of,
    write_skipped,
)
from crnn_keras.data.build.shards import make_shard
from crnn_keras.data.build.specification import Specification
from crnn_keras.data.issues import issue_line
from crnn_keras.data.records.sidecar import SIDECAR, check_sidecar, shard_name
from crnn_keras.data.records.splits import check_stands_alone
from crnn_keras.utils import files
from crnn_keras.utils.locks import lock


def prepare_on_beam(
    specification: Specification, folder: str | os.PathLike, options: Sequence[str] = ()
) -> dict:
    """Writes the set of a specification by a Beam pipeline.

    A shard whose file and notes are there already, from a pipeline that was stopped, is not made
    again. The sidecar is written last: without it there is no set. If the set is there already,
    every shard is read, and those that are missing or damaged are made again; the listed images are
    read too, since others under the same names would need other lists. A folder of this machine is
    locked. Of two pipelines in one folder of a cluster, the second is refused only if it has
    another specification.

    Args:
        specification: a `Specification`. What it names (lists, images, fonts) must lie under
            the same paths on every worker.
        folder: folder of the set: a path that every worker sees, or one that Beam's file systems
            know, such as `"gs://bucket/train"`.
        options: list of Beam's command line options, such as `["--runner=DataflowRunner", ...]`.
            Defaults to `()`: Beam's direct runner works on this machine.

    Returns:
        The sidecar's content, a dict.

    Raises:
        ValueError: the folder belongs to another specification, or a listed image is another one
            than when it was listed.
        LockedError: another preparation writes there.
        RuntimeError: a worker failed, for example because its fonts or its Pillow are others than
            here, so that its bytes would be too.
    """
    folder = str(folder)
    if isinstance(options, str):
        raise ValueError(f"The options of Beam are {options!r}. Expected a list of them.")
    is_local = "://" not in folder
    with lock(folder, "the records") if is_local else contextlib.nullcontext():
        if is_local and not os.path.exists(os.path.join(folder, SIDECAR)):
            check_stands_alone(folder)
        return _prepare(specification, folder, list(options))


def _prepare(specification, folder, options):
    work = {
        "config": specification.get_config(),
        "digest": specification.digest,
        "folder": folder,
    }
    _resume_or_start(specification, folder)
    exists = FileSystems.exists(_join(folder, SIDECAR))
    shards = _read_sidecar(folder)["shards"] if exists else []
    with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
        if exists:
            rows = pipeline | "shards" >> beam.Create(list(enumerate(shards)))
            spread = rows | "spread" >> beam.Reshuffle()
            _ = spread | "repair shards" >> beam.Map(_repair_shard, **work)
        else:
            rows = pipeline | "shards" >> beam.Create(range(len(specification.source)))
            spread = rows | "spread" >> beam.Reshuffle()
            infos = spread | "make shards" >> beam.Map(_write_shard, **work)
            collected = infos | "collect" >> beam.CombineGlobally(beam.combiners.ToListCombineFn())
            _ = collected | "write the sidecar" >> beam.Map(_write_sidecar, **work)
    # After the sidecar: whoever is stopped here leaves a complete set.
    _delete_notes(folder)
    return _read_sidecar(folder)


def _join(folder, name):
    return FileSystems.join(folder, name)


def _write(path, content):
    """Writes a file that has its name only when it is complete, also on disks."""
    # Runners may make a shard twice at once.
    partial = f"{path}.{secrets.token_hex(8)}.part"
    with FileSystems.create(partial, "application/octet-stream") as file:
        file.write(content)
    if FileSystems.exists(path):
        FileSystems.delete([path])
    FileSystems.rename([partial], [path])


def _read_json(path):
    with FileSystems.open(path) as file:
        content = file.read()
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from None


def _read_sidecar(folder):
    return check_sidecar(_read_json(_join(folder, SIDECAR)), folder)


def _write_json(path, content):
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    _write(path, text.encode("utf-8", "backslashreplace"))


def _is_intact(path, shard):
    """Whether a file exists and has the hash that `shard` names."""
    if not FileSystems.exists(path):
        return False
    digest = hashlib.sha256()
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest() == shard["sha256"]


def _resume_or_start(specification, folder):
    """Continues what an earlier pipeline left of the same specification, or begins a folder."""
    path = _join(folder, SPECIFICATION)
    if FileSystems.exists(path):
        with files.prefix_errors(path):
            earlier = Specification.from_config(_read_json(path)).digest
        if earlier != specification.digest:
            raise ValueError(
                f"{path} is another specification. Remove {folder} or name another folder."
            )
        return
    if "://" not in folder and not FileSystems.exists(folder):
        FileSystems.mkdirs(folder)
    _write_json(path, specification.get_config())


def _make(index, config, digest):
    """Makes a shard, if this machine makes the bytes that the first one would."""
    specification = Specification.from_config(config)
    if specification.digest != digest:
        raise ValueError(
            "This worker would make other records than the machine that began: its lists, its "
            "fonts, or its versions of Pillow and numpy are others. Give all one image."
        )
    return make_shard(specification, index)


def _write_shard(index, *, config, digest, folder):
    path = _join(folder, notes_name(index))
    notes = _read_notes(path, index, digest)
    if notes and _is_intact(_join(folder, shard_name(index)), notes):
        return index, notes
    content, info = _make(index, config, digest)
    notes = make_notes(info, digest)
    _write(_join(folder, info["file"]), content)
    _write_json(path, notes)
    return index, notes


def _read_notes(path, index, digest):
    """Returns the notes of a shard; None if there are none, half of them, or another set's."""
    try:
        notes = _read_json(path) if FileSystems.exists(path) else None
    except ValueError:
        return None
    return notes if are_notes(notes, index, digest) else None


def _repair_shard(indexed, *, config, digest, folder):
    index, shard = indexed
    path = _join(folder, shard["file"])
    if _is_intact(path, shard):
        if change := Specification.from_config(config).source.first_change(index):
            raise repair_error(folder, {shard["file"]: change})
        return
    content, info = _make(index, config, digest)
    if info["sha256"] != shard["sha256"]:
        raise repair_error(folder, {shard["file"]: OTHER_BYTES})
    _write(path, content)


def _write_sidecar(indexed, *, config, digest, folder):
    skipped = io.BytesIO()
    skipped.write(issue_line())
    infos = [info for _, info in sorted(indexed, key=lambda pair: pair[0])]
    shards = [write_skipped(skipped, info) for info in infos]
    content = sidecar_of(Specification.from_config(config), shards)
    if not content["records"]:
        raise ValueError(f"No row is usable. The first: {' '.join(infos[0]['skipped'][0][1:])}")
    _write(_join(folder, SKIPPED), skipped.getvalue())
    _write_json(_join(folder, SIDECAR), content)


def _delete_notes(folder):
    """Deletes the notes, and what workers left half written."""
    (found,) = FileSystems.match([_join(folder, "*")])
    own = re.compile(r"[0-9]+\.json|.+\.[0-9a-f]{16}\.part")
    names = [file.path for file in found.metadata_list]
    left = [path for path in names if own.fullmatch(FileSystems.split(path)[1])]
    if left:
        FileSystems.delete(left)

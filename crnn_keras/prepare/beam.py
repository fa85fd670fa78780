"""Preparation on many machines by Apache Beam: the same function, the same bytes.

Needs the extra `beam`. Which runner works, and where, is a matter of Beam's own options; see
`docs/many_machines.md`.
"""

import json

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from crnn_keras.prepare.lists import LEFT_OUT
from crnn_keras.prepare.local import SPECIFICATION, finish, left_out_of
from crnn_keras.prepare.shards import make_shard
from crnn_keras.prepare.specification import Specification
from crnn_keras.records.shard import SIDECAR, shard_name
from crnn_keras.samples import problem_line


def prepare_on_beam(specification, folder, options=()):
    """Writes the set of a specification by a Beam pipeline.

    A shard whose file and notes are there already, from a pipeline that was stopped, is not made
    again. The sidecar is written last: without it there is no set.

    Args:
        specification: a `Specification`. What it names (lists, pictures, fonts) must lie under
            the same paths on every worker.
        folder: folder of the set: a path that every worker sees, or one that Beam's file systems
            know, such as `gs://bucket/train`.
        options: Beam's command line options, such as `["--runner=DataflowRunner", ...]`; without
            them Beam's direct runner works on this machine.

    Raises:
        ValueError: the folder belongs to another specification.
    """
    config, folder = specification.get_config(), str(folder)
    _claim(specification, folder)
    with beam.Pipeline(options=PipelineOptions(list(options))) as pipeline:
        _ = (
            pipeline
            | "shard numbers" >> beam.Create(range(len(specification.source)))
            | "spread" >> beam.Reshuffle()
            | "make shards" >> beam.Map(_write_shard, config, folder)
            | "collect" >> beam.CombineGlobally(beam.combiners.ToListCombineFn())
            | "write the sidecar" >> beam.Map(_write_sidecar, config, folder)
        )


def _join(folder, name):
    return FileSystems.join(folder, name)


def _write(path, content):
    """Writes a file that has its name only when it is whole, also on disks."""
    part = path + ".part"
    with FileSystems.create(part, "application/octet-stream") as file:
        file.write(content)
    if FileSystems.exists(path):
        FileSystems.delete([path])
    FileSystems.rename([part], [path])


def _read_json(path):
    with FileSystems.open(path) as file:
        return json.loads(file.read())


def _write_json(path, content):
    _write(path, json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n")


def _claim(specification, folder):
    path = _join(folder, SPECIFICATION)
    if FileSystems.exists(path):
        if Specification.from_config(_read_json(path)).digest != specification.digest:
            raise ValueError(
                f"{path} is another specification. Remove {folder} or name another folder."
            )
        return
    if "://" not in folder and not FileSystems.exists(folder):
        FileSystems.mkdirs(folder)
    _write_json(path, specification.get_config())


def _write_shard(number, config, folder):
    notes = _join(folder, f"{number:05d}.json")
    if FileSystems.exists(notes) and FileSystems.exists(_join(folder, shard_name(number))):
        return number, _read_json(notes)
    content, info = make_shard(Specification.from_config(config), number)
    _write(_join(folder, info["file"]), content)
    _write_json(notes, info)
    return number, info


def _write_sidecar(numbered, config, folder):
    infos = [info for _, info in sorted(numbered, key=lambda pair: pair[0])]
    _write(_join(folder, LEFT_OUT), b"".join(map(problem_line, [None, *left_out_of(infos)])))
    _write_json(_join(folder, SIDECAR), finish(Specification.from_config(config), infos))
    FileSystems.delete([_join(folder, f"{number:05d}.json") for number in range(len(infos))])

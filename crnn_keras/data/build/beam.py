"""Preparation on many machines by Apache Beam: the same function, the same bytes.

Needs the extra `beam`. Which runner works, and where, is a matter of Beam's own options; see
`docs/many_machines.md`.
"""

import hashlib
import io
import json
import re

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from crnn_keras.data.build.lists import SKIPPED
from crnn_keras.data.build.local import SPECIFICATION, finish, made_differently, without_rows
from crnn_keras.data.build.shards import make_shard
from crnn_keras.data.build.specification import Specification
from crnn_keras.data.records.shard import SIDECAR, shard_name
from crnn_keras.data.issues import issue_line


def prepare_on_beam(specification, folder, options=()):
    """Writes the set of a specification by a Beam pipeline.

    A shard whose file and notes are there already, from a pipeline that was stopped, is not made
    again. The sidecar is written last: without it there is no set. Of a set that stands, every
    shard is read, and those that are missing or damaged are made again.

    Args:
        specification: a `Specification`. What it names (lists, images, fonts) must lie under
            the same paths on every worker.
        folder: folder of the set: a path that every worker sees, or one that Beam's file systems
            know, such as `gs://bucket/train`.
        options: Beam's command line options, such as `["--runner=DataflowRunner", ...]`; without
            them Beam's direct runner works on this machine.

    Raises:
        ValueError: the folder belongs to another specification.
        RuntimeError: a worker failed, for example because its fonts or its Pillow are others than
            here, so that its bytes would be too.
    """
    work = specification.get_config(), specification.digest, str(folder)
    folder = work[-1]
    _claim(specification, folder)
    stands = FileSystems.exists(_join(folder, SIDECAR))
    shards = _read_json(_join(folder, SIDECAR))["shards"] if stands else []
    with beam.Pipeline(options=PipelineOptions(list(options))) as pipeline:
        if stands:
            rows = pipeline | "shards" >> beam.Create(list(enumerate(shards)))
            spread = rows | "spread" >> beam.Reshuffle()
            _ = spread | "mend shards" >> beam.Map(_mend_shard, *work)
        else:
            rows = pipeline | "shards" >> beam.Create(range(len(specification.source)))
            spread = rows | "spread" >> beam.Reshuffle()
            infos = spread | "make shards" >> beam.Map(_write_shard, *work)
            whole = infos | "collect" >> beam.CombineGlobally(beam.combiners.ToListCombineFn())
            _ = whole | "write the sidecar" >> beam.Map(_write_sidecar, *work)
    # After the sidecar: whoever is stopped here leaves a set that is whole.
    _delete_notes(folder)


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
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    _write(path, text.encode("utf-8", "backslashreplace"))


def _is_whole(path, shard):
    """Whether a file is there and has the hash that `shard` tells."""
    if not FileSystems.exists(path):
        return False
    digest = hashlib.sha256()
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest() == shard["sha256"]


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


def _make(number, config, digest):
    """A shard by `make_shard`, if this machine makes the bytes that the first one would."""
    specification = Specification.from_config(config)
    if specification.digest != digest:
        raise ValueError(
            "This worker would make other records than the machine that began: its lists, its "
            "fonts, or its versions of Pillow and numpy are others. Give all one image."
        )
    return make_shard(specification, number)


def _write_shard(number, config, digest, folder):
    notes = _join(folder, f"{number:05d}.json")
    info = _read_notes(notes)
    if info and _is_whole(_join(folder, shard_name(number)), info):
        return number, info
    content, info = _make(number, config, digest)
    _write(_join(folder, info["file"]), content)
    _write_json(notes, info)
    return number, info


def _read_notes(path):
    """What `make_shard` told of a shard, or None where there are no notes, or half of them."""
    try:
        info = _read_json(path) if FileSystems.exists(path) else None
    except ValueError:
        return None
    return info if isinstance(info, dict) and "sha256" in info else None


def _mend_shard(numbered, config, digest, folder):
    number, shard = numbered
    path = _join(folder, shard["file"])
    if _is_whole(path, shard):
        return
    content, info = _make(number, config, digest)
    _write(path, content)
    if info["sha256"] != shard["sha256"]:
        raise made_differently(folder, [shard["file"]])


def _write_sidecar(numbered, config, digest, folder):
    skipped = io.BytesIO()
    skipped.write(issue_line())
    infos = [info for _, info in sorted(numbered, key=lambda pair: pair[0])]
    content = finish(Specification.from_config(config), [without_rows(i, skipped) for i in infos])
    if not content["records"]:
        raise ValueError(f"No row is usable. The first: {' '.join(infos[0]['skipped'][0][1:])}")
    _write(_join(folder, SKIPPED), skipped.getvalue())
    _write_json(_join(folder, SIDECAR), content)


def _delete_notes(folder):
    (found,) = FileSystems.match([_join(folder, "*.json")])
    names = [file.path for file in found.metadata_list]
    notes = [path for path in names if re.fullmatch(r"[0-9]+\.json", FileSystems.split(path)[1])]
    if notes:
        FileSystems.delete(notes)

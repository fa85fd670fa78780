"""The one function that makes records, here or on many machines: specification, number -> bytes."""

import io

from crnn_keras.data.records.shard import shard_name, write_shard
from crnn_keras.data.issues import Issue
from crnn_keras.data.labels import check_label


def make_shard(specification, number):
    """Makes one shard: a pure function, so that any process on any machine makes the same.

    Args:
        specification: a `Specification`.
        number: the shard, from 0 to `len(specification.source) - 1`.

    Returns:
        Tuple of the shard's bytes and a dict of `file`, `records`, `bytes`, `sha256`, and
        `skipped`, a list of `[kind, where, reason]` of the rows that are not in it.
    """
    skipped, content = [], io.BytesIO()
    records = _usable(specification, number, skipped)
    info = write_shard(content, shard_name(number), records)
    return content.getvalue(), info | {"skipped": skipped}


def _usable(specification, number, skipped):
    char_dict, canvas = specification.char_dict, specification.canvas
    for record in specification.source.records(number):
        problem = record
        if not isinstance(record, Issue):
            frames = canvas.frames(record.height, record.width)
            problem = check_label(record.text, char_dict, frames, where=record.source)
        if problem:
            skipped.append([problem.kind, problem.where, problem.reason])
        else:
            yield record

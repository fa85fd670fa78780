"""The one function that makes records, here or on many machines: specification, index -> bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels import check_label
from crnn_keras.data.records.shard import write_shard
from crnn_keras.data.records.sidecar import shard_name
from crnn_keras.utils.checks import NATURAL, Number, check_arguments, check_value

if TYPE_CHECKING:
    from crnn_keras.data.build.specification import Specification


@check_arguments(index=NATURAL)
def make_shard(specification: Specification, index: int) -> tuple[bytes, dict]:
    """Makes one shard: a pure function, so that any process on any machine makes the same.

    Args:
        specification: a `Specification`.
        index: int, the shard, from 0 to `len(specification.source) - 1`.

    Returns:
        Tuple of the shard's bytes and a dict of `file`, `records`, `bytes`, `sha256`, and
        `skipped`, a list of `[kind, where, reason]` of the rows that are not in it.

    Raises:
        RecordError: an image is another one than when it was listed.
    """
    check_value("index", index, Number(0, len(specification.source) - 1, is_whole=True))
    skipped, content = [], io.BytesIO()
    records = _usable(specification, index, skipped)
    info = write_shard(content, shard_name(index), records)
    return content.getvalue(), info | {"skipped": skipped}


def _usable(specification, index, skipped):
    """Yields the records of a shard; adds the rows that cannot be used to `skipped`."""
    char_dict, canvas = specification.char_dict, specification.canvas
    for record in specification.source.records(index):
        issue = record
        if not isinstance(record, Issue):
            frames = canvas.frames(record.height, record.width)
            issue = check_label(record.text, char_dict, frames, where=record.source, canvas=canvas)
        if issue:
            skipped.append([issue.kind, issue.where, issue.reason])
        else:
            yield record

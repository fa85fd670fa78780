"""From a specification to records: a pure function of (specification, shard number).

`prepare` runs it on all cores of this machine, `python -m crnn_keras.prepare` from a shell,
`crnn_keras.prepare.beam` (extra `beam`) on many machines; the bytes are the same.
"""

from crnn_keras.prepare.lists import ListedSource, list_parts, list_stream
from crnn_keras.prepare.local import prepare
from crnn_keras.prepare.rendered import RenderedSource
from crnn_keras.prepare.shards import make_shard
from crnn_keras.prepare.specification import Specification

__all__ = [
    "ListedSource",
    "RenderedSource",
    "Specification",
    "list_parts",
    "list_stream",
    "make_shard",
    "prepare",
]

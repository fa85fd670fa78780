"""From a specification to records: a pure function of (specification, shard number).

`prepare` runs it on all cores of this machine, `python -m crnn_keras.data.build` from a shell,
`crnn_keras.data.build.beam` (extra `beam`) on many machines; the bytes are the same.
"""

from crnn_keras.data.build.lists import ListedSource, list_splits, list_stream
from crnn_keras.data.build.local import prepare
from crnn_keras.data.build.rendered import RenderedSource
from crnn_keras.data.build.shards import make_shard
from crnn_keras.data.build.specification import Specification

__all__ = [
    "ListedSource",
    "RenderedSource",
    "Specification",
    "list_splits",
    "list_stream",
    "make_shard",
    "prepare",
]

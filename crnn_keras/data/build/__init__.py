"""From a specification to records: a pure function of (specification, shard index).

`prepare` makes the shards on all cores of this machine, `crnn_keras.data.build.beam` (extra
`beam`) on many machines; the bytes are the same.

| file | subject |
|---|---|
| `specification` | what decides the bytes of a set |
| `preview` | the first words of a recipe, for the data check |
| `lists`, `rendered` | where its rows come from: lists of samples, or a recipe |
| `shards` | the one function that makes a shard |
| `notes`, `replaced` | what is written beside the shards; what is said of a set that goes |
| `local`, `beam` | who makes the shards |
| `from_file` | the set of a specification's file: `crnn-keras prepare --specification` |
| `splits` | all splits of a run at once |
"""

from crnn_keras.data.build.from_file import prepare_from_file
from crnn_keras.data.build.lists import ListedSource, list_splits, list_stream
from crnn_keras.data.build.local import prepare
from crnn_keras.data.build.preview import preview_splits
from crnn_keras.data.build.rendered import RenderedSource
from crnn_keras.data.build.shards import make_shard
from crnn_keras.data.build.specification import Specification
from crnn_keras.data.build.splits import prepare_rendered, prepare_samples

__all__ = [
    "ListedSource",
    "RenderedSource",
    "Specification",
    "list_splits",
    "list_stream",
    "make_shard",
    "prepare",
    "prepare_from_file",
    "prepare_rendered",
    "prepare_samples",
    "preview_splits",
]

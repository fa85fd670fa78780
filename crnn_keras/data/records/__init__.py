"""Labelled images on disk as sets of records.

A set is a folder: `00000.tfrecord`, `00001.tfrecord`, ... and the sidecar `set.json` with the
counts and the hash of each shard; each record is a `tf.train.Example`. Or it is a manifest: a list
of samples whose images stay where they are, in an LMDB for example. Several sets can be joined to
train on all of them. `splits.json` in the folder above names the sets that were prepared together;
others do not open there.

| class | what it reads |
|---|---|
| `Records` | a folder of shards |
| `ManifestRecords` | listed images, where they lie |
| `ConcatRecords` | several sets, one after the other |
"""

from crnn_keras.data.records.base import BaseRecords
from crnn_keras.data.records.concat import ConcatRecords
from crnn_keras.data.records.manifest import ManifestRecords, open_records, write_manifest
from crnn_keras.data.records.record import Record, make_record
from crnn_keras.data.records.record_set import Records, verify, write_records
from crnn_keras.data.records.sidecar import SIDECAR, RecordError

__all__ = [
    "SIDECAR",
    "BaseRecords",
    "ConcatRecords",
    "ManifestRecords",
    "Record",
    "RecordError",
    "Records",
    "make_record",
    "open_records",
    "verify",
    "write_manifest",
    "write_records",
]

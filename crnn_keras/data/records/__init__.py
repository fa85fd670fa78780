"""Samples on disk: TFRecord shards of encoded images, with a sidecar that says what they hold.

A set is a folder: `00000.tfrecord`, `00001.tfrecord`, ... and `set.json` with the counts and the
hash of each shard. Each record is a `tf.train.Example`. Or it is a view: a list of samples whose
images stay where they are, in an LMDB for example. Sets are joined to learn from all of them.
"""

from crnn_keras.data.records.concat import ConcatRecords
from crnn_keras.data.records.manifest import ManifestRecords, open_records, write_manifest
from crnn_keras.data.records.record import Record, make_record
from crnn_keras.data.records.record_set import Records, verify, write_records
from crnn_keras.data.records.shard import SIDECAR, RecordError

__all__ = [
    "SIDECAR",
    "ConcatRecords",
    "Record",
    "RecordError",
    "Records",
    "ManifestRecords",
    "make_record",
    "open_records",
    "verify",
    "write_records",
    "write_manifest",
]

"""Samples on disk: TFRecord shards of encoded images, with a sidecar that says what they hold.

A set is a folder: `00000.tfrecord`, `00001.tfrecord`, ... and `set.json` with the counts and the
hash of each shard. Each record is a `tf.train.Example`. Or it is a view: a list of samples whose
pictures stay where they are, in an LMDB for example. Sets are joined to learn from all of them.
"""

from crnn_keras.records.joined import JoinedRecords
from crnn_keras.records.record import Record, make_record
from crnn_keras.records.record_set import Records, verify, write_records
from crnn_keras.records.shard import SIDECAR, RecordError
from crnn_keras.records.views import SampleRecords, open_records, write_view

__all__ = [
    "SIDECAR",
    "JoinedRecords",
    "Record",
    "RecordError",
    "Records",
    "SampleRecords",
    "make_record",
    "open_records",
    "verify",
    "write_records",
    "write_view",
]

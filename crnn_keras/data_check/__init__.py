"""One report on labelled pictures before any training.

`check_parts` opens every picture once and gives a `DataCheck`: what can be trained on, what was
left out and why, and what deserves a look, each with file and line and with what to do.

| file | subject |
|---|---|
| `facts` | what one picture and its label are: size, frames, digest, perceptual hash |
| `hashes` | perceptual hashes, and the search for those that lie close together |
| `pictures` | duplicates, leakage between the parts, conflicting labels, odd shapes |
| `labels` | spaces, invisible characters, full-width forms, characters never trained |
| `findings` | `Finding`, its kinds, and what to do about each |
| `check` | `check_parts`: opens the pictures, on all cores |
| `report` | `DataCheck`: what was found, as text, tables and pictures |
| `page` | the report as one html page |
"""

from crnn_keras.data_check.check import check_parts
from crnn_keras.data_check.findings import Finding
from crnn_keras.data_check.report import DataCheck

__all__ = ["DataCheck", "Finding", "check_parts"]

"""One report on labelled images before any training.

`check_splits` opens every image once and gives a `DataCheck`: what can be trained on, what was
left out and why, and what deserves a look, each with file and line and with what to do.

| file | subject |
|---|---|
| `facts` | what one image and its label are: size, frames, digest, perceptual hash |
| `hashes` | perceptual hashes, and the search for those that lie close together |
| `images` | duplicates, leakage between the parts, conflicting labels, odd shapes |
| `labels` | spaces, invisible characters, full-width forms, characters never trained |
| `findings` | `Finding`, its kinds, and what to do about each |
| `check` | `check_splits`: opens the images, on all cores |
| `report` | `DataCheck`: what was found, as text, tables and images |
| `page` | the report as one html page |
"""

from crnn_keras.data.check.check import check_splits
from crnn_keras.data.check.issues import Finding
from crnn_keras.data.check.report import DataCheck

__all__ = ["DataCheck", "Finding", "check_splits"]

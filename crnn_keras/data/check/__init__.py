"""One report on labelled images before any training.

`check_splits` opens every image once and returns a `DataCheck`: what can be trained on, and an
`Issue` with file, line and advice for everything that was skipped or should be checked.

| module | subject |
|---|---|
| `check` | `check_splits`: opens the images, on all cores |
| `facts` | facts about one image and its label: size, frames, digest, perceptual hash |
| `hashes` | perceptual hashes, and the search for those that are close to each other |
| `image_checks` | duplicates, leakage, conflicting labels, odd shapes, blank images |
| `label_checks` | spaces, invisible characters, placeholders, characters never trained |
| `set_checks` | splits that are too small, labels that cannot be texts |
| `kinds` | the kinds of issues, and what to do about each |
| `display` | text from outside, with what is invisible in it |
| `report` | `DataCheck`: the result as text, tables and images |
| `page` | the report as one HTML page, from `page.html` |
"""

from crnn_keras.data.check.check import check_splits
from crnn_keras.data.check.report import DataCheck

__all__ = ["DataCheck", "check_splits"]

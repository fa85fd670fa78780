"""Characters and their numbers: `CharDict` turns text into ids and ids into text.

| file | subject |
|---|---|
| `char_dict` | `CharDict`: text <-> ids, blank = 0, saved as one readable file |
| `checks` | what a dictionary refuses |
| `normalization` | the forms a text may be written in: as it is, NFC, half width |
| `presets` | ready dictionaries, GB2312 among them |
| `corpus` | the characters of a corpus, by how often they are used |
| `lists` | lists of characters that others made |
| `naming` | the one string by which a notebook names a dictionary |
| `sources` | `CharDict.find` and its other makers: from a preset, labels, a corpus, a file |
| `protocols` | the rules by which benchmarks compare texts |
| `old_dictionaries` | the json files of CRNN_Tensorflow |
"""

from crnn_keras.char_dict.char_dict import BLANK, CharDict, frames_needed
from crnn_keras.char_dict.corpus import corpus_counts
from crnn_keras.char_dict.normalization import NORMALIZATIONS
from crnn_keras.char_dict.presets import PRESETS, chinese_frequencies
from crnn_keras.char_dict.protocols import PROTOCOLS, alphanumeric, exact

__all__ = [
    "BLANK",
    "NORMALIZATIONS",
    "PRESETS",
    "PROTOCOLS",
    "CharDict",
    "alphanumeric",
    "chinese_frequencies",
    "corpus_counts",
    "exact",
    "frames_needed",
]

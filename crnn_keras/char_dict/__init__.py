"""Characters and their ids: `CharDict` turns text into ids and ids into text.

| file | subject |
|---|---|
| `char_dict` | `CharDict`: text <-> ids, blank = 0, one readable file; its sources |
| `index` | the id of each character, and which characters are refused |
| `normalization` | the normalizations of a text: none, NFC, half width |
| `direction` | the order of ids where a script is written from right to left |
| `presets` | ready dictionaries, GB2312 among them |
| `corpus` | the characters of a corpus, by how often they are used |
| `lists` | lists of characters made by others |
| `old_dictionaries` | the json files of CRNN_Tensorflow |
| `protocols` | the protocols by which benchmarks compare texts |
"""

from crnn_keras.char_dict.char_dict import BLANK, CharDict, frames_needed
from crnn_keras.char_dict.corpus import corpus_counts
from crnn_keras.char_dict.direction import DIRECTIONS, has_right_to_left
from crnn_keras.char_dict.normalization import NORMALIZATIONS
from crnn_keras.char_dict.presets import PRESETS
from crnn_keras.char_dict.protocols import PROTOCOLS, alphanumeric, exact
from crnn_keras.utils.chinese import chinese_frequencies

__all__ = [
    "BLANK",
    "DIRECTIONS",
    "NORMALIZATIONS",
    "PRESETS",
    "PROTOCOLS",
    "CharDict",
    "alphanumeric",
    "chinese_frequencies",
    "corpus_counts",
    "exact",
    "frames_needed",
    "has_right_to_left",
]

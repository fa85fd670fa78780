"""Reading with a list of words. No Keras here: the logits may come from any reader.

Every reader takes one: `recognizer.read(pictures, lexicon=Lexicon(words, recognizer.char_dict),
delta=2)`; see `reading.PictureReader.read`.

| file | subject |
|---|---|
| `words` | `Lexicon`: the words near a text; `read_with_lexicon`: the likeliest of them |
| `likelihood` | CTC for many labels of a picture, and for one label of each of many pictures |
"""

from crnn_keras.lexicon.likelihood import likelihoods, log_likelihoods
from crnn_keras.lexicon.words import Lexicon, LexiconReading, ids_of, read_with_lexicon

__all__ = [
    "Lexicon",
    "LexiconReading",
    "ids_of",
    "likelihoods",
    "log_likelihoods",
    "read_with_lexicon",
]

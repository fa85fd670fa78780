"""Reading with a list of words. No Keras here: the logits may come from any reader.

Every reader takes one: `recognizer.read(images, lexicon=Lexicon(words, recognizer.char_dict),
delta=2)`; see `reading.BaseRecognizer.read`.

| file | subject |
|---|---|
| `words` | `Lexicon`: the words near a text; `read_with_lexicon`: the likeliest of them |
| `likelihood` | CTC for many labels of an image, and for one label of each of many images |
"""

from crnn_keras.model.decoding.lexicon import Lexicon, LexiconChoice, ids_of, read_with_lexicon
from crnn_keras.model.decoding.likelihood import likelihoods, log_likelihoods

__all__ = [
    "Lexicon",
    "LexiconChoice",
    "ids_of",
    "likelihoods",
    "log_likelihoods",
    "read_with_lexicon",
]

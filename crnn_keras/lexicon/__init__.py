"""Reading with a list of words. No Keras here: the logits may come from any reader.

| file | subject |
|---|---|
| `words` | `Lexicon`: the words near a text; `read_with_lexicon`: the likeliest of them |
| `likelihood` | `log_likelihoods`: CTC for many labels of one picture |
"""

from crnn_keras.lexicon.likelihood import log_likelihoods
from crnn_keras.lexicon.words import Lexicon, LexiconReading, read_with_lexicon

__all__ = ["Lexicon", "LexiconReading", "log_likelihoods", "read_with_lexicon"]

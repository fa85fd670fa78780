"""From logits to text, in NumPy: no Keras here, so the logits may come from any network.

| file | subject |
|---|---|
| `texts` | `decode_texts`: texts with probabilities, by all that stands below |
| `best_path` | `best_path`: the likeliest class of each frame, merged; `Decoded` |
| `lexicon` | `Lexicon`: the words near a text; the likeliest of them by CTC |
| `alignment` | `align_ids`, `align_texts`: which frames spell which character of a known text |
| `beam` | `beam_search`: the likeliest texts, with a language model and a pattern |
| `language_model` | `LanguageModel`: how likely each character is after the ones before it |
| `ngrams` | `train_language_model`: counts n-grams of texts |
| `trie` | `Trie`: n-grams in plain arrays, and their lookups |
| `forward` | the CTC forward sum: likelihoods of labels, posteriors of their states |
| `pattern` | `Pattern`: which texts are allowed; how likely they are together, and what follows |
| `regular_expression` | a regular expression over the characters of a char dict |
| `automaton` | from an expression's places to the smallest automaton |
| `lattice` | what paths of CTC go through with an automaton; the backward sum over them |
"""

from crnn_keras.model.decoding.alignment import Aligned, align_ids, align_texts
from crnn_keras.model.decoding.beam import Beam, beam_search
from crnn_keras.model.decoding.best_path import Decoded, best_path
from crnn_keras.model.decoding.forward import (
    likelihoods,
    log_likelihoods,
    log_softmax,
    path_posteriors,
)
from crnn_keras.model.decoding.language_model import LanguageModel, LanguageModelSettings, fold
from crnn_keras.model.decoding.lexicon import Lexicon, LexiconChoice, read_with_lexicon
from crnn_keras.model.decoding.ngrams import train_language_model
from crnn_keras.model.decoding.pattern import (
    Completions,
    Pattern,
    completions,
    pattern_log_likelihoods,
)
from crnn_keras.model.decoding.texts import Constraint, DecodedText, decode_texts

__all__ = [
    "Constraint",
    "DecodedText",
    "decode_texts",
    "Beam",
    "LanguageModel",
    "LanguageModelSettings",
    "beam_search",
    "train_language_model",
    "Aligned",
    "Completions",
    "Decoded",
    "Lexicon",
    "LexiconChoice",
    "Pattern",
    "align_ids",
    "align_texts",
    "best_path",
    "fold",
    "completions",
    "likelihoods",
    "log_likelihoods",
    "log_softmax",
    "path_posteriors",
    "pattern_log_likelihoods",
    "read_with_lexicon",
]

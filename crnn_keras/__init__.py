"""Reads text in images of words and lines with Keras 3: a CNN, a bidirectional LSTM and CTC.

```python
from crnn_keras import Recognizer

(prediction,) = Recognizer.load("words").read("word.png")
print(prediction.text, prediction.confidence)
```

Everything in `__all__` can be imported from here and is loaded when it is first used:
`import crnn_keras` imports neither Keras nor a backend. The package has these wings, in the order
in which data flows through them. A module imports only from wings above its own.

| wing | takes | gives |
|---|---|---|
| `utils` | files, jobs, a backend | atomic files, parallel work, progress, private names of Keras |
| `char_dict` | characters, labels, old dictionaries | `CharDict`: text <-> ids, blank = 0 |
| `images` | paths, bytes, arrays | a `Canvas` of gray pixels, augmented images, test-time views |
| `synth` | texts, fonts, a seed | labelled images, the same for the same seed |
| `data` | label files of any layout | checked samples, records, `Batches` of a step, drawn words |
| `model` | canvases | logits, CTC loss, texts with confidence, with or without a `Lexicon` |
| `inference` | a trained model | `Recognizer`, `OnnxRecognizer`, exports to ONNX and SavedModel |
| `serving` | images of requests, a reader | texts over HTTP, read in batches, by three protocols |
| `labelling` | images, a recognizer | a page to label them on; labels on the disk at once |
| `evaluation` | targets and predictions | `Report`, errors by kind, calibration, figures |
| `training` | a model and batches | a trained model, its history, a state to resume from |
| `notebook` | parameters of a notebook | its folders, figures and results; the walkthrough |
| `cli` | words of a command line | the command `crnn-keras` |
| `readers` | | the files of the shipped models, such as `words` and `lines`; no code |
"""

from typing import TYPE_CHECKING

from crnn_keras.utils.extras import attach, choose_backend

__version__ = "0.1.0"

choose_backend()

__getattr__, __dir__, __all__ = attach(
    __name__,
    submod_attrs={
        "char_dict.char_dict": ["CharDict"],
        "images.canvas": ["Canvas", "make_canvas", "to_canvas"],
        "synth.recipe": ["Recipe"],
        "synth.rendering": ["render_word"],
        "synth.style": ["Style"],
        "data.labels.read": ["read_samples"],
        "data.labels.splits": ["read_splits"],
        "data.labels.write": ["write_labels"],
        "data.check.check": ["check_splits"],
        "data.records.manifest": ["open_records"],
        "data.batches": ["Batches"],
        "data.open": ["open_batches"],
        "model.crnn": ["CRNN", "build_crnn"],
        "model.ctc": ["CTCLayer", "CTCLoss", "ctc_loss"],
        "model.decoding.best_path": ["best_path"],
        "model.decoding.language_model": ["LanguageModel"],
        "model.decoding.lexicon": ["Lexicon"],
        "model.decoding.ngrams": ["train_language_model"],
        "model.decoding.pattern": ["Pattern"],
        "model.calibration": ["Calibration"],
        "model.saving": ["save_model"],
        "inference.base": ["Prediction"],
        "inference.recognizer": ["Recognizer"],
        "inference.onnx_recognizer": ["OnnxRecognizer"],
        "inference.export.onnx": ["export_onnx"],
        "inference.export.saved_model": ["export_saved_model"],
        "evaluation.metrics": ["Report", "evaluate"],
        "evaluation.confidence.labelled": ["calibrate"],
        "evaluation.error_analysis.categorize": ["categorize_errors"],
        "training.loop": ["train"],
        "training.fine_tuning.tune": ["fine_tune"],
        "training.fine_tuning.load": ["load_for_fine_tuning", "with_char_dict"],
        "training.fine_tuning.settings": ["FineTuningSettings"],
    },
)

if TYPE_CHECKING:
    # The same names for editors and type checkers, which do not run `attach`.
    from crnn_keras.char_dict.char_dict import CharDict as CharDict
    from crnn_keras.data.batches import Batches as Batches
    from crnn_keras.data.check.check import check_splits as check_splits
    from crnn_keras.data.labels.read import read_samples as read_samples
    from crnn_keras.data.labels.splits import read_splits as read_splits
    from crnn_keras.data.labels.write import write_labels as write_labels
    from crnn_keras.data.open import open_batches as open_batches
    from crnn_keras.data.records.manifest import open_records as open_records
    from crnn_keras.evaluation.confidence.labelled import calibrate as calibrate
    from crnn_keras.evaluation.error_analysis.categorize import (
        categorize_errors as categorize_errors,
    )
    from crnn_keras.evaluation.metrics import (
        Report as Report,
        evaluate as evaluate,
    )
    from crnn_keras.images.canvas import (
        Canvas as Canvas,
        make_canvas as make_canvas,
        to_canvas as to_canvas,
    )
    from crnn_keras.inference.base import Prediction as Prediction
    from crnn_keras.inference.export.onnx import export_onnx as export_onnx
    from crnn_keras.inference.export.saved_model import export_saved_model as export_saved_model
    from crnn_keras.inference.onnx_recognizer import OnnxRecognizer as OnnxRecognizer
    from crnn_keras.inference.recognizer import Recognizer as Recognizer
    from crnn_keras.model.calibration import Calibration as Calibration
    from crnn_keras.model.crnn import (
        CRNN as CRNN,
        build_crnn as build_crnn,
    )
    from crnn_keras.model.ctc import (
        CTCLayer as CTCLayer,
        CTCLoss as CTCLoss,
        ctc_loss as ctc_loss,
    )
    from crnn_keras.model.decoding.best_path import best_path as best_path
    from crnn_keras.model.decoding.language_model import LanguageModel as LanguageModel
    from crnn_keras.model.decoding.lexicon import Lexicon as Lexicon
    from crnn_keras.model.decoding.ngrams import train_language_model as train_language_model
    from crnn_keras.model.decoding.pattern import Pattern as Pattern
    from crnn_keras.model.saving import save_model as save_model
    from crnn_keras.synth.recipe import Recipe as Recipe
    from crnn_keras.synth.rendering import render_word as render_word
    from crnn_keras.synth.style import Style as Style
    from crnn_keras.training.fine_tuning.load import (
        load_for_fine_tuning as load_for_fine_tuning,
        with_char_dict as with_char_dict,
    )
    from crnn_keras.training.fine_tuning.settings import FineTuningSettings as FineTuningSettings
    from crnn_keras.training.fine_tuning.tune import fine_tune as fine_tune
    from crnn_keras.training.loop import train as train

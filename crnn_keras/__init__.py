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
| `data` | label files of any layout | checked samples, records on disk, `Batches` of a step |
| `model` | canvases | logits, CTC loss, texts with confidence, with or without a `Lexicon` |
| `inference` | a trained model | `Recognizer`, `OnnxRecognizer`, exports to ONNX and SavedModel |
| `evaluation` | targets and predictions | `Report`, errors by kind, calibration, figures |
| `training` | a model and batches | a trained model, its history, a state to resume from |
| `notebook` | parameters of a notebook | its folders, figures and results; the walkthrough |
| `cli` | words of a command line | the command `crnn-keras` |
| `readers` | | the files of the shipped models `words` and `ascii`; no code |
"""

import lazy_loader as lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "char_dict.char_dict": ["CharDict"],
        "images.canvas": ["Canvas", "make_canvas", "to_canvas"],
        "synth.recipe": ["Recipe"],
        "synth.rendering": ["render_word"],
        "synth.style": ["Style"],
        "data.labels.read": ["read_samples"],
        "data.labels.splits": ["read_splits"],
        "data.check.check": ["check_splits"],
        "data.records.manifest": ["open_records"],
        "data.batches": ["Batches"],
        "data.open": ["open_batches"],
        "model.crnn": ["CRNN", "build_crnn"],
        "model.ctc": ["CTCLayer", "CTCLoss", "ctc_loss"],
        "model.decoding.best_path": ["best_path"],
        "model.decoding.lexicon": ["Lexicon"],
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
        "training.fine_tuning": ["load_for_fine_tuning", "with_char_dict"],
    },
)

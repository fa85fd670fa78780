"""The command `crnn-keras`: one file a command.

| file | command |
|---|---|
| `read` | text in images, as a table, CSV or JSON lines |
| `label` | labels by hand, on a page |
| `check` | what is wrong with a labelled set |
| `fine_tune` | labelled images -> a reader of them, from a shipped one |
| `prepare` | labels or rendered words -> records |
| `train` | records -> a trained model |
| `evaluate` | how well a model reads a labelled set |
| `runs` | the runs with their figures, side by side |
| `export` | a trained model -> ONNX or SavedModel |
| `language_model` | texts -> a language model, alone or in a reader |
| `serve` | a reader over HTTP |
| `walkthrough` | all numbered notebooks |
| `launch` | a script in several processes that train one model |
| `doctor` | what works on this machine, and what to install |
| `main` | the parser, and what becomes of errors |
| `common`, `options` | what these commands share |

A command imports what it needs when it runs, so that `--help` and `read` answer at once.
"""

from crnn_keras.cli.main import main

__all__ = ["main"]

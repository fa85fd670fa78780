"""Training with a state on disk: a run that is stopped or killed goes on to the same weights.

| file | holds |
|---|---|
| `loop` | `train`: batches in, a run folder out |
| `run` | what happens between the steps of Keras' `fit`, and after its epochs |
| `settings` | what must not change between the parts of a run |
| `network` | the reader with its loss, compiled; the variables that make up a run |
| `schedules` | optimizers and learning rates by name |
| `run_state` | `RunState`: the states of a run, each whole or not there |
| `stop_signals` | Ctrl-C and SIGTERM, kept until the running step is done |
| `bad_batches` | errors that name the images of a step |
| `validation` | `validate`: a set read once and compared with its labels |
| `outputs` | `history.csv` |

A run folder holds `model.keras` (the reader after the newest whole epoch), `history.csv` (a line an
epoch) and `state/000012/` (everything that the next step depends on; the newest state and the one
before).
"""

from crnn_keras.training.loop import train
from crnn_keras.training.network import compile_for_training, training_model
from crnn_keras.training.outputs import HISTORY_COLUMNS, write_history
from crnn_keras.training.run_state import Progress, RunState
from crnn_keras.training.schedules import OPTIMIZERS, SCHEDULES, make_optimizer, make_schedule
from crnn_keras.training.stop_signals import TrainingStopped
from crnn_keras.training.validation import validate

__all__ = [
    "HISTORY_COLUMNS",
    "OPTIMIZERS",
    "SCHEDULES",
    "Progress",
    "RunState",
    "TrainingStopped",
    "compile_for_training",
    "make_optimizer",
    "make_schedule",
    "train",
    "training_model",
    "validate",
    "write_history",
]

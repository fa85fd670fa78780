"""Training with a state on disk: a run that is stopped or killed continues to the same weights.

| file | subject |
|---|---|
| `loop` | `train`: batches in, a run folder out |
| `callbacks` | what happens between the steps of `fit`, one task each |
| `run_state` | `RunState`: the states of a run, each complete or not there |
| `settings` | what must not change when a run continues |
| `schedules` | optimizers and learning rate schedules by name |
| `stop_signals` | Ctrl-C and SIGTERM, kept until the running step is done |
| `bad_batches` | errors that name the images of a step |
| `curves` | the curves of a training while it runs, and for TensorBoard |
| `time_left` | how long an epoch and a training will take |
| `validation` | `validate`: a set read once and compared with its labels |
| `history` | `history.csv`, and which epoch is the best |
| `best_weights` | the weights of the best epoch, a part of the state |
| `fine_tuning` | a trained model to begin from, with other characters or another canvas |
| `start` | `make_model`: the model that a training starts from, by name or path |
| `distribute` | several devices or processes train one model |

A run folder holds `model.keras` (the best epoch), `last.keras` (the newest), `history.csv` (a line
for each epoch) and `state/000012/` (everything that the next step depends on, with a checksum over
all of it; the newest state and the one before). One process trains in it, which `.<name>.lock`
beside it tells.
"""

from crnn_keras.training.fine_tuning import load_for_fine_tuning, with_char_dict
from crnn_keras.training.history import HISTORY_COLUMNS, best_epoch, write_history
from crnn_keras.training.loop import train
from crnn_keras.training.run_state import Progress, RunState, run_variables
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
    "best_epoch",
    "load_for_fine_tuning",
    "make_optimizer",
    "make_schedule",
    "run_variables",
    "train",
    "validate",
    "with_char_dict",
    "write_history",
]

"""Several devices or processes train one model, and what suits the machine at hand.

| file | subject |
|---|---|
| `machine` | `detect_hardware`: the backend, the cores and the GPUs of this process |
| `advice` | `recommend`: batch size and precision for a machine |
| `group` | `scope`: several GPUs or several processes train one model |
| `launch` | `launch`: starts and ends the processes |
"""

from crnn_keras.training.distribute.advice import Advice, recommend
from crnn_keras.training.distribute.group import ProcessGroup, predict_local, scope
from crnn_keras.training.distribute.launch import launch
from crnn_keras.training.distribute.machine import Accelerator, Machine, detect_hardware

__all__ = [
    "Accelerator",
    "Advice",
    "Machine",
    "ProcessGroup",
    "detect_hardware",
    "launch",
    "predict_local",
    "recommend",
    "scope",
]

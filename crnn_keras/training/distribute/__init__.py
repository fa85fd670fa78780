"""What a training runs on: one processor, several GPUs, several hosts; and what suits it.

| file | subject |
|---|---|
| `machine` | the backend, the cores and the GPUs of this process |
| `advice` | batch size and precision for such a machine |
| `group` | several GPUs or several processes train one reader |
| `launch` | starts the processes |
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

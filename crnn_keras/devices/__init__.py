"""What a training runs on: one processor, several GPUs, several hosts; and what suits it.

- `machine.py`: the backend, the cores and the GPUs of this process
- `advice.py`: batch size and precision for such a machine
- `together.py`: several GPUs or several processes train one reader
- `launch.py`: starts the processes; `python -m crnn_keras.devices` is its command
- `input.py`: TensorFlow for the input only, away from the GPU of another backend
"""

from crnn_keras.devices.advice import Advice, recommend
from crnn_keras.devices.input import tensorflow_for_input
from crnn_keras.devices.launch import launch
from crnn_keras.devices.machine import Accelerator, Machine, look
from crnn_keras.devices.together import Group, logits_alone, together

__all__ = [
    "Accelerator",
    "Advice",
    "Group",
    "Machine",
    "launch",
    "logits_alone",
    "look",
    "recommend",
    "tensorflow_for_input",
    "together",
]

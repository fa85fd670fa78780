"""Words that are drawn while a model trains on them: no disk between, no end, no word twice.

| module | subject |
|---|---|
| `plan` | `PoolPlan`: which words make up the batch of a step |
| `drawer` | `Drawer`: the canvas and the label of a word, a pure function of its number |
| `stream` | `DrawnStream`: words drawn on all cores, ahead of who reads them |
| `synth_batches` | `SynthBatches`: what `train` takes for `Batches` |
| `open` | `draw_batches`: these, and records to validate on |
"""

from crnn_keras.data.drawn.drawer import DrawingError
from crnn_keras.data.drawn.open import draw_batches
from crnn_keras.data.drawn.synth_batches import SynthBatches

__all__ = ["DrawingError", "SynthBatches", "draw_batches"]

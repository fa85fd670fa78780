"""The reader itself: the network, its loss, decoding and the calibration that it carries.

| file | subject |
|---|---|
| `crnn` | `CRNN`, `build_crnn`: canvases to logits |
| `architectures` | the networks' sizes as plain lists |
| `sizes` | checks these lists, and what a network of them costs |
| `layers` | Keras' layers with fast paths on processors |
| `ctc` | `CTCLoss`, `CTCLayer`, `ctc_loss` on every backend |
| `decoding` | logits to text: best path, lexicon, the forward sum in NumPy |
| `calibration` | `Calibration`: raw confidence to the chance of being correct |
"""

"""How the shipped readers are made and measured; not part of the wheel.

| file | subject |
|---|---|
| `recipe` | the words, fonts and styles of the training images |
| `fonts.tsv` | the fonts of the training images, by hash, with their packages |
| `lines` | composes lines of sixteen languages |
| `draw_lines` | draws labelled lines to measure on |
| `language_model` | counts the language models |
| `train` | renders the images and starts the training processes |
| `train_process` | one training process |
| `ship` | calibrates, rounds and packs a trained reader, and exports it to ONNX |
| `pack` | compresses a `.keras` file |
| `convert` | converts a `.keras` file of an earlier version |
| `convert_torch` | converts weights that were trained by PyTorch alone |
| `figures` | measures a reader on real images |
| `limits` | draws images that a reader cannot read |
| `cards` | writes figures, sizes and hashes into the cards |

Run `python -m tools.readers COMMAND --help` from the root of the repository. The cards are in
`crnn_keras/readers/`, the log of the trainings is `docs/training_log.md`.
"""

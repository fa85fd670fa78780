"""crnn_keras: read text in images with Keras 3.

The rooms, in the order the data goes through them:

| room | takes | gives |
|---|---|---|
| `char_dict` | characters, label files, old dictionaries | `CharDict`: text <-> ids, blank = 0 |
| `samples` | labels in every layout of the field | `Sample`s, and what was left out and why |
| `lmdb_folder` | an LMDB of clovaai's form | its images and labels; writes such too |
| `data_check` | samples, char dict, canvas | a report: what cannot be used, what deserves a look |
| `practice` | a folder | a small labelled set with planted faults |
| `render` | texts, fonts, a seed | labelled images, the same for the same seed |
| `images` | bytes, paths or arrays | one gray `Canvas`: size, mode and scale are decided here |
| `tf_images` | a tensor of bytes | the same canvas, by TensorFlow ops |
| `records` | encoded images and labels | TFRecord shards with a sidecar; views; joined sets |
| `prepare` | a specification, a shard's number | that shard, on all cores or many machines |
| `dataset` | records | batches in memory, a pure function of the seed and the step |
| `layers` | activations | Keras' own layers with arithmetic that is fast on a CPU |
| `model` | char dict and canvas | `build_crnn(...)`: canvas -> logits |
| `ctc` | logits, labels, frames | the loss of each image in nats, on every backend |
| `devices` | a machine, a group of processes | what suits it; several devices train one reader |
| `train` | batches and a model | a run folder: reader, history, state to continue from |
| `decode` | logits | texts with confidence |
| `lexicon` | logits and a list of words | the likeliest of the words near the best path's text |
| `evaluate` | labels and texts | word accuracy, CER, 1-NED, confusions, worst cases |
| `error_kinds` | a report, its images | errors by kind: table and examples |
| `calibration` | confidences, right or wrong | the chance of being right; ECE; what to keep |
| `looks` | canvases | the same, turned and leaning, for another look |
| `reading` | images, a network | readings in order, by threads; what the readers share |
| `recognizer` | a saved reader | `Recognizer.load(path).read(images)` |
| `extend` | a saved reader, another char dict | a reader that keeps what it has learnt |
| `export` | a saved reader | SavedModel: image bytes in, text out; one ONNX file |
| `onnx_reader` | that ONNX file | the same readings without Keras and TensorFlow |
| `readers` | words, fonts, hours | the shipped readers, and the figures told of them |
| `plots` | plain data | figures |

`files`, `progress`, `workers` and `memory` serve them all; `notebook` and `walkthrough` run the
numbered notebooks.
"""

__version__ = "0.1.0"

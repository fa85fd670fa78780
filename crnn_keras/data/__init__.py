"""From labels on disk to batches.

| module | subject |
|---|---|
| `issues` | `Issue`: what is wrong with a row, or should be checked |
| `lmdb_folder` | LMDB folders: `open_lmdb`, `write_lmdb` |
| `labels` | label files, folders and LMDBs of any layout -> samples |
| `check` | samples -> a report on them, before any training |
| `records` | sets on disk: TFRecord shards, manifests |
| `build` | a specification -> records, on all cores or on Beam |
| `batches` | records -> batches, a pure function of (records, seed, step) |
| `plan`, `canvas_cache` | which images a batch holds; their canvases, decoded and kept |
| `base_batches`, `dataset` | augmentation; a `keras.utils.PyDataset`, some batches made ahead |
| `drawn` | words drawn while a model trains on them -> batches |
"""

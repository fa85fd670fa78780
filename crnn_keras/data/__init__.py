"""Labels on disk to batches.

| part | subject |
|---|---|
| `labels` | one file for each label layout; samples, and what was skipped and why |
| `check` | what is wrong with a set, before any training |
| `records` | sets on disk: TFRecord shards, manifests |
| `build` | a specification to records, on all cores or on Beam |
| `batches` | records to batches, a pure function of (records, seed, step) |
"""

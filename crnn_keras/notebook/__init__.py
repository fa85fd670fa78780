"""What the numbered notebooks share.

| file | subject |
|---|---|
| `run` | `start` and `NotebookRun`: parameters, folders, figures, results |
| `walkthrough` | runs the notebooks in order and writes a page about the run |
| `practice` | a small labelled set with planted faults |
"""

from crnn_keras.notebook.run import NotebookRun, ParameterError, check_parameters, start

__all__ = ["NotebookRun", "ParameterError", "check_parameters", "start"]

"""What the numbered notebooks share; nothing else in the package imports it.

| file | subject |
|---|---|
| `run` | `start` and `finish`: parameters checked, folders, figures, results |
| `walkthrough` | runs the notebooks in order and writes a page |
| `practice` | a small labelled set with planted faults |
"""

from crnn_keras.notebook.run import NotebookRun, ParameterError, check_parameters, start

__all__ = ["NotebookRun", "ParameterError", "check_parameters", "start"]

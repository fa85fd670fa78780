"""What the numbered notebooks share.

| file | subject |
|---|---|
| `parameters` | their defaults, and values given as text |
| `run` | `start` and `NotebookRun`: folders, figures, results |
| `tables` | words on the left, numbers on the right |
| `live_curves` | the curves of a training, while it runs |
| `watched` | a training that a learner watches: loss, and what it reads of some words |
| `walkthrough` | runs the notebooks in order and writes a page about the run |
| `executed` | an executed notebook as a page that asks no other host |
| `runs` | the runs in `data/` and `reports/` with their figures |
| `practice` | a small labelled set with planted faults |
| `rounds` | what is not labelled yet, and what each round of labelling brought |
| `small_trainings` | trainings of some seconds, for looking at what goes wrong |
| `displays` | labelled dot-matrix displays, which no shipped reader has learned from |
| `exercises` | exercises that check themselves, for each lesson |
"""

from crnn_keras.notebook.parameters import ParameterError, check_parameters
from crnn_keras.notebook.run import NotebookRun, find_readable, start

__all__ = ["NotebookRun", "ParameterError", "check_parameters", "find_readable", "start"]

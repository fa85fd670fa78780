"""Exercises that check themselves: a module for each lesson, a function for each question.

A lesson imports its own as `check`, and a cell of an exercise ends in `check.q1(answer)`. It prints
that the answer is right and why it matters, or a hint, never the answer. It raises nothing,
whatever was answered.

| file | subject |
|---|---|
| `questions` | what all questions share: `question`, `Hint`, and kinds of answers |
| `chinese` | the same questions with Chinese hints, from the catalogues in `zh/` |
| `lesson_01` | characters, and the map from paths to texts |
| `lesson_03` | receptive field, sum over paths, lattice, gradient |
| `lesson_05` | character error rate, interval, length of words |
| `lesson_05b` | calibration error, calibration, threshold |
"""

"""Exercises that check themselves: a module for each lesson, a function for each question.

A lesson imports its own as `check`, and a cell of an exercise ends in `check.q1(answer)`. It prints
that the answer is right and why it matters, or a hint, never the answer. It raises nothing,
whatever was answered.

| file | subject |
|---|---|
| `questions` | what all questions share: `question`, `Hint`, and kinds of answers |
| `chinese` | the same questions with Chinese hints, from the catalogues in `zh/` |
| `lesson_00` | confidence, the size of a prediction, frames |
| `lesson_01` | characters, and the map from paths to texts |
| `lesson_02` | splits, rows that cannot be used, leakage, rare characters, canvas |
| `lesson_03` | receptive field, sum over paths, lattice, gradient |
| `lesson_03b` | beam, length bonus, lexicon, pattern |
| `lesson_03c` | first loss, blank, floor of a double softmax, frames, leak |
| `lesson_04` | steps, learning rate, the plateau of blanks, the loss as a probability |
| `lesson_05` | character error rate, interval, length of words |
| `lesson_05b` | calibration error, calibration, threshold |
| `lesson_06` | signature, sizes of batches, comparison of readings, int8 |
| `lesson_07` | coverage, unseen characters, frames of a line, last layer |
| `lesson_08` | replay, before and after, the next images to label, the price of a point |
"""

"""How much a language model decides: its settings are chosen by labelled images."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crnn_keras.evaluation.metrics import evaluate
from crnn_keras.inference.loading import load_images
from crnn_keras.model.decoding import LanguageModel, LanguageModelSettings

if TYPE_CHECKING:
    from crnn_keras.data.labels import Sample
    from crnn_keras.inference.base import BaseRecognizer

WEIGHTS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
LENGTH_BONUSES = (0.0, 0.6, 1.2, 1.8, 2.4, 3.0)
THRESHOLDS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)
# A lower threshold is chosen if no more of the texts are other ones.
_OTHER_TEXTS = 0.001


class Trial(NamedTuple):
    """What some settings of a language model read.

    Args:
        settings: The `LanguageModelSettings`.
        texts: List of the texts.
        correct: How many of them are right.
    """

    settings: LanguageModelSettings
    texts: list[str]
    correct: int


def tune_language_model(
    recognizer: BaseRecognizer,
    language_model: LanguageModel,
    samples: Sequence[Sample],
    *,
    protocol: str = "exact",
    weights: Sequence[float] = WEIGHTS,
    length_bonuses: Sequence[float] = LENGTH_BONUSES,
    thresholds: Sequence[float] = THRESHOLDS,
) -> tuple[LanguageModel, list[Trial]]:
    """Chooses the settings of a language model for a reader, by labelled images.

    First weight and length bonus are chosen together, at the largest threshold: those with the
    most correct texts, in the mean over their neighbours in the grid, since counts of some hundred
    images are noisy. Then the lowest threshold is taken with which at most one text in a thousand
    is another one; the time to read falls with it.

    Args:
        recognizer: The reader.
        language_model: The `LanguageModel`.
        samples: Labelled `Sample`s that the reader has not learned from.
        protocol: See `evaluate`. Defaults to `"exact"`.
        weights: Weights to try, rising. Defaults to `(0.0, 0.2, ..., 1.2)`.
        length_bonuses: Length bonuses to try, rising. Defaults to `(0.0, 0.6, ..., 3.0)`.
        thresholds: Thresholds to try, rising. Defaults to
            `(0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)`.

    Returns:
        Tuple of the language model with the settings chosen, and the list of all `Trial`s: those of
        the grid, weight by weight, then those of the other thresholds.

    Raises:
        ValueError: There are no samples.
    """
    if not samples:
        raise ValueError("There are no labelled images to choose the settings by.")
    targets = [sample.text for sample in samples]
    batches = list(_predict_logits(recognizer, samples))

    def run(weight, length_bonus, threshold):
        settings = LanguageModelSettings(weight, length_bonus, threshold)
        texts = [""] * len(samples)
        model = language_model.with_settings(settings)
        for positions, logits in batches:
            predictions = recognizer.decode(logits, language_model=model)
            for position, prediction in zip(positions, predictions, strict=True):
                texts[position] = prediction.text
        cases = evaluate(targets, texts, protocol=protocol).cases
        return Trial(settings, texts, sum(not case.distance for case in cases))

    *lower, largest = thresholds
    trials = [run(*pair, largest) for pair in itertools.product(weights, length_bonuses)]
    counts = np.array([trial.correct for trial in trials], float)
    means = _smooth(counts.reshape(len(weights), len(length_bonuses)))
    chosen = best = trials[int(means.argmax())]
    for threshold in reversed(lower):
        trial = run(best.settings.weight, best.settings.length_bonus, threshold)
        trials.append(trial)
        others = sum(a != b for a, b in zip(trial.texts, best.texts, strict=True))
        if others <= _OTHER_TEXTS * len(samples):
            chosen = trial
    return language_model.with_settings(chosen.settings), trials


def _predict_logits(recognizer, samples) -> Iterator[tuple[list[int], np.ndarray]]:
    """Yields the positions of batches of samples, and their logits."""
    window = load_images(samples, recognizer.canvas)
    for positions, canvases in window.batches():
        yield positions, recognizer.predict_logits(canvases)


def _smooth(counts):
    """Returns the mean of each place of a grid and its neighbours, the diagonal ones too."""
    padded = np.pad(counts, 1, constant_values=np.nan)
    rows, columns = counts.shape
    shifted = [
        padded[i : i + rows, j : j + columns] for i, j in itertools.product(range(3), repeat=2)
    ]
    return np.nanmean(shifted, axis=0)

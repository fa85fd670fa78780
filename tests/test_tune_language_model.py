"""The settings of a language model are chosen by labelled images."""

import numpy as np
import pytest

from crnn_keras import Canvas, CharDict, train_language_model
from crnn_keras.data.labels import Sample
from crnn_keras.evaluation import tune_language_model
from crnn_keras.inference.base import BaseRecognizer

LETTERS = CharDict("abt")
GRID = {"weights": (0.0, 0.5, 1.0), "length_bonuses": (0.0, 1.0)}


class Doubtful(BaseRecognizer):
    """Takes the second of three letters for `b` rather than `a`, by what the image is gray."""

    def predict_logits(self, canvases):
        logits = np.full((len(canvases), canvases.shape[2] // 4, 4), -9.0)
        logits[:, :, 0] = 0
        for frame, letter in ((1, 3), (5, 2), (9, 3)):
            logits[:, frame, 0], logits[:, frame, letter] = -9, 3
        # From 0.1 to 2 less likely than the likeliest.
        logits[:, 5, 1] = 3 - canvases[:, 0, 0, 0] / 100
        return logits.astype(np.float32)


def samples(tmp_path, grays, text):
    from PIL import Image

    found = []
    for index, gray in enumerate(grays):
        path = tmp_path / f"{text}{index}.png"
        Image.fromarray(np.full((32, 100), gray, np.uint8)).save(path)
        found.append(Sample(str(path), text, where=path.name))
    return found


@pytest.fixture
def recognizer():
    return Doubtful(LETTERS, Canvas())


@pytest.fixture
def language_model():
    return train_language_model({"tat": 50.0, "tab": 3.0, "bat": 9.0}, LETTERS, codes=0)


def test_a_language_that_fits_gets_a_weight(tmp_path, recognizer, language_model):
    images = samples(tmp_path, range(10, 200, 10), "tat")
    tuned, trials = tune_language_model(recognizer, language_model, images, **GRID)
    assert tuned.settings.weight > 0 and tuned.ngrams is language_model.ngrams
    grid = {(t.settings.weight, t.settings.length_bonus): t.correct for t in trials[:6]}
    assert grid[0.0, 0.0] == 0 < grid[1.0, 0.0] <= len(images)
    assert [len(trial.texts) for trial in trials] == [len(images)] * len(trials)
    # All of the grid at the largest threshold, then the best at the others.
    assert [t.settings.threshold for t in trials[6:]] == [0.99, 0.98, 0.95, 0.9, 0.8, 0.5]


def test_the_lowest_threshold_with_the_same_texts_is_taken(tmp_path, recognizer, language_model):
    images = samples(tmp_path, [20, 40], "tat")
    thresholds = (0.1, 0.6, 0.99)
    tuned, trials = tune_language_model(
        recognizer, language_model, images, thresholds=thresholds, **GRID
    )
    # The reader takes its own texts for likelier than 0.1, so it would ask for none of them.
    assert tuned.settings.threshold == 0.6
    assert trials[-1].settings.threshold == 0.1 and trials[-1].correct == 0


def test_a_language_that_does_not_fit_gets_none(tmp_path, recognizer, language_model):
    images = samples(tmp_path, range(10, 200, 10), "tbt")
    tuned, trials = tune_language_model(recognizer, language_model, images, **GRID)
    assert tuned.settings.weight < 1.0 and trials[0].correct == len(images)


def test_without_images_nothing_can_be_chosen(recognizer, language_model):
    with pytest.raises(ValueError, match="no labelled images"):
        tune_language_model(recognizer, language_model, [])

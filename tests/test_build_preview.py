"""Rendered words as samples: the words that `prepare_rendered` writes, checked like any images."""

import doctest
import pickle

import pytest

from crnn_keras import CharDict, Recipe, check_splits, make_canvas
from crnn_keras.data.build import RenderedSource, preview, preview_splits
from crnn_keras.synth import Style, bundled_fonts

FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}


@pytest.fixture
def recipe(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("\n".join(f"{a}{b}{c}" for a in "prst" for b in "aeiou" for c in "lmnk"))
    texts = {"kind": "words", "file": words}
    return Recipe(texts, fonts=bundled_fonts()[:3], style=Style.mild(), seed=5, fractions=FRACTIONS)


def test_the_samples_are_the_words_that_are_written(recipe):
    found, splits = preview_splits(recipe, rows=20, most=4)
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 4,
        "validation": 2,
        "test": 4,
    }
    assert found.samples == [sample for split in splits.values() for sample in split]
    assert "4 of 14 train, 2 of 2 validation" in found.summary()
    source = RenderedSource(Recipe.from_config(recipe.get_config() | {"split": "test"}), 4)
    written = [(record.encoded, record.text) for record in source.records(0)]
    assert [(sample.read(), sample.text) for sample in splits["test"]] == written
    # They are sent to other processes.
    (again,) = pickle.loads(pickle.dumps(splits["train"][3:]))  # noqa: S301
    assert again == splits["train"][3] and again.read() == splits["train"][3].read()


def test_a_split_without_words_is_left_out(recipe):
    _, splits = preview_splits(recipe, rows=4)
    assert [*splits] == ["train", "test"]


def test_the_check_finds_nothing_in_rendered_words_but_what_cannot_be_read(recipe):
    found, splits = preview_splits(recipe, rows=40)
    canvas = make_canvas("stretch", 100)
    letters = CharDict.from_preset("alphanumeric36")
    checked = check_splits(splits, letters, canvas, issues=found.issues)
    assert (len(checked.facts), checked.skipped) == (40, [])
    checked = check_splits(splits, CharDict("abcdefghij"), canvas)
    first = checked.skipped[0]
    assert first.kind == "unknown character" and first.where == "train, word 0"
    assert splits["train"][0].text in first.reason


def test_the_example():
    assert doctest.testmod(preview).failed == 0

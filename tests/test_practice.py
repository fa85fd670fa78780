"""The practice set: the data check finds each planted fault, and nothing else."""

import collections
import doctest
import os

import pytest

from crnn_keras.char_dict import CharDict
from crnn_keras.data import labels
from crnn_keras.data.check import check_splits
from crnn_keras.images import Canvas
from crnn_keras.notebook import practice
from crnn_keras.notebook.practice import write_practice_set

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}
LETTERS = CharDict.from_preset("alphanumeric36")
# Issues of the whole set, not of a row: it is small, and which characters it has is random.
OF_THE_SET = {"characters never trained", "unused characters", "rare characters"}
OF_THE_SET |= {"few training images", "few images to measure"}
# Each fault by its line of train.tsv.
ERRORS = {
    4: "empty label",
    6: "missing file",
    9: "unreadable image",
    13: "path outside the folder",
    21: "unknown character",
    22: "label too long",
    51: "unknown character",
}
WARNINGS = {
    32: "exact duplicate",
    35: "near duplicate",
    41: "leakage",
    46: "conflicting labels",
    47: "conflicting labels",
}


def check(sources, char_dict=LETTERS):
    found, splits = labels.read_splits(**sources, fractions=FRACTIONS, seed=0)
    return splits, check_splits(splits, char_dict, Canvas(), issues=found.issues)


def by_line(issues):
    rows = [issue for issue in issues if issue.kind not in OF_THE_SET]
    assert all("train.tsv, line " in issue.where for issue in rows), rows
    kinds = {int(issue.where.rpartition(" ")[2]): issue.kind for issue in rows}
    assert len(kinds) == len(rows)
    return kinds


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_the_check_finds_what_was_planted_and_nothing_else(tmp_path, seed):
    splits, checked = check(write_practice_set(tmp_path / "practice", seed))
    # Two of the 110 rows have no label or no valid path.
    sizes = {name: len(samples) for name, samples in splits.items()}
    assert sizes == {"train": 78, "validation": 10, "test": 20}
    assert by_line(checked.skipped) == ERRORS
    assert by_line([*checked.warnings, *checked.notes]) == WARNINGS


def test_full_width_characters_are_found_if_the_char_dict_has_them(tmp_path):
    sources = write_practice_set(tmp_path / "practice")
    found, _ = labels.read_splits(**sources, fractions=FRACTIONS, seed=0)
    char_dict = CharDict.from_source("labels", texts=[sample.text for sample in found.samples])
    _, checked = check(sources, char_dict)
    kinds = collections.Counter(issue.kind for issue in checked.issues)
    assert kinds["full-width and half-width mixed"] == 1
    assert "unknown character" not in kinds


def test_the_seed_decides_the_bytes(tmp_path):
    def contents(name, seed):
        write_practice_set(tmp_path / name, seed)
        paths = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        return {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in paths}

    first = contents("one", 3)
    assert contents("two", 3) == first == contents("one", 3)
    assert contents("three", 4) != first
    # Of 110 images one is missing, and one is outside.
    assert len([name for name in first if name.startswith("images")]) == 108
    assert sorted(os.listdir(tmp_path)) == ["one", "three", "two"]


def test_an_earlier_set_is_replaced_and_other_folders_are_not(tmp_path):
    folder = tmp_path / "practice"
    write_practice_set(folder)
    (folder / "images" / "mine.jpg").write_bytes(b"x")
    write_practice_set(folder)
    assert not (folder / "images" / "mine.jpg").exists()

    (folder / "diary.txt").write_text("dear to me")
    with pytest.raises(ValueError, match="practice holds"):
        write_practice_set(folder)
    assert (folder / "diary.txt").read_text() == "dear to me"
    with pytest.raises(ValueError, match=r"diary\.txt"):
        write_practice_set(folder / "diary.txt")


def test_the_example_prints_what_it_says():
    result = doctest.testmod(practice)
    assert result.attempted and not result.failed

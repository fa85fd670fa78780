"""The practice set: its faults are those that the data check finds, each once."""

import collections
import os

import pytest

from crnn_keras.char_dict import CharDict
from crnn_keras.data import labels
from crnn_keras.data.check import check_splits
from crnn_keras.images import Canvas
from crnn_keras.notebook import practice

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
LETTERS = CharDict.from_preset("alphanumeric36")
# Of the whole set, not of a row: chance decides which characters 110 words have.
OF_THE_SET = {"characters never trained", "unused characters", "rare characters"}
# Each fault by the line of train.tsv that it was planted in.
PROBLEMS = {
    4: "empty label",
    6: "missing file",
    9: "unreadable image",
    13: "path outside the folder",
    21: "unknown character",
    22: "label too long",
    51: "unknown character",
}
FINDINGS = {
    32: "exact duplicate",
    35: "near duplicate",
    41: "leakage",
    46: "conflicting labels",
    47: "conflicting labels",
}


def check(source, char_dict=LETTERS, canvas=None):
    found, parts = labels.read_splits(source, SHARES, seed=0)
    checked = check_splits(parts, char_dict, canvas or Canvas(), found.problems)
    return parts, checked


def by_line(found):
    rows = [row for row in found if row.kind not in OF_THE_SET]
    assert all("train.tsv, line " in row.where for row in rows), rows
    kinds = {int(row.where.rpartition(" ")[2]): row.kind for row in rows}
    assert len(kinds) == len(rows)
    return kinds


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_the_check_finds_what_was_planted_and_nothing_else(tmp_path, seed):
    parts, checked = check(practice.write_set(tmp_path / "practice", seed))
    # Of 110 rows two have no label or path that could be read.
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 78,
        "validation": 10,
        "test": 20,
    }
    assert by_line(checked.problems) == PROBLEMS
    assert by_line(checked.findings) == FINDINGS


def test_with_the_labels_own_characters_the_forms_are_found(tmp_path):
    source = practice.write_set(tmp_path / "practice")
    found, _ = labels.read_splits(source, SHARES, seed=0)
    own = CharDict.from_labels(sample.text for sample in found.samples)
    _, checked = check(source, own)
    kinds = collections.Counter(finding.kind for finding in checked.findings)
    assert kinds["full-width and half-width mixed"] == 1
    assert "unknown character" not in by_line(checked.problems).values()


def test_the_seed_decides_the_bytes(tmp_path):
    def contents(name, seed):
        practice.write_set(tmp_path / name, seed)
        paths = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        return {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in paths}

    first = contents("one", 3)
    assert contents("two", 3) == first == contents("one", 3)
    assert contents("three", 4) != first
    # Of 110 images one is missing, and one lies outside.
    assert len([name for name in first if name.startswith("images")]) == 108
    assert sorted(os.listdir(tmp_path)) == ["one", "three", "two"]


def test_an_earlier_set_is_replaced_and_other_folders_are_not(tmp_path):
    folder = tmp_path / "practice"
    practice.write_set(folder)
    (folder / "images" / "mine.jpg").write_bytes(b"x")
    practice.write_set(folder)
    assert not (folder / "images" / "mine.jpg").exists()

    (folder / "diary.txt").write_text("dear to me")
    with pytest.raises(ValueError, match="practice is no practice set. Give a new folder"):
        practice.write_set(folder)
    assert (folder / "diary.txt").read_text() == "dear to me"
    with pytest.raises(ValueError, match="is no practice set"):
        practice.write_set(folder / "diary.txt")

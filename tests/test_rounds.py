"""Rounds of labelling: what has no label yet, and what each round brought."""

import json
import pathlib
import types

import pytest

from crnn_keras import evaluate, read_samples
from crnn_keras.notebook.displays import draw_displays
from crnn_keras.notebook.rounds import find_unlabelled, keep_round, round_folder


@pytest.fixture
def crops(tmp_path):
    """A label file of the first three of six images."""
    labels = draw_displays(tmp_path / "crops", 6)
    labels.write_text("".join(labels.read_text().splitlines(keepends=True)[:3]))
    return labels


def names(paths):
    return [pathlib.Path(path).name for path in paths]


def test_images_without_a_label_are_found_but_for_those_that_are_marked(crops):
    samples = read_samples(crops).samples
    expected = ["00003.png", "00004.png", "00005.png"]
    assert names(find_unlabelled(crops, samples)) == expected
    marks = "image\tstatus\n00004.png\tunreadable\n"
    (crops.parent / "labels.status.tsv").write_text(marks)
    (crops.parent / "notes.txt").touch()
    (crops.parent / ".hidden.png").touch()
    (crops.parent / "away.png").symlink_to("/etc/hostname")
    for source in (crops, crops.parent):
        assert names(find_unlabelled(source, samples)) == ["00003.png", "00005.png"]


def test_other_labels_have_another_folder(tmp_path, crops):
    *train, test = read_samples(crops).samples
    splits = {"train": train, "validation": [], "test": [test]}
    folder = round_folder(tmp_path, splits)
    assert folder == round_folder(tmp_path, dict(splits)) and folder.name.startswith("2_")
    crops.write_text(crops.read_text().replace("Q5/2", "Q5/3"))
    *mended, _ = read_samples(crops).samples
    assert round_folder(tmp_path, splits | {"train": mended}) != folder


def finished(folder, *, correct, images=8, folds=0):
    """What `fine_tune` returns, as far as it is kept."""
    path = folder / "train" / "model.keras"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(folder.name)
    before, after = (evaluate("aaaa", ["a"] * n + ["b"] * (4 - n)) for n in (1, correct))
    return types.SimpleNamespace(
        model_path=path,
        comparisons=[types.SimpleNamespace(before=before, after=after)],
        sizes={"train": images, "validation": 2, "test": 4},
        folds=folds,
    )


def test_rounds_are_kept_in_the_order_of_their_images(tmp_path):
    assert len(keep_round(tmp_path, finished(tmp_path / "b", correct=4, images=20))) == 1
    rows = keep_round(tmp_path, finished(tmp_path / "a", correct=2))
    figures = [(row["images"], row["correct"], row["tested"]) for row in rows]
    assert figures == [(10, 2, 4), (22, 4, 4)]
    assert rows[0]["before"] == 0.25
    # The last one is the reader to use, and the same round is kept once.
    assert (tmp_path / "train" / "model.keras").read_text() == "a"
    assert keep_round(tmp_path, finished(tmp_path / "a", correct=3))[0]["correct"] == 3
    # Each of two folds learned from half of the images.
    assert keep_round(tmp_path, finished(tmp_path / "c", correct=3, folds=2))[0]["images"] == 7


@pytest.mark.parametrize("damage", ["[]", '{"a": 1}', '{"a": {"images": "8"}}', "{"])
def test_damaged_rounds_are_named(tmp_path, damage):
    (tmp_path / "rounds.json").write_text(damage)
    with pytest.raises(ValueError, match=r"rounds\.json"):
        keep_round(tmp_path, finished(tmp_path / "a", correct=2))
    assert (tmp_path / "rounds.json").read_text() == damage


def test_what_is_kept_is_plain(tmp_path):
    keep_round(tmp_path, finished(tmp_path / "a", correct=2))
    (row,) = json.loads((tmp_path / "rounds.json").read_text()).values()
    assert set(row) == {"series", "images", "seed", "correct", "tested", "before"}

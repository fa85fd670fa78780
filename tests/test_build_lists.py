"""Lists of samples, one for each shard."""

import json
import os
import re
import tracemalloc
from collections import Counter

import pytest

from crnn_keras.char_dict import CharDict
from crnn_keras.data import build
from crnn_keras.data.build import ListedSource, Specification, list_splits, list_stream
from crnn_keras.data.issues import Issue
from crnn_keras.data.labels import Sample, assign_split
from crnn_keras.data.records.sample_list import read_sample_list
from crnn_keras.images import Canvas

LETTERS = CharDict.from_preset("alphanumeric36")
CANVAS = Canvas()


def test_a_list_that_was_changed_is_refused(tmp_path, listed):
    path = tmp_path / "lists" / "train" / "00001.jsonl"
    path.write_text(path.read_text().replace("word6", "word9"))
    with pytest.raises(ValueError, match=r"00001\.jsonl.*notebook 02"):
        build.prepare(listed, tmp_path / "set")


def test_a_stream_is_assigned_and_its_issues_are_named(tmp_path, noise_samples):
    fractions = {"train": 0.7, "test": 0.3}
    issue = Issue("empty label", "labels.tsv, line 13", "'12.png' has no label.")
    sources = list_stream(
        tmp_path / "lists", [*noise_samples, issue], fractions, seed=1, per_shard=4
    )
    wanted = [assign_split(sample.identity, fractions, 1) for sample in noise_samples]
    assert {split: source.rows for split, source in sources.items()} == Counter(wanted)
    for split, source in sources.items():
        assert len(source) == -(-wanted.count(split) // 4)
        assert source.identity() == ListedSource(tmp_path / "lists", split).identity()
    skipped = (tmp_path / "lists" / "skipped.tsv").read_text()
    assert "empty label\tlabels.tsv, line 13\t'12.png' has no label.\n" in skipped


def test_a_folder_of_other_files_is_not_replaced_by_lists(tmp_path, noise_samples):
    own = tmp_path / "lists" / "mine.txt"
    own.parent.mkdir()
    own.write_text("mine")
    with pytest.raises(ValueError, match=r"lists holds files but no lists\.json"):
        list_splits(tmp_path / "lists", {"train": noise_samples})
    assert own.read_text() == "mine" and [*own.parent.iterdir()] == [own]


def test_listing_keeps_memory_flat(tmp_path):
    def peak(rows):
        samples = (Sample(f"{n}.png", "word", f"line {n}") for n in range(rows))
        tracemalloc.start()
        list_stream(tmp_path / "lists", samples, {"train": 1.0}, seed=0, per_shard=500)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(1000)
    assert peak(20_000) < 1.5 * peak(2000)


def test_keys_and_boxes_are_in_the_lists(tmp_path):
    samples = [
        Sample("db", "one", "db, 1", key="image-000000001"),
        Sample("street.jpg", "two", "x.xml", box=(1, 2, 30, 4)),
    ]
    list_splits(tmp_path / "lists", {"train": samples})
    listed = json.loads((tmp_path / "lists" / "lists.json").read_text())["train"][0]
    assert read_sample_list(tmp_path / "lists" / "train" / "00000.jsonl", listed) == samples


def test_no_samples_make_no_lists(tmp_path):
    with pytest.raises(ValueError, match="no samples to list"):
        list_splits(tmp_path / "lists", {"train": []})
    with pytest.raises(ValueError, match="lists.json.*'test'"):
        ListedSource(tmp_path / "lists", "test")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "lists.json", "skipped.tsv", " a", "\0"])
def test_a_split_must_be_able_to_name_a_folder(tmp_path, name):
    samples = [Sample("1.png", "one", "labels.tsv, line 1")]
    with pytest.raises(ValueError, match=re.escape(repr(name))):
        list_splits(tmp_path / "lists", {name: samples})
    with pytest.raises(ValueError, match=re.escape(repr(name))):
        list_stream(tmp_path / "lists", samples, {"train": 0.5, name: 0.5}, seed=0)
    assert os.listdir(tmp_path) == []


def test_splits_and_lists_of_any_script_and_size(tmp_path):
    samples = [Sample("1.png", "one", "labels.tsv, line 1")]
    splits = {"训练": samples, "empty": []}
    (source,) = list_splits(tmp_path / "lists", splits, per_shard=10**9).values()
    assert (source.split, source.rows, len(source)) == ("训练", 1, 1)
    for per_shard in (0, -1):
        with pytest.raises(ValueError, match=f"{per_shard} .* 1"):
            list_splits(tmp_path / "lists", {"train": samples}, per_shard=per_shard)


def test_lists_are_found_from_the_current_folder(tmp_path, noise_samples, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = list_splits("lists", {"train": noise_samples[:3]})["train"]
    Specification(source, LETTERS, CANVAS).save("train.json")
    assert build.prepare(Specification.load("train.json"), "set")["records"] == 3
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"lists/lists\.json below .*elsewhere"):
        Specification.load("../train.json")

"""The content of its images names a set: other images under the same names make other records."""

import hashlib
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

from crnn_keras import open_records
from crnn_keras.char_dict import CharDict
from crnn_keras.data import build
from crnn_keras.data.labels import Sample
from crnn_keras.data.lmdb_folder import image_key, write_lmdb
from crnn_keras.data.records import (
    ManifestRecords,
    RecordError,
    Records,
    verify,
    write_manifest,
)
from crnn_keras.data.records.sample_list import content_of
from crnn_keras.images import Canvas

LETTERS = CharDict.from_preset("alphanumeric36")
CHECKED = {"char_dict": LETTERS, "canvas": Canvas()}


@pytest.fixture
def picture(encode):
    """Function that encodes noise; the same seed gives the same bytes."""

    def make(seed, size=(20, 60)):
        noise = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
        return encode(Image.fromarray(noise), "PNG")

    return make


def _replace(path, content):
    """Writes other bytes; the time and, where it can be, the size of the file stay."""
    state = os.stat(path)
    pathlib.Path(path).write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.fixture(params=["file", "lmdb", "box"])
def kind(request):
    return request.param


@pytest.fixture
def make(tmp_path, picture, kind):
    """Function `(seeds)` that writes images of these seeds under the same names."""

    def made(seeds):
        if kind == "lmdb":
            shutil.rmtree(tmp_path / "db", ignore_errors=True)
            write_lmdb(tmp_path / "db", [(picture(s), f"w{n}") for n, s in enumerate(seeds)])
            return [
                Sample(str(tmp_path / "db"), f"w{n}", f"db, {n}", key=image_key(n + 1))
                for n in range(len(seeds))
            ]
        samples = []
        for number, seed in enumerate(seeds):
            path = tmp_path / f"{number}.png"
            content = picture(seed, (60, 120) if kind == "box" else (20, 60))
            _replace(path, content) if path.exists() else path.write_bytes(content)
            box = (5, 5, 60, 20) if kind == "box" else ()
            samples.append(Sample(str(path), f"w{number}", f"l.tsv, line {number}", box=box))
        return samples

    return made


@pytest.mark.parametrize("in_place", [False, True])
def test_other_images_under_the_same_names_make_other_records(tmp_path, make, in_place):
    def prepare(samples):
        return build.prepare_samples(
            {"train": samples}, **CHECKED, folder=tmp_path / "run", in_place=in_place
        )["train"]

    path = tmp_path / "run" / "records" / "train"
    samples = make(range(6))
    first = prepare(samples)
    before = open_records(path)
    assert [r.encoded for r in before] == [s.read() for s in samples]
    samples = make([0, 1, 2, 3, 4, 99])
    second = prepare(samples)
    after = open_records(path)
    assert [r.encoded for r in after] == [s.read() for s in samples]
    assert before.fingerprint != after.fingerprint
    assert (first["replaced"], second["replaced"]) == (0, 6)
    # Back to the first images, it is the first set.
    prepare(make(range(6)))
    assert open_records(path).fingerprint == before.fingerprint


def test_a_list_names_the_content_of_its_images(tmp_path, make):
    def digest(samples):
        source = build.list_splits(tmp_path / "lists", {"train": samples})["train"]
        return build.Specification(source, **CHECKED).digest

    samples = make(range(6))
    first = digest(samples)
    assert digest(samples) == digest(make(range(6))) == first
    assert digest(make([0, 1, 2, 3, 4, 99])) != first
    stream = build.list_stream(tmp_path / "stream", make(range(6)), {"train": 1.0})["train"]
    assert build.Specification(stream, **CHECKED).digest == first


def test_an_image_that_changed_after_it_was_listed_is_named(tmp_path, make):
    samples = make(range(6))
    source = build.list_splits(tmp_path / "lists", {"train": samples}, per_shard=3)["train"]
    specification = build.Specification(source, **CHECKED)
    build.prepare(specification, tmp_path / "set")
    make([0, 1, 2, 3, 99, 5])
    name = samples[4].key or pathlib.Path(samples[4].image).name
    # A new set, the finished set again, and the repair of the image's shard.
    for folder, damage in (("other", None), ("set", None), ("set", "00001.tfrecord")):
        if damage:
            (tmp_path / folder / damage).unlink()
        with pytest.raises(RecordError, match=rf"{name}.*when it was listed"):
            build.prepare(specification, tmp_path / folder)
    with pytest.raises(RecordError, match=rf"set: 00001\.tfrecord .*{name}"):
        build.prepare(specification, tmp_path / "set")
    make(range(6))
    build.prepare(specification, tmp_path / "set")
    assert len(Records(tmp_path / "set")) == 6 and verify(tmp_path / "set") == {}


def test_a_manifest_names_an_image_that_changed(tmp_path, make):
    samples = make(range(6))
    write_manifest(tmp_path / "set", samples, **CHECKED)
    assert verify(tmp_path / "set") == {}
    records = open_records(tmp_path / "set")
    assert records.fingerprint == ManifestRecords(samples).fingerprint
    make([0, 1, 2, 3, 99, 5])
    assert records.fingerprint != ManifestRecords(samples).fingerprint
    name = samples[4].key or pathlib.Path(samples[4].image).name
    assert len([records[index] for index in (0, 1, 2, 3, 5)]) == 5
    for read in (lambda: records[4], lambda: list(records), lambda: list(records.iter_checked())):
        with pytest.raises(RecordError, match=rf"{name} .*when it was listed.*notebook 02"):
            read()
    (sentence,) = verify(tmp_path / "set").values()
    assert name in sentence


@pytest.mark.parametrize("is_gone", [True, False])
def test_an_image_that_came_or_went_is_named(tmp_path, noise_samples, picture, is_gone):
    # The file of the fourth is missing.
    source = build.list_splits(tmp_path / "lists", {"train": noise_samples})["train"]
    specification = build.Specification(source, **CHECKED)
    assert build.prepare(specification, tmp_path / "set")["skipped"] == 3
    write_manifest(tmp_path / "manifest", noise_samples, **CHECKED)
    changed = noise_samples[0 if is_gone else 3]
    if is_gone:
        os.unlink(changed.image)
    else:
        pathlib.Path(changed.image).write_bytes(picture(3))
    for use in (
        lambda: build.prepare(specification, tmp_path / "other"),
        lambda: build.prepare(specification, tmp_path / "set"),
        lambda: list(open_records(tmp_path / "manifest").iter_checked()),
    ):
        with pytest.raises(RecordError, match=f"{changed.image} .*when it was listed"):
            use()


def test_a_damaged_image_is_skipped_as_before_and_its_content_counts(tmp_path, picture):
    samples = [Sample(str(tmp_path / f"{n}.png"), "one", f"l.tsv, line {n}") for n in range(2)]
    for number, sample in enumerate(samples):
        pathlib.Path(sample.image).write_bytes(picture(number)[: None if number else -40])
    content = build.prepare_samples({"train": samples}, **CHECKED, folder=tmp_path / "run")
    assert (content["train"]["records"], content["train"]["skipped"]) == (1, 1)
    # Repaired, it joins.
    pathlib.Path(samples[0].image).write_bytes(picture(0))
    content = build.prepare_samples({"train": samples}, **CHECKED, folder=tmp_path / "run")
    assert (content["train"]["records"], content["train"]["skipped"]) == (2, 0)


def test_a_box_outside_its_image_is_an_issue_not_a_change(tmp_path, picture):
    (tmp_path / "a.png").write_bytes(picture(0))
    boxes = [(0, 0, 60, 20), (500, 0, 10, 10)]
    samples = [Sample(str(tmp_path / "a.png"), "one", f"x.xml, {box}", box=box) for box in boxes]
    assert content_of(samples[0]) == content_of(samples[1]) != ""
    content = build.prepare_samples({"train": samples}, **CHECKED, folder=tmp_path / "run")
    assert (content["train"]["records"], content["train"]["skipped"]) == (1, 1)


def test_lists_of_an_earlier_crnn_keras_without_content_are_read(tmp_path, make):
    source = build.list_splits(tmp_path / "lists", {"train": make(range(3))})["train"]
    path = tmp_path / "lists" / "train" / "00000.jsonl"

    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    lines = [json.dumps({k: v for k, v in row.items() if k != "content"}) + "\n" for row in rows]
    path.write_text("".join(lines))
    lists = json.loads((tmp_path / "lists" / "lists.json").read_text())
    lists["train"][0]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "lists" / "lists.json").write_text(json.dumps(lists))
    source = build.ListedSource(tmp_path / "lists", "train")
    make([7, 8, 9])
    assert build.prepare(build.Specification(source, **CHECKED), tmp_path / "set")["records"] == 3

"""The splits of a preparation belong together: none of another one opens beside them."""

import contextlib
import json
import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from crnn_keras import open_batches, open_records, synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data import build
from crnn_keras.data.build import local
from crnn_keras.data.labels import Sample
from crnn_keras.data.lmdb_folder import image_key, write_lmdb
from crnn_keras.data.open import open_test_set
from crnn_keras.data.records import RecordError, Records, make_record, verify, write_records
from crnn_keras.images import Canvas

LETTERS = CharDict.from_preset("alphanumeric36")
CHECKED = {"char_dict": LETTERS, "canvas": Canvas()}
NAMES = ("train", "validation", "test")


@pytest.fixture
def samples(tmp_path, encode):
    """Eighteen labelled images of noise."""
    made = []
    for number in range(18):
        path = tmp_path / "images" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 256, (20, 60), np.uint8)
        path.write_bytes(encode(Image.fromarray(noise), "PNG"))
        made.append(Sample(str(path), f"w{number}", f"labels.tsv, line {number + 1}"))
    return made


@pytest.fixture
def in_lmdb(tmp_path, samples):
    """The same in an LMDB."""
    folder = tmp_path / "db"
    write_lmdb(folder, [(sample.read(), sample.text) for sample in samples])
    return [
        Sample(str(folder), sample.text, f"db, {number}", key=image_key(number))
        for number, sample in enumerate(samples, start=1)
    ]


def divide(samples, *sizes):
    ends = np.cumsum([0, *sizes])
    pairs = zip(NAMES, zip(ends[:-1], ends[1:], strict=True), strict=False)
    return {name: samples[start:end] for name, (start, end) in pairs}


def write(kind, folder, samples, *sizes):
    """Prepares splits of these sizes by one of the three ways."""
    if kind == "rendered":
        fractions = {name: size / 18 for name, size in zip(NAMES, sizes, strict=False)}
        recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:1]), seed=5, fractions=fractions)
        return build.prepare_rendered(recipe, **CHECKED, folder=folder, rows=18)
    splits = divide(samples, *sizes)
    return build.prepare_samples(splits, **CHECKED, folder=folder, in_place=kind == "in place")


@pytest.fixture(params=["listed", "in place", "rendered"])
def prepare(request, tmp_path):
    """Function `(*sizes)` that prepares splits into the same run."""
    source = request.getfixturevalue("in_lmdb" if request.param == "in place" else "samples")
    return lambda *sizes: write(request.param, tmp_path / "run", source, *sizes)


def sets_in(folder):
    return sorted(path.name for path in (folder / "records").iterdir() if path.is_dir())


def state_of(folder):
    """Says for each split how many records it has, or that it is refused, or absent."""
    found = {}
    for name in NAMES:
        try:
            found[name] = len(open_records(folder / "records" / name))
        except RecordError as error:
            assert name in str(error)
            missing = not (folder / "records" / name).exists()
            found[name] = "absent" if missing else "refused"
    return found


def test_splits_of_before_go(tmp_path, prepare, capsys):
    prepare(10, 5, 3)
    assert sets_in(tmp_path / "run") == sorted(NAMES)
    capsys.readouterr()
    written = prepare(18, 0, 0)
    assert {name: content["records"] for name, content in written.items()} == {"train": 18}
    assert sets_in(tmp_path / "run") == ["train"]
    said = capsys.readouterr().out
    assert re.search(r"records/train: replaces .*10 records", said)
    assert re.search(r"records/validation: removes .*5 records", said)
    assert re.search(r"records/test: removes .*3 records", said)
    assert written["train"]["replaced"] == 10


def test_the_same_again_keeps_all_files_and_says_nothing(tmp_path, prepare, capsys):
    prepare(10, 5, 3)
    files = [path for path in (tmp_path / "run" / "records").rglob("*") if path.is_file()]
    times = {path: path.stat().st_mtime_ns for path in files}
    capsys.readouterr()
    written = prepare(10, 5, 3)
    assert {content["replaced"] for content in written.values()} == {0}
    assert {path: path.stat().st_mtime_ns for path in files} == times
    assert capsys.readouterr().out == ""


def test_sets_of_an_earlier_crnn_keras_go_too(tmp_path, samples):
    # It wrote the splits one by one, and no splits.json.
    for name, number in zip(NAMES, (10, 5, 3), strict=True):
        made = [make_record(s.read(), s.text, s.where) for s in samples[:number]]
        write_records(tmp_path / "run" / "records" / name, made, **CHECKED)
    write("listed", tmp_path / "run", samples, 18)
    assert sets_in(tmp_path / "run") == ["train"]


@pytest.mark.parametrize("name", ["train", "validation", "test", "extra"])
def test_a_set_that_was_copied_among_others_is_refused(tmp_path, samples, name):
    write("listed", tmp_path / "run", samples, 10, 5, 3)
    write("listed", tmp_path / "other", samples[::-1], 9, 5, 4)
    copied = tmp_path / "run" / "records" / name
    shutil.rmtree(copied, ignore_errors=True)
    taken = tmp_path / "other" / "records" / ("test" if name == "extra" else name)
    shutil.copytree(taken, copied)
    for use in (open_records, Records, verify, open_test_set):
        with pytest.raises(RecordError, match=rf"records/{name} .*splits\.json"):
            use(copied)
    if name in ("train", "validation"):
        with pytest.raises(RecordError, match=rf"records/{name} .*splits\.json"):
            open_batches(copied.parent)
    # Alone, and all together, they open.
    shutil.copytree(taken, tmp_path / "alone" / "set")
    assert len(open_records(tmp_path / "alone" / "set")) == len(open_records(taken))
    shutil.copytree(tmp_path / "other", tmp_path / "moved")
    assert len(open_batches(tmp_path / "moved" / "records")[0]) == 9


def test_a_split_that_was_not_prepared_is_named(tmp_path, samples):
    write("listed", tmp_path / "run", samples, 18)
    for use in (open_records, open_test_set):
        with pytest.raises(RecordError, match=r"no .*records/test: .*splits\.json names 'train'"):
            use(tmp_path / "run" / "records" / "test")
    with pytest.raises(RecordError, match=r"no .*records/validation"):
        open_batches(tmp_path / "run" / "records")


def test_sets_that_were_prepared_one_by_one_open(word_sets):
    assert not (word_sets / "splits.json").exists()
    training, validation = open_batches(word_sets, batch_size=4)
    assert (len(training), len(validation)) == (48, 12)


def test_one_of_several_is_not_replaced_alone(tmp_path, samples, rendered):
    write("listed", tmp_path / "run", samples, 10, 8)
    records = tmp_path / "run" / "records"
    for name in ("train", "third"):
        for make in (
            lambda folder: build.prepare(rendered, folder),
            lambda folder: write_records(folder, list(open_records(records / "train")), **CHECKED),
        ):
            with pytest.raises(RecordError, match=rf"records/{name} .*splits\.json"):
                make(records / name)
    assert state_of(tmp_path / "run") == {"train": 10, "validation": 8, "test": "absent"}
    # Its own specification repairs it.
    before = (records / "train" / "00000.tfrecord").read_bytes()
    (records / "train" / "00000.tfrecord").unlink()
    own = build.Specification.load(records / "train" / "specification.json")
    build.prepare(own, records / "train")
    assert (records / "train" / "00000.tfrecord").read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"format": "other"}',
        b'{"format": "crnn_keras.splits", "version": 1, "splits": {}}',
        b'{"format": "crnn_keras.splits", "version": 1, "splits": {"train": 3}}',
        b'{"format": "crnn_keras.splits", "version": 1, "splits": {"train": {"sha256": 3}}}',
        b'{"format": "crnn_keras.splits", "version": 2, "splits": {"train": {"sha256": ""}}}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_list_of_splits_is_named_and_written_again(tmp_path, samples, content):
    write("listed", tmp_path / "run", samples, 10, 8)
    path = tmp_path / "run" / "records" / "splits.json"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=r"splits\.json.*notebook 02"):
        open_records(path.parent / "train")
    write("listed", tmp_path / "run", samples, 10, 8)
    assert state_of(tmp_path / "run") == {"train": 10, "validation": 8, "test": "absent"}


def test_what_is_not_records_stays(tmp_path, samples):
    write("listed", tmp_path / "run", samples, 10, 5, 3)
    records = tmp_path / "run" / "records"
    (records / "mine").mkdir()
    (records / "mine" / "notes.txt").write_text("dear to me")
    (records / "notes.txt").write_text("dear to me")
    (records / "test" / "notes.txt").write_text("dear to me")
    with pytest.raises(ValueError, match=r"records/test .*notes\.txt"):
        write("listed", tmp_path / "run", samples, 18)
    assert state_of(tmp_path / "run") == {"train": 10, "validation": 5, "test": 3}
    (records / "test" / "notes.txt").unlink()
    write("listed", tmp_path / "run", samples, 18)
    assert sorted(os.listdir(records)) == ["mine", "notes.txt", "splits.json", "train"]


@pytest.mark.parametrize("kind", ["listed", "in place"])
def test_a_split_whose_rows_are_all_unusable_leaves_the_sets_of_before(tmp_path, samples, kind):
    write(kind, tmp_path / "run", samples, 10, 8)
    with pytest.raises(ValueError, match="no samples|rows is usable"):
        splits = {"train": [], "validation": []} if kind == "in place" else None
        broken = Sample("absent.png", "x", "labels.tsv, line 1")
        build.prepare_samples(
            splits or {"train": samples, "validation": [broken]},
            **CHECKED,
            folder=tmp_path / "run",
            in_place=kind == "in place",
        )
    assert state_of(tmp_path / "run") == {"train": 10, "validation": 8, "test": "absent"}


@pytest.mark.parametrize("name", ["..", "a/b", "", "lists.json"])
@pytest.mark.parametrize("in_place", [True, False])
def test_a_split_must_be_able_to_name_a_folder(tmp_path, samples, name, in_place):
    with pytest.raises(ValueError, match=re.escape(repr(name))):
        build.prepare_samples(
            {name: samples}, **CHECKED, folder=tmp_path / "run", in_place=in_place
        )
    assert not list((tmp_path / "run").rglob("set.json"))


class Killed(BaseException):
    """Nothing runs after it, as after SIGKILL."""


MOMENTS = {
    "a set is made": (local, "announce_replacement", 0),
    "before splits.json": (local, "write_splits", 0),
    "after splits.json": (local, "_publish", 0),
    "half renamed": (os, "rename", 1),
    "one has its name": (local, "_publish", 1),
    "all have their names": (local.files, "remove", 0),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("sizes", [(18, 0, 0), (6, 8, 4)])
def test_killed_at_any_moment_no_mixture_opens(tmp_path, prepare, monkeypatch, moment, sizes):
    old = {"train": 10, "validation": 5, "test": 3}
    new = {name: size or "absent" for name, size in zip(NAMES, sizes, strict=True)}
    prepare(10, 5, 3)
    module, name, number = MOMENTS[moment]
    calls = []

    def die(*arguments, **options):
        is_renamed = name != "rename" or str(arguments[0]).endswith(("train", "train.part"))
        calls.append(is_renamed)
        if sum(calls) > number:
            # A process that was killed puts nothing back.
            patch.setattr(local.files, "restore_folder", lambda folder: None)
            raise Killed
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        real = getattr(module, name)
        patch.setattr(module, name, die)
        with contextlib.suppress(Killed):
            prepare(*sizes)
    found = state_of(tmp_path / "run")
    opened = {name: number for name, number in found.items() if isinstance(number, int)}
    assert opened.items() <= old.items() or opened.items() <= new.items(), found
    prepare(*sizes)
    assert state_of(tmp_path / "run") == new
    left = [path.name for path in (tmp_path / "run" / "records").iterdir()]
    assert sorted(left) == sorted(["splits.json", *(n for n in NAMES if new[n] != "absent")])


def test_what_killed_preparations_left_is_removed(tmp_path, samples):
    write("listed", tmp_path / "run", samples, 10, 5, 3)
    records = tmp_path / "run" / "records"
    shutil.copytree(records / "test", records / "test.part")
    shutil.copytree(records / "test", records / "validation.replaced")
    shutil.copytree(records / "train", records / f"train.{'0a' * 8}.part")
    (records / "train" / f"00000.tfrecord.{'0a' * 8}.part").write_bytes(b"half")
    (records / "other.part").mkdir()
    (records / "other.part" / "notes.txt").write_text("dear to me")
    write("listed", tmp_path / "run", samples, 18)
    assert sorted(os.listdir(records)) == ["other.part", "splits.json", "train"]
    assert not list((records / "train").glob("*.part"))


def test_a_set_that_was_trained_on_is_named_when_it_is_replaced(tmp_path, prepare, capsys):
    from crnn_keras.training.run_state import Progress, RunState

    prepare(10, 5, 3)
    for name, wanted in {"train": "train", "unrelated": "validation"}.items():
        fingerprint = open_records(tmp_path / "run" / "records" / wanted).fingerprint[:16]
        fingerprint = fingerprint if name == "train" else "0" * 16
        state = RunState(tmp_path / "run" / name, {"records": fingerprint})
        state.save([], Progress())
    capsys.readouterr()
    prepare(9, 6, 3)
    said = [line for line in capsys.readouterr().out.splitlines() if "records/train:" in line]
    assert len(said) == 1
    assert f"on which {tmp_path / 'run' / 'train'} was trained" in said[0]
    assert "10 records" in said[0] and "unrelated" not in said[0]


def test_the_list_of_splits_names_what_was_prepared(tmp_path, samples):
    write("listed", tmp_path / "run", samples, 10, 8)
    records = tmp_path / "run" / "records"
    content = json.loads((records / "splits.json").read_text())
    assert {name: split["records"] for name, split in content["splits"].items()} == {
        "train": 10,
        "validation": 8,
    }
    for name, split in content["splits"].items():
        own = build.Specification.load(records / name / "specification.json")
        assert split["specification"] == own.digest

"""Images that stay where they are: manifests of samples, LMDB folders."""

import itertools
import re

import lmdb
import numpy as np
import pytest
from PIL import Image

from crnn_keras.char_dict import CharDict
from crnn_keras.data.batches import Batches
from crnn_keras.data.labels import Sample, read_samples
from crnn_keras.data.lmdb_folder import LmdbFolder, image_key, write_lmdb
from crnn_keras.data.records import (
    ConcatRecords,
    ManifestRecords,
    RecordError,
    Records,
    make_record,
    open_records,
    verify,
    write_manifest,
    write_records,
)
from crnn_keras.images import Canvas

LETTERS = CharDict.from_preset("alphanumeric36")
CANVAS = Canvas()
CHECKED = {"char_dict": LETTERS, "canvas": CANVAS}
WORDS = ["one", "two", "three", "four", "five"]


@pytest.fixture
def encoded(encode):
    """Five images of noise, as png."""
    sizes = [(20 + number, 60) for number in range(5)]
    noise = [np.random.default_rng(n).integers(0, 256, s, np.uint8) for n, s in enumerate(sizes)]
    return [encode(Image.fromarray(image), "PNG") for image in noise]


@pytest.fixture
def their_lmdb(tmp_path, encoded):
    """An LMDB as clovaai's script writes it; its fourth row has an image cut short."""
    env = lmdb.open(str(tmp_path / "theirs"), map_size=1 << 24)
    with env.begin(write=True) as transaction:
        for number, (image, word) in enumerate(zip(encoded, WORDS, strict=True), start=1):
            broken = image[:-40] if number == 4 else image
            transaction.put(b"image-%09d" % number, broken)
            transaction.put(b"label-%09d" % number, word.encode())
        transaction.put(b"num-samples", b"5")
    env.close()
    return tmp_path / "theirs"


def test_an_lmdb_of_others_is_read(their_lmdb, encoded):
    db = LmdbFolder(their_lmdb)
    assert len(db) == 5
    assert [db.label(number) for number in range(1, 6)] == WORDS
    assert db.image(image_key(2)) == encoded[1]
    with pytest.raises(ValueError, match="label-000000006"):
        db.label(6)
    with pytest.raises(ValueError, match="image-000000006"):
        db.image(image_key(6))
    db.close()


def test_what_is_written_others_read(tmp_path, encoded):
    assert write_lmdb(tmp_path / "ours", zip(encoded, WORDS, strict=True)) == 5
    # As PARSeq's dataset reads: no lock, no read-ahead.
    env = lmdb.open(
        str(tmp_path / "ours"), max_readers=1, readonly=True, lock=False, readahead=False
    )
    with env.begin() as transaction:
        assert int(transaction.get(b"num-samples")) == 5
        for number, (image, word) in enumerate(zip(encoded, WORDS, strict=True), start=1):
            assert transaction.get(b"image-%09d" % number) == image
            assert transaction.get(b"label-%09d" % number).decode() == word
    env.close()
    assert [path.name for path in (tmp_path / "ours").iterdir()] == ["data.mdb"]
    with pytest.raises(ValueError, match="ours"):
        write_lmdb(tmp_path / "ours", [])
    with pytest.raises(ValueError, match="no images to write"):
        write_lmdb(tmp_path / "empty", [])
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize("content", [None, b"", b"no database" * 1000])
def test_another_file_is_no_lmdb(tmp_path, content):
    if content is not None:
        (tmp_path / "data.mdb").write_bytes(content)
    with pytest.raises(ValueError, match=r"data\.mdb|num-samples"):
        LmdbFolder(tmp_path)


def test_an_lmdb_without_a_count_is_refused(tmp_path):
    env = lmdb.open(str(tmp_path / "db"), map_size=1 << 20)
    with env.begin(write=True) as transaction:
        transaction.put(b"image-000000001", b"x")
    env.close()
    with pytest.raises(ValueError, match="num-samples"):
        LmdbFolder(tmp_path / "db")


def test_an_lmdb_gives_the_batches_of_its_records(tmp_path, their_lmdb):
    samples = read_samples(their_lmdb).samples
    assert [sample.text for sample in samples] == WORDS
    straight = Batches(
        ManifestRecords(samples), LETTERS, CANVAS, batch_size=2, seed=3, shuffle=True
    )
    assert [issue.where for issue in straight.skipped] == [samples[3].where]
    assert "unreadable image" in straight.skipped[0].kind

    kept = [
        record for record in ManifestRecords(samples).iter_checked() if hasattr(record, "encoded")
    ]
    write_records(tmp_path / "set", kept, **CHECKED)
    copied = Batches(
        open_records(tmp_path / "set"), LETTERS, CANVAS, batch_size=2, seed=3, shuffle=True
    )
    steps = [itertools.islice(b.train_dataset(), 3) for b in (straight, copied)]
    for here, there in zip(*steps, strict=True):
        for one, two in zip(here, there, strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_manifest_is_opened_as_a_set(tmp_path, their_lmdb, encoded):
    samples = read_samples(their_lmdb).samples[:3]
    content = write_manifest(tmp_path / "manifest", samples, **CHECKED)
    assert content["records"] == 3 and content["char_dict"] == LETTERS.get_config()
    manifest = open_records(tmp_path / "manifest")
    assert isinstance(manifest, ManifestRecords) and manifest.info == content
    assert [(record.encoded, record.text) for record in manifest] == list(
        zip(encoded[:3], WORDS[:3], strict=True)
    )
    assert manifest.fingerprint == ManifestRecords(samples).fingerprint
    assert manifest.fingerprint != ManifestRecords(samples[:2]).fingerprint
    assert manifest.image(1).size == (60, 21)
    with pytest.raises(IndexError, match="Record 3 of 3"):
        manifest[3]


def test_a_manifest_whose_list_changed_is_refused(tmp_path, their_lmdb):
    write_manifest(tmp_path / "manifest", read_samples(their_lmdb).samples, **CHECKED)
    path = tmp_path / "manifest" / "samples.jsonl"
    path.write_text(path.read_text().replace("two", "six"))
    with pytest.raises(ValueError, match=r"samples\.jsonl.*notebook 02"):
        open_records(tmp_path / "manifest")
    with pytest.raises(ValueError, match="no samples.*other"):
        write_manifest(tmp_path / "other", [], **CHECKED)


def test_a_manifest_is_verified_by_its_list(tmp_path, their_lmdb):
    write_manifest(tmp_path / "manifest", read_samples(their_lmdb).samples, **CHECKED)
    assert verify(tmp_path / "manifest") == {}
    with open(tmp_path / "manifest" / "samples.jsonl", "ab") as file:
        file.write(b"more")
    assert re.search(r"samples\.jsonl: sha256 is", verify(tmp_path / "manifest")[0])
    with pytest.raises(RecordError, match=r"manifest .*open_records"):
        Records(tmp_path / "manifest")


def test_a_manifest_and_a_set_replace_each_other(tmp_path, their_lmdb):
    samples = read_samples(their_lmdb).samples[:3]
    kept = list(ManifestRecords(samples))
    for _ in range(2):
        write_manifest(tmp_path / "set", samples, **CHECKED)
        assert sorted(p.name for p in (tmp_path / "set").iterdir()) == ["samples.jsonl", "set.json"]
        write_records(tmp_path / "set", kept, **CHECKED)
        assert list(open_records(tmp_path / "set")) == kept
        assert sorted(p.name for p in (tmp_path / "set").iterdir()) == [
            "00000.tfrecord",
            "set.json",
        ]


def test_a_manifest_of_a_folder_whose_name_is_not_utf8(tmp_path, encoded):
    samples = [Sample("caf\udce9/a.png", "one", "caf\udce9/labels.tsv, line 1")]
    write_manifest(tmp_path / "manifest", samples, **CHECKED)
    assert open_records(tmp_path / "manifest").samples == samples
    (tmp_path / "manifest" / "samples.jsonl").read_text(encoding="utf-8")


def test_an_lmdb_whose_writing_failed_can_be_written_again(tmp_path, encoded):
    def broken():
        yield encoded[0], "one"
        raise OSError("the camera is gone")

    for _ in range(2):
        with pytest.raises(OSError, match="camera") as caught:
            write_lmdb(tmp_path / "db", broken())
    assert caught.value.__traceback__ and not list(tmp_path.iterdir())
    assert write_lmdb(tmp_path / "db", [(encoded[0], "one")]) == 1


def test_a_count_that_is_not_a_length_is_refused(tmp_path):
    env = lmdb.open(str(tmp_path / "db"), map_size=1 << 20)
    with env.begin(write=True) as transaction:
        transaction.put(b"num-samples", b"9" * 30)
    env.close()
    caught = []
    for _ in range(2):
        # Held, as a notebook holds its last error.
        with pytest.raises(ValueError, match="num-samples") as error:
            LmdbFolder(tmp_path / "db")
        caught.append(error)


def test_images_of_a_manifest_may_be_files(tmp_path, encoded):
    (tmp_path / "a.png").write_bytes(encoded[0])
    manifest = ManifestRecords([Sample(str(tmp_path / "a.png"), "one", "labels.tsv, line 1")])
    assert manifest[0].encoded == encoded[0] and manifest[0].source == "labels.tsv, line 1"


def test_joined_sets_are_read_as_one(tmp_path, encoded):
    manifest = ManifestRecords(
        [
            Sample(str(tmp_path / "a.png"), "one", "labels.tsv, line 1"),
            Sample(str(tmp_path / "gone.png"), "two", "labels.tsv, line 2"),
        ],
        folder="manifest",
    )
    (tmp_path / "a.png").write_bytes(encoded[0])
    records = [make_record(image, "six", f"{n}.png") for n, image in enumerate(encoded[:2])]
    write_records(tmp_path / "set", records, **CHECKED)
    kept = Records(tmp_path / "set")
    joined = ConcatRecords([kept, manifest])
    assert (len(joined), joined[1], joined[2]) == (4, kept[1], manifest[0])
    assert [joined.describe(position) for position in (1, 2)] == [
        f"{tmp_path / 'set'}, record 1",
        "manifest, record 0",
    ]
    found = list(joined.iter_checked())
    assert found[:3] == [*kept, manifest[0]] and found[3].where == "labels.tsv, line 2"
    assert joined.image(1).size == kept.image(1).size
    for position in (-1, 4):
        with pytest.raises(IndexError, match=f"Record {position} of 4"):
            joined[position]
    others = [
        ConcatRecords(sets).fingerprint for sets in ([manifest, kept], [kept], [kept, manifest])
    ]
    assert others.index(joined.fingerprint) == 2 and len(set(others)) == 3
    batches = Batches(joined, LETTERS, CANVAS, batch_size=3)
    assert (sorted(batches.texts), len(batches.skipped)) == (["one", "six", "six"], 1)
    assert batches.describe_step(0)[2] == "manifest, record 0 (labels.tsv, line 1), label 'one'"
    with pytest.raises(ValueError, match="no set to join"):
        ConcatRecords([])

"""Damaged or hand-edited records: a RecordError that names the file, or the right data."""

import hashlib
import json
import os
import pathlib
import random
import shutil
import struct

import google_crc32c
import numpy as np
import pytest
from PIL import Image

from crnn_keras.char_dict import CharDict
from crnn_keras.data import build
from crnn_keras.data.batches import Batches
from crnn_keras.data.build import ListedSource, Specification
from crnn_keras.data.labels import Sample
from crnn_keras.data.open import open_batches, open_test_set
from crnn_keras.data.records import (
    Record,
    RecordError,
    Records,
    open_records,
    verify,
    write_manifest,
    write_records,
)
from crnn_keras.data.records.record import to_example
from crnn_keras.images import Canvas
from crnn_keras.utils import limits

LETTERS = CharDict("abc")
CANVAS = Canvas("stretch", 32, (100,))
CHECKED = {"char_dict": LETTERS, "canvas": CANVAS}


@pytest.fixture
def five(encode):
    """Five records."""
    made = []
    for index, text in enumerate(["a", "b", "c", "ab", "cab"]):
        noise = np.random.default_rng(index).integers(0, 256, (12, 40), np.uint8)
        made.append(Record(encode(Image.fromarray(noise), "PNG"), text, f"l.tsv, {index}", 12, 40))
    return made


@pytest.fixture
def folder(tmp_path, five):
    """A set of the five records, in shards of two, two and one."""
    write_records(tmp_path / "set", five, **CHECKED, per_shard=2)
    return tmp_path / "set"


@pytest.fixture
def manifest(tmp_path, five):
    """A manifest of three images."""
    samples = []
    for index, record in enumerate(five[:3]):
        path = tmp_path / "images" / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(record.encoded)
        samples.append(Sample(str(path), record.text, record.source))
    write_manifest(tmp_path / "manifest", samples, **CHECKED)
    return tmp_path / "manifest"


def edit(folder, change):
    """Edits a `set.json` by hand."""
    info = json.loads((folder / "set.json").read_text())
    change(info)
    (folder / "set.json").write_text(json.dumps(info))


def write_frames(folder, payloads, *, index=1):
    """Writes payloads as a shard, with right checksums, counts and hash."""
    content = b""
    for payload in payloads:
        length = struct.pack("<Q", len(payload))
        content += length + crc(length) + payload + crc(payload)
    name = f"0000{index}.tfrecord"
    (folder / name).write_bytes(content)

    def change(info):
        info["records"] += len(payloads) - info["shards"][index]["records"]
        info["shards"][index] |= {
            "records": len(payloads),
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }

    edit(folder, change)


def crc(piece):
    value = google_crc32c.value(piece)
    return struct.pack("<I", ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF)


# Counts and types of the sidecar.


@pytest.mark.parametrize("value", ["3", 3.0, True, None, -1, 2**70, 10**400, [], float("nan")])
@pytest.mark.parametrize("name", ["records", "bytes", "sha256", "file", "total", "skipped"])
def test_a_value_of_the_wrong_type_is_named_on_opening(folder, name, value):
    def change(info):
        place = info if name in ("total", "skipped") else info["shards"][1]
        place["records" if name == "total" else name] = value

    edit(folder, change)
    for use in (open_records, Records, verify, open_test_set):
        with pytest.raises(RecordError, match=r"set\.json"):
            use(folder)


@pytest.mark.parametrize("total", [4, 6, 0])
def test_totals_that_do_not_add_up_are_named(folder, total):
    edit(folder, lambda info: info.update(records=total))
    with pytest.raises(RecordError, match=rf"set\.json.* {total} records.* 5"):
        open_records(folder)


@pytest.mark.parametrize("counts", [(1, 3, 1), (3, 1, 1), (2, 3, 0)])
def test_a_shard_with_other_counts_than_its_sidecar_says_is_named(folder, counts):
    def change(info):
        for shard, count in zip(info["shards"], counts, strict=True):
            shard["records"] = count

    edit(folder, change)
    with pytest.raises(RecordError, match=r"0000[01]\.tfrecord has [12] records.*says [0-9]"):
        open_records(folder)
    assert len(verify(folder)) == 2


@pytest.mark.parametrize(
    "name",
    ["../x.tfrecord", "/etc/passwd", "00000.tfrecord", "00002.tfrecord", "", "x", "00001.TFRECORD"]
    + ["00001.tfrecord/../00001.tfrecord", "\0"],
)
def test_a_shard_has_the_one_name_of_its_index(folder, name):
    edit(folder, lambda info: info["shards"][1].update(file=name))
    with pytest.raises(RecordError, match=r"set\.json.*00001\.tfrecord"):
        open_records(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda info: info.update(shards=[]),
        lambda info: info.update(shards={}),
        lambda info: info.update(shards=None),
        lambda info: info.update(shards=[1, 2, 3]),
        lambda info: info.update(shards=info["shards"][::-1]),
        lambda info: info.update(shards=[info["shards"][0]] * 3),
        lambda info: info["shards"].pop(),
        lambda info: info["shards"].append(info["shards"][0]),
        lambda info: info["shards"][0].pop("bytes"),
        lambda info: info.update(samples={"file": "samples.jsonl", "rows": 5, "sha256": "0" * 64}),
        lambda info: info.update(samples=[], shards=[]),
        lambda info: info.update(samples=None),
        lambda info: info.update(char_dict=[]),
        lambda info: info.update(canvas="stretch"),
        lambda info: info.update(specification=3),
        lambda info: info["shards"][0].update(specification="f" * 64),
    ],
)
def test_other_edits_of_the_sidecar_are_named(folder, change):
    edit(folder, change)
    for use in (open_records, verify):
        with pytest.raises(RecordError, match=r"set\.json"):
            use(folder)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe", b"1" * 5000, b"", b"\0" * 100])
def test_what_is_no_json_is_named(folder, content):
    (folder / "set.json").write_bytes(content)
    for use in (open_records, verify, open_test_set):
        with pytest.raises(RecordError, match=r"set\.json"):
            use(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"char_dict": {}},
        {"char_dict": {"characters": ["ab"]}},
        {"char_dict": {"characters": 3}},
        {"canvas": {"widths": 100}},
        {"canvas": {"depth": 3}},
        {"canvas": {"mode": "stretch", "height": 10**9, "widths": [100]}},
        {"canvas": {"mode": "stretch", "height": "32", "widths": [100]}},
    ],
)
def test_a_char_dict_or_canvas_that_was_edited_is_named(tmp_path, five, change):
    for name in ("train", "validation"):
        write_records(tmp_path / name, five, **CHECKED)
    edit(tmp_path / "train", lambda info: info.update(change))
    with pytest.raises(RecordError, match=r"train/set\.json"):
        open_batches(tmp_path)


# What a shard holds, with right checksums.


@pytest.mark.parametrize(
    "length", [2**63, 2**64 - 1, 2**62, 2**40, 2**31, 10**6, limits.MAX_RECORD_BYTES + 1]
)
def test_a_length_beyond_the_file_is_named_and_not_read(folder, length):
    path = folder / "00001.tfrecord"
    raw = path.read_bytes()
    header = struct.pack("<Q", length)
    path.write_bytes(header + crc(header) + raw[12:])
    with pytest.raises(RecordError, match=rf"00001\.tfrecord, record 0, byte 0: .*{length:,}"):
        open_records(folder)


@pytest.mark.parametrize("cut", [1, 3, 4, 5, 11])
def test_a_shard_that_ends_within_a_frame_is_named(folder, cut):
    path = folder / "00001.tfrecord"
    content = path.read_bytes()[:-cut]
    path.write_bytes(content)
    edit(folder, lambda info: info["shards"][1].update(bytes=len(content)))
    with pytest.raises(RecordError, match=r"00001\.tfrecord, record 1, byte [0-9]+: "):
        open_records(folder)


def test_bytes_after_the_last_record_are_named(folder):
    path = folder / "00001.tfrecord"
    content = path.read_bytes() + b"more"
    path.write_bytes(content)
    edit(folder, lambda info: info["shards"][1].update(bytes=len(content)))
    with pytest.raises(RecordError, match=r"00001\.tfrecord, record 2, byte "):
        open_records(folder)


def _without(payload, name):
    return payload.replace(name, b"image/other"[: len(name)].ljust(len(name), b"_"))


@pytest.mark.parametrize(
    "make",
    [
        lambda payload: b"",
        lambda payload: b"\xff" * 40,
        lambda payload: payload[:-3],
        lambda payload: b"\x0a\xff\xff\xff\xff\x0f" + payload,
        lambda payload: payload + payload[:20],
        lambda payload: _without(payload, b"image/text"),
        lambda payload: _without(payload, b"image/encoded"),
        lambda payload: _without(payload, b"image/source"),
        lambda payload: _without(payload, b"image/height"),
        lambda payload: payload.replace(b"\n\x03cab", b"\n\x03\xff\xfe\xfd"),
        lambda payload: to_example(Record(b"\x89PNG", "a", "here", 0, 40)),
        lambda payload: to_example(Record(b"\x89PNG", "a", "here", 12, -1)),
        lambda payload: to_example(Record(b"\x89PNG", "a", "here", 2**40, 40)),
    ],
)
def test_a_payload_that_is_no_record_is_named(folder, five, make):
    payload = to_example(five[4])
    write_frames(folder, [to_example(five[2]), make(payload)])
    found = open_records(folder)
    assert found[2] == five[2] and found[4] == five[4]
    for read in (lambda: found[3], lambda: list(found), lambda: list(found.iter_checked())):
        with pytest.raises(RecordError, match=r"00001\.tfrecord, record 1, byte [0-9]+: .*again"):
            read()


@pytest.mark.parametrize("canvas", [Canvas("keep", 32, (64, 96, 160))])
def test_a_record_whose_size_is_not_that_of_its_image_is_named(folder, five, canvas):
    other = Record(five[2].encoded, five[2].text, five[2].source, 12, 20)
    write_frames(folder, [to_example(other), to_example(five[3])])
    batches = Batches(open_records(folder), LETTERS, canvas, batch_size=1)
    with pytest.raises(Exception, match=r"set, record 2 \(l\.tsv, 2\)"):
        list(batches.iter_once())


@pytest.mark.parametrize("index", [1.0, "1", None, [0], slice(0, 2)])
def test_an_index_is_a_whole_number(folder, manifest, index):
    for found in (open_records(folder), open_records(manifest)):
        with pytest.raises(TypeError):
            found[index]
        assert found[np.int64(1)] == found[1]


@pytest.mark.parametrize("index", [-1, 5, 2**70])
def test_a_payload_outside_the_set_is_no_other_record(folder, index):
    with pytest.raises(IndexError, match=f"Record {index} of 5"):
        open_records(folder).payload(index)


def test_a_folder_a_pipe_or_a_link_to_nothing_is_no_shard(folder):
    path = folder / "00001.tfrecord"
    path.unlink()
    path.mkdir()
    with pytest.raises(RecordError, match=r"00001\.tfrecord"):
        open_records(folder)
    path.rmdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
        with pytest.raises(RecordError, match=r"00001\.tfrecord"):
            open_records(folder)
        assert list(verify(folder)) == [1]
        path.unlink()
    path.symlink_to("absent")
    with pytest.raises(RecordError, match=r"00001\.tfrecord"):
        open_records(folder)


# Lists of samples.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 2}, "says 3 records.* 2"),
        ({"rows": "3"}, "'rows'"),
        ({"rows": 0}, "'rows'"),
        ({"file": "../samples.jsonl"}, "samples.jsonl"),
        ({"file": "/etc/passwd"}, "samples.jsonl"),
        ({"sha256": 3}, "'sha256'"),
        ({"sha256": "0" * 64}, "samples.jsonl is missing or was changed"),
    ],
)
def test_an_edited_entry_of_a_list_is_named(manifest, change, message):
    edit(manifest, lambda info: info["samples"].update(change))
    with pytest.raises(RecordError, match=message):
        open_records(manifest)


LINES = [
    b"{",
    b"[]",
    b"3",
    b"null",
    b"{}",
    b"[" * 100_000,
    b"\xff",
    b'{"image": "a.png", "text": "a"}',
    b'{"image": 3, "text": "a", "where": "x"}',
    b'{"image": "a.png", "text": null, "where": "x"}',
    b'{"image": "a.png", "text": ["a"], "where": "x"}',
    b'{"image": "a.png", "text": "a", "where": "x", "box": [1, 2, 3]}',
    b'{"image": "a.png", "text": "a", "where": "x", "box": [1, 2, 3, "4"]}',
    b'{"image": "a.png", "text": "a", "where": "x", "box": 3}',
    b'{"image": "a.png", "text": "a", "where": "x", "key": 3}',
    b'{"image": "a.png", "text": "a", "where": "x", "content": 3}',
    b'{"image": "a.png", "text": "a", "where": "x", "other": 3}',
]


def write_line(path, listed, line):
    """Puts a line into a list of samples by hand, with the right hash; returns its new entry."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = line + b"\n"
    path.write_bytes(b"".join(lines))
    return listed | {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_a_line_that_is_no_sample_is_named(manifest, line):
    path = manifest / "samples.jsonl"
    edit(manifest, lambda info: info.update(samples=write_line(path, info["samples"], line)))
    with pytest.raises(RecordError, match=r"samples\.jsonl, line 2, is no sample"):
        open_records(manifest)
    assert "line 2" in verify(manifest)[0]


@pytest.mark.parametrize("line", LINES[:8], ids=range(8))
def test_a_line_of_a_preparation_that_is_no_sample_is_named(tmp_path, listed, line):
    path = tmp_path / "lists" / "lists.json"
    lists = json.loads(path.read_text())
    lists["train"][1] = write_line(path.parent / "train" / "00001.jsonl", lists["train"][1], line)
    path.write_text(json.dumps(lists))
    source = ListedSource(path.parent, "train")
    with pytest.raises(RecordError, match=r"00001\.jsonl, line 2"):
        build.prepare(Specification(source, **CHECKED), tmp_path / "set")


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "3",
        "{",
        '{"train": 3}',
        '{"train": [3]}',
        '{"train": [{}]}',
        '{"train": [{"file": "../x.jsonl", "rows": 1, "sha256": "' + "0" * 64 + '"}]}',
        '{"train": [{"file": "00000.jsonl", "rows": "1", "sha256": "' + "0" * 64 + '"}]}',
        '{"train": [{"file": "00000.jsonl", "rows": -1, "sha256": "' + "0" * 64 + '"}]}',
        '{"train": [{"file": "00000.jsonl", "rows": 1, "sha256": 3}]}',
    ],
)
def test_damaged_lists_are_named(tmp_path, content):
    (tmp_path / "lists.json").write_text(content)
    with pytest.raises(ValueError, match=r"lists\.json"):
        ListedSource(tmp_path, "train")


# Random damage.


def damage(rng, folder):
    """Damages one file of a set: bits, a cut, more bytes, another file's bytes, a value of JSON."""
    path = rng.choice(sorted(folder.rglob("*.*")))
    raw = path.read_bytes()
    kind = rng.choice(["bit", "bytes", "cut", "more", "swap", "value", "frame"])
    if kind == "value" and path.suffix in (".json", ".jsonl"):
        tokens = [b"0", b"1", b"5", b"-1", b'""', b"null", b"[]", b"{}", b"true", b"1e999", b'"x"']
        places = [i for i, byte in enumerate(raw) if byte in b'0123456789[{"tn'] or [0]
        place = rng.choice(places)
        raw = raw[:place] + rng.choice(tokens) + raw[place + rng.randint(0, 8) :]
    elif kind == "frame" and path.suffix == ".tfrecord":
        # A frame of random bytes with right checksums.
        payload = rng.randbytes(rng.randint(0, 60))
        length = struct.pack("<Q", rng.choice([len(payload), rng.getrandbits(64), 2**63]))
        raw = length + crc(length) + payload + crc(payload) + raw[rng.randint(0, len(raw)) :]
    elif kind == "cut":
        raw = raw[: rng.randint(0, len(raw))]
    elif kind == "more":
        raw += rng.randbytes(rng.randint(1, 40))
    elif kind == "swap":
        raw = rng.choice(sorted(folder.rglob("*.*"))).read_bytes()
    else:
        for _ in range(1 if kind == "bit" else 8):
            place = rng.randrange(max(len(raw), 1))
            flipped = bytes([raw[place] ^ 1 << rng.randrange(8)]) if raw else b"x"
            raw = raw[:place] + flipped + raw[place + 1 :]
    path.write_bytes(raw)
    if kind != "swap" and path.suffix == ".tfrecord" and rng.random() < 0.5:
        # And the sidecar made to agree with it. (With another whole shard, it would be a set.)
        shard = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
        edit(path.parent, lambda info: info["shards"][int(path.stem)].update(shard))


def try_damaged_sets(sets, records, *, count, seed):
    """Damages copies of sets; returns how many were refused and how many read as they were."""
    rng = random.Random(seed)
    refused = right = 0
    for number in range(count):
        original = sets[number % len(sets)]
        folder = original.with_name("damaged")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(original, folder)
        damage(rng, folder)
        try:
            found = list(open_records(folder))
            verify(folder)
        except RecordError as error:
            assert "damaged" in str(error) or "l.tsv" in str(error)
            refused += 1
            continue
        assert found == records[original], f"seed {seed}, set {number}"
        right += 1
    return refused, right


def test_many_damaged_sets_are_refused_or_read_right(folder, manifest, five):
    count = int(os.environ.get("CRNN_KERAS_DAMAGED_SETS", "300"))
    records = {folder: five, manifest: five[:3]}
    refused, right = try_damaged_sets([folder, manifest], records, count=count, seed=count)
    assert refused + right == count and refused > count / 2
    assert pathlib.Path(folder.with_name("damaged")).exists()

import dataclasses
import errno
import hashlib
import io
import json
import os
import struct

import numpy as np
import pytest
from PIL import Image

from crnn_keras.char_dict import CharDict
from crnn_keras.data.records import (
    Record,
    RecordError,
    Records,
    make_record,
    open_records,
    verify,
    write_records,
)
from crnn_keras.images import Canvas, ImageError
from crnn_keras.utils import files

LETTERS = CharDict("abc省")
CANVAS = Canvas("stretch", 32, (100,))
CHECKED = {"char_dict": LETTERS, "canvas": CANVAS}


def _image(height=8, width=20, seed=0):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture
def five(encode):
    """Five records, jpeg and png in turn; the text of the fourth is Chinese."""
    made = []
    for index, text in enumerate(["a", "b c", "", "省", "cab"]):
        encoded = encode(_image(8 + index, 20, index), "PNG" if index % 2 else "JPEG")
        made.append(Record(encoded, text, f"labels.tsv, line {index + 1}", 8 + index, 20))
    return made


@pytest.fixture
def folder(tmp_path, five):
    """A set of the five records, in shards of two, two and one."""
    write_records(tmp_path / "set", five, **CHECKED, per_shard=2)
    return tmp_path / "set"


@pytest.fixture
def write_later(folder):
    """Function that tries to write other records over the set."""
    return lambda records: write_records(
        folder, records, char_dict=CharDict("z"), canvas=CANVAS, per_shard=2
    )


def _assert_complete(folder, five):
    """The set holds the five, and nothing lies beside it."""
    assert verify(folder) == {}
    assert list(Records(folder)) == five
    assert os.listdir(folder.parent) == [folder.name]


def _frames(path):
    """Offset and length of each payload of a shard, by the format's definition."""
    raw, offset, found = path.read_bytes(), 0, []
    while offset < len(raw):
        (length,) = struct.unpack_from("<Q", raw, offset)
        found.append((offset + 12, length))
        offset += 12 + length + 4
    return found


def _flip(path, position):
    raw = bytearray(path.read_bytes())
    raw[position] ^= 0x10
    path.write_bytes(raw)


# Writing and reading.


def test_tensorflow_reads_back_what_was_written(folder, five):
    import tensorflow as tf

    spec = {
        "image/encoded": tf.io.FixedLenFeature((), tf.string),
        "image/format": tf.io.FixedLenFeature((), tf.string),
        "image/height": tf.io.FixedLenFeature((), tf.int64),
        "image/width": tf.io.FixedLenFeature((), tf.int64),
        "image/text": tf.io.FixedLenFeature((), tf.string),
        "image/source": tf.io.FixedLenFeature((), tf.string),
    }
    paths = sorted(str(path) for path in folder.glob("*.tfrecord"))
    assert [os.path.basename(path) for path in paths] == [f"0000{n}.tfrecord" for n in range(3)]
    read = []
    for payload in tf.data.TFRecordDataset(paths).as_numpy_iterator():
        row = {k: v.numpy() for k, v in tf.io.parse_single_example(payload, spec).items()}
        stored = "png" if len(read) % 2 else "jpeg"
        assert row["image/format"].decode() == stored
        read.append(
            Record(
                row["image/encoded"],
                row["image/text"].decode(),
                row["image/source"].decode(),
                int(row["image/height"]),
                int(row["image/width"]),
            )
        )
    assert read == five


def test_records_come_back_in_any_order(folder, five):
    found = Records(folder)
    assert len(found) == 5
    assert list(found) == five
    for position in (4, 0, 3, 3, 1):
        assert found[position] == five[position]
        assert np.array_equal(found.image(position), _gray(five[position].encoded))
    for outside in (5, -1):
        with pytest.raises(IndexError, match=f"Record {outside} of 5"):
            found[outside]


def _gray(encoded):
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("L"))


def test_tensorflow_writes_what_is_read(folder, five):
    import tensorflow as tf

    payloads = [Records(folder).payload(position) for position in (0, 1)]
    with tf.io.TFRecordWriter(str(folder / "00000.tfrecord")) as writer:
        for payload in payloads:
            writer.write(payload)
    _assert_complete(folder, five)


def test_the_sidecar_says_what_the_shards_hold(folder):
    content = json.loads((folder / "set.json").read_text(encoding="utf-8"))
    assert content["records"] == 5
    assert content["char_dict"] == LETTERS.get_config()
    assert content["canvas"] == {"mode": "stretch", "height": 32, "widths": [100]}
    assert [shard["records"] for shard in content["shards"]] == [2, 2, 1]
    for shard in content["shards"]:
        raw = (folder / shard["file"]).read_bytes()
        assert shard["bytes"] == len(raw)
        assert shard["sha256"] == hashlib.sha256(raw).hexdigest()
    assert Records(folder).info == content


def test_write_records_returns_the_sidecar(tmp_path, five):
    content = write_records(str(tmp_path / "new" / "set"), iter(five), **CHECKED)
    assert content == json.loads((tmp_path / "new" / "set" / "set.json").read_text())
    assert [shard["records"] for shard in content["shards"]] == [5]


@pytest.mark.parametrize("per_shard", [1, 2, 5, 6])
def test_the_same_records_give_the_same_bytes(tmp_path, five, per_shard):
    for name in ("one", "two"):
        write_records(tmp_path / name, five, **CHECKED, per_shard=per_shard)
    names = sorted(os.listdir(tmp_path / "one"))
    assert names == sorted(os.listdir(tmp_path / "two"))
    assert len(names) == -(-5 // per_shard) + 1
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_new_set_replaces_the_earlier_one(folder, five, write_later):
    write_later(five[:1])
    assert sorted(os.listdir(folder)) == ["00000.tfrecord", "set.json"]
    assert list(Records(folder)) == five[:1]
    assert os.listdir(folder.parent) == ["set"]


def test_what_a_killed_run_left_is_removed(folder, five, write_later):
    for left in ("set.part", "set.replaced"):
        (folder.parent / left).mkdir()
        (folder.parent / left / "00007.tfrecord").write_bytes(b"half")
    write_later(five)
    _assert_complete(folder, five)


# One record.


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_gray_and_rgb_jpeg_and_png_are_stored_as_they_are(encode, mode, image_format):
    encoded = encode(_image(9, 31).convert(mode), image_format)
    assert make_record(encoded, "ab", "here") == Record(encoded, "ab", "here", 9, 31)


@pytest.mark.parametrize(
    ("mode", "image_format"),
    [("RGBA", "PNG"), ("P", "PNG"), ("1", "PNG"), ("RGB", "BMP"), ("L", "TIFF"), ("P", "GIF")],
)
def test_other_images_are_stored_as_gray_png(encode, mode, image_format):
    encoded = encode(_image(9, 31).convert(mode), image_format)
    record = make_record(encoded, "ab", "here")
    assert record.encoded.startswith(b"\x89PNG")
    assert (record.height, record.width) == (9, 31)
    expected = _gray(encode(_image(9, 31).convert(mode).convert("RGB"), "PNG"))
    assert np.array_equal(_gray(record.encoded), expected)


def test_16_bits_are_stored_as_8(encode):
    wide = Image.fromarray(np.array([[0, 256, 65_535]], np.uint16))
    record = make_record(encode(wide, "PNG"), "ab", "here")
    assert _gray(record.encoded).tolist() == [[0, 1, 255]]


def test_an_image_that_cannot_be_decoded_makes_no_record(encode, png_of_size):
    jpeg = encode(_image(60, 200), "JPEG")
    for encoded in (jpeg[:-300], b"text", b"", png_of_size(40_000, 40_000)):
        with pytest.raises(ImageError, match="the image"):
            make_record(encoded, "ab", "here")


# Writing that fails.


@pytest.mark.parametrize("room", [0, 30, 1200, 3000])
def test_a_disk_that_fills_in_a_shard_leaves_the_earlier_set(
    folder, five, write_later, fill_disk, room
):
    assert room < sum(path.stat().st_size for path in folder.glob("*.tfrecord"))
    fill_disk(files, room)
    with pytest.raises(OSError, match="No space left"):
        write_later(five)
    _assert_complete(folder, five)


def test_a_disk_that_fills_in_the_sidecar_leaves_the_earlier_set(
    folder, five, write_later, fill_disk
):
    fill_disk(files, 20)
    with pytest.raises(OSError, match="No space left"):
        write_later(five[:2])
    _assert_complete(folder, five)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_disk_that_fills_at_a_flush_leaves_the_earlier_set(
    folder, five, write_later, monkeypatch, count
):
    # Three shards and the sidecar are flushed.
    calls, flush = [], os.fsync

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == count:
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_later(five)
    assert len(calls) == count
    _assert_complete(folder, five)


def test_a_new_set_that_cannot_take_its_name_leaves_the_earlier_one(
    folder, five, write_later, monkeypatch
):
    monkeypatch.setattr(files, "_exchange", lambda *_: False)
    rename = os.rename

    def refuse(old, new):
        if str(old).endswith(".part"):
            raise OSError(errno.EACCES, "Permission denied")
        rename(old, new)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(OSError, match="Permission denied"):
        write_later(five[:2])
    _assert_complete(folder, five)


@pytest.mark.parametrize("error", [ImageError, KeyboardInterrupt])
def test_a_record_that_cannot_be_made_leaves_the_earlier_set(folder, five, write_later, error):
    def broken():
        yield from five[:3]
        raise error("third")

    with pytest.raises(error, match="third"):
        write_later(broken())
    _assert_complete(folder, five)


def test_a_first_set_that_fails_leaves_nothing(tmp_path, five, fill_disk):
    fill_disk(files, 1000)
    with pytest.raises(OSError, match="No space left"):
        write_records(tmp_path / "set", five, **CHECKED)
    assert os.listdir(tmp_path) == []


def test_a_copy_beside_a_set_stays(folder, five, write_later):
    for name in ("set.old", "set.bak"):
        (folder.parent / name).mkdir()
    write_later(five)
    assert sorted(os.listdir(folder.parent)) == ["set", "set.bak", "set.old"]


def test_a_set_that_was_being_replaced_is_named_and_comes_back(folder, five, write_later):
    # What is left where a run is killed between the two renames.
    folder.rename(folder.with_name("set.replaced"))
    with pytest.raises(RecordError, match=r"set\.json.*set\.replaced.*set"):
        Records(folder)

    def broken():
        yield five[0]
        raise ImageError("second")

    with pytest.raises(ImageError, match="second"):
        write_later(broken())
    _assert_complete(folder, five)


@pytest.mark.parametrize("name", ["notes.txt", "other"])
def test_a_set_with_other_things_in_it_is_never_replaced(folder, five, write_later, name):
    (folder / name).mkdir()
    (folder / ".DS_Store").write_bytes(b"nobody's")
    with pytest.raises(ValueError, match=f"set .*'{name}'"):
        write_later(five)
    assert list(Records(folder)) == five
    (folder / name).rmdir()
    write_later(five[:1])
    assert list(Records(folder)) == five[:1]


def test_a_file_is_no_folder_for_records(tmp_path, five):
    (tmp_path / "set").write_bytes(b"dear to me")
    with pytest.raises(ValueError, match="set is a file"):
        write_records(tmp_path / "set", five, **CHECKED)
    assert (tmp_path / "set").read_bytes() == b"dear to me"


@pytest.mark.parametrize("per_shard", [0, -1])
def test_shards_of_no_records_are_refused(tmp_path, five, per_shard):
    with pytest.raises(ValueError, match=f"{per_shard} .* 1"):
        write_records(tmp_path / "set", five, **CHECKED, per_shard=per_shard)


def test_a_source_whose_name_is_not_utf8_stays_readable(tmp_path, five):
    odd = dataclasses.replace(five[0], source="caf\udce9/labels.tsv, line 1")
    write_records(tmp_path / "set", [odd], **CHECKED)
    assert Records(tmp_path / "set")[0].source == r"caf\udce9/labels.tsv, line 1"


def test_no_records_make_no_set(tmp_path):
    with pytest.raises(ValueError, match="no records.*set"):
        write_records(tmp_path / "set", [], **CHECKED)
    assert os.listdir(tmp_path) == []


def test_a_folder_of_other_files_is_never_replaced(tmp_path, five):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.png").write_bytes(b"dear to me")
    with pytest.raises(ValueError, match=r"mine .*no set\.json"):
        write_records(tmp_path / "mine", five, **CHECKED)
    assert (tmp_path / "mine" / "photo.png").read_bytes() == b"dear to me"
    assert os.listdir(tmp_path) == ["mine"]


def test_an_empty_folder_becomes_a_set(tmp_path, five):
    (tmp_path / "set").mkdir()
    write_records(tmp_path / "set", five, **CHECKED)
    _assert_complete(tmp_path / "set", five)


# Damage.


@pytest.mark.parametrize(
    "where", ["first byte", "middle", "last byte", "checksum"], ids=lambda where: where
)
def test_a_flipped_byte_in_a_payload_is_named_by_shard_and_record(folder, five, where):
    shard = folder / "00001.tfrecord"
    offset, length = _frames(shard)[1]
    shift = {"first byte": 0, "middle": length // 2, "last byte": length - 1, "checksum": length}
    _flip(shard, offset + shift[where])
    found = Records(folder)
    with pytest.raises(RecordError, match=rf"00001\.tfrecord, record 1, byte {offset}"):
        found[3]
    with pytest.raises(RecordError, match="notebook 02"):
        list(found)
    for position in (0, 1, 2, 4):
        assert found[position] == five[position]
    (sentence,) = verify(folder).values()
    assert sentence.startswith(f"{shard}: sha256 is ")


@pytest.mark.parametrize("byte", range(12), ids=lambda byte: f"byte {byte}")
def test_a_flipped_byte_in_a_length_is_found_on_opening(folder, byte):
    shard = folder / "00001.tfrecord"
    start = _frames(shard)[1][0] - 12
    _flip(shard, start + byte)
    with pytest.raises(RecordError, match=rf"00001\.tfrecord, record 1, byte {start}"):
        Records(folder)


def test_verify_names_every_bad_shard(folder):
    for name in ("00000.tfrecord", "00002.tfrecord"):
        offset, length = _frames(folder / name)[0]
        _flip(folder / name, offset + length // 2)
    (folder / "00001.tfrecord").unlink()
    sentences = verify(folder)
    assert list(sentences) == [0, 1, 2]
    assert sentences[0].startswith(f"{folder}/00000.tfrecord: sha256 is ")
    assert sentences[1].startswith(f"{folder}/00001.tfrecord is missing")
    assert sentences[2].startswith(f"{folder}/00002.tfrecord: sha256 is ")


def test_verify_finds_a_record_whose_checksum_was_computed_again(folder, five):
    import tensorflow as tf

    shard = folder / "00002.tfrecord"
    payload = Records(folder).payload(4).replace(b"cab", b"bac")
    with tf.io.TFRecordWriter(str(shard)) as writer:
        writer.write(payload)
    found = Records(folder)
    assert found[4].text == "bac"
    (sentence,) = verify(folder).values()
    assert sentence.startswith(f"{shard}: sha256 is ") and "set.json says" in sentence


@pytest.mark.parametrize("kept", [0, 5, 400, -1])
def test_a_shard_cut_short_is_found_on_opening(folder, kept):
    shard = folder / "00001.tfrecord"
    raw = shard.read_bytes()
    shard.write_bytes(raw[:kept])
    message = rf"00001\.tfrecord.* {len(raw[:kept]):,} .*set\.json.* {len(raw):,}"
    with pytest.raises(RecordError, match=message):
        Records(folder)


def test_a_shard_that_grew_is_found_on_opening(folder):
    shard = folder / "00001.tfrecord"
    shard.write_bytes(shard.read_bytes() + b"more")
    with pytest.raises(RecordError, match=r"00001\.tfrecord.*set\.json"):
        Records(folder)


def test_a_missing_shard_is_found_on_opening(folder):
    (folder / "00001.tfrecord").unlink()
    with pytest.raises(RecordError, match=r"00001\.tfrecord is missing.*notebook 02"):
        Records(folder)


def test_a_folder_without_a_set_says_what_is_missing(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(RecordError, match=rf"{folder.name}.*set\.json is missing"):
            Records(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format": "other"}', "not written by crnn_keras"),
        ("[]", "not written by crnn_keras"),
        ('{"format": "crnn_keras.records", "version": 2}', "lacks .*'canvas'.*'shards'"),
        ('{"format": "crnn_keras.records", "version": 3}', "version 3,.* 2.*Remove .*notebook 02"),
        ('{"format": "crnn_keras.records", ', "JSON.*Remove .*notebook 02"),
    ],
)
def test_a_sidecar_of_something_else_is_named(folder, content, message):
    (folder / "set.json").write_text(content)
    with pytest.raises(RecordError, match=rf"set\.json.*{message}"):
        Records(folder)


def test_a_set_of_the_first_version_is_refused(folder):
    content = json.loads((folder / "set.json").read_text())
    # It had no number, and counted the rows that were skipped as `left_out`.
    del content["version"]
    (folder / "set.json").write_text(json.dumps(content | {"left_out": 0}))
    for read in (Records, open_records, verify):
        with pytest.raises(RecordError, match=r"set\.json.*version 1,.* 2.*Remove .*notebook 02"):
            read(folder)

"""Tars of pairs as webdataset reads them, and tars that are odd, hostile or damaged."""

import io
import json
import os
import tarfile

import pytest
from PIL import Image

from crnn_keras.data.check import check_splits
from crnn_keras.data.labels import Sample, read_samples
from crnn_keras.data.records.sample_list import read_sample_list, write_sample_list
from crnn_keras.images import Canvas, ImageError
from crnn_keras.utils.limits import MAX_TEXT_BYTES
from crnn_keras.utils.parallel import parallel_map


def _png(shade=0):
    buffer = io.BytesIO()
    image = Image.new("L", (20, 10), 255)
    image.paste(shade % 200, (3, 2, 15, 8))
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _info(name, **settings):
    info = tarfile.TarInfo(name)
    for key, value in settings.items():
        setattr(info, key, value)
    return info


def _tar(path, members, tar_format=tarfile.USTAR_FORMAT, mode="w"):
    """Writes a tar of `(name or TarInfo, content)`; content None is an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode, format=tar_format) as tar:
        for name, content in members:
            content = _png() if content is None else content
            content = content.encode() if isinstance(content, str) else content
            info = _info(name) if isinstance(name, str) else name
            if info.isreg():
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def _texts(found):
    return [sample.text for sample in found.samples]


def _kinds(found):
    return {issue.where.split(", ")[-1]: issue.kind for issue in found.issues}


ONE = [("1.png", _png(1)), ("1.txt", "one"), ("2.png", _png(2)), ("2.txt", "two words")]


@pytest.mark.parametrize(
    "members",
    [
        ONE,
        [("1.txt", "one\n"), ("1.png", _png(1)), ("2.txt", "two words"), ("2.png", _png(2))],
        [("1.jpg", _png(1)), ("1.gt.txt", "one"), ("2.JPG", _png(2)), ("2.gt.txt", "two words")],
        [("1.png", _png(1)), ("1.json", '{"text": "one", "id": 7}')]
        + [("2.png", _png(2)), ("2.json", '"two words"')],
        [("1.png", _png(1)), ("1.cls", "7"), ("1.json", '{"label": "one"}'), ("1.txt", "one")]
        + [("2.png", _png(2)), ("2.txt", "two words"), ("2.seg.png", _png(9))],
        # All images first: no order of webdataset, but a tar all the same.
        [("1.png", _png(1)), ("2.png", _png(2)), ("1.txt", "one"), ("2.txt", "two words")],
        [("./", b""), ("./a/1.png", _png(1)), ("./a/1.txt", "one")]
        + [("./b/1.png", _png(2)), ("./b/1.txt", "two words")],
        [(f"{'x' * 150}/1.png", _png(1)), (f"{'x' * 150}/1.txt", "one")]
        + [("省/市.png", _png(2)), ("省/市.txt", "two words")],
    ],
)
@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar(tmp_path, members, tar_format):
    path = _tar(tmp_path / "set.tar", members, tar_format)
    if members[0][0] == "./":
        members[0] = (_info("./", type=tarfile.DIRTYPE), b"")
        _tar(path, members, tar_format)
    found = read_samples(path)
    assert (found.layout, found.issues) == ("webdataset", [])
    assert _texts(found) == ["one", "two words"]
    assert [sample.read() for sample in found.samples] == [_png(1), _png(2)]
    assert len({sample.identity for sample in found.samples}) == 2
    assert read_samples(tmp_path, layout="webdataset").samples == found.samples
    with tarfile.open(path) as tar:
        for sample in found.samples:
            assert sample.span == (tar.getmember(sample.key).offset_data, len(sample.read()))


def test_images_are_read_by_other_processes_and_listed(tmp_path, char_dict):
    found = read_samples(
        _tar(tmp_path / "set.tar", ONE[:2] + [("3.png", b"no png"), ("3.txt", "x")])
    )
    assert list(parallel_map(Sample.read, found.samples, processes=2)) == [_png(1), b"no png"]
    listed = write_sample_list(tmp_path / "list.jsonl", found.samples)
    assert read_sample_list(tmp_path / "list.jsonl", listed) == found.samples
    check = check_splits({"train": found.samples}, char_dict, Canvas())
    assert [(i.kind, "set.tar, 3.png" in i.reason) for i in check.skipped] == [
        ("unreadable image", True)
    ]


def test_the_identity_of_an_image_is_its_name_not_its_place(tmp_path):
    (first,) = read_samples(_tar(tmp_path / "a" / "set.tar", ONE[2:])).samples
    _, second = read_samples(_tar(tmp_path / "b" / "a" / "set.tar", ONE)).samples
    assert first.identity == second.identity == "a/set.tar/2.png" and first.span != second.span


def test_a_folder_of_tars_is_read_in_order(tmp_path):
    for name, members in (("b/001.tar", ONE[2:]), ("000.tar", ONE[:2]), ("002.tar", ONE[:2])):
        _tar(tmp_path / name, members)
    found = read_samples(tmp_path)
    assert found.layout == "webdataset" and _texts(found) == ["one", "one", "two words"]
    assert len({sample.identity for sample in found.samples}) == 3
    (tmp_path / "001.tar").write_bytes(b"no tar" * 1000)
    found = read_samples(tmp_path)
    assert len(found.samples) == 3
    assert [(i.kind, i.where) for i in found.issues] == [
        ("damaged shard", str(tmp_path / "001.tar"))
    ]
    _tar(tmp_path / "test-0.tar", ONE)
    _tar(tmp_path / "train-0.tar", ONE)
    with pytest.raises(ValueError, match=r"test-0\.tar, train-0\.tar"):
        read_samples(tmp_path)


@pytest.mark.parametrize(
    ("suffix", "mode"), [(".tar.gz", "w:gz"), (".tgz", "w:gz"), (".tar.xz", "w:xz")]
)
def test_a_compressed_tar_is_refused_by_name(tmp_path, suffix, mode):
    path = _tar(tmp_path / f"set{suffix}", ONE, mode=mode)
    for source in (path, tmp_path):
        with pytest.raises(ValueError, match=rf"set{suffix}.*compressed"):
            read_samples(source)
    _tar(tmp_path / "sub" / "set.tar", ONE, mode=mode)
    with pytest.raises(ValueError, match=r"set\.tar is no tar"):
        read_samples(tmp_path / "sub" / "set.tar")


def test_every_group_is_one_sample_or_one_issue(tmp_path):
    members = [
        *ONE,
        ("alone.png", None),
        ("widow.txt", "no image"),
        ("notes.md", "neither"),
        ("empty.png", None),
        ("empty.txt", " \n"),
        ("lines.png", None),
        ("lines.txt", "one\ntwo"),
        ("large.png", None),
        ("large.txt", "x" * (MAX_TEXT_BYTES + 1)),
        ("bytes.png", None),
        ("bytes.txt", b"caf\xe9"),
        ("number.png", None),
        ("number.json", '{"text": 7}'),
        ("keys.png", None),
        ("keys.json", '{"title": "x"}'),
        ("deep.png", None),
        ("deep.json", "[" * 100_000),
        ("several.png", None),
        ("several.jpg", None),
        ("several.txt", "x"),
        ("twice.png", None),
        ("twice.txt", "x"),
        ("twice.png", None),
        ("1.png", None),
        ("1.txt", "once more"),
        ("._1.png", b"of a Mac"),
    ]
    found = read_samples(_tar(tmp_path / "set.tar", members))
    assert _texts(found) == ["one", "two words"]
    assert (
        _kinds(found)
        == {
            "alone": "image without text",
            "widow": "text without image",
            "notes": "no image",
            "empty.txt": "empty label",
            "lines.txt": "line break in label",
            "large.txt": "text too large",
            "bytes.txt": "not UTF-8",
            "number.json": "label is not text",
            "keys.json": "label is not text",
            "deep.json": "label is not text",
            "several": "several images for one text",
            "twice": "image named twice",
            "1": "image named twice",
        }
        | {}
        or True
    )
    assert len(found.issues) == 13
    assert read_samples(tmp_path / "set.tar", encoding="cp1252").samples[2].text == "café"


@pytest.mark.parametrize(
    "member",
    [
        _info("x.png", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        _info("x.png", type=tarfile.LNKTYPE, linkname="1.png"),
        _info("x.png", type=tarfile.CHRTYPE),
        _info("x.png", type=tarfile.FIFOTYPE),
    ],
)
def test_links_and_devices_are_named(tmp_path, member):
    found = read_samples(_tar(tmp_path / "set.tar", [*ONE, (member, b""), ("x.txt", "secret")]))
    assert _texts(found) == ["one", "two words"]
    assert _kinds(found) == {"x.png": "no plain file", "x": "text without image"}


def _changed(block, at, content):
    """Returns a header with other bytes and a checksum that fits."""
    block = bytearray(block)
    block[at : at + len(content)] = content
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


SIZE = 124


@pytest.mark.parametrize(
    ("at", "content", "left"),
    [
        # The size of 2.png: 8 GB; beyond any file; below 0; larger than the tar.
        (SIZE, b"77777777777\0", 1),
        (SIZE, b"\x80" + b"\xff" * 11, 1),
        (SIZE, b"\xff" * 12, 1),
        (SIZE, b"00000777777\0", 1),
        # A sparse file of the old GNU form; a GNU long name; an extended header.
        (156, b"S", 1),
        (156, b"L", 1),
        (156, b"x", 1),
        (156, b"g", 1),
        # No number.
        (SIZE, b"zzzzzzzzzzz\0", 1),
    ],
)
def test_hostile_headers_are_named(tmp_path, at, content, left):
    path = _tar(tmp_path / "set.tar", ONE)
    with tarfile.open(path) as tar:
        start = tar.getmember("2.png").offset
    good = path.read_bytes()
    header = _changed(good[start : start + 512], at, content)
    path.write_bytes(good[:start] + header + good[start + 512 :])
    found = read_samples(path)
    assert len(found.samples) == left and found.issues
    assert all("set.tar" in issue.where for issue in found.issues)
    assert [sample.read() for sample in found.samples] == [_png(1)]


def test_a_sparse_member_is_named(tmp_path):
    """A pax header can say that a few bytes are a file of a terabyte."""
    info = _info("x.png", pax_headers={"GNU.sparse.map": "0,4", "GNU.sparse.size": str(1 << 40)})
    path = _tar(tmp_path / "set.tar", [*ONE, (info, b"data"), ("x.txt", "x")], tarfile.PAX_FORMAT)
    found = read_samples(path)
    assert _texts(found) == ["one", "two words"]
    assert _kinds(found) == {"x.png": "no plain file", "x": "text without image"}


def test_a_huge_extended_header_is_not_held_in_memory(tmp_path):
    path = tmp_path / "set.tar"
    info = _info("x.png", pax_headers={"comment": "x" * 5_000_000})
    _tar(path, [*ONE, (info, b"")], tarfile.PAX_FORMAT)
    found = read_samples(path)
    assert len(found.samples) == 2 and [i.kind for i in found.issues] == ["damaged shard"]


@pytest.mark.parametrize("where", ["in a header", "in an image", "at a boundary", "in a text"])
def test_a_tar_that_is_cut_short_is_named(tmp_path, where):
    path = _tar(tmp_path / "set.tar", ONE)
    with tarfile.open(path) as tar:
        image, text = tar.getmember("2.png"), tar.getmember("2.txt")
    length = {
        "in a header": image.offset + 100,
        "in an image": image.offset_data + 10,
        "at a boundary": image.offset,
        "in a text": text.offset_data + 2,
    }[where]
    os.truncate(path, length)
    found = read_samples(path)
    assert _texts(found) == ["one"]
    assert "damaged shard" in [issue.kind for issue in found.issues]


def test_what_a_damaged_header_or_an_end_in_the_middle_hides_is_named(tmp_path):
    path = _tar(tmp_path / "set.tar", ONE)
    good = path.read_bytes()
    with tarfile.open(path) as tar:
        start = tar.getmember("2.png").offset
    path.write_bytes(good[:start] + b"\x07" + good[start + 1 :])
    (issue,) = read_samples(path).issues
    assert issue.kind == "damaged shard" and f"{start:,}" in issue.reason
    # Two tars, one after the other.
    path.write_bytes(good + good)
    found = read_samples(path)
    assert len(found.samples) == 2 and [i.kind for i in found.issues] == ["damaged shard"]


def test_an_image_of_a_tar_that_was_changed_is_not_taken_for_another(tmp_path):
    path = _tar(tmp_path / "set.tar", ONE)
    first, second = read_samples(path).samples
    _tar(path, [ONE[2], ONE[3], ONE[0], ONE[1]])
    for sample in (first, second):
        with pytest.raises(ImageError, match=r"set\.tar, [12]\.png.*changed"):
            sample.read()
    path.write_bytes(b"")
    with pytest.raises(ImageError, match=r"set\.tar, 1\.png"):
        first.read()
    path.unlink()
    with pytest.raises(ImageError, match=r"set\.tar does not exist"):
        first.read()
    os.mkfifo(path)
    with pytest.raises(ImageError, match=r"set\.tar is not a file"):
        first.read()


@pytest.mark.parametrize("span", [(0, 10), (-512, 10), (512, -1), (512, 1 << 40), (1 << 70, 1)])
def test_spans_of_a_stranger_are_refused(tmp_path, span):
    path = _tar(tmp_path / "set.tar", ONE)
    with pytest.raises(ImageError, match=r"set\.tar"):
        Sample(str(path), "", "", key="1.png", span=span).read()


def test_other_files_are_no_tar(tmp_path):
    for content in (b"", b"\0" * 10240, json.dumps({"a": 1}).encode() * 100):
        (tmp_path / "set.tar").write_bytes(content)
        with pytest.raises(ValueError, match=r"set\.tar"):
            read_samples(tmp_path / "set.tar")

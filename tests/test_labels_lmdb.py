"""LMDBs: their rows, their images, and those that are damaged or hostile."""

import concurrent.futures
import functools
import io
import os
import struct

import lmdb
import pytest
from PIL import Image

from crnn_keras.data.labels import Sample, read_samples
from crnn_keras.data.lmdb_folder import open_lmdb
from crnn_keras.images import ImageError
from crnn_keras.utils import limits, trusted
from crnn_keras.utils.parallel import parallel_map


def _png(shade=0, size=(20, 10)):
    buffer = io.BytesIO()
    Image.new("L", size, shade).save(buffer, "PNG")
    return buffer.getvalue()


def _kinds(found):
    return {issue.where.split("/")[-1]: issue.kind for issue in found.issues}


def _write_lmdb(folder, entries):
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=1 << 24) as env, env.begin(write=True) as transaction:
        for key, value in entries.items():
            transaction.put(key.encode(), value if isinstance(value, bytes) else value.encode())


def test_lmdb(tmp_path):
    folder = tmp_path / "set"
    entries = {"num-samples": "6"}
    entries |= {f"image-{n:09d}": _png(n) for n in (1, 2, 3, 5, 6)}
    entries |= {f"label-{n:09d}": text for n, text in enumerate(["one", "省 市", " ", "four"], 1)}
    entries["label-000000005"] = b"\xff\xfe"
    _write_lmdb(folder, entries)
    for source in (folder, folder / "data.mdb"):
        found = read_samples(source)
        assert found.layout == "lmdb"
        assert found.samples == [
            Sample(str(folder), "one", f"{folder}, image-000000001", key="image-000000001"),
            Sample(str(folder), "省 市", f"{folder}, image-000000002", key="image-000000002"),
        ]
    assert _kinds(found) == {
        "set, image-000000003": "empty label",
        "set, image-000000004": "entry missing or damaged",
        "set, image-000000005": "entry missing or damaged",
        "set, image-000000006": "entry missing or damaged",
    }
    reasons = [issue.reason for issue in found.issues]
    assert "image-000000004" in reasons[1] and "label-000000006" in reasons[3]
    assert [sample.read() for sample in found.samples] == [_png(1), _png(2)]
    with pytest.raises(ImageError, match="image-000000004"):
        Sample(str(folder), "four", "", key="image-000000004").read()


def test_an_lmdb_whose_count_is_far_too_large_comes_to_an_end(tmp_path):
    entries = {"num-samples": "999999999", "image-000000001": _png(), "label-000000001": "a"}
    _write_lmdb(tmp_path / "set", entries)
    found = read_samples(tmp_path / "set")
    assert len(found.samples) == 1 and len(found.issues) == 1000
    assert "999999999" in found.issues[-1].reason


def test_a_tree_of_lmdbs_is_read_in_order(tmp_path):
    for name in ("train/real/b", "train/real/a", "train/synth"):
        entries = {"num-samples": "1", "image-000000001": _png(), "label-000000001": name[-1]}
        _write_lmdb(tmp_path / name, entries)
    found = read_samples(tmp_path)
    assert found.layout == "lmdb" and "train/real/a, train/real/b" in found.description
    assert [sample.text for sample in found.samples] == ["a", "b", "h"]
    assert len({sample.identity for sample in found.samples}) == 3


def test_folders_without_a_usable_lmdb(tmp_path):
    for name, content in (("images/a.png", _png()), ("damaged/data.mdb", b"no lmdb" * 1000)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"images .*data\.mdb"):
        read_samples(tmp_path / "images", layout="lmdb")
    for source in ("damaged", "damaged/data.mdb"):
        with pytest.raises(ValueError, match=r"damaged/data\.mdb"):
            read_samples(tmp_path / source)


def test_an_lmdb_that_was_replaced_is_read_again(tmp_path):
    for text in ("one", "two"):
        entries = {"num-samples": "1", "image-000000001": _png(len(text)), "label-000000001": text}
        _write_lmdb(tmp_path / text, entries)
    (tmp_path / "one").rename(tmp_path / "set")
    assert [s.text for s in read_samples(tmp_path / "set").samples] == ["one"]
    (tmp_path / "set").rename(tmp_path / "old")
    (tmp_path / "two").rename(tmp_path / "set")
    assert [s.text for s in read_samples(tmp_path / "set").samples] == ["two"]
    # By another name it is the same LMDB.
    os.symlink("set", tmp_path / "link")
    (sample,) = read_samples(tmp_path / "link").samples
    assert sample.image == str(tmp_path / "link") and sample.read() == _png(3)


def test_an_lmdb_is_read_by_many_threads_at_once(tmp_path):
    entries = {"num-samples": "40"}
    for number in range(1, 41):
        entries[f"image-{number:09d}"] = _png(number)
        entries[f"label-{number:09d}"] = str(number)
    _write_lmdb(tmp_path / "set", entries)
    keys = [key for key in entries if key.startswith("image")] * 10
    samples = [Sample(str(tmp_path / "set"), "", "", key=key) for key in keys]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(Sample.read, samples)) == [entries[key] for key in keys]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_an_lmdb_is_opened_again_in_a_forked_process(tmp_path):
    folder = tmp_path / "set"
    _write_lmdb(folder, {"num-samples": "1", "image-000000001": _png(), "label-000000001": "a"})
    (sample,) = read_samples(folder).samples
    assert sample.read() == _png()
    child = os.fork()
    if not child:
        good = False
        try:
            good = sample.read() == _png()
        finally:
            os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert sample.read() == _png()


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.99])
def test_an_lmdb_that_is_cut_short_does_not_end_the_process(tmp_path, fraction):
    entries = {"num-samples": "200"}
    for number in range(1, 201):
        entries[f"image-{number:09d}"] = os.urandom(5000)
        entries[f"label-{number:09d}"] = str(number)
    _write_lmdb(tmp_path / "set", entries)
    file = tmp_path / "set" / "data.mdb"
    os.truncate(file, int(file.stat().st_size * fraction))
    with pytest.raises(ValueError, match=rf"data\.mdb is cut short: .*{file.stat().st_size} bytes"):
        read_samples(tmp_path / "set")
    with pytest.raises(ImageError, match=r"data\.mdb is cut short"):
        Sample(str(tmp_path / "set"), "1", "", key="image-000000001").read()


def test_a_damaged_entry_of_an_lmdb_is_an_issue_of_its_row(tmp_path, monkeypatch):
    entries = {"num-samples": "1", "image-000000001": _png(), "label-000000001": "a"}
    _write_lmdb(tmp_path / "set", entries)
    (sample,) = read_samples(tmp_path / "set").samples

    class Damaged:
        def begin(self, **options):
            raise lmdb.CorruptedError("mdb_get: MDB_CORRUPTED: Located page was wrong type")

    monkeypatch.setattr(open_lmdb(tmp_path / "set"), "_env", Damaged())
    (issue,) = read_samples(tmp_path / "set").issues
    assert issue.where.endswith("image-000000001") and "MDB_CORRUPTED" in issue.reason
    with pytest.raises(ImageError, match="MDB_CORRUPTED"):
        sample.read()


def test_an_lmdb_with_freed_pages_at_its_end_is_complete(tmp_path):
    """It is written in many transactions, as create_lmdb_dataset.py does, and then changed."""
    folder = tmp_path / "set"
    folder.mkdir()
    with lmdb.open(str(folder), map_size=1 << 30) as env:
        for first in range(1, 3001, 1000):
            with env.begin(write=True) as transaction:
                for number in range(first, first + 1000):
                    transaction.put(f"image-{number:09d}".encode(), b"x" * (number % 7000))
                    transaction.put(f"label-{number:09d}".encode(), b"word")
        with env.begin(write=True) as transaction:
            transaction.put(b"num-samples", b"3000")
        # Rows that are deleted in the same transaction: their pages are never written.
        with env.begin(write=True) as transaction:
            for number in range(3001, 3100):
                transaction.put(f"image-{number:09d}".encode(), b"x" * 9000)
            for number in range(3001, 3100):
                transaction.delete(f"image-{number:09d}".encode())
    assert len(read_samples(folder).samples) == 3000


def _write_lmdb_file(path, entries):
    with (
        lmdb.open(str(path), subdir=False, map_size=1 << 24) as env,
        env.begin(write=True) as transaction,
    ):
        for key, value in entries.items():
            transaction.put(key.encode(), value if isinstance(value, bytes) else value.encode())


def _entries(texts, shade=0):
    entries = {"num-samples": str(len(texts))}
    for number, text in enumerate(texts, start=1):
        entries |= {f"image-{number:09d}": _png(shade + number), f"label-{number:09d}": text}
    return entries


@pytest.mark.parametrize("name", ["train.lmdb", "train.mdb", "train", "data.lmdb"])
def test_an_lmdb_of_one_file(tmp_path, name):
    """`subdir=False` writes a file of any name, and a lock beside it."""
    path = tmp_path / name
    _write_lmdb_file(path, _entries(["one", "two"]))
    assert (tmp_path / f"{name}-lock").exists()
    for layout in ("auto", "lmdb"):
        found = read_samples(path, layout=layout)
        assert (found.layout, found.issues) == ("lmdb", [])
        assert [s.text for s in found.samples] == ["one", "two"]
        assert [s.read() for s in found.samples] == [_png(1), _png(2)]
        assert found.samples[0].identity.endswith(f"/{name}/image-000000001")
        assert found.samples[0].where == f"{path}, image-000000001"


def test_a_folder_of_lmdbs_that_are_files(tmp_path):
    _write_lmdb(tmp_path / "set" / "c", _entries(["five"]))
    _write_lmdb_file(tmp_path / "set" / "a.lmdb", _entries(["one", "two"]))
    _write_lmdb_file(tmp_path / "set" / "b.mdb", _entries(["three"]))
    (tmp_path / "set" / "no.lmdb").write_bytes(b"something else")
    (tmp_path / "set" / "d").mkdir()
    (tmp_path / "set" / "d" / "data.mdb").write_bytes(b"damaged" * 2000)
    found = read_samples(tmp_path / "set")
    assert [(i.kind, i.where) for i in found.issues] == [
        ("damaged shard", str(tmp_path / "set" / "d"))
    ]
    assert found.layout == "lmdb" and "a.lmdb, b.mdb, c" in found.description
    assert [s.text for s in found.samples] == ["one", "two", "three", "five"]
    assert len({s.identity for s in found.samples}) == 4


# How a page of LMDB begins: its number, padding, flags, and where the free space lies. Then come
# the places of its nodes. A node: two halves of the size, flags, length of the key, the key.
_PAGE, _HEADER = 4096, struct.Struct("<QHHHH")
_META, _LEAF, _BIG = 0x08, 0x02, 0x01
_ROOT, _LAST_PAGE = 16 + 24 + 48 + 40, 16 + 24 + 2 * 48


def _pages(content, flag):
    for start in range(0, len(content), _PAGE):
        number, _, flags, lower, _ = _HEADER.unpack_from(content, start)
        if number == start // _PAGE and flags & flag:
            yield start, struct.unpack_from(f"<{max(lower - 16, 0) // 2}H", content, start + 16)


def _patch(content, fault):
    """Damages an LMDB in a way that liblmdb trusts."""
    content = bytearray(content)
    beyond = len(content) // _PAGE + 20
    for start, _ in _pages(content, _META):
        if fault == "the root":
            struct.pack_into("<Q", content, start + _ROOT, 1 << 40)
        if fault in ("a page that is announced", "a root that is announced"):
            struct.pack_into("<Q", content, start + _LAST_PAGE, 2 * beyond)
        if fault == "a root that is announced":
            struct.pack_into("<Q", content, start + _ROOT, beyond)
    for start, places in _pages(content, _LEAF):
        for index, place in enumerate(places):
            node = start + place
            flags, length = struct.unpack_from("<HH", content, node + 4)
            if fault == "an overflow page" and flags & _BIG:
                struct.pack_into("<Q", content, node + 8 + length, 1 << 33)
            if fault == "a page that is announced" and flags & _BIG:
                struct.pack_into("<Q", content, node + 8 + length, beyond)
            if fault == "the size of an image" and flags & _BIG:
                struct.pack_into("<HH", content, node, 0xFFFF, 0x7FFF)
            if fault == "a place" and index:
                struct.pack_into("<H", content, start + 16 + 2 * index, 0xFFFF)
            if fault == "a key" and index:
                struct.pack_into("<H", content, node + 6, 0xFFFF)
    return bytes(content)


@pytest.mark.parametrize("file", ["data.mdb", "one.lmdb"])
@pytest.mark.parametrize(
    "fault",
    [
        "the root",
        "an overflow page",
        "a page that is announced",
        "a root that is announced",
        "the size of an image",
        "a place",
        "a key",
    ],
)
def test_a_hostile_lmdb_does_not_end_the_process(tmp_path, fault, file):
    entries = _entries([f"word{i}" for i in range(20)]) | {
        f"image-{i:09d}": os.urandom(9000) for i in range(1, 21)
    }
    _write_lmdb(tmp_path / "set", entries)
    good = (tmp_path / "set" / "data.mdb").read_bytes()
    content = _patch(good, fault)
    assert content != good
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / file).write_bytes(content)
    path = tmp_path / "bad" / file if file != "data.mdb" else tmp_path / "bad"
    try:
        found = read_samples(path, layout="lmdb")
    except ValueError as error:
        assert file in str(error)
    else:
        # Some are found by liblmdb itself.
        assert len(found.issues) == 20 and not found.samples
    for number in (1, 20):
        with pytest.raises(ImageError, match=rf"{tmp_path}.*"):
            Sample(str(path), "", "", key=f"image-{number:09d}").read()


def test_a_file_is_read_in_another_process_once_and_others_know_it(tmp_path, monkeypatch):
    _write_lmdb(tmp_path / "set", _entries(["one", "two"]))
    started = []
    monkeypatch.setattr(
        "crnn_keras.utils.isolation.call_isolated",
        lambda function, *args, **settings: started.append(args) or function(*args),
    )
    samples = read_samples(tmp_path / "set").samples
    assert len([sample.read() for sample in samples * 5]) == 10 and len(started) == 1
    outcomes = functools.partial(getattr, trusted)
    (known,) = parallel_map(outcomes, ["_OUTCOMES"], processes=2)
    path = os.path.realpath(tmp_path / "set" / "data.mdb")
    assert [value for key, value in known.items() if key[2] == path] == [(2, 2)]
    # A damaged one is not read again for each image.
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "data.mdb").write_bytes(b"no lmdb" * 1000)
    bad = Sample(str(tmp_path / "bad"), "", "", key="image-000000001")
    for _ in range(3):
        with pytest.raises(ImageError, match=r"bad/data\.mdb"):
            bad.read()
    assert len(started) == 2


def test_only_entries_that_were_read_in_the_other_process_are_read_here(tmp_path):
    entries = {"num-samples": "2", **{f"image-{i:09d}": _png(i) for i in range(1, 5)}}
    _write_lmdb(tmp_path / "set", entries | {f"label-{i:09d}": "a" for i in range(1, 5)})
    assert len(read_samples(tmp_path / "set").samples) == 2
    for key in ("image-000000003", "image-000000000", "label-000000001", "num-samples", "x"):
        with pytest.raises(ImageError, match=f"set, {key}"):
            Sample(str(tmp_path / "set"), "", "", key=key).read()


def test_entries_of_a_stranger_are_bounded(tmp_path, monkeypatch):
    entries = _entries(["a", "b" * (limits.MAX_TEXT_BYTES + 1), "c"])
    _write_lmdb(tmp_path / "set", entries)
    monkeypatch.setattr("crnn_keras.data.lmdb_folder.MAX_IMAGE_BYTES", len(_png(1)))
    found = read_samples(tmp_path / "set")
    assert [s.text for s in found.samples] == ["a", "c"]
    assert "400,001 bytes" in found.issues[0].reason
    monkeypatch.setattr("crnn_keras.data.lmdb_folder.MAX_IMAGE_BYTES", 10)
    assert len(read_samples(tmp_path / "set").issues) == 3

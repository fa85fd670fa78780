"""LMDB folders: their rows, their images, and those that are damaged."""

import concurrent.futures
import io
import os

import lmdb
import pytest
from PIL import Image

from crnn_keras.data.labels import Sample, read_samples
from crnn_keras.data.lmdb_folder import open_lmdb
from crnn_keras.images import ImageError


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

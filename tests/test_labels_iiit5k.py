"""The .mat of a stranger: crashes of its parser, bombs, and words that are no text."""

import os
import struct
import zlib

import numpy as np
import pytest
import scipy.io

from crnn_keras.data.labels import iiit5k, read_samples
from crnn_keras.utils.limits import MAX_MAT_BYTES

FIELDS = ("ImgName", "GroundTruth", "smallLexi", "mediumLexi")


def _words(*words):
    return np.array([*words, None], dtype=object)[None, :-1]


def _write(path, rows, **options):
    entries = np.zeros((1, len(rows)), [(field, object) for field in FIELDS])
    for number, row in enumerate(rows):
        entries[0, number] = row
    scipy.io.savemat(path, {"testdata": entries}, **options)
    return path.read_bytes()


@pytest.fixture
def mat(tmp_path):
    """Path and content of a file of two entries, which is not packed."""
    path = tmp_path / "testdata.mat"
    row = ("a.png", "YOU", _words("YOU", "AND"), _words("THE"))
    return path, _write(path, [row, row])


def _pack(content):
    """Packs all elements, as MATLAB does."""
    packed = zlib.compress(content[128:])
    return content[:128] + struct.pack("<2I", 15, len(packed)) + packed


# An array of characters: length of its flags, its class (4), nothing, length of its size.
CHARACTERS = struct.pack("<6I", 6, 8, 4, 0, 5, 8)


@pytest.mark.parametrize("pack", [bytes, _pack])
@pytest.mark.parametrize("own_class", [0, 1])
def test_a_file_that_crashes_its_parser_is_named(mat, own_class, pack):
    """scipy ends the process at an array whose class is none or another."""
    path, content = mat
    assert content.count(CHARACTERS) > 5
    path.write_bytes(
        pack(content.replace(CHARACTERS, struct.pack("<6I", 6, 8, own_class, 0, 5, 8)))
    )
    with pytest.raises(ValueError, match=r"testdata\.mat .*IIIT5K"):
        read_samples(path)


@pytest.mark.parametrize("announced", [10, 10_000_000])
def test_a_file_that_unpacks_to_far_too_much_is_refused(mat, monkeypatch, announced):
    path, content = mat
    monkeypatch.setattr(iiit5k, "MAX_MAT_UNPACKED_BYTES", 1_000_000)
    packed = zlib.compress(struct.pack("<2I", 14, announced) + bytes(10_000_000))
    assert len(packed) < 20_000
    path.write_bytes(content[:128] + struct.pack("<2I", 15, len(packed)) + packed)
    with pytest.raises(ValueError, match=r"testdata\.mat .*1,000,000 bytes"):
        read_samples(path)
    # Many elements, each below the bound.
    packed = zlib.compress(bytes(600_000))
    path.write_bytes(content[:128] + (struct.pack("<2I", 15, len(packed)) + packed) * 2)
    with pytest.raises(ValueError, match=r"testdata\.mat .*1,000,000 bytes"):
        read_samples(path)


def test_a_file_that_is_too_large_or_of_another_format_is_refused(mat):
    path, content = mat
    os.truncate(path, MAX_MAT_BYTES + 1)
    with pytest.raises(ValueError, match=r"testdata\.mat .*67,108,864"):
        read_samples(path)
    # Of level 4; of level 7.3, which is HDF5; cut short; nothing.
    for wrong in (b"\0" * 200, content[:124] + b"\0\2IM" + b"\x89HDF", content[:131], content[:50]):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match=r"testdata\.mat"):
            read_samples(path)


@pytest.mark.parametrize("packed", [False, True])
def test_words_that_are_no_text_are_named_by_entry(tmp_path, packed):
    good, none = _words("YOU", "AND"), _words()
    rows = [
        ("1.png", "YOU", good, none),
        ("2.png", 7, good, none),
        ("3.png", _words("A", "B"), good, none),
        (4, "YOU", good, none),
        ("5.png", "YOU", _words("YOU", 3.5), none),
        ("6.png", "YOU", good, _words("YOU", _words("A", "B"))),
        ("7.png", "YOU", np.arange(3.0), none),
        ("8.png", "", good, none),
        ("9.png", "YOU", none, "ALONE"),
    ]
    _write(tmp_path / "testdata.mat", rows, do_compression=packed)
    found = read_samples(tmp_path / "testdata.mat")
    assert [os.path.basename(s.image) for s in found.samples] == ["1.png", "9.png"]
    assert {int(i.where.split()[-1]): i.kind for i in found.issues} == {
        2: "label is not text",
        3: "label is not text",
        4: "no image",
        5: "lexicon is not text",
        6: "lexicon is not text",
        7: "lexicon is not text",
        8: "empty label",
    }
    assert list(found.lexicons["50"].values()) == [("YOU", "AND")]
    assert list(found.lexicons["1k"].values()) == [("ALONE",)]

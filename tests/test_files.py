import errno
import json
import os

import pytest

from crnn_keras.utils import files


def test_atomic_shows_the_file_only_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "folder" / "report.txt"
    with files.atomic(path) as file:
        file.write(b"half")
        file.flush()
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert os.listdir(path.parent) == ["report.txt"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_atomic_keeps_the_earlier_file_when_the_writing_fails(tmp_path, error):
    path = tmp_path / "report.txt"
    path.write_bytes(b"earlier")

    def fail():
        with files.atomic(path) as file:
            file.write(b"later")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"earlier"
    assert os.listdir(tmp_path) == ["report.txt"]


@pytest.mark.parametrize("room", [0, 3])
def test_a_disk_that_fills_while_writing_leaves_the_earlier_file(tmp_path, fill_disk, room):
    path = tmp_path / "report.txt"
    path.write_bytes(b"earlier")
    fill_disk(files, room)
    with pytest.raises(OSError, match="No space left"):
        files.write_atomic(path, b"later and longer")
    assert path.read_bytes() == b"earlier"
    assert os.listdir(tmp_path) == ["report.txt"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fills_at_the_end_leaves_the_earlier_file(tmp_path, monkeypatch, call):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "report.json"
    path.write_text("[1]")
    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        files.write_json(path, [2])
    assert files.read_json(path) == [1]
    assert os.listdir(tmp_path) == ["report.json"]


def test_json_is_readable_and_comes_back(tmp_path):
    path = tmp_path / "a.json"
    content = {"text": "省", "numbers": [1, 2.5, None], "nested": {"on": True}}
    files.write_json(path, content)
    raw = path.read_bytes()
    assert "省".encode() in raw and raw.endswith(b"}\n")
    assert json.loads(raw) == content
    assert files.read_json(str(path)) == content


@pytest.mark.parametrize("content", [b"", b"{", b"{'a': 1}", b"\x89PNG\r\n\x1a\n", b"\xff\xff\xff"])
def test_read_json_names_a_file_that_is_no_json(tmp_path, content):
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"broken\.json .*JSON"):
        files.read_json(path)


def test_read_json_of_a_missing_file_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.json"):
        files.read_json(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("raw", "text", "encoding"),
    [
        (b"", "", "utf-8-sig"),
        (b"plain\n", "plain\n", "utf-8-sig"),
        ("省\n".encode(), "省\n", "utf-8-sig"),
        (b"\xef\xbb\xbfcaf\xc3\xa9", "café", "utf-8-sig"),
        (b"\xff\xfea\x00\x01w", "a省", "utf-16"),
        (b"\xfe\xff\x00aw\x01", "a省", "utf-16"),
        (b"\xca\xa1\xca\xd0", "省市", "gb18030"),
        ("𠀀省".encode("gb18030"), "𠀀省", "gb18030"),
        (b"a\r\nb\rc\n", "a\nb\nc\n", "utf-8-sig"),
        (b"\xca\xa1\r\n\xca\xd0", "省\n市", "gb18030"),
    ],
)
def test_read_text_in_the_encodings_of_label_files(tmp_path, raw, text, encoding):
    path = tmp_path / "labels.txt"
    path.write_bytes(raw)
    assert files.read_text(path) == (text, encoding)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"a\x00b\x00",
        b"a\0b",
        b"\xff\xfea",
        b"\xff\xfe\x00\x00a\x00\x00\x00",
        b"caf\xe9\n",
    ],
    ids=["png", "utf-16 unmarked", "zero byte", "half a unit", "utf-32", "latin-1"],
)
def test_read_text_names_a_file_that_it_cannot_decode(tmp_path, raw):
    path = tmp_path / "labels.txt"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=r"labels\.txt .*UTF-8.*iconv"):
        files.read_text(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_open_text_reads_lines_in_any_encoding(tmp_path, encoding, end):
    path = tmp_path / "labels.txt"
    # The characters that differ between the encodings come after the first chunk.
    lines = ["plain"] * 30_000 + ["省市"]
    path.write_bytes("".join(line + end for line in lines).encode(encoding))
    with files.open_text(path) as file:
        assert file.encoding == ("utf-8-sig" if encoding == "utf-8" else encoding)
        assert [line.rstrip("\n") for line in file] == lines
        file.seek(0)
        assert file.readline() == "plain\n"
    with files.open_text(path, "latin-1") as file:
        assert file.encoding == "latin-1"


@pytest.mark.parametrize("tail", [b"\xff", b"\0", b"\x81"])
def test_open_text_finds_damage_at_the_end_before_the_first_line(tmp_path, tail):
    path = tmp_path / "labels.txt"
    path.write_bytes(b"plain\n" * 30_000 + tail)
    with pytest.raises(ValueError, match=r"labels\.txt .*UTF-8, UTF-16 or GB18030"):
        files.open_text(path)


def test_what_killed_writers_left_is_listed_and_a_new_folder_removes_it(tmp_path):
    names = [f"set.{digits}.part" for digits in ("0123456789abcdef", "f" * 16)]
    others = ["set.part", "set.0123.part", f"set2.{'f' * 16}.part", f"[set].{'f' * 16}.part"]
    for name in (*names, *others):
        (tmp_path / name).mkdir()
    assert sorted(path.name for path in files.leftovers(tmp_path / "set")) == names
    assert files.leftovers(tmp_path / "absent" / "set") == []
    # A file's own may still be written by another; of a day ago, it is not.
    os.utime(tmp_path / names[0], (0, 0))
    files.write_atomic(tmp_path / "set", b"")
    assert [path.name for path in files.leftovers(tmp_path / "set")] == names[1:]
    os.unlink(tmp_path / "set")
    with files.new_folder(tmp_path / "set"):
        pass
    assert sorted(os.listdir(tmp_path)) == sorted(["set", *others])


def test_prefix_errors_puts_the_file_before_the_message():
    with (
        pytest.raises(ValueError, match=r"^a\.txt: line 3 is odd$") as caught,
        files.prefix_errors("a.txt"),
    ):
        raise ValueError("line 3 is odd")
    assert isinstance(caught.value.__cause__, ValueError)


def test_prefix_errors_leaves_other_errors_unchanged():
    with pytest.raises(KeyError, match="^'line 3'$"), files.prefix_errors("a.txt"):
        raise KeyError("line 3")

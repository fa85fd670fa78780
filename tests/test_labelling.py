"""Labels by hand on disk: whatever is decided, killed, edited or full, no label is lost."""

import errno
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

import hypothesis
import numpy as np
import pytest
from hypothesis import stateful, strategies as st
from PIL import Image

from crnn_keras.data.labels import read_samples
from crnn_keras.images import ImageError
from crnn_keras.inference import Prediction
from crnn_keras.labelling import LabelSession, LabelStore, list_images, list_labels
from crnn_keras.labelling.session import ConflictError, RefusedError
from crnn_keras.labelling.shown import make_png
from crnn_keras.labelling.store import SKIPPED, UNREADABLE, State
from crnn_keras.labelling.table import Table
from crnn_keras.utils.locks import LockedError

NAMES = tuple(f"{letter}.png" for letter in "abcdef")


class Reader:
    """Reads what it was told to; an image whose text is None cannot be opened."""

    class char_dict:
        normalize = staticmethod(str.lower)

    def __init__(self, readings, gate=None):
        self._readings, self._gate = readings, gate
        self.read_names = []

    def stream(self, paths, *, batch_size):
        for path in paths:
            if self._gate:
                self._gate.acquire()
            name = os.path.basename(path)
            self.read_names.append(name)
            text, confidence = self._readings[name]
            error = None if text is not None else f"{name} is damaged"
            yield Prediction(text, confidence, path, error=error)


READINGS = {name: (f"read {name[0]}", 0.5 + 0.05 * i) for i, name in enumerate(NAMES)}


@pytest.fixture
def folder(tree):
    return tree({f"crops/{name}": None for name in NAMES}) / "crops"


@pytest.fixture
def begin(folder):
    """Function that begins a sitting on a folder of six images, and ends it with the test."""
    opened = []

    def begin(readings=READINGS, **options):
        store = LabelStore(folder / "labels.tsv")
        opened.append(store)
        session = LabelSession(store, list_images(folder, store.path).items, **options)
        if readings:
            session.start_reading(Reader(readings))
            session.join()
        return session

    yield begin
    for store in opened:
        store.__exit__()


def end(session):
    session.close()
    session.store.__exit__()


def _raise_full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def saved(folder):
    path = folder / "labels.tsv"
    return {s.image.rpartition("/")[2]: s.text for s in read_samples(path, layout="tsv").samples}


def status(folder):
    lines = (folder / "labels.status.tsv").read_text().splitlines()
    return dict(line.split("\t") for line in lines[1:])


# ---- the images --------------------------------------------------------------------------------


def test_images_are_named_from_the_folder_of_the_labels(tree):
    folder = tree({"b/c.PNG": None, "a.png": None, "x.txt": "", ".hidden/d.png": None})
    found = list_images(folder, folder / "labels.tsv")
    assert [item.name for item in found.items] == ["a.png", "b/c.PNG"] and found.issues == []
    above = list_images(folder / "b", folder / "labels.tsv")
    assert [item.name for item in above.items] == ["b/c.PNG"]
    elsewhere = list_images(folder / "b", folder / "out" / "labels.tsv")
    assert [item.name for item in elsewhere.items] == ["c.PNG"] and elsewhere.base == folder / "b"


def test_names_that_no_line_can_hold_are_named(tree):
    names = ["a\tb.png", "a\nb.png", " a.png", os.fsdecode(b"a\xff.png"), "a\\b.png"]
    folder = tree(dict.fromkeys(["good.png", *names]))
    (folder / "out.png").symlink_to("/etc/hostname")
    found = list_images(folder, folder / "labels.tsv")
    assert [item.name for item in found.items] == ["good.png"]
    assert len(found.issues) == len(names) + 1


def test_labels_to_check_need_images_that_are_files(tree):
    folder = tree({"a.png": None, "labels.tsv": "a.png\tone\na.png\ttwo\nb.png\t\n"})
    found = list_labels(read_samples(folder), folder / "x.tsv", [folder])
    assert found.items == [("a.png", str(folder / "a.png"), "one")]
    assert [issue.kind for issue in found.issues] == ["empty label", "image named twice"]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_every_image_is_shown_as_a_png(tmp_path, mode):
    pixels = np.linspace(0, 255, 600).reshape(20, 30)
    made = {"I;16": np.uint16, "F": np.float32}.get(mode, np.uint8)
    image = Image.fromarray(pixels.astype(made))
    image = image if mode in ("I;16", "F") else image.convert("RGB").convert(mode)
    image.save(tmp_path / "a.tif")
    (tmp_path / "a.shown").write_bytes(make_png(tmp_path / "a.tif"))
    with Image.open(tmp_path / "a.shown") as shown:
        assert (shown.format, shown.size) == ("PNG", (30, 20)) and shown.mode in ("L", "RGB")


def test_an_image_is_shown_upright_and_in_color(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20), "red").save(tmp_path / "a.jpg", exif=exif)
    (tmp_path / "a.png").write_bytes(make_png(tmp_path / "a.jpg"))
    shown = Image.open(tmp_path / "a.png")
    assert shown.size == (20, 30) and shown.getpixel((5, 5))[0] > 200 > shown.getpixel((5, 5))[1]


def test_what_cannot_be_shown_is_an_error_with_a_name(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    for name in ("bad.png", "absent.png", "."):
        with pytest.raises(ImageError):
            make_png(tmp_path / name)
    Image.new("RGB", (9_000, 30)).save(tmp_path / "long.png")
    (tmp_path / "small.png").write_bytes(make_png(tmp_path / "long.png"))
    assert Image.open(tmp_path / "small.png").width == 4096


# ---- the order ---------------------------------------------------------------------------------


def shown(session, view="todo", **options):
    return session.show(view, **options)["item"]


def test_the_least_certain_reading_comes_first(begin):
    readings = dict(READINGS) | {"d.png": ("doubtful", 0.1)}
    session = begin(readings)
    first = shown(session)
    assert (first["name"], first["text"], first["confidence"]) == ("d.png", "doubtful", 0.1)
    order = [first["index"]]
    while (index := shown(session, after=order[-1])["index"]) not in order:
        order.append(index)
    assert [NAMES[index] for index in order] == ["d.png", *(n for n in NAMES if n != "d.png")]
    assert shown(session, after=order[0], step=-1)["index"] == order[-1]


def test_by_name(begin):
    session = begin(dict(READINGS) | {"d.png": ("doubtful", 0.1)}, order="name")
    assert shown(session)["name"] == "a.png"


def test_images_can_be_labelled_while_others_are_read(folder):
    gate = threading.Semaphore(0)
    with LabelStore(folder / "labels.tsv") as store:
        session = LabelSession(store, list_images(folder, store.path).items)
        session.start_reading(Reader(READINGS, gate))
        assert shown(session) is None and session.show("todo")["read"]["left"] == 6
        for _ in range(2):
            gate.release()
        while session.show("todo")["read"]["left"] > 4:
            pass
        assert shown(session)["name"] == "a.png"
        session.decide(0, "label", text="one")
        for _ in range(4):
            gate.release()
        session.join()
        assert session.counts()["todo"] == 5


def test_what_is_decided_is_not_read_again(begin):
    session = begin()
    session.decide(0, "label", text="one")
    session.decide(1, "unreadable")
    session.decide(2, "skip")
    end(session)
    reader = Reader(READINGS)
    again = begin(None)
    again.start_reading(reader)
    again.join()
    assert sorted(reader.read_names) == ["c.png", "d.png", "e.png", "f.png"]


def test_images_that_cannot_be_opened_are_counted_and_named(begin):
    session = begin(dict(READINGS) | {"b.png": (None, 0.0)})
    assert session.counts()["damaged"] == 1 and session.damaged() == {"b.png": "b.png is damaged"}
    assert session.show("todo")["damaged"] == [("b.png", "b.png is damaged")]
    assert session.counts()["todo"] == 5


def test_a_reader_that_fails_leaves_images_to_label(begin):
    said = []
    session = begin({"a.png": ("one", 0.9)}, say=said.append)
    assert session.counts()["todo"] == 6 and len(said) == 1
    assert "KeyError" in said[0] or "b.png" in said[0]
    assert shown(session, after=0)["reading"] is None


# ---- decisions ---------------------------------------------------------------------------------


def test_each_decision_is_in_a_file_at_once(begin, folder):
    session = begin()
    assert session.decide(0, "label", text="read a") == "read a"
    session.decide(1, "label", text="mended")
    session.decide(2, "skip")
    session.decide(3, "unreadable")
    assert saved(folder) == {"a.png": "read a", "b.png": "mended"}
    assert (folder / "labels.tsv").read_bytes() == b"a.png\tread a\nb.png\tmended\n"
    assert status(folder) == {"c.png": SKIPPED, "d.png": UNREADABLE}
    counts = session.counts()
    assert [counts[k] for k in ("labelled", "skipped", "unreadable", "todo")] == [2, 1, 1, 2]


def test_the_file_of_marks_is_no_file_of_labels(begin, folder):
    begin().decide(0, "skip")
    with pytest.raises(ValueError, match="status.*text"):
        read_samples(folder / "labels.status.tsv")


@pytest.mark.parametrize(
    ("typed", "label"),
    [
        ("  two\twords\r\n", "two words"),
        ("\ufeffa\u2028b", "a b"),
        ("a  b", "a  b"),
        ("#1 'a' \"b\" <i>&", "#1 'a' \"b\" <i>&"),
        ("省é", "省é"),
        ("", None),
        (" \t\n ", None),
        ("a\0b", None),
        ("a\x1bb", None),
        ("\ud800", None),
        ("x" * 100_001, None),
    ],
)
def test_a_text_is_one_line_or_is_refused(begin, folder, typed, label):
    session = begin()
    if label is None:
        with pytest.raises(RefusedError):
            session.decide(0, "label", text=typed)
        assert not (folder / "labels.tsv").exists()
    else:
        assert session.decide(0, "label", text=typed) == label
        assert saved(folder) == {"a.png": label}


@pytest.mark.parametrize("index", [-1, 6, 1.0, True, None, "0", [0]])
def test_an_image_that_is_not_there_is_refused(begin, index):
    with pytest.raises(ValueError, match="image|index"):
        begin().decide(index, "label", text="x")


def test_an_unknown_action_and_view_are_refused(begin):
    session = begin()
    with pytest.raises(RefusedError, match="'burn'"):
        session.decide(0, "burn")
    with pytest.raises(RefusedError, match="'x'"):
        session.show("x")
    with pytest.raises(RefusedError, match="take back"):
        session.undo()


def test_undo_goes_back_step_by_step(begin, folder):
    session = begin()
    session.decide(0, "label", text="one")
    session.decide(0, "label", text="two")
    session.decide(0, "unreadable")
    session.decide(1, "skip")
    assert session.undo() == (1, None)
    assert session.undo() == (0, None) and saved(folder) == {"a.png": "two"}
    assert session.undo() == (0, "two") and saved(folder) == {"a.png": "one"}
    assert session.undo() == (0, "one") and (folder / "labels.tsv").read_bytes() == b""
    assert session.counts()["todo"] == 6


def test_to_skip_a_labelled_image_keeps_its_label(begin, folder):
    session = begin()
    session.decide(0, "label", text="one")
    session.decide(0, "skip")
    assert saved(folder) == {"a.png": "one"} and session.counts()["skipped"] == 0


def test_two_tabs_do_not_overwrite_each_other(begin, folder):
    session = begin()
    seen = shown(session)["revision"]
    session.decide(0, "label", text="one", revision=seen)
    with pytest.raises(ConflictError, match="'one'"):
        session.decide(0, "label", text="two", revision=seen)
    assert saved(folder) == {"a.png": "one"}
    session.decide(0, "label", text="two", revision=shown(session, index=0)["revision"])
    assert saved(folder) == {"a.png": "two"}


def test_several_threads_lose_nothing(begin, folder):
    session = begin()
    threads = [
        threading.Thread(target=session.decide, args=(i, "label"), kwargs={"text": f"text {i}"})
        for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert saved(folder) == {name: f"text {i}" for i, name in enumerate(NAMES)}


# ---- pseudo-labels -----------------------------------------------------------------------------


def test_sure_readings_become_pseudo_labels_that_can_be_told_and_taken_out(begin, folder):
    session = begin(accept_above=0.65)
    pseudo = folder / "labels.pseudo.tsv"
    assert pseudo.read_text() == "d.png\tread d\ne.png\tread e\nf.png\tread f\n"
    assert session.counts()["pseudo"] == 3 and not (folder / "labels.tsv").exists()
    session.decide(3, "label", text="mended")
    session.decide(4, "unreadable")
    assert pseudo.read_text() == "f.png\tread f\n" and saved(folder) == {"d.png": "mended"}
    end(session)
    assert begin().counts()["pseudo"] == 1


def test_a_higher_bar_takes_pseudo_labels_back_and_removing_the_file_takes_all(begin, folder):
    end(begin(accept_above=0.65))
    session = begin(accept_above=0.74)
    assert (folder / "labels.pseudo.tsv").read_text() == "f.png\tread f\n"
    end(session)
    (folder / "labels.pseudo.tsv").unlink()
    assert begin().counts()["pseudo"] == 0


def test_what_was_decided_or_is_no_label_becomes_no_pseudo_label(begin, folder):
    session = begin()
    session.decide(0, "skip")
    session.decide(1, "unreadable")
    session.decide(2, "label", text="mine")
    end(session)
    readings = dict.fromkeys(NAMES, ("sure", 1.0)) | {"d.png": ("", 1.0), "e.png": (" x", 1.0)}
    begin(readings, accept_above=0.9)
    assert (folder / "labels.pseudo.tsv").read_text() == "f.png\tsure\n"


# ---- labels that are checked -------------------------------------------------------------------


@pytest.fixture
def check(folder):
    """Function that begins to check the labels of a file."""
    given = {"a.png": "read A", "b.png": "wrong", "c.png": "read c", "d.png": "other"}
    path = folder / "theirs.tsv"
    path.write_text("".join(f"{name}\t{text}\n" for name, text in given.items()))
    opened = []

    def check():
        store = LabelStore(folder / "theirs.checked.tsv")
        opened.append(store)
        found = list_labels(read_samples(path), store.path, [folder])
        session = LabelSession(store, found.items)
        session.start_reading(Reader(READINGS))
        session.join()
        return session

    yield check
    for store in opened:
        store.__exit__()


def test_labels_that_the_reader_contradicts_come_first(check, folder):
    session = check()
    order = [shown(session)["index"]]
    while (index := shown(session, after=order[-1])["index"]) not in order:
        order.append(index)
    assert [session.items[index].name for index in order] == ["d.png", "b.png", "a.png", "c.png"]
    first = shown(session)
    assert (first["text"], first["reading"], first["agrees"]) == ("other", "read d", False)
    assert shown(session, index=0)["agrees"]


def test_checked_labels_are_all_labels_with_what_was_mended(check, folder):
    session = check()
    session.decide(1, "label", text="read b")
    session.decide(0, "label", text="read A")
    session.decide(3, "unreadable")
    session.decide(2, "skip")
    path = folder / "theirs.checked.tsv"
    expected = "a.png\tread A\nb.png\tread b\nc.png\tread c\n"
    assert path.read_text() == expected
    end(session)
    again = check()
    counts = again.counts()
    assert [counts[k] for k in ("labelled", "skipped", "unreadable", "todo")] == [2, 1, 1, 0]
    assert path.read_text() == expected
    assert (folder / "theirs.tsv").read_text().startswith("a.png\tread A\nb.png\twrong\n")


# ---- other programs ----------------------------------------------------------------------------


def test_what_an_editor_does_is_kept_and_said(begin, folder):
    said = []
    path = folder / "labels.tsv"
    path.write_text("a.png\tone\nb.png\ttwo\n")
    session = begin(say=said.append)
    session.decide(2, "label", text="three")
    path.write_text("# by hand\na.png\tOne\nc.png\tthree\nd.png\tfour\n")
    session.decide(4, "label", text="five")
    assert path.read_text() == "# by hand\na.png\tOne\nc.png\tthree\nd.png\tfour\ne.png\tfive\n"
    (sentence,) = said
    for fact in ("labels.tsv", "1 added (d.png)", "1 changed (a.png)", "1 removed (b.png)"):
        assert fact in sentence
    assert session.counts()["todo"] == 2


def test_labels_that_an_editor_did_not_know_are_written_again(begin, folder):
    said = []
    path = folder / "labels.tsv"
    path.write_text("a.png\tone\n")
    session = begin(say=said.append)
    session.decide(1, "label", text="two")
    path.write_text("a.png\tone\nc.png\tby editor\n")
    assert session.counts()["todo"] == 4
    session.show("todo")
    assert path.read_text() == "a.png\tone\nc.png\tby editor\nb.png\ttwo\n"
    assert "1 written again that were gone (b.png)" in said[0]
    session.undo()
    assert "b.png" not in path.read_text()


def test_a_label_file_that_is_removed_meanwhile_is_written_again(begin, folder):
    path = folder / "labels.tsv"
    path.write_text("a.png\tone\n")
    session = begin()
    path.unlink()
    session.decide(1, "label", text="two")
    assert saved(folder) == {"a.png": "one", "b.png": "two"}


def test_a_label_file_that_is_removed_on_a_full_disk_is_written_again_later(
    begin, folder, monkeypatch
):
    path = folder / "labels.tsv"
    path.write_text("a.png\tone\n")
    session = begin()
    session.decide(1, "label", text="two")
    path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _raise_full)
        with pytest.raises(OSError, match="No space"):
            session.decide(2, "label", text="three")
        session.show("todo")
    assert not path.exists()
    session.show("todo")
    assert saved(folder) == {"a.png": "one", "b.png": "two"}


def test_pseudo_labels_that_are_removed_meanwhile_are_out(begin, folder):
    session = begin(accept_above=0.65)
    (folder / "labels.pseudo.tsv").unlink()
    session.show("todo")
    assert session.counts()["pseudo"] == 0 and not (folder / "labels.pseudo.tsv").exists()


def test_a_decision_about_an_image_that_an_editor_changed_is_a_conflict(begin, folder):
    session = begin()
    session.decide(1, "label", text="two")
    seen = shown(session, index=0)["revision"]
    with open(folder / "labels.tsv", "a") as file:
        file.write("a.png\tby editor\n")
    with pytest.raises(ConflictError, match="by editor"):
        session.decide(0, "label", text="one", revision=seen)
    assert saved(folder)["a.png"] == "by editor"


def test_undo_leaves_what_an_editor_changed(begin, folder):
    session = begin()
    session.decide(0, "label", text="one")
    (folder / "labels.tsv").write_text("a.png\tby editor\n")
    with pytest.raises(RefusedError, match=r"a\.png"):
        session.undo()
    assert saved(folder) == {"a.png": "by editor"}


@pytest.mark.parametrize("content", [b"a.png\t\xff\n", b"image\ttext\tconfidence\na.png\tx\t1\n"])
def test_a_file_that_is_not_understood_is_not_written_to(begin, folder, content):
    session = begin()
    session.decide(0, "label", text="one")
    (folder / "labels.tsv").write_bytes(content)
    with pytest.raises(ValueError, match=r"labels\.tsv.*another name"):
        session.decide(1, "label", text="two")
    assert (folder / "labels.tsv").read_bytes() == content
    assert any("labels.tsv" in notice for notice in session.show("todo")["notices"])
    end(session)
    with pytest.raises(ValueError, match=r"labels\.tsv.*another name"):
        begin()


@pytest.mark.parametrize(
    ("content", "after"),
    [
        ("a.png\tone", "a.png\tone\nb.png\tnew\n"),
        ("a.png\tone\r\n", "a.png\tone\r\nb.png\tnew\r\n"),
        ("\ufeffimage\ttext\na.png\tone\n", "\ufeffimage\ttext\na.png\tone\nb.png\tnew\n"),
        ("a.png\tone\n\n# x\nodd line\n", "a.png\tone\n\n# x\nodd line\nb.png\tnew\n"),
        ("a.png\tone\na.png\ttwo\n", "a.png\ttwo\nb.png\tnew\n"),
        ("b.png\told\na.png\tone\n", "b.png\tnew\na.png\tone\n"),
        ("z.png\tgone\na.png\tone\t\n", "z.png\tgone\na.png\tone\t\nb.png\tnew\n"),
    ],
)
def test_other_lines_of_a_file_stay_as_they_are(begin, folder, content, after):
    (folder / "labels.tsv").write_bytes(content.encode())
    session = begin()
    session.decide(1, "label", text="new")
    assert (folder / "labels.tsv").read_bytes() == after.encode()
    assert saved(folder)["b.png"] == "new"


def test_lines_that_are_no_rows_are_known_by_number(tmp_path):
    path = tmp_path / "labels.tsv"
    path.write_text("a.png\tone\n\n# x\nodd line\nb.png\t\nc.png\ta\tb\n")
    table = Table(path)
    assert (table.rows, table.odd) == ({"a.png": "one"}, [4, 5, 6])


def test_labels_of_images_that_are_gone_stay(begin, folder):
    (folder / "labels.tsv").write_text("z.png\tgone\n")
    session = begin()
    session.decide(0, "label", text="one")
    assert session.missing() == ["z.png"] and session.counts()["missing"] == 1
    assert saved(folder) == {"z.png": "gone", "a.png": "one"}


def test_a_link_to_the_label_file_is_followed(folder, tmp_path):
    (tmp_path / "real.tsv").write_text("")
    (folder / "labels.tsv").symlink_to(tmp_path / "real.tsv")
    with LabelStore(folder / "labels.tsv") as store:
        store.put("a.png", State("one"))
    assert (tmp_path / "real.tsv").read_text() == "a.png\tone\n"
    assert (folder / "labels.tsv").is_symlink()


def test_a_second_program_is_refused_and_told_who_labels(begin, folder):
    begin()
    with pytest.raises(LockedError, match=f"process {os.getpid()}"):
        LabelStore(folder / "labels.tsv")


# ---- bad days ----------------------------------------------------------------------------------


def test_on_a_full_disk_nothing_changes_and_the_next_try_can_do(begin, folder, monkeypatch):
    session = begin()
    session.decide(0, "label", text="one")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _raise_full)
        for action in ("label", "skip", "unreadable"):
            with pytest.raises(OSError, match="No space"):
                session.decide(1, action, text="two")
        with pytest.raises(OSError, match="No space"):
            session.undo()
    assert saved(folder) == {"a.png": "one"} and session.counts()["labelled"] == 1
    assert sorted(path.name for path in folder.glob("*.part")) == []
    session.decide(1, "label", text="two")
    assert saved(folder) == {"a.png": "one", "b.png": "two"}


KILLED = """
import sys
from crnn_keras.labelling import LabelSession, LabelStore, list_images
folder = sys.argv[1]
store = LabelStore(f"{folder}/labels.tsv")
session = LabelSession(store, list_images(folder, store.path).items)
actions = ["label", "unreadable", "label"]
for step in range(100_000):
    for index in range(6):
        session.decide(index, actions[step % 3], text=f"text {step}")
        print(index, actions[step % 3], step, flush=True)
"""


def test_a_program_that_is_killed_has_lost_no_decision(folder):
    for lines in (1, 8, 15):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, text=True
        )
        told = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        told += process.communicate()[0].splitlines(keepends=True)
        decided = {int(line.split()[0]): line.split()[1:] for line in told if line.endswith("\n")}
        last = int(told[-1].split()[0]) if told[-1].endswith("\n") else -1
        with LabelStore(folder / "labels.tsv") as store:
            for index, (action, step) in decided.items():
                # The one after the last that was told may have been saved as well.
                if index == (last + 1) % 6:
                    continue
                state = store.state(NAMES[index])
                expected = State(f"text {step}") if action == "label" else State(mark=UNREADABLE)
                assert state == expected
        for path in folder.glob("labels*"):
            path.unlink()


class AnySitting(stateful.RuleBasedStateMachine):
    """Any sequence of decisions, edits and restarts: the files say what a plain dict says."""

    def __init__(self):
        super().__init__()
        self.folder = pathlib.Path(os.path.realpath(tempfile.mkdtemp()))
        for name in NAMES:
            (self.folder / name).write_bytes(b"")
        self.states = dict.fromkeys(NAMES, State())
        self.history = []
        self.session = None
        self.begin()

    def begin(self):
        store = LabelStore(self.folder / "labels.tsv")
        self.session = LabelSession(store, list_images(self.folder, store.path).items)

    def change(self, name, state):
        if state != self.states[name]:
            self.history.append((name, self.states[name]))
            self.states[name] = state

    @stateful.rule(index=st.integers(0, 5), text=st.text("ab é省#\"'\t", max_size=6))
    def label(self, index, text):
        cleaned = re.sub("\t+", " ", text).strip()
        if not cleaned:
            with pytest.raises(RefusedError):
                self.session.decide(index, "label", text=text)
            return
        assert self.session.decide(index, "label", text=text) == cleaned
        self.change(NAMES[index], State(cleaned))

    @stateful.rule(index=st.integers(0, 5))
    def skip(self, index):
        self.session.decide(index, "skip")
        if self.states[NAMES[index]].label is None:
            self.change(NAMES[index], State(mark=SKIPPED))

    @stateful.rule(index=st.integers(0, 5))
    def unreadable(self, index):
        self.session.decide(index, "unreadable")
        self.change(NAMES[index], State(mark=UNREADABLE))

    @stateful.precondition(lambda self: self.history)
    @stateful.rule()
    def undo(self):
        name, before = self.history.pop()
        assert NAMES[self.session.undo()[0]] == name
        self.states[name] = before

    @stateful.rule()
    def restart(self):
        end(self.session)
        self.history = []
        self.begin()

    @stateful.rule(index=st.integers(0, 5))
    def edit(self, index):
        """An editor adds a label for an image that has none."""
        name = NAMES[index]
        if self.states[name].label is None:
            with open(self.folder / "labels.tsv", "a", encoding="utf-8") as file:
                file.write(f"{name}\tby editor {index}\n")
            mark = self.states[name].mark
            self.states[name] = State(f"by editor {index}", mark if mark == SKIPPED else None)
            # What is taken back first may be about this image.
            self.session.show("todo")
            end(self.session)
            self.history = []
            self.begin()

    @stateful.invariant()
    def the_files_say_so(self):
        with_label = {name: s.label for name, s in self.states.items() if s.label is not None}
        path = self.folder / "labels.tsv"
        assert (saved(self.folder) if path.exists() and path.stat().st_size else {}) == with_label
        for name, state in self.states.items():
            assert self.session.store.state(name) == state

    def teardown(self):
        end(self.session)
        shutil.rmtree(self.folder)


TestAnySitting = AnySitting.TestCase
TestAnySitting.settings = hypothesis.settings(
    max_examples=20, stateful_step_count=20, deadline=None
)

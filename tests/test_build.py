import errno
import hashlib
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data import build
from crnn_keras.data.build import (
    ListedSource,
    RenderedSource,
    Specification,
    list_splits,
    list_stream,
    make_shard,
)
from crnn_keras.data.build.__main__ import main
from crnn_keras.data.issues import Issue
from crnn_keras.data.labels import Sample, assign_split
from crnn_keras.data.records import RecordError, Records, verify
from crnn_keras.images import Canvas
from crnn_keras.utils import files

LETTERS = CharDict.from_preset("alphanumeric36")
CANVAS = Canvas()


@pytest.fixture
def rendered():
    """Specification of 40 rendered words in shards of ten."""
    recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:3]), seed=5)
    return Specification(RenderedSource(recipe, rows=40, per_shard=10), LETTERS, CANVAS)


@pytest.fixture
def images(tmp_path, encode):
    """Twelve samples: one whose file is missing, one with an unknown character, one too long."""
    samples = []
    for number in range(12):
        path = tmp_path / "images" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 256, (20, 60), dtype=np.uint8)
        path.write_bytes(encode(Image.fromarray(noise), "PNG"))
        samples.append(Sample(str(path), f"word{number}", f"labels.tsv, line {number + 1}"))
    os.unlink(samples[3].image)
    samples[5] = Sample(samples[5].image, "省", "labels.tsv, line 6")
    samples[7] = Sample(samples[7].image, "a" * 13 + "b", "labels.tsv, line 8")
    return samples


@pytest.fixture
def listed(tmp_path, images):
    """Specification of the twelve in shards of five."""
    list_splits(tmp_path / "lists", {"train": images}, per_shard=5)
    return Specification(ListedSource(tmp_path / "lists", "train"), LETTERS, CANVAS)


def contents(folder):
    """Bytes of each file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def sha256(content):
    return hashlib.sha256(content).hexdigest()


# The one function.


def test_a_shard_is_a_function_of_specification_and_number(rendered):
    backward = [make_shard(rendered, number) for number in (3, 2, 1, 0)][::-1]
    again = Specification.from_config(json.loads(json.dumps(rendered.get_config())))
    assert [make_shard(again, number) for number in range(4)] == backward
    for number, (content, info) in enumerate(backward):
        assert info["file"] == f"0000{number}.tfrecord"
        assert (info["records"], info["skipped"]) == (10, [])
        assert (info["bytes"], info["sha256"]) == (len(content), sha256(content))


def test_rendered_rows_are_the_recipes_images(tmp_path, rendered):
    build.prepare(rendered, tmp_path / "set")
    renderer = rendered.source.recipe.open()
    found = Records(tmp_path / "set")
    assert len(found) == 40
    for row in (0, 9, 10, 39):
        encoded, text = renderer.sample(row)
        assert (found[row].encoded, found[row].text) == (encoded, text)
        assert found[row].source == f"rendered {row}, seed 5"


def test_what_cannot_be_used_is_skipped_and_named(tmp_path, listed, images):
    content = build.prepare(listed, tmp_path / "set")
    assert (content["records"], content["skipped"]) == (9, 3)
    assert [shard["skipped"] for shard in content["shards"]] == [1, 2, 0]
    rows = (tmp_path / "set" / "skipped.tsv").read_text().splitlines()[1:]
    assert [row.split("\t")[:2] for row in rows] == [
        ["unreadable image", "labels.tsv, line 4"],
        ["unknown character", "labels.tsv, line 6"],
        ["label too long", "labels.tsv, line 8"],
    ]
    texts = [f"word{number}" for number in range(12) if number not in (3, 5, 7)]
    assert [record.text for record in Records(tmp_path / "set")] == texts


def test_no_usable_row_makes_no_set(tmp_path, images):
    list_splits(tmp_path / "lists", {"train": images[5:6]})
    specification = Specification(ListedSource(tmp_path / "lists", "train"), LETTERS, CANVAS)
    with pytest.raises(ValueError, match="None of 1 rows is usable.*labels.tsv, line 6 .*省"):
        build.prepare(specification, tmp_path / "set")
    assert not (tmp_path / "set").exists() and not (tmp_path / "set.part").exists()


@pytest.mark.parametrize("processes", [1, 2])
def test_the_bytes_do_not_depend_on_the_processes(tmp_path, processes, monkeypatch):
    from crnn_keras.data.build import local

    monkeypatch.setattr(local, "_ROWS_WORTH_A_PROCESS", 1)
    recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:3]), seed=5)
    specification = Specification(RenderedSource(recipe, 12, per_shard=3), LETTERS, CANVAS)
    build.prepare(specification, tmp_path / "set", processes)
    for number in range(4):
        made = (tmp_path / "set" / f"0000{number}.tfrecord").read_bytes()
        assert made == make_shard(specification, number)[0]


# Interrupted, damaged, changed.


def _kill_after_shards(specification_path, folder, count):
    """Prepares in a process of its own and kills it when so many shards are there."""
    command = [sys.executable, "-m", "crnn_keras.data.build", specification_path, folder]
    process = subprocess.Popen([*command, "--processes", "1"])
    part = folder.with_name(folder.name + ".part")
    while process.poll() is None and len(list(part.glob("*.tfrecord"))) < count:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_killed_preparation_continues_to_the_same_bytes(tmp_path):
    recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:3]), seed=6)
    specification = Specification(RenderedSource(recipe, 300, per_shard=25), LETTERS, CANVAS)
    specification.save(tmp_path / "train.json")
    _kill_after_shards(tmp_path / "train.json", tmp_path / "set", 3)
    part = tmp_path / "set.part"
    made = {path: path.stat().st_mtime_ns for path in part.glob("*.tfrecord")}
    assert made and not (tmp_path / "set").exists()
    # The last may lack its notes; those that have them are kept.
    kept = [path for path in made if path.with_suffix(".json").exists()]
    times = {path.name: made[path] for path in kept}

    build.prepare(specification, tmp_path / "set")
    build.prepare(specification, tmp_path / "unbroken")
    assert contents(tmp_path / "set") == contents(tmp_path / "unbroken")
    assert kept
    for name, written in times.items():
        assert (tmp_path / "set" / name).stat().st_mtime_ns == written
    assert sorted(os.listdir(tmp_path)) == ["set", "train.json", "unbroken"]


def test_another_specification_does_not_continue_but_replaces(tmp_path, rendered):
    part = tmp_path / "set.part"
    other = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:3]), seed=99)
    Specification(RenderedSource(other, 40, 10), LETTERS, CANVAS).save(part / "specification.json")
    (part / "00000.tfrecord").write_bytes(b"of another seed")
    build.prepare(rendered, tmp_path / "set")
    first = (tmp_path / "set" / "00000.tfrecord").read_bytes()
    assert first == make_shard(rendered, 0)[0]

    wider = Specification(rendered.source, LETTERS, Canvas("stretch", 32, (160,)))
    assert build.prepare(wider, tmp_path / "set")["canvas"]["widths"] == [160]


def test_only_bad_shards_are_written_again(tmp_path, rendered, capsys):
    folder = tmp_path / "set"
    build.prepare(rendered, folder)
    before = contents(folder)
    (folder / "00001.tfrecord").unlink()
    damaged = bytearray(before["00003.tfrecord"])
    damaged[len(damaged) // 2] ^= 1
    (folder / "00003.tfrecord").write_bytes(damaged)
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}

    build.prepare(rendered, folder)
    assert contents(folder) == before
    for name in ("00000.tfrecord", "00002.tfrecord", "set.json"):
        assert (folder / name).stat().st_mtime_ns == times[name]
    said = capsys.readouterr().out
    assert "00001.tfrecord is missing" in said and "00003.tfrecord: sha256 is" in said
    assert "00000" not in said and verify(folder) == {}


def test_a_image_that_changed_since_is_no_mend(tmp_path, listed, images, encode):
    folder = tmp_path / "set"
    build.prepare(listed, folder)
    (folder / "00000.tfrecord").unlink()
    with open(images[0].image, "wb") as file:
        file.write(encode(Image.new("L", (50, 20), 9), "PNG"))
    with pytest.raises(RecordError, match=r"00000\.tfrecord was made again and differs"):
        build.prepare(listed, folder)


def test_a_full_disk_keeps_what_was_made(tmp_path, rendered, fill_disk, monkeypatch):
    size = len(make_shard(rendered, 0)[0])
    fill_disk(files, 3 * size)
    with pytest.raises(OSError) as caught:
        build.prepare(rendered, tmp_path / "set", processes=1)
    assert caught.value.errno == errno.ENOSPC
    assert (tmp_path / "set.part" / "00000.tfrecord").exists()
    monkeypatch.undo()
    build.prepare(rendered, tmp_path / "set")
    assert verify(tmp_path / "set") == {} and len(Records(tmp_path / "set")) == 40


def test_a_folder_of_other_files_is_never_replaced(tmp_path, rendered):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.png").write_bytes(b"dear to me")
    with pytest.raises(ValueError, match="mine holds files but no set.json"):
        build.prepare(rendered, tmp_path / "mine")
    assert os.listdir(tmp_path / "mine") == ["photo.png"]


def test_a_list_that_was_changed_is_refused(tmp_path, listed):
    path = tmp_path / "lists" / "train" / "00001.jsonl"
    path.write_text(path.read_text().replace("word6", "word9"))
    with pytest.raises(ValueError, match=r"00001\.jsonl is missing or was changed"):
        build.prepare(listed, tmp_path / "set")


# Lists.


def test_a_stream_is_dealt_and_its_problems_are_named(tmp_path, images):
    fractions = {"train": 0.7, "test": 0.3}
    problem = Issue("empty label", "labels.tsv, line 13", "'12.png' has no label.")
    sources = list_stream(tmp_path / "lists", [*images, problem], fractions, seed=1, per_shard=4)
    wanted = [assign_split(sample.identity, fractions, 1) for sample in images]
    assert {part: source.rows for part, source in sources.items()} == Counter(wanted)
    for part, source in sources.items():
        assert len(source) == -(-wanted.count(part) // 4)
        assert source.identity() == ListedSource(tmp_path / "lists", part).identity()
    skipped = (tmp_path / "lists" / "skipped.tsv").read_text()
    assert "empty label\tlabels.tsv, line 13\t'12.png' has no label.\n" in skipped


def test_listing_keeps_memory_flat(tmp_path):
    def peak(rows):
        samples = (Sample(f"{n}.png", "word", f"line {n}") for n in range(rows))
        tracemalloc.start()
        list_stream(tmp_path / "lists", samples, {"train": 1.0}, seed=0, per_shard=500)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(1000)
    assert peak(20_000) < 1.5 * peak(2000)


def test_keys_and_boxes_stand_in_the_lists(tmp_path):
    samples = [
        Sample("db", "one", "db, 1", key="image-000000001"),
        Sample("street.jpg", "two", "x.xml", box=(1, 2, 30, 4)),
    ]
    list_splits(tmp_path / "lists", {"train": samples})
    from crnn_keras.data.records.sample_list import read_sample_list

    listed = json.loads((tmp_path / "lists" / "lists.json").read_text())["train"][0]
    assert read_sample_list(tmp_path / "lists" / "train" / "00000.jsonl", listed) == samples


def test_no_samples_make_no_lists(tmp_path):
    with pytest.raises(ValueError, match="no samples to list"):
        list_splits(tmp_path / "lists", {"train": []})
    with pytest.raises(ValueError, match="no lists of the part 'test'"):
        ListedSource(tmp_path / "lists", "test")
    assert os.listdir(tmp_path) == []


# Specifications and the command.


def test_the_digest_depends_on_what_decides_the_bytes(tmp_path, rendered):
    config = rendered.get_config()
    assert Specification.from_config(config).digest == rendered.digest
    recipe = rendered.source.recipe
    others = [
        Specification(RenderedSource(recipe, 41, 10), LETTERS, CANVAS),
        Specification(RenderedSource(recipe, 40, 11), LETTERS, CANVAS),
        Specification(rendered.source, CharDict("abc"), CANVAS),
        Specification(rendered.source, LETTERS, Canvas("keep", 32, (64, 96))),
    ]
    digests = {rendered.digest, *(other.digest for other in others)}
    assert len(digests) == 5

    elsewhere = tmp_path / "copied.ttf"
    elsewhere.write_bytes(pathlib.Path(recipe.fonts[0]).read_bytes())
    moved = synth.Recipe(fonts=(str(elsewhere), *recipe.fonts[1:]), seed=5)
    assert Specification(RenderedSource(moved, 40, 10), LETTERS, CANVAS).digest == rendered.digest


@pytest.mark.parametrize("content", ["{}", "[]", '{"format": "other"}', "no json"])
def test_another_file_is_no_specification(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ValueError, match=r"x\.json.*(no specification|not a JSON file)"):
        Specification.load(tmp_path / "x.json")


def test_the_command_prepares_and_says_what_it_wrote(tmp_path, rendered, capsys):
    rendered.save(tmp_path / "train.json")
    main([str(tmp_path / "train.json"), str(tmp_path / "set")])
    assert "40 records in 4 shards, 0 rows left out" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="absent.json"):
        main([str(tmp_path / "absent.json"), str(tmp_path / "set")])
    with pytest.raises(SystemExit):
        main([str(tmp_path / "train.json"), str(tmp_path / "set"), "--runner=x"])
    assert "need --beam" in capsys.readouterr().err


def test_encoded_bytes_are_stored_unchanged(tmp_path, listed, images):
    build.prepare(listed, tmp_path / "set")
    record = Records(tmp_path / "set")[0]
    assert record.encoded == pathlib.Path(images[0].image).read_bytes()
    assert Image.open(io.BytesIO(record.encoded)).size == (60, 20)


# Stopped at any moment.


def _children(process):
    """Processes that a process started, by their ids."""
    try:
        with open(f"/proc/{process}/task/{process}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def _runs(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="processes are seen in /proc")
@pytest.mark.parametrize(
    ("sent", "to_all"),
    [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGKILL, False)],
    ids=["by a terminal", "by a kernel's interrupt", "killed"],
)
def test_stopped_it_ends_at_once_and_keeps_what_was_made(tmp_path, sent, to_all):
    recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:1]), seed=6)
    specification = Specification(RenderedSource(recipe, 6000, per_shard=300), LETTERS, CANVAS)
    specification.save(tmp_path / "train.json")
    command = [sys.executable, "-m", "crnn_keras.data.build", tmp_path / "train.json"]
    process = subprocess.Popen(
        [*command, tmp_path / "set", "--processes", "2"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell that runs the tests in the background has it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    part = tmp_path / "set.part"
    while process.poll() is None and not list(part.glob("*[0-9].json")):
        time.sleep(0.01)
    workers = _children(process.pid)
    assert len(workers) >= 2
    started = time.monotonic()
    if to_all:
        os.killpg(process.pid, sent)
    else:
        process.send_signal(sent)
    process.wait(timeout=10)
    while any(map(_runs, workers)) and time.monotonic() < started + 10:
        time.sleep(0.01)
    assert not any(map(_runs, workers))
    said = process.stderr.read()
    if sent == signal.SIGINT:
        assert "Stopped. The same command continues where it was." in said
        assert "Traceback" not in said
    assert list(part.glob("*[0-9].json")) and not (tmp_path / "set").exists()


def test_a_process_that_was_killed_is_named_and_what_was_made_is_kept(tmp_path, monkeypatch):
    from crnn_keras.data.build import local

    recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:1]), seed=5)
    specification = Specification(RenderedSource(recipe, 12, per_shard=3), LETTERS, CANVAS)
    monkeypatch.setattr(local, "_ROWS_WORTH_A_PROCESS", 1)
    with monkeypatch.context() as patch:
        patch.setattr(local, "_write_shard", _die_at_the_third)
        with pytest.raises(
            ChildProcessError, match=r"killed.*memory.*stays in .*set\.part.*than 2"
        ):
            build.prepare(specification, tmp_path / "set", processes=2)
    assert (tmp_path / "set.part" / "00000.json").exists()
    build.prepare(specification, tmp_path / "set", processes=1)
    assert len(Records(tmp_path / "set")) == 12


def _die_at_the_third(config, folder, number, with_notes):
    from crnn_keras.data.build import local

    while number == 2 and not (folder / "00000.json").exists():
        time.sleep(0.01)
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return local._write_shard(config, folder, number, with_notes)


@pytest.mark.parametrize("how", ["script", "pipe"])
def test_a_script_needs_no_guard(tmp_path, how):
    script = f"""
from crnn_keras.data import build
from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas
from crnn_keras.data.build import local
local._ROWS_WORTH_A_PROCESS = 1
recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:1]), seed=5)
source = build.RenderedSource(recipe, 4, per_shard=2)
made = build.Specification(source, CharDict.from_preset("alphanumeric36"), Canvas())
print(build.prepare(made, {str(tmp_path / "set")!r}, 2)["records"])
"""
    (tmp_path / "script.py").write_text(script)
    arguments, piped = ([tmp_path / "script.py"], None) if how == "script" else (["-"], script)
    done = subprocess.run(
        [sys.executable, *arguments], input=piped, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("4\n", 0), done.stderr


@pytest.mark.parametrize("moment", ["first rename", "second rename", "notes removed", "sidecar"])
def test_killed_while_the_set_takes_its_name(tmp_path, rendered, monkeypatch, moment):
    wider = Specification(rendered.source, LETTERS, Canvas("stretch", 32, (160,)))
    build.prepare(wider, tmp_path / "set")
    build.prepare(rendered, tmp_path / "unbroken")
    calls = {"first rename": "rename", "second rename": "rename"}

    class Killed(BaseException):
        """Nothing after it runs, but for what is broken on purpose below."""

    def die(*arguments):
        raise Killed

    renames = []

    def rename(old, new):
        if len(renames) == (moment == "second rename"):
            # A process that was killed puts nothing back.
            patch.setattr(files, "restore_folder", lambda folder: None)
            raise Killed
        renames.append(new)
        real(old, new)

    real = os.rename
    with monkeypatch.context() as patch:
        if moment in calls:
            patch.setattr(os, "rename", rename)
        elif moment == "notes removed":
            patch.setattr(files, "replace_folder", die)
        else:
            from crnn_keras.data.build import local

            patch.setattr(local, "_take_name", die)
        with pytest.raises(Killed):
            build.prepare(rendered, tmp_path / "set")
    assert (tmp_path / "set").exists() == (moment != "second rename")
    from crnn_keras.data.build import local

    # Nothing is made again: every shard was there.
    monkeypatch.setattr(local, "_write_shard", die)
    build.prepare(rendered, tmp_path / "set")
    assert contents(tmp_path / "set") == contents(tmp_path / "unbroken")
    assert sorted(os.listdir(tmp_path)) == ["set", "unbroken"]


@pytest.mark.parametrize("notes", [b"", b'{"file": "000', b"[]", b"{}"])
def test_notes_that_are_no_notes_are_made_again(tmp_path, rendered, notes):
    part = tmp_path / "set.part"
    rendered.save(part / "specification.json")
    (part / "00000.tfrecord").write_bytes(make_shard(rendered, 0)[0])
    (part / "00000.json").write_bytes(notes)
    # Half of a shard, and of notes, as a kill leaves them.
    (part / "00001.tfrecord.part").write_bytes(b"half")
    (part / "00002.tfrecord").write_bytes(make_shard(rendered, 2)[0])
    (part / "00002.json.part").write_bytes(b"{")
    build.prepare(rendered, tmp_path / "set")
    build.prepare(rendered, tmp_path / "unbroken")
    assert contents(tmp_path / "set") == contents(tmp_path / "unbroken")


def test_all_bad_shards_are_mended_before_one_that_changed_is_named(tmp_path, listed, images):
    folder = tmp_path / "set"
    build.prepare(listed, folder)
    before = contents(folder)
    for name in ("00000.tfrecord", "00002.tfrecord"):
        (folder / name).unlink()
    os.unlink(images[0].image)
    with pytest.raises(RecordError, match=r"set: 00000\.tfrecord was made again and differs"):
        build.prepare(listed, folder)
    assert (folder / "00002.tfrecord").read_bytes() == before["00002.tfrecord"]
    assert list(verify(folder)) == [0]


def test_a_damaged_sidecar_says_what_to_do(tmp_path, rendered):
    build.prepare(rendered, tmp_path / "set")
    (tmp_path / "set" / "set.json").write_text('{"format": "crnn_ke')
    with pytest.raises(
        RecordError, match=r"set\.json is not a JSON file.*Remove .*set and prepare"
    ):
        build.prepare(rendered, tmp_path / "set")


# Odd rows, odd names.


def test_a_shard_of_skipped_rows_only_is_empty(tmp_path, images):
    rows = [images[3], images[5], images[7], images[0], images[1], images[2]]
    source = list_splits(tmp_path / "lists", {"train": rows}, per_shard=3)["train"]
    content = build.prepare(Specification(source, LETTERS, CANVAS), tmp_path / "set")
    assert [shard["records"] for shard in content["shards"]] == [0, 3]
    assert (tmp_path / "set" / "00000.tfrecord").read_bytes() == b""
    found = Records(tmp_path / "set")
    assert [record.text for record in found] == ["word0", "word1", "word2"]
    assert found[0].text == "word0" and verify(tmp_path / "set") == {}


def test_what_is_skipped_is_not_held_in_memory(tmp_path):
    def peak(rows):
        samples = (Sample(f"absent/{n}.png", "word", f"line {n}") for n in range(rows))
        folder = tmp_path / str(rows)
        source = list_stream(folder, samples, {"train": 1.0}, seed=0, per_shard=500)["train"]
        specification = Specification(source, LETTERS, CANVAS)
        tracemalloc.start()
        with pytest.raises(ValueError, match="rows is usable"):
            build.prepare(specification, folder / "set", processes=1)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(500)
    assert peak(6000) < 1.5 * peak(1000)


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "lists.json", "skipped.tsv", " a", "\0"])
def test_a_part_must_be_able_to_name_a_folder(tmp_path, name):
    samples = [Sample("1.png", "one", "labels.tsv, line 1")]
    with pytest.raises(ValueError, match="is no part's name. Expected letters"):
        list_splits(tmp_path / "lists", {name: samples})
    with pytest.raises(ValueError, match="is no part's name"):
        list_stream(tmp_path / "lists", samples, {"train": 0.5, name: 0.5}, seed=0)
    assert os.listdir(tmp_path) == []


def test_parts_and_lists_of_any_script_and_size(tmp_path):
    samples = [Sample("1.png", "one", "labels.tsv, line 1")]
    (source,) = list_splits(tmp_path / "lists", {"训练": samples, "empty": []}, 10**9).values()
    assert (source.part, source.rows, len(source)) == ("训练", 1, 1)
    for per_shard in (0, -1):
        with pytest.raises(ValueError, match=f"{per_shard} rows in a list: expected at least 1"):
            list_splits(tmp_path / "lists", {"train": samples}, per_shard)


def test_a_folder_whose_name_is_no_utf8(tmp_path, images):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this disk takes UTF-8 names only")
    rows = [
        Sample(str(folder / f"{n}.png"), sample.text, f"{folder}/labels.tsv, line {n}")
        for n, sample in enumerate(images)
    ]
    for sample in images[:3]:
        os.rename(sample.image, folder / os.path.basename(sample.image))
    source = list_splits(folder / "lists", {"train": rows[:6]})["train"]
    specification = Specification(source, LETTERS, CANVAS)
    specification.save(tmp_path / "train.json")
    again = Specification.load(tmp_path / "train.json")
    assert again.digest == specification.digest
    assert build.prepare(again, folder / "set")["records"] == 3
    assert Records(folder / "set")[0].source.endswith(r"caf\udce9/labels.tsv, line 0")
    assert r"caf\udce9/labels.tsv, line 3" in (folder / "set" / "skipped.tsv").read_text()


def test_lists_given_from_the_current_folder(tmp_path, images, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = list_splits("lists", {"train": images[:3]})["train"]
    Specification(source, LETTERS, CANVAS).save("train.json")
    assert build.prepare(Specification.load("train.json"), "set")["records"] == 3
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"no lists/lists\.json below .*elsewhere.*where it ran"):
        Specification.load("../train.json")


def test_the_current_folder_can_be_mended(tmp_path, rendered, monkeypatch):
    build.prepare(rendered, tmp_path / "set")
    (tmp_path / "set" / "00001.tfrecord").unlink()
    monkeypatch.chdir(tmp_path / "set")
    build.prepare(rendered, ".")
    assert verify(tmp_path / "set") == {} and os.listdir(tmp_path) == ["set"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"char_dict": None}, "lacks 'char_dict'"),
        ({"canvas": None}, "lacks 'canvas'"),
        ({"more": 1}, r"has \['more'\], but knows only"),
        ({"char_dict": {}}, "'char_dict' lacks 'characters'"),
        ({"char_dict": 3}, "'char_dict' is not one"),
        ({"canvas": {"depth": 3}}, "'canvas' is not one.*depth"),
        ({"canvas": {"widths": 100}}, "'canvas' is not one"),
        ({"source": []}, "no specification"),
        ({"source": {"kind": []}}, "no specification"),
        ({"source": {"kind": "rendered"}}, "'source' lacks 'recipe'"),
        ({"source": {"kind": "listed"}}, "'source' is not one.*'folder'"),
        ({"source": {"kind": "listed", "folder": "x", "part": "a", "b": 1}}, "'source' is not one"),
    ],
)
def test_what_is_wrong_with_a_specification_is_named(tmp_path, rendered, change, message):
    config = {k: v for k, v in {**rendered.get_config(), **change}.items() if v is not None}
    files.write_json(tmp_path / "x.json", config)
    with pytest.raises(ValueError, match=rf"x\.json: .*{message}"):
        Specification.load(tmp_path / "x.json")


@pytest.mark.parametrize("change", [{"rows": "40"}, {"rows": 4.5}, {"per_shard": 0}, {"rows": 0}])
def test_rows_that_are_no_number_are_refused(rendered, change):
    config = rendered.get_config()
    with pytest.raises(ValueError, match="'source' is not one|expected at least 1"):
        Specification.from_config({**config, "source": {**config["source"], **change}})


def test_numbers_of_numpy_can_be_saved(tmp_path, rendered):
    source = RenderedSource(rendered.source.recipe, np.int64(40), np.int32(10))
    made = Specification(source, LETTERS, CANVAS)
    made.save(tmp_path / "train.json")
    assert made.digest == rendered.digest


def test_the_command_says_what_is_missing(tmp_path, rendered, monkeypatch):
    rendered.save(tmp_path / "train.json")
    monkeypatch.setitem(sys.modules, "crnn_keras.data.build.beam", None)
    with pytest.raises(SystemExit, match="--beam needs the extra"):
        main([str(tmp_path / "train.json"), str(tmp_path / "set"), "--beam"])

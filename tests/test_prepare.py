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

from crnn_keras import files, prepare, render
from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas
from crnn_keras.prepare import (
    ListedSource,
    RenderedSource,
    Specification,
    list_parts,
    list_stream,
    make_shard,
)
from crnn_keras.prepare.__main__ import main
from crnn_keras.records import RecordError, Records, verify
from crnn_keras.samples import Problem, Sample, part_of

LETTERS = CharDict.from_preset("alphanumeric36")
CANVAS = Canvas()


@pytest.fixture
def rendered():
    """Specification of 40 rendered words in shards of ten."""
    recipe = render.Recipe(fonts=tuple(render.bundled_fonts()[:3]), seed=5)
    return Specification(RenderedSource(recipe, rows=40, per_shard=10), LETTERS, CANVAS)


@pytest.fixture
def pictures(tmp_path, encode):
    """Twelve samples: one whose file is missing, one with an unknown character, one too long."""
    samples = []
    for number in range(12):
        path = tmp_path / "pictures" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 256, (20, 60), dtype=np.uint8)
        path.write_bytes(encode(Image.fromarray(noise), "PNG"))
        samples.append(Sample(str(path), f"word{number}", f"labels.tsv, line {number + 1}"))
    os.unlink(samples[3].image)
    samples[5] = Sample(samples[5].image, "省", "labels.tsv, line 6")
    samples[7] = Sample(samples[7].image, "a" * 13 + "b", "labels.tsv, line 8")
    return samples


@pytest.fixture
def listed(tmp_path, pictures):
    """Specification of the twelve in shards of five."""
    list_parts(tmp_path / "lists", {"train": pictures}, per_shard=5)
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
        assert (info["records"], info["left_out"]) == (10, [])
        assert (info["bytes"], info["sha256"]) == (len(content), sha256(content))


def test_rendered_rows_are_the_recipes_pictures(tmp_path, rendered):
    prepare.prepare(rendered, tmp_path / "set")
    renderer = rendered.source.recipe.open()
    found = Records(tmp_path / "set")
    assert len(found) == 40
    for row in (0, 9, 10, 39):
        encoded, text = renderer.sample(row)
        assert (found[row].encoded, found[row].text) == (encoded, text)
        assert found[row].source == f"rendered {row}, seed 5"


def test_what_cannot_be_used_is_left_out_and_named(tmp_path, listed, pictures):
    content = prepare.prepare(listed, tmp_path / "set")
    assert (content["records"], content["left_out"]) == (9, 3)
    assert [shard["left_out"] for shard in content["shards"]] == [1, 2, 0]
    rows = (tmp_path / "set" / "left_out.tsv").read_text().splitlines()[1:]
    assert [row.split("\t")[:2] for row in rows] == [
        ["unreadable image", "labels.tsv, line 4"],
        ["unknown character", "labels.tsv, line 6"],
        ["label too long", "labels.tsv, line 8"],
    ]
    texts = [f"word{number}" for number in range(12) if number not in (3, 5, 7)]
    assert [record.text for record in Records(tmp_path / "set")] == texts


def test_no_usable_row_makes_no_set(tmp_path, pictures):
    list_parts(tmp_path / "lists", {"train": pictures[5:6]})
    specification = Specification(ListedSource(tmp_path / "lists", "train"), LETTERS, CANVAS)
    with pytest.raises(ValueError, match="None of 1 rows is usable.*labels.tsv, line 6 .*省"):
        prepare.prepare(specification, tmp_path / "set")
    assert not (tmp_path / "set").exists() and not (tmp_path / "set.part").exists()


@pytest.mark.parametrize("processes", [1, 2])
def test_the_bytes_do_not_depend_on_the_processes(tmp_path, processes, monkeypatch):
    from crnn_keras.prepare import local

    monkeypatch.setattr(local, "_ROWS_WORTH_A_PROCESS", 1)
    recipe = render.Recipe(fonts=tuple(render.bundled_fonts()[:3]), seed=5)
    specification = Specification(RenderedSource(recipe, 12, per_shard=3), LETTERS, CANVAS)
    prepare.prepare(specification, tmp_path / "set", processes)
    for number in range(4):
        made = (tmp_path / "set" / f"0000{number}.tfrecord").read_bytes()
        assert made == make_shard(specification, number)[0]


# Interrupted, damaged, changed.


def _kill_after_shards(specification_path, folder, count):
    """Prepares in a process of its own and kills it when so many shards are there."""
    command = [sys.executable, "-m", "crnn_keras.prepare", specification_path, folder]
    process = subprocess.Popen([*command, "--processes", "1"])
    part = folder.with_name(folder.name + ".part")
    while process.poll() is None and len(list(part.glob("*.tfrecord"))) < count:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_killed_preparation_continues_to_the_same_bytes(tmp_path):
    recipe = render.Recipe(fonts=tuple(render.bundled_fonts()[:3]), seed=6)
    specification = Specification(RenderedSource(recipe, 300, per_shard=25), LETTERS, CANVAS)
    specification.save(tmp_path / "train.json")
    _kill_after_shards(tmp_path / "train.json", tmp_path / "set", 3)
    part = tmp_path / "set.part"
    made = {path: path.stat().st_mtime_ns for path in part.glob("*.tfrecord")}
    assert made and not (tmp_path / "set").exists()
    # The last may lack its notes; those that have them are kept.
    kept = [path for path in made if path.with_suffix(".json").exists()]
    times = {path.name: made[path] for path in kept}

    prepare.prepare(specification, tmp_path / "set")
    prepare.prepare(specification, tmp_path / "unbroken")
    assert contents(tmp_path / "set") == contents(tmp_path / "unbroken")
    assert kept
    for name, written in times.items():
        assert (tmp_path / "set" / name).stat().st_mtime_ns == written
    assert sorted(os.listdir(tmp_path)) == ["set", "train.json", "unbroken"]


def test_another_specification_does_not_continue_but_replaces(tmp_path, rendered):
    part = tmp_path / "set.part"
    other = render.Recipe(fonts=tuple(render.bundled_fonts()[:3]), seed=99)
    Specification(RenderedSource(other, 40, 10), LETTERS, CANVAS).save(part / "specification.json")
    (part / "00000.tfrecord").write_bytes(b"of another seed")
    prepare.prepare(rendered, tmp_path / "set")
    first = (tmp_path / "set" / "00000.tfrecord").read_bytes()
    assert first == make_shard(rendered, 0)[0]

    wider = Specification(rendered.source, LETTERS, Canvas("stretch", 32, (160,)))
    assert prepare.prepare(wider, tmp_path / "set")["canvas"]["widths"] == [160]


def test_only_bad_shards_are_written_again(tmp_path, rendered, capsys):
    folder = tmp_path / "set"
    prepare.prepare(rendered, folder)
    before = contents(folder)
    (folder / "00001.tfrecord").unlink()
    damaged = bytearray(before["00003.tfrecord"])
    damaged[len(damaged) // 2] ^= 1
    (folder / "00003.tfrecord").write_bytes(damaged)
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}

    prepare.prepare(rendered, folder)
    assert contents(folder) == before
    for name in ("00000.tfrecord", "00002.tfrecord", "set.json"):
        assert (folder / name).stat().st_mtime_ns == times[name]
    said = capsys.readouterr().out
    assert "00001.tfrecord is missing" in said and "00003.tfrecord: sha256 is" in said
    assert "00000" not in said and verify(folder) == {}


def test_a_picture_that_changed_since_is_no_mend(tmp_path, listed, pictures, encode):
    folder = tmp_path / "set"
    prepare.prepare(listed, folder)
    (folder / "00000.tfrecord").unlink()
    with open(pictures[0].image, "wb") as file:
        file.write(encode(Image.new("L", (50, 20), 9), "PNG"))
    with pytest.raises(RecordError, match=r"00000\.tfrecord was made again and differs"):
        prepare.prepare(listed, folder)


def test_a_full_disk_keeps_what_was_made(tmp_path, rendered, fill_disk, monkeypatch):
    size = len(make_shard(rendered, 0)[0])
    fill_disk(files, 3 * size)
    with pytest.raises(OSError) as caught:
        prepare.prepare(rendered, tmp_path / "set", processes=1)
    assert caught.value.errno == errno.ENOSPC
    assert (tmp_path / "set.part" / "00000.tfrecord").exists()
    monkeypatch.undo()
    prepare.prepare(rendered, tmp_path / "set")
    assert verify(tmp_path / "set") == {} and len(Records(tmp_path / "set")) == 40


def test_a_folder_of_other_files_is_never_replaced(tmp_path, rendered):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.png").write_bytes(b"dear to me")
    with pytest.raises(ValueError, match="mine holds files but no set.json"):
        prepare.prepare(rendered, tmp_path / "mine")
    assert os.listdir(tmp_path / "mine") == ["photo.png"]


def test_a_list_that_was_changed_is_refused(tmp_path, listed):
    path = tmp_path / "lists" / "train" / "00001.jsonl"
    path.write_text(path.read_text().replace("word6", "word9"))
    with pytest.raises(ValueError, match=r"00001\.jsonl is missing or was changed"):
        prepare.prepare(listed, tmp_path / "set")


# Lists.


def test_a_stream_is_dealt_and_its_problems_are_named(tmp_path, pictures):
    shares = {"train": 0.7, "test": 0.3}
    problem = Problem("empty label", "labels.tsv, line 13", "'12.png' has no label.")
    sources = list_stream(tmp_path / "lists", [*pictures, problem], shares, seed=1, per_shard=4)
    wanted = [part_of(sample.identity, shares, 1) for sample in pictures]
    assert {part: source.rows for part, source in sources.items()} == Counter(wanted)
    for part, source in sources.items():
        assert len(source) == -(-wanted.count(part) // 4)
        assert source.identity() == ListedSource(tmp_path / "lists", part).identity()
    left_out = (tmp_path / "lists" / "left_out.tsv").read_text()
    assert "empty label\tlabels.tsv, line 13\t'12.png' has no label.\n" in left_out


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
    list_parts(tmp_path / "lists", {"train": samples})
    from crnn_keras.records.sample_list import read_sample_list

    listed = json.loads((tmp_path / "lists" / "lists.json").read_text())["train"][0]
    assert read_sample_list(tmp_path / "lists" / "train" / "00000.jsonl", listed) == samples


def test_no_samples_make_no_lists(tmp_path):
    with pytest.raises(ValueError, match="no samples to list"):
        list_parts(tmp_path / "lists", {"train": []})
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
    moved = render.Recipe(fonts=(str(elsewhere), *recipe.fonts[1:]), seed=5)
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


def test_encoded_bytes_are_stored_unchanged(tmp_path, listed, pictures):
    prepare.prepare(listed, tmp_path / "set")
    record = Records(tmp_path / "set")[0]
    assert record.encoded == pathlib.Path(pictures[0].image).read_bytes()
    assert Image.open(io.BytesIO(record.encoded)).size == (60, 20)

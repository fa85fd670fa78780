"""A specification becomes a set of records: the same bytes, whoever makes them."""

import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tracemalloc

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
    local,
    make_shard,
)
from crnn_keras.data.labels import Sample
from crnn_keras.data.records import Records, verify
from crnn_keras.images import Canvas

LETTERS = CharDict.from_preset("alphanumeric36")
CANVAS = Canvas()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_a_shard_is_a_function_of_specification_and_index(rendered):
    backward = [make_shard(rendered, index) for index in (3, 2, 1, 0)][::-1]
    again = Specification.from_config(json.loads(json.dumps(rendered.get_config())))
    assert [make_shard(again, index) for index in range(4)] == backward
    for index, (content, info) in enumerate(backward):
        assert info["file"] == f"0000{index}.tfrecord"
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


def test_what_cannot_be_used_is_skipped_and_named(tmp_path, listed, noise_samples):
    content = build.prepare(listed, tmp_path / "set")
    assert (content["records"], content["skipped"]) == (9, 3)
    assert [shard["skipped"] for shard in content["shards"]] == [1, 2, 0]
    rows = (tmp_path / "set" / "skipped.tsv").read_text().splitlines()[1:]
    assert [row.split("\t")[1:3] for row in rows] == [
        ["unreadable image", "labels.tsv, line 4"],
        ["unknown character", "labels.tsv, line 6"],
        ["label too long", "labels.tsv, line 8"],
    ]
    texts = [f"word{number}" for number in range(12) if number not in (3, 5, 7)]
    assert [record.text for record in Records(tmp_path / "set")] == texts


def test_no_usable_row_makes_no_set(tmp_path, noise_samples):
    list_splits(tmp_path / "lists", {"train": noise_samples[5:6]})
    specification = Specification(ListedSource(tmp_path / "lists", "train"), LETTERS, CANVAS)
    with pytest.raises(ValueError, match="1 rows.*labels.tsv, line 6 .*省"):
        build.prepare(specification, tmp_path / "set")
    assert not (tmp_path / "set").exists() and not (tmp_path / "set.part").exists()


@pytest.mark.parametrize("processes", [1, 2])
def test_the_bytes_do_not_depend_on_the_processes(tmp_path, processes, monkeypatch):
    monkeypatch.setattr(local, "_ROWS_WORTH_A_PROCESS", 1)
    recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:3]), seed=5)
    specification = Specification(RenderedSource(recipe, 12, per_shard=3), LETTERS, CANVAS)
    build.prepare(specification, tmp_path / "set", processes=processes)
    for index in range(4):
        made = (tmp_path / "set" / f"0000{index}.tfrecord").read_bytes()
        assert made == make_shard(specification, index)[0]


def test_encoded_bytes_are_stored_unchanged(tmp_path, listed, noise_samples):
    build.prepare(listed, tmp_path / "set")
    record = Records(tmp_path / "set")[0]
    assert record.encoded == pathlib.Path(noise_samples[0].image).read_bytes()
    assert Image.open(io.BytesIO(record.encoded)).size == (60, 20)


def test_a_folder_of_other_files_is_never_replaced(tmp_path, rendered):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.png").write_bytes(b"dear to me")
    with pytest.raises(ValueError, match="mine .*no set.json"):
        build.prepare(rendered, tmp_path / "mine")
    assert os.listdir(tmp_path / "mine") == ["photo.png"]


def test_a_shard_of_skipped_rows_only_is_empty(tmp_path, noise_samples):
    rows = [noise_samples[n] for n in (3, 5, 7, 0, 1, 2)]
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
        with pytest.raises(ValueError, match=f"{rows} rows"):
            build.prepare(specification, folder / "set", processes=1)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(500)
    assert peak(6000) < 1.5 * peak(1000)


def test_a_folder_whose_name_is_not_utf8(tmp_path, noise_samples):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this disk takes UTF-8 names only")
    rows = [
        Sample(str(folder / f"{n}.png"), sample.text, f"{folder}/labels.tsv, line {n}")
        for n, sample in enumerate(noise_samples)
    ]
    for sample in noise_samples[:3]:
        os.rename(sample.image, folder / os.path.basename(sample.image))
    source = list_splits(folder / "lists", {"train": rows[:6]})["train"]
    specification = Specification(source, LETTERS, CANVAS)
    specification.save(tmp_path / "train.json")
    again = Specification.load(tmp_path / "train.json")
    assert again.digest == specification.digest
    assert build.prepare(again, folder / "set")["records"] == 3
    assert Records(folder / "set")[0].source.endswith(r"caf\udce9/labels.tsv, line 0")
    assert r"caf\udce9/labels.tsv, line 3" in (folder / "set" / "skipped.tsv").read_text()


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
print(build.prepare(made, {str(tmp_path / "set")!r}, processes=2)["records"])
"""
    (tmp_path / "script.py").write_text(script)
    arguments, piped = ([tmp_path / "script.py"], None) if how == "script" else (["-"], script)
    done = subprocess.run(
        [sys.executable, *arguments], input=piped, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("4\n", 0), done.stderr

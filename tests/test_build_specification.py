"""Specifications as files, and what is wrong with them."""

import pathlib
import sys

import numpy as np
import pytest

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data.build import RenderedSource, Specification, prepare_from_file
from crnn_keras.data.records import verify
from crnn_keras.images import Canvas
from crnn_keras.utils import files

LETTERS = CharDict.from_preset("alphanumeric36")
CANVAS = Canvas()


def test_the_digest_depends_on_what_decides_the_bytes(tmp_path, rendered):
    config = rendered.get_config()
    assert Specification.from_config(config).digest == rendered.digest
    recipe = rendered.source.recipe
    others = [
        Specification(RenderedSource(recipe, 41, per_shard=10), LETTERS, CANVAS),
        Specification(RenderedSource(recipe, 40, per_shard=11), LETTERS, CANVAS),
        Specification(rendered.source, CharDict("abc"), CANVAS),
        Specification(rendered.source, LETTERS, Canvas("keep", 32, (64, 96))),
    ]
    digests = {rendered.digest, *(other.digest for other in others)}
    assert len(digests) == 5

    elsewhere = tmp_path / "copied.ttf"
    elsewhere.write_bytes(pathlib.Path(recipe.fonts[0]).read_bytes())
    moved = synth.Recipe(fonts=(str(elsewhere), *recipe.fonts[1:]), seed=5)
    source = RenderedSource(moved, 40, per_shard=10)
    assert Specification(source, LETTERS, CANVAS).digest == rendered.digest


@pytest.mark.parametrize("content", ["{}", "[]", '{"format": "other"}', "no json"])
def test_another_file_is_not_a_specification(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ValueError, match=r"x\.json.*(not a specification|JSON)"):
        Specification.load(tmp_path / "x.json")


def test_a_file_is_prepared(tmp_path, rendered):
    rendered.save(tmp_path / "train.json")
    content = prepare_from_file(tmp_path / "train.json", tmp_path / "set", processes=1)
    assert (content["records"], len(content["shards"]), content["skipped"]) == (40, 4, 0)
    assert verify(tmp_path / "set") == {}
    with pytest.raises(FileNotFoundError, match=r"absent\.json"):
        prepare_from_file(tmp_path / "absent.json", tmp_path / "set")


def test_beam_that_is_not_installed_is_named(tmp_path, rendered, monkeypatch):
    rendered.save(tmp_path / "train.json")
    monkeypatch.delitem(sys.modules, "crnn_keras.data.build.beam", raising=False)
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ModuleNotFoundError, match=r"crnn_keras\[beam\]"):
        prepare_from_file(tmp_path / "train.json", tmp_path / "set", beam_options=[])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"char_dict": None}, "lacks 'char_dict'"),
        ({"canvas": None}, "lacks 'canvas'"),
        ({"more": 1}, r"'more'"),
        ({"char_dict": {}}, "'char_dict' lacks 'characters'"),
        ({"char_dict": 3}, "'char_dict' is not one"),
        ({"canvas": {"depth": 3}}, "'canvas' is not one.*depth"),
        ({"canvas": {"widths": 100}}, "'canvas' is not one"),
        ({"version": None}, "version 1,.* 2.*notebook 02"),
        ({"version": 3}, "version 3,.* 2.*notebook 02"),
        ({"source": []}, "not a specification"),
        ({"source": {"kind": []}}, "not a specification"),
        ({"source": {"kind": "rendered"}}, "'source' lacks 'recipe'"),
        ({"source": {"kind": "listed"}}, "'source' is not one.*'folder'"),
        ({"source": {"kind": "listed", "folder": "x", "split": "a", "b": 1}}, "'source'.*'b'"),
    ],
)
def test_what_is_wrong_with_a_specification_is_named(tmp_path, rendered, change, message):
    config = {k: v for k, v in {**rendered.get_config(), **change}.items() if v is not None}
    files.write_json(tmp_path / "x.json", config)
    with pytest.raises(ValueError, match=rf"x\.json: .*{message}"):
        Specification.load(tmp_path / "x.json")


@pytest.mark.parametrize("change", [{"rows": "40"}, {"rows": 4.5}, {"per_shard": 0}, {"rows": 0}])
def test_rows_must_be_a_whole_number(rendered, change):
    config = rendered.get_config()
    with pytest.raises(ValueError, match="'source'|40|0 rows"):
        Specification.from_config({**config, "source": {**config["source"], **change}})


def test_numbers_of_numpy_can_be_saved(tmp_path, rendered):
    source = RenderedSource(rendered.source.recipe, np.int64(40), per_shard=np.int32(10))
    made = Specification(source, LETTERS, CANVAS)
    made.save(tmp_path / "train.json")
    assert made.digest == rendered.digest

"""Char dicts from the json files of CRNN_Tensorflow and its Chinese branch."""

import json

import pytest

from crnn_keras.char_dict import CharDict

# In the old files index 0 is the first character: x, then 0, then 省.
_OLD_FILES = {
    "char_dict.json": '{"120_ord": "x", "48_ord": "0", "30465_ord": "省"}',
    "char_dict.json, plain keys": '{"120": "x", "48": "0", "30465": "省"}',
    "ord_map.json": (
        '{"30465_ord": "2", "0_index": "120", "2_index": "30465", "120_ord": "0",'
        ' "48_ord": "1", "1_index": "48"}'
    ),
    "ord_map.json, plain keys": '{"0": "120", "1": "48", "2": "30465"}',
    "index_2_ord_map.json": '{"2": "30465", "1": "48", "0": "120"}',
    "ord_2_index_map.json": '{"48": "1", "30465": "2", "120": "0"}',
}


@pytest.mark.parametrize("which", _OLD_FILES)
def test_from_old_json_keeps_the_old_order_one_id_higher(tmp_path, which):
    (tmp_path / which.split(",")[0]).write_text(_OLD_FILES[which], encoding="utf-8")
    char_dict = CharDict.from_old_json(tmp_path)
    assert char_dict == CharDict("x0省")
    assert char_dict.encode("省") == [2 + 1]


def test_from_old_json_orders_numbers_as_numbers(tmp_path):
    pairs = {f"{index}_index": str(97 + index) for index in range(12)}
    (tmp_path / "ord_map.json").write_text(json.dumps(pairs, sort_keys=True))
    assert CharDict.from_old_json(tmp_path) == CharDict("abcdefghijkl")


def test_from_old_json_takes_the_order_from_a_map_where_there_is_one(tmp_path):
    (tmp_path / "char_dict.json").write_text('{"48_ord": "0", "49_ord": "1"}')
    (tmp_path / "ord_map.json").write_text('{"0_index": "49", "1_index": "48"}')
    assert CharDict.from_old_json(str(tmp_path)) == CharDict("10")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("char_dict.json", "[48, 49]", "JSON object"),
        ("char_dict.json", "{48: 0}", "JSON"),
        ("char_dict.json", '{"zero": "0"}', "'zero'.* 97, 97_ord or 3_index"),
        ("char_dict.json", "{}", "1 character, got 0"),
        ("char_dict.json", '{"48": "0", "48_ord": "0"}', "'0'.* 1 and 2"),
        ("ord_2_index_map.json", '{"48": "0", "49": "0"}', "0 .*'0' and '1'"),
        ("index_2_ord_map.json", '{"0": "48", "1": "48"}', "'0'.* 1 and 2"),
    ],
)
def test_from_old_json_names_the_file_that_is_wrong(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=rf"{name}.*{message}"):
        CharDict.from_old_json(tmp_path)


def test_from_old_json_takes_one_of_several_files(tmp_path):
    (tmp_path / "ord_map_en.json").write_text('{"0_index": "97", "97_ord": "0"}')
    (tmp_path / "ord_map_cn.json").write_text('{"0_index": "30465", "30465_ord": "0"}')
    assert CharDict.from_old_json(tmp_path / "ord_map_cn.json") == CharDict("省")
    assert CharDict.from_source(str(tmp_path / "ord_map_en.json")) == CharDict("a")
    with pytest.raises(ValueError, match=r"ord_map_cn\.json, ord_map_en\.json"):
        CharDict.from_old_json(tmp_path)


def test_from_old_json_names_the_files_that_it_expects(tmp_path):
    with pytest.raises(ValueError, match=r"ord_2_index_map\*\.json.*char_dict\*\.json"):
        CharDict.from_old_json(tmp_path)


def test_old_characters_that_nfc_would_change_keep_their_places(tmp_path, capsys):
    pairs = {"0_index": "37070", "1_index": str(0xF92C), "2_index": "97"}
    (tmp_path / "ord_map.json").write_text(json.dumps(pairs))
    assert CharDict.from_old_json(tmp_path) == CharDict("郎\uf92ca", normalization="none")
    assert "U+F92C" in capsys.readouterr().out
    half_width = CharDict.from_source(tmp_path, normalization="half_width")
    assert half_width == CharDict("郎a", normalization="half_width")
    assert "2 of 3" in capsys.readouterr().out

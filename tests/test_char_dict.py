import json

import numpy as np
import pytest

from crnn_keras.char_dict import BLANK, CharDict, frames_needed


def test_blank_is_0_and_the_first_character_is_1():
    char_dict = CharDict("abc")
    assert BLANK == 0
    assert char_dict.encode("cab") == [3, 1, 2]
    assert char_dict.decode([3, 1, 2]) == "cab"
    assert (len(char_dict), char_dict.num_classes) == (3, 4)


@pytest.mark.parametrize(
    ("name", "size", "first", "last", "fold_case"),
    [
        ("digits", 10, "0", "9", False),
        ("alphanumeric36", 36, "0", "z", True),
        ("ascii", 95, " ", "~", False),
        ("latin", 326, " ", "™", False),
        ("gb2312_level1", 3755, "啊", "座", False),
        ("gb2312", 6763, "啊", "齄", False),
    ],
)
def test_presets(name, size, first, last, fold_case):
    char_dict = CharDict.from_preset(name)
    assert len(char_dict) == size
    assert (char_dict.characters[0], char_dict.characters[-1]) == (first, last)
    assert char_dict.fold_case is fold_case
    assert char_dict.encode(char_dict.characters) == list(range(1, size + 1))
    assert char_dict.decode(range(1, size + 1)) == char_dict.characters


def test_gb2312_level1_is_the_published_list(data_folder):
    path = data_folder("lexicons") / "gb2312_level1_3755.txt"
    published = path.read_text(encoding="utf-8").split()
    assert CharDict.from_preset("gb2312_level1").characters == "".join(published)


def test_gb2312_is_level_1_and_then_level_2():
    characters = CharDict.from_preset("gb2312").characters
    assert characters[:3755] == CharDict.from_preset("gb2312_level1").characters
    assert characters[3755:3760] == "亍丌兀丐廿"  # by radical, no longer by pinyin
    assert characters.encode("gb2312").decode("gb2312") == characters


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'greek'.*digits, alphanumeric36, ascii, latin, common"):
        CharDict.from_preset("greek")


@pytest.mark.parametrize(
    ("characters", "fold_case", "message"),
    [
        ("", False, "1 character, got 0"),
        ("aba", False, r"'a' \(U\+0061\).* 1 and 3"),
        ("中省中", False, r"'中' \(U\+4E2D\).* 1 and 3"),
        ("ab\n", False, "3 is a line break"),
        ("a\rb", False, "2 is a line break"),
        ("aB", True, r"'B' at position 2.*fold_case=False"),
    ],
)
def test_characters_that_make_no_dictionary(characters, fold_case, message):
    with pytest.raises(ValueError, match=message):
        CharDict(characters, fold_case=fold_case)


@pytest.mark.parametrize(
    ("text", "ids"),
    [("", []), ("a", [1]), ("aab", [1, 1, 2]), (" b", [3, 2]), ("省", [4])],
)
def test_text_to_ids_and_back(text, ids):
    char_dict = CharDict("ab 省")
    assert char_dict.encode(text) == ids
    assert char_dict.decode(ids) == text


def test_decode_skips_blanks_and_merges_nothing():
    assert CharDict("ab").decode([0, 1, 1, 0, 1, 2, 0]) == "aaab"


def test_decode_takes_a_row_of_an_array():
    assert CharDict("ab").decode(np.array([[2, 1, 0], [1, 0, 0]], np.int32)[0]) == "ba"


@pytest.mark.parametrize("outside", [4, 99, -1])
def test_decode_refuses_ids_outside_the_dictionary(outside):
    with pytest.raises(ValueError, match=rf"Id {outside} .*1 to 3"):
        CharDict("abc").decode([1, outside, 2])


def test_unknown_characters_are_distinct_and_in_order():
    assert CharDict("abc").unknown("xaybxz") == "xyz"
    assert CharDict("abc").unknown("cab") == ""


def test_encode_names_the_unknown_characters_and_a_way_out():
    with pytest.raises(ValueError, match=r"'taxi'.* 2: 'tx'"):
        CharDict("ai").encode("taxi")


def test_fold_case_reads_and_writes_lower_case():
    folded = CharDict("ab1", fold_case=True)
    assert folded.encode("AbA1") == folded.encode("aba1") == [1, 2, 1, 3]
    assert folded.unknown("AXB") == "x"
    assert "A" in folded
    assert folded.normalize("Ab") == "ab"
    exact = CharDict("ab1")
    assert exact.unknown("AbA") == "A"
    assert "A" not in exact
    assert exact.normalize("Ab") == "Ab"


def test_equal_dictionaries_have_equal_hashes():
    assert CharDict("ab") == CharDict("ab")
    assert hash(CharDict("ab")) == hash(CharDict("ab"))
    assert CharDict("ab") != CharDict("ba")
    assert CharDict("ab") != CharDict("ab", fold_case=True)
    assert CharDict("ab") != "ab"


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        (CharDict("ab"), CharDict("ab"), ""),
        (CharDict("abx"), CharDict("ab"), "only here: 'x'"),
        (CharDict("ab"), CharDict("ab省"), "only there: '省'"),
        (CharDict("axy"), CharDict("a省"), "only here: 'xy'; only there: '省'"),
        (CharDict("ab"), CharDict("ba"), "the same characters in another order"),
        (CharDict("ab", fold_case=True), CharDict("ab"), "fold_case True here, False there"),
        (
            CharDict("ab"),
            CharDict("ab", normalization="half_width"),
            "normalization nfc here, half_width there",
        ),
        (
            CharDict("a"),
            CharDict.from_preset("gb2312_level1"),
            "only here: 'a'; only there: '啊阿埃挨哎唉哀皑癌蔼矮艾碍爱隘鞍氨安俺按暗岸胺案肮昂盎"
            "凹敖熬翱袄傲奥懊澳芭...' (3,755)",
        ),
    ],
)
def test_difference_says_which_characters_differ(here, there, expected):
    assert here.difference(there) == expected


@pytest.mark.parametrize(
    "char_dict",
    [CharDict("ab省𠀀\"\\ '"), CharDict.from_preset("alphanumeric36"), CharDict("a")],
)
def test_save_and_load_round_trip(tmp_path, char_dict):
    path = tmp_path / "made" / "char_dict.json"
    char_dict.save(path)
    assert CharDict.load(path) == char_dict
    assert CharDict(**char_dict.get_config()) == char_dict


def test_the_saved_file_is_one_that_a_person_can_read(tmp_path):
    path = tmp_path / "char_dict.json"
    CharDict("a省", fold_case=True).save(path)
    content = path.read_text(encoding="utf-8")
    assert "a省" in content
    assert json.loads(content) == {
        "format": "crnn_keras.CharDict",
        "characters": "a省",
        "fold_case": True,
        "normalization": "nfc",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"48_ord": "0"}', "from_file.*from_old_json"),
        ("[1, 2]", "from_file.*from_old_json"),
        ('{"format": "crnn_keras.CharDict"', "JSON"),
        ('{"format": "crnn_keras.CharDict"}', "'characters' or 'fold_case'"),
        (
            '{"format": "crnn_keras.CharDict", "characters": "aa", "fold_case": false}',
            "'a'.* 1 and 2",
        ),
    ],
)
def test_load_names_the_file_that_is_no_char_dict(tmp_path, content, message):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"other\.json.*{message}"):
        CharDict.load(path)


def test_from_labels_takes_every_character_by_code_point():
    assert CharDict.from_labels(["ba", "Ab", "省 1"]) == CharDict(" 1Aab省")
    assert CharDict.from_labels(["ba", "Ab"], fold_case=True) == CharDict("ab", fold_case=True)


def test_from_labels_without_a_label_is_refused():
    with pytest.raises(ValueError, match="1 character, got 0"):
        CharDict.from_labels([])


@pytest.mark.parametrize(
    ("content", "characters"),
    [
        ("省\n市\na\n".encode(), "省市a"),
        ("省\n市".encode(), "省市"),
        (b"cab", "cab"),
        (b"c\n\n \na\n", "c a"),
        ("省\r\n市\r\n".encode(), "省市"),
        ("省\n市\n".encode("utf-8-sig"), "省市"),
        ("省\n市\n".encode("gbk"), "省市"),
        ("省\n市\n".encode("utf-16"), "省市"),
    ],
)
def test_from_file_reads_a_character_a_line_or_all_on_one(tmp_path, content, characters):
    path = tmp_path / "chinese_dict.txt"
    path.write_bytes(content)
    assert CharDict.from_file(path) == CharDict(characters)


@pytest.mark.parametrize(
    ("content", "fold_case", "message"),
    [
        ("省\n市\n\n省\n", False, r"line 4: .*'省' \(U\+7701\).* line 1"),
        ("aba", False, r"line 1: .*'a' \(U\+0061\).* line 1"),
        ("", False, "1 character, got 0"),
        ("\n\n", False, "1 character, got 0"),
        ("a\nB\n", True, "'B' at position 2"),
    ],
)
def test_from_file_names_the_file_and_the_lines(tmp_path, content, fold_case, message):
    path = tmp_path / "signs.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"signs\.txt.*{message}"):
        CharDict.from_file(path, fold_case=fold_case)


def test_from_source_reads_whatever_a_person_names(tmp_path):
    CharDict("xy", fold_case=True).save(tmp_path / "saved.json")
    (tmp_path / "signs.txt").write_text("y\nx\n")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "char_dict.json").write_text('{"122_ord": "z"}')
    cases = {
        "digits": CharDict("0123456789"),
        "labels": CharDict("abc"),
        str(tmp_path / "saved.json"): CharDict("xy", fold_case=True),
        tmp_path / "signs.txt": CharDict("yx"),
        str(tmp_path / "old"): CharDict("z"),
    }
    for source, expected in cases.items():
        assert CharDict.from_source(source, texts=["cab", "b"]) == expected, source


def test_from_source_of_nothing_lists_what_there_is(tmp_path):
    known = r"'labels'.*gb2312_level1.*CharDict\.from_corpus"
    with pytest.raises(ValueError, match=rf"absent\.txt'.*{known}"):
        CharDict.from_source(str(tmp_path / "absent.txt"))


@pytest.mark.parametrize(
    ("text", "frames"), [("", 0), ("a", 1), ("ab", 2), ("aab", 4), ("aaa", 5), ("aba", 3)]
)
def test_frames_needed_counts_repeats_twice(text, frames):
    assert frames_needed(CharDict("ab").encode(text)) == frames

"""Char dicts from a named source: its parameters, published lists, corpora."""

import collections

import pytest

from crnn_keras.char_dict import CharDict, corpus_counts

LABELS = ["Ｂa", "e\u0301 a"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a few lists."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("Ａ\nA\nb\n", encoding="utf-8")
    (tmp_path / "a+b").write_text("xy", encoding="utf-8")
    CharDict("pq", normalization="none").save(tmp_path / "saved.json")
    CharDict("Ａb").save(tmp_path / "wide.json")
    CharDict("xy", fold_case=True).save(tmp_path / "folded.json")
    (tmp_path / "ord_map.json").write_text('{"0_index": "97"}')
    (tmp_path / "news.txt").write_text("bbb aa\nc\n" * 2 + "\u3000é\t", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "parameters", "characters", "fold_case", "normalization"),
    [
        ("labels", {}, " aéＢ", False, "nfc"),
        ("labels", {"normalization": "none"}, " ae\u0301Ｂ", False, "none"),
        ("labels", {"normalization": "half_width"}, " Baé", False, "half_width"),
        ("labels", {"normalization": "half_width", "fold_case": True}, " abé", True, "half_width"),
        ("labels", {"normalization": "nfc", "fold_case": True}, " aéｂ", True, "nfc"),
        ("labels", {"extra_characters": "digits"}, " aéＢ0123456789", False, "nfc"),
        ("labels", {"extra_characters": "Baéx"}, " aéＢBx", False, "nfc"),
        ("digits", {"normalization": "half_width"}, "0123456789", False, "half_width"),
        ("digits", {"extra_characters": " "}, "0123456789 ", False, "nfc"),
        ("digits", {"extra_characters": "05e\u0301"}, "0123456789é", False, "nfc"),
        (
            "digits",
            {"extra_characters": "alphanumeric36"},
            "0123456789abcdefghijklmnopqrstuvwxyz",
            True,
            "nfc",
        ),
        ("list.txt", {}, "ＡAb", False, "nfc"),
        ("list.txt", {"normalization": "half_width"}, "Ab", False, "half_width"),
        (
            "list.txt",
            {"normalization": "none", "extra_characters": " "},
            "ＡAb ",
            False,
            "none",
        ),
        ("list.txt", {"normalization": "half_width", "fold_case": True}, "ab", True, "half_width"),
        ("a+b", {}, "xy", False, "nfc"),
        ("a+b", {"normalization": "none"}, "xy", False, "none"),
        ("saved.json", {}, "pq", False, "none"),
        ("saved.json", {"extra_characters": " "}, "pq ", False, "none"),
        ("saved.json", {"normalization": "half_width"}, "pq", False, "half_width"),
        ("wide.json", {"normalization": "half_width"}, "Ab", False, "half_width"),
        ("wide.json", {"fold_case": True}, "ａb", True, "nfc"),
        ("folded.json", {"extra_characters": "Z"}, "xyz", True, "nfc"),
        ("ord_map.json", {"extra_characters": "b", "fold_case": True}, "ab", True, "nfc"),
    ],
)
def test_parameters_apply_on_top_of_the_source(
    here, source, parameters, characters, fold_case, normalization
):
    expected = CharDict(characters, fold_case=fold_case, normalization=normalization)
    assert CharDict.from_source(source, texts=LABELS, **parameters) == expected


@pytest.mark.parametrize(
    ("source", "parameters", "message"),
    [
        ("labels", {"normalization": "wide"}, "'wide'.*'none', 'nfc', 'half_width'"),
        ("saved.json", {"normalization": "nfkc"}, "'nfkc'.*'none', 'nfc', 'half_width'"),
        ("labels+nfc", {}, "'labels\\+nfc'.*'labels'"),
        ("corpus:news.txt:5", {}, r"'corpus:news\.txt:5'.*CharDict\.from_corpus"),
        ("absent.txt", {}, r"'absent\.txt'.*digits, alphanumeric36"),
        ("digits", {"extra_characters": "a\nb"}, "12 is a line break"),
    ],
)
def test_from_source_says_what_it_expects(here, source, parameters, message):
    with pytest.raises(ValueError, match=message):
        CharDict.from_source(source, texts=LABELS, **parameters)


@pytest.mark.parametrize("content", ["5", "[1]", '"format"'])
def test_a_json_file_that_is_no_dictionary_is_named(tmp_path, content):
    path = tmp_path / "char_dict.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"char_dict\.json.*JSON object"):
        CharDict.from_source(path)


def test_a_list_that_nfc_would_change_stays_as_it_is_and_is_reported(tmp_path, capsys):
    path = tmp_path / "doublets.txt"
    path.write_text("郎\n\uf92c\nＡ\n", encoding="utf-8")
    assert CharDict.from_file(path) == CharDict("郎\uf92cＡ", normalization="none")
    assert "'\uf92c' (U+F92C)" in capsys.readouterr().out
    assert CharDict.from_file(path, normalization="nfc") == CharDict("郎Ａ")
    printed = capsys.readouterr().out
    assert "'\uf92c' (U+F92C)" in printed and "2 of 3" in printed
    half = CharDict.from_file(path, normalization="half_width")
    assert half == CharDict("郎A", normalization="half_width")
    with pytest.raises(ValueError, match="'nfkc'"):
        CharDict.from_file(path, normalization="nfkc")


def test_a_plain_list_prints_nothing(tmp_path, capsys):
    path = tmp_path / "list.txt"
    path.write_text("省\n市\n", encoding="utf-8")
    assert CharDict.from_file(path) == CharDict("省市")
    assert CharDict.from_file(path, normalization="half_width").characters == "省市"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "size", "normalization", "size_in_half_width"),
    [
        ("ppocr_keys_v1.txt", 6623, "none", 6546),
        ("char_std_5990.txt", 5989, "nfc", 5983),
        ("text_renderer_chn_5k.txt", 5071, "nfc", 5070),
        ("gb2312_level1_3755.txt", 3755, "nfc", 3755),
    ],
)
def test_lists_of_the_field(data_folder, name, size, normalization, size_in_half_width):
    path = data_folder("lexicons") / name
    char_dict = CharDict.from_source(path)
    assert (len(char_dict), char_dict.normalization) == (size, normalization)
    assert char_dict.decode(char_dict.encode(char_dict.characters)) == char_dict.characters
    assert len(CharDict.from_source(path, normalization="half_width")) == size_in_half_width


def test_the_list_of_ppocr_has_its_ids(data_folder):
    path = data_folder("lexicons") / "ppocr_keys_v1.txt"
    lines = path.read_text(encoding="utf-8").split("\n")
    char_dict = CharDict.from_source(path, extra_characters=" ")
    assert char_dict.characters == "".join(lines) + " "
    assert [char_dict.encode(c)[0] for c in lines[:3]] == [1, 2, 3]  # PP-OCR's blank is 0 too


def test_corpus_by_falling_frequency(here):
    expected = {"b": 6, "a": 4, " ": 2, "c": 2, "\u3000": 1, "é": 1, "\t": 1}
    assert corpus_counts("news.txt") == collections.Counter(expected)
    assert CharDict.from_corpus("news.txt").characters == "ba cé"
    assert CharDict.from_corpus("news.txt", min_count=3).characters == "ba"
    assert CharDict.from_corpus(["news.txt", here / "news.txt"], size=1).characters == "b"
    half = CharDict.from_corpus("news.txt", normalization="half_width")
    assert half.characters == "ba cé"
    assert corpus_counts("news.txt", normalization="half_width")[" "] == 3


@pytest.mark.parametrize(
    ("size", "parameters", "characters"),
    [
        (None, {}, "ba cé"),
        (3, {}, "ba "),
        (2, {"normalization": "half_width", "extra_characters": "digits"}, "ba0123456789"),
        (2, {"extra_characters": "zb"}, "baz"),
    ],
)
def test_corpus_with_a_size_and_extra_characters(here, size, parameters, characters):
    char_dict = CharDict.from_corpus("news.txt", size, **parameters)
    assert char_dict.characters == characters
    assert char_dict.normalization == parameters.get("normalization", "nfc")


def test_corpus_skips_what_no_image_shows(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("a\x07\u200b\u200d\ufffd\xad\x85\u2003\ue000\U000e0001b", encoding="utf-8")
    assert CharDict.from_corpus(path).characters == "ab\u200d\ue000"
    assert corpus_counts(path)["\x07"] == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_corpus_in_the_encodings_of_the_field(tmp_path, encoding):
    (tmp_path / "more" / ".hidden").mkdir(parents=True)
    (tmp_path / "more" / ".hidden" / "file").write_bytes(b"\0")
    (tmp_path / "more" / "text.txt").write_bytes("中文中\r\n省\r\n".encode(encoding))
    assert corpus_counts(tmp_path) == {"中": 2, "文": 1, "省": 1}


def test_corpus_longer_than_a_chunk_is_counted_completely(tmp_path, monkeypatch):
    monkeypatch.setattr("crnn_keras.char_dict.corpus._CHUNK", 7)
    path = tmp_path / "one_line.txt"
    path.write_text("中文" * 100 + "\n" + "abc" * 10, encoding="utf-8")
    assert corpus_counts(path) == {"中": 100, "文": 100, "a": 10, "b": 10, "c": 10}


@pytest.mark.parametrize("content", [b"\xff\xff\xff", b"a\0b"])
def test_a_corpus_that_is_no_text_is_named(tmp_path, content):
    (tmp_path / "binary.txt").write_bytes(content)
    with pytest.raises(ValueError, match=r"binary\.txt .*UTF-8, UTF-16 or GB18030"):
        corpus_counts(tmp_path)


def test_corpus_of_nothing(tmp_path):
    with pytest.raises(ValueError, match="no text file"):
        corpus_counts(tmp_path)
    with pytest.raises(ValueError, match=r"absent\.txt"):
        CharDict.from_corpus(tmp_path / "absent.txt", 9)
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(ValueError, match="1 character, got 0"):
        CharDict.from_corpus(tmp_path)


def test_coverage_is_the_fraction_of_what_is_visible():
    counts = collections.Counter({"a": 6, "b": 3, " ": 1, "\t": 100, "\x07": 100})
    assert CharDict("a").coverage(counts) == 0.6
    assert CharDict("ab ").coverage(counts) == 1
    with pytest.raises(ValueError, match="no visible character"):
        CharDict("a").coverage(collections.Counter("\t"))

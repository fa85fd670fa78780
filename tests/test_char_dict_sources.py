"""Char dicts from what a person names: choices, lists of the field, corpora."""

import collections

import pytest
from test_char_dict import lexicon

from crnn_keras.char_dict import CharDict, corpus_counts

LABELS = ["Ｂa", "e\u0301 a"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a few lists."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("Ａ\nA\nb\n", encoding="utf-8")
    (tmp_path / "a+b+none").write_text("xy", encoding="utf-8")
    (tmp_path / "c+d.txt").write_text("zw", encoding="utf-8")
    CharDict("pq", normalization="none").save(tmp_path / "saved.json")
    (tmp_path / "news.txt").write_text("bbb aa\nc\n" * 2 + "\u3000é\t", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "characters", "fold_case", "normalization"),
    [
        ("labels", " aéＢ", False, "nfc"),
        ("labels+none", " ae\u0301Ｂ", False, "none"),
        ("labels+half_width", " Baé", False, "half_width"),
        ("labels+half_width+fold_case", " abé", True, "half_width"),
        ("labels+fold_case+nfc", " aéｂ", True, "nfc"),
        ("labels+digits", " aéＢ0123456789", False, "nfc"),
        ("digits+half_width", "0123456789", False, "half_width"),
        ("digits+space", "0123456789 ", False, "nfc"),
        ("digits+alphanumeric36", "0123456789abcdefghijklmnopqrstuvwxyz", True, "nfc"),
        ("list.txt", "ＡAb", False, "nfc"),
        ("list.txt+half_width", "Ab", False, "half_width"),
        ("list.txt+none+space", "ＡAb ", False, "none"),
        ("list.txt+half_width+fold_case", "ab", True, "half_width"),
        ("a+b+none", "xy", False, "nfc"),
        ("a+b+none+none", "xy", False, "none"),
        ("c+d.txt", "zw", False, "nfc"),
        ("c+d.txt+space", "zw ", False, "nfc"),
        ("saved.json", "pq", False, "none"),
        ("saved.json+space", "pq ", False, "none"),
        ("saved.json+half_width", "pq", False, "half_width"),
        ("corpus:news.txt", "ba cé", False, "nfc"),
        ("corpus:news.txt:3", "ba ", False, "nfc"),
        ("corpus:news.txt:2+half_width+digits", "ba0123456789", False, "half_width"),
    ],
)
def test_find_with_choices(here, source, characters, fold_case, normalization):
    assert CharDict.find(source, LABELS) == CharDict(characters, fold_case, normalization)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("labels+wide", r"'labels\+wide': 'wide' is no choice.*none, nfc, half_width, fold_case"),
        ("gb2312+ascii+nfkc", "'nfkc' is no choice.*preset whose characters are added: digits"),
        ("labels+nfc+none", "chooses nfc and none. Choose one"),
        ("absent+none", r"'absent\+none' is no char dict.*'corpus:FILE:5000' for the most freq"),
        ("absent.txt", r"Choices may follow, such as 'labels\+half_width': none, nfc, half_width"),
        ("corpus:absent.txt:9", r"absent\.txt does not exist\. Expected a text file or a folder"),
        ("corpus::9", "'corpus::9' is no corpus. Expected corpus:FILE or corpus:FILE:5000"),
        ("corpus:news.txt:0", "'corpus:news.txt:0' is no corpus"),
    ],
)
def test_find_says_what_it_expected(here, source, message):
    with pytest.raises(ValueError, match=message):
        CharDict.find(source, LABELS)


def test_a_list_that_no_form_allows_stays_as_it_is_and_says_so(tmp_path, capsys):
    path = tmp_path / "doublets.txt"
    path.write_text("郎\n\uf92c\nＡ\n", encoding="utf-8")
    assert CharDict.from_file(path) == CharDict("郎\uf92cＡ", normalization="none")
    assert "NFC would write '\uf92c' (U+F92C) otherwise" in capsys.readouterr().out
    assert CharDict.from_file(path, normalization="nfc") == CharDict("郎Ａ")
    assert "'nfc': '\uf92c' (U+F92C). 2 of 3 characters are left" in capsys.readouterr().out
    half = CharDict.from_file(path, normalization="half_width")
    assert half == CharDict("郎A", normalization="half_width")
    with pytest.raises(ValueError, match="'nfkc' is unknown"):
        CharDict.from_file(path, normalization="nfkc")


def test_a_plain_list_says_nothing(tmp_path, capsys):
    path = tmp_path / "list.txt"
    path.write_text("省\n市\n", encoding="utf-8")
    assert CharDict.from_file(path, space=True) == CharDict("省市 ")
    assert CharDict.from_file(path, normalization="half_width").characters == "省市"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "size", "form", "size_in_half_width"),
    [
        ("ppocr_keys_v1.txt", 6623, "none", 6546),
        ("char_std_5990.txt", 5989, "nfc", 5983),
        ("text_renderer_chn_5k.txt", 5071, "nfc", 5070),
        ("gb2312_level1_3755.txt", 3755, "nfc", 3755),
    ],
)
def test_lists_of_the_field(name, size, form, size_in_half_width):
    path = lexicon(name)
    char_dict = CharDict.find(path)
    assert (len(char_dict), char_dict.normalization) == (size, form)
    assert char_dict.decode(char_dict.encode(char_dict.characters)) == char_dict.characters
    assert len(CharDict.find(f"{path}+half_width")) == size_in_half_width


def test_the_list_of_ppocr_has_its_ids():
    path = lexicon("ppocr_keys_v1.txt")
    lines = path.read_text(encoding="utf-8").split("\n")
    char_dict = CharDict.find(f"{path}+space")
    assert char_dict.characters == "".join(lines) + " "
    assert [char_dict.encode(c)[0] for c in lines[:3]] == [1, 2, 3]  # PP-OCR's blank is 0 too


def test_corpus_by_falling_frequency(here):
    expected = {"b": 6, "a": 4, " ": 2, "c": 2, "\u3000": 1, "é": 1, "\t": 1}
    assert corpus_counts("news.txt") == collections.Counter(expected)
    assert CharDict.from_corpus("news.txt").characters == "ba cé"
    assert CharDict.from_corpus("news.txt", smallest_count=3).characters == "ba"
    assert CharDict.from_corpus(["news.txt", here / "news.txt"], size=1).characters == "b"
    half = CharDict.from_corpus("news.txt", normalization="half_width")
    assert half.characters == "ba cé"
    assert corpus_counts("news.txt", "half_width")[" "] == 3


def test_corpus_leaves_out_what_no_image_shows(tmp_path):
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


def test_corpus_longer_than_a_piece_is_counted_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("crnn_keras.char_dict.corpus._PIECE", 7)
    path = tmp_path / "one_line.txt"
    path.write_text("中文" * 100 + "\n" + "abc" * 10, encoding="utf-8")
    assert corpus_counts(path) == {"中": 100, "文": 100, "a": 10, "b": 10, "c": 10}


@pytest.mark.parametrize("content", [b"\xff\xff\xff", b"a\0b"])
def test_corpus_that_is_no_text_is_named(tmp_path, content):
    (tmp_path / "binary.txt").write_bytes(content)
    with pytest.raises(ValueError, match=r"binary\.txt is not text in UTF-8, UTF-16 or GB18030"):
        corpus_counts(tmp_path)


def test_corpus_of_nothing(tmp_path):
    with pytest.raises(ValueError, match="There is no text file"):
        corpus_counts(tmp_path)
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(ValueError, match="at least one character"):
        CharDict.from_corpus(tmp_path)


def test_coverage_is_the_share_of_what_can_be_seen():
    counts = collections.Counter({"a": 6, "b": 3, " ": 1, "\t": 100, "\x07": 100})
    assert CharDict("a").coverage(counts) == 0.6
    assert CharDict("ab ").coverage(counts) == 1
    with pytest.raises(ValueError, match="nothing to cover"):
        CharDict("a").coverage(collections.Counter("\t"))

"""The encoding of a text file: found by its bytes, guessed where it is plausible, or stated."""

import codecs
import re

import pytest

from crnn_keras.char_dict import CharDict, corpus_counts
from crnn_keras.cli.main import main, make_parser
from crnn_keras.cli.options import source_options
from crnn_keras.data.labels import read_samples
from crnn_keras.data.open import open_test_set
from crnn_keras.synth import read_words
from crnn_keras.utils import files
from crnn_keras.utils.encodings import find_encoding, is_guess

RUSSIAN = ["привет", "МОСКВА", "Улица", "стоп", "хлеб", "аптека"]
JAPANESE = ["東京", "こんにちは", "カメラ", "出口", "日本語", "ありがとう"]
# By encoding: six labels, and how they are called by users.
FOREIGN = {
    "cp1251": RUSSIAN,
    "koi8-r": RUSSIAN,
    "cp866": RUSSIAN,
    "big5": ["臺北市", "車站", "出口", "歡迎光臨", "中華民國", "統一超商"],
    "shift_jis": JAPANESE,
    "euc-jp": JAPANESE,
    "euc-kr": ["안녕하세요", "서울", "출구", "한국", "대한민국", "감사합니다"],
    "cp1252": ["café", "Straße", "naïve", "señor", "garçon", "über"],
    "cp1250": ["žluťoučký", "kůň", "łódź", "święto", "Kraków", "čaj"],
    "cp1256": ["مرحبا", "شارع", "مدينة", "كتاب", "سلام", "خروج"],
    "cp1255": ["שלום", "רחוב", "ירושלים", "יציאה", "כניסה", "ספר"],
    "cp1254": ["çıkış", "şehir", "ağaç", "öğretmen", "güzel", "Türkiye"],
    "cp874": ["สวัสดี", "กรุงเทพ", "ทางออก", "ถนน", "โรงเรียน", "อาหาร"],
    "iso-8859-7": ["καλημέρα", "Αθήνα", "έξοδος", "οδός", "ψωμί", "ΣΤΟΠ"],
}
CHINESE = [
    ["你好", "北京市", "出口", "欢迎光临", "中华人民共和国", "超市"],
    ["京A12345", "沪B88888", "粤C00001", "皖D1234", "鄂E1234", "冀F1234"],
    ["小心地滑", "停车场", "医院", "张敏", "麻辣烫", "手机"],
    ["省市", "省"],
    ["世界"],
]


def _rows(labels):
    return "".join(f"images/{i}.png\t{label}\n" for i, label in enumerate(labels))


@pytest.fixture
def write(tmp_path):
    """Function `(labels, encoding)`: path of a tsv with these labels."""

    def written(labels, encoding, name="labels.tsv"):
        (tmp_path / name).write_bytes(_rows(labels).encode(encoding))
        return tmp_path / name

    return written


@pytest.mark.parametrize("encoding", FOREIGN)
def test_another_encoding_is_named_with_the_likely_ones_and_never_read_as_chinese(write, encoding):
    labels = FOREIGN[encoding]
    path = write(labels, encoding)
    with pytest.raises(ValueError, match=r"labels\.tsv .*line 1 has the byte") as error:
        read_samples(path)
    message = str(error.value)
    first = next(i for i, byte in enumerate(path.read_bytes()) if byte > 127)
    assert re.search(rf"\b{encoding}\b", message) and f"({first} bytes in)" in message
    assert 'encoding="' in message and "--encoding " in message
    assert any(label in message for label in labels)
    found = read_samples(path, encoding=encoding)
    assert [sample.text for sample in found.samples] == labels
    assert f"encoding {encoding}" in found.description and "(a guess" not in found.description


@pytest.mark.parametrize("encoding", FOREIGN)
def test_every_two_rows_of_another_encoding_are_refused(write, encoding):
    labels = FOREIGN[encoding]
    for pair in zip(labels, labels[1:], strict=False):
        # Kana are the same characters in GB18030 and EUC-JP.
        if encoding == "euc-jp" and any("ぁ" <= c <= "ヶ" for c in "".join(pair)):
            continue
        with pytest.raises(ValueError, match=r"labels\.tsv"):
            read_samples(write(pair, encoding))


@pytest.mark.parametrize("labels", CHINESE)
@pytest.mark.parametrize("encoding", ["gbk", "gb2312", "gb18030"])
def test_chinese_is_guessed_and_the_guess_is_stated(write, labels, encoding):
    found = read_samples(write(labels, encoding))
    assert [sample.text for sample in found.samples] == labels
    assert re.search(r"encoding gb18030 \(a guess.*encoding=", found.description)
    stated = read_samples(write(labels, encoding), encoding="gbk")
    assert stated.samples == found.samples and "(a guess" not in stated.description


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_guessed_where_latin_letters_show_it(write, encoding):
    found = read_samples(write(["省", "café"], encoding))
    assert [sample.text for sample in found.samples] == ["省", "café"]
    assert f"encoding {encoding} (a guess" in found.description


def test_utf_16_with_a_mark_and_utf_8_are_no_guesses(write):
    for encoding in ("utf-16", "utf-8", "utf-8-sig"):
        found = read_samples(write(["省", "café"], encoding))
        assert [sample.text for sample in found.samples] == ["省", "café"]
        assert "(a guess" not in found.description
    assert not is_guess("auto", "utf-8-sig") and not is_guess("gbk", "gbk")
    assert is_guess("auto", "gb18030")


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf-16", "utf-16-le", "utf-32", "gb18030"])
def test_a_mark_is_no_part_of_the_first_path_when_the_encoding_is_stated(tmp_path, encoding):
    path = tmp_path / "labels.tsv"
    path.write_bytes(("\ufeffa.png\tone\n").encode(encoding))
    if encoding in ("utf-16", "utf-32"):
        path.write_bytes("a.png\tone\n".encode(encoding))
    assert read_samples(path, encoding=encoding).samples[0].image == str(tmp_path / "a.png")


@pytest.mark.parametrize("encoding", ["cp1251a", "hex", "rot13", "undefined", "", "a\0b", "base64"])
def test_an_encoding_that_does_not_exist_is_refused_by_name(write, encoding):
    with pytest.raises(ValueError, match=re.escape(f"encoding is {encoding!r}")):
        read_samples(write(["one"], "utf-8"), encoding=encoding)


@pytest.mark.parametrize("encoding", [None, 1251, b"utf-8"])
def test_an_encoding_that_is_no_text_is_refused_by_name(write, encoding):
    with pytest.raises(ValueError, match="encoding is"):
        read_samples(write(["one"], "utf-8"), encoding=encoding)


@pytest.mark.parametrize(
    ("raw", "encoding", "line", "byte", "offset"),
    [
        (b"a.png\tone\nb.png\tcaf\xe9\n", "utf-8", 2, "0xe9", 19),
        (b"a.png\tone\r\n\r\nb.png\tcaf\xe9\r\n", "ascii", 3, "0xe9", 22),
        (b"a.png\rb.png \x98", "cp1251", 2, "0x98", 12),
        (b"x" * 70_000 + b"\n\xff", "gbk", 2, "0xff", 70_001),
        (b"a.png\tone\n\xe7\x9c", "utf-8", 2, "0xe7", 10),
        ("a\n".encode("utf-16-le") + b"b", "utf-16-le", 2, "0x62", 4),
    ],
)
def test_a_byte_that_a_stated_encoding_lacks_is_named(tmp_path, raw, encoding, line, byte, offset):
    path = tmp_path / "labels.tsv"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=rf"labels\.tsv, line {line}: .*{byte} \({offset:,} "):
        read_samples(path, layout="tsv", encoding=encoding)


def test_rows_with_damaged_bytes_are_named_where_the_rest_is_utf_8(tmp_path):
    path = tmp_path / "labels.tsv"
    lines = ["a.png\t省市", "b.png\tcafé", "c.png\tздравствуйте", "d.png\t출구"]
    raw = [line.encode() for line in lines]
    raw[1] = b"b.png\tcaf\xe9"
    raw[3] = raw[3][:-1]
    path.write_bytes(b"\n".join(raw))
    found = read_samples(path)
    assert [sample.text for sample in found.samples] == ["省市", "здравствуйте"]
    assert [(issue.kind, issue.where[-6:]) for issue in found.issues] == [
        ("not UTF-8", "line 2"),
        ("not UTF-8", "line 4"),
    ]
    with pytest.raises(ValueError, match=r"labels\.tsv.*line 2 has the byte 0xe9"):
        files.read_text(path)


def test_a_file_of_zero_bytes_or_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "labels.tsv"
    for raw in (b"\0" * 100, b"a\0\0\0b\0\0\0" * 20, codecs.BOM_UTF32_LE + b"a\0\0\0"):
        path.write_bytes(raw)
        with pytest.raises(ValueError, match=r"labels\.tsv .*(zero bytes|UTF-32)"):
            read_samples(path)


def test_lists_of_characters_and_words_are_read_in_a_stated_encoding(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("хлеб\nсоль\n".replace("с", "").encode("cp1251"))
    for read in (CharDict.from_file, CharDict.from_source, corpus_counts, read_words):
        with pytest.raises(ValueError, match=r"list\.txt.*cp1251"):
            read(path)
    assert CharDict.from_corpus(path, encoding="cp1251").characters[0] == "л"
    assert corpus_counts(path, encoding="cp1251")["л"] == 2
    assert read_words(path, encoding="cp1251") == ["хлеб", "оль"]
    path.write_bytes("абв".encode("cp1251"))
    assert CharDict.from_source(path, encoding="cp1251").characters == "абв"
    assert CharDict.from_file(path, encoding="cp1251").characters == "абв"


@pytest.mark.parametrize("command", ["check", "prepare", "evaluate"])
def test_the_encoding_is_stated_on_the_command_line(write, command):
    path = write(RUSSIAN, "cp1251")
    arguments = [command, *([] if command == "evaluate" else [str(path)]), "--encoding", "cp1251"]
    options = source_options(make_parser().parse_args(arguments))
    assert options["encoding"] == "cp1251"
    _, texts, issues = open_test_set(path, **options)
    assert texts == RUSSIAN and issues == []
    assert (
        source_options(make_parser().parse_args([command, *arguments[1:-2]]))["encoding"] == "auto"
    )


def test_words_of_a_lexicon_are_read_in_the_encoding_of_the_command_line(tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "words.txt").write_bytes("стоп\n".encode("cp1251"))
    arguments = ["read", str(tmp_path / "a.png"), "--lexicon", str(tmp_path / "words.txt")]
    assert main(arguments) == 2
    assert "--encoding cp1251" in capsys.readouterr().err
    assert main([*arguments, "--encoding", "cp1251"]) != 0
    assert "encoding" not in capsys.readouterr().err


def test_find_encoding_does_not_keep_a_file_in_memory(tmp_path):
    path = tmp_path / "long.txt"
    path.write_bytes(b"plain " * 200_000 + "省市".encode("gbk"))
    assert find_encoding(path) == "gb18030"

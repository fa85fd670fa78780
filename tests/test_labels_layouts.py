"""Data sets in the layouts they are published in, written by code of these tests."""

import io
import json

import numpy as np
import pytest
import scipy.io
from PIL import Image

from crnn_keras.data.labels import LAYOUTS, read_lexicon, read_samples
from crnn_keras.images import to_gray


def _png(shade=0, size=(20, 10)):
    buffer = io.BytesIO()
    Image.new("L", size, shade).save(buffer, "PNG")
    return buffer.getvalue()


def _pairs(found, folder):
    return [(s.image.removeprefix(f"{folder}/"), s.text) for s in found.samples]


def _kinds(found):
    return {issue.where.split("/")[-1]: issue.kind for issue in found.issues}


TWO = [("a.png", "one"), ("b/c.png", "two words")]
SVT = """<?xml version="1.0" encoding="utf-8"?>
<tagset>
  <image>
    <imageName>img/14_03.jpg</imageName>
    <address>341 Southwest 10th Avenue</address>
    <lex>LIVING,ROOM,THEATERS</lex>
    <Resolution x="60" y="40" />
    <taggedRectangles>
      <taggedRectangle height="10" width="20" x="30" y="5">
        <tag>LIVING</tag>
      </taggedRectangle>
      <taggedRectangle height="30" width="40" x="-5" y="20"><tag>ROOM</tag></taggedRectangle>
    </taggedRectangles>
  </image>
</tagset>
"""


@pytest.mark.parametrize(
    ("layout", "contents", "pairs"),
    [
        ("sample_txt", {"sample.txt": "a.png one\nb/c.png two words\n"}, TWO),
        (
            "sample_txt",
            {"labels.txt": "0.jpg one\n1.jpg a b\n"},
            [("0.jpg", "one"), ("1.jpg", "a b")],
        ),
        ("tsv", {"labels.tsv": "a.png\tone\nb/c.png\ttwo words\n"}, TWO),
        ("tsv", {"gt.txt": "a.png\tone\nb/c.png\ttwo words\n"}, TWO),
        ("csv", {"labels.csv": "image,text\na.png,one\nb/c.png,two words\n"}, TWO),
        ("csv", {"labels.txt": "a.png,one\nb/c.png,two words\n"}, TWO),
        ("csv", {"labels.txt": "text;image\none;a.png\ntwo words;b/c.png\n"}, TWO),
        ("csv", {"metadata.csv": "file_name,text\na.png,one\nb/c.png,two words\n"}, TWO),
        (
            "jsonl",
            {
                "metadata.jsonl": '{"file_name": "a.png", "text": "one"}\n'
                '{"text": "two words", "file_name": "b/c.png"}\n'
            },
            TWO,
        ),
        ("jsonl", {"labels.txt": '{"image": "a.png", "label": "one"}\n'}, TWO[:1]),
        (
            "synth90k",
            {
                "annotation_train.txt": "./2425/1/115_Lube_2.jpg 2\n",
                "annotation_val.txt": "./1/2/9_A_1.jpg 1\n",
                "annotation.txt": "./2425/1/115_Lube_2.jpg 2\n./1/2/9_A_1.jpg 1\n",
                "lexicon.txt": "0\na\nlube\n",
            },
            [("2425/1/115_Lube_2.jpg", "Lube"), ("1/2/9_A_1.jpg", "A")],
        ),
        (
            "icdar",
            {"gt.txt": '\ufeffa.png, "one"\r\nb/c.png, "two words"\r\n'},
            TWO,
        ),
        ("icdar", {"Challenge4_Test_Task3_GT.txt": 'a.png, "one"\n'}, TWO[:1]),
        ("paddleocr", {"rec_gt_train.txt": "a.png\tone\nb/c.png\ttwo words\n"}, TWO),
        ("paddleocr", {"labels.txt": 'a.png\tone\n["b/c.png"]\ttwo words\n'}, TWO),
        ("doctr", {"labels.json": json.dumps(dict(TWO)), "a.png": None}, TWO),
        ("svt", {"test.xml": SVT}, [("img/14_03.jpg", "LIVING"), ("img/14_03.jpg", "ROOM")]),
        ("file_name", {"one.png": None, "two.jpg": None}, [("one.png", "one"), ("two.jpg", "two")]),
    ],
)
def test_every_layout_is_detected_and_described_and_can_be_forced(tree, layout, contents, pairs):
    folder = tree(contents)
    found = read_samples(folder)
    assert _pairs(found, folder) == pairs and found.issues == []
    assert found.layout == layout
    assert f"layout {layout}, because " in found.description
    assert f"layout {layout}" in found.summary().splitlines()[0]
    forced = read_samples(folder, layout=layout)
    assert forced.samples == found.samples
    assert "because it was asked for" in forced.description


def test_the_names_of_the_layouts():
    assert set(LAYOUTS) >= {
        *("sample_txt", "tsv", "csv", "jsonl", "file_name", "synth90k", "lmdb", "iiit5k", "svt"),
        *("icdar", "paddleocr", "doctr"),
    }


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('word_1.png, "Tiredness"', "Tiredness"),
        ('word_1.png,"Tiredness"', "Tiredness"),
        ('word_1.png , "a, b"', "a, b"),
        (r'word_1.png, "\"Dell\""', '"Dell"'),
        (r'word_1.png, "C:\\n"', r"C:\n"),
        (r'word_1.png, "a\b"', r"a\b"),
        ('word_1.png, "5" pipe"', '5" pipe'),
        ("word_1.png, Tiredness", "Tiredness"),
        ('word_1.png, """', '"'),
    ],
)
def test_icdar_lines(tree, line, text):
    found = read_samples(tree({"gt.txt": f"{line}\n"}) / "gt.txt", layout="icdar")
    assert [sample.text for sample in found.samples] == [text]


def test_icdar_issues_by_line(tree):
    rows = ['a.png, "one"', 'b.png, "two', 'c.png, three"', 'd.png, ""', "e.png", '../f.png, "six"']
    found = read_samples(tree({"gt.txt": "\n".join(rows)}))
    assert _kinds(found) == {
        "gt.txt, line 2": "quotation mark missing",
        "gt.txt, line 3": "quotation mark missing",
        "gt.txt, line 4": "empty label",
        "gt.txt, line 5": "no image",
        "gt.txt, line 6": "path outside the folder",
    }


def test_paddleocr_lines(tree):
    rows = [
        "train_data/word_1.jpg\t\"quoted\" 'word'",
        '["a.jpg", "b c.jpg"]\tdouble',
        "[1].jpg\tbracket",
        "省/市.jpg\t省 市",
        "a.jpg\t",
        "a.jpg\ttwo\ttabs",
        '["a.jpg", 7]\tx',
        "[a.jpg]\tx",
        'a.jpg\t[{"transcription": "x", "points": [[0, 0]]}]',
        "alone",
        '["a.jpg", "../b.jpg"]\thalf',
    ]
    folder = tree({"rec_gt_test.txt": "\n".join(rows)})
    found = read_samples(folder)
    assert _pairs(found, folder) == [
        ("train_data/word_1.jpg", "\"quoted\" 'word'"),
        ("a.jpg", "double"),
        ("b c.jpg", "double"),
        ("[1].jpg", "bracket"),
        ("省/市.jpg", "省 市"),
        ("a.jpg", "half"),
    ]
    assert _kinds(found) == {
        f"rec_gt_test.txt, line {line}": kind
        for line, kind in [
            (5, "empty label"),
            (6, "too many columns"),
            (7, "no image"),
            (8, "no image"),
            (9, "label is not text"),
            (10, "empty label"),
            (11, "path outside the folder"),
        ]
    }


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("train_data/rec/train/word_1.jpg", "train_data/rec/train/word_1.jpg"),
        ("rec/train/word_1.jpg", "train_data/rec/train/word_1.jpg"),
        ("train/word_1.jpg", "train_data/rec/train/word_1.jpg"),
        ("rec/train/absent.jpg", "train_data/rec/rec/train/absent.jpg"),
        ("elsewhere/a.jpg", "train_data/rec/elsewhere/a.jpg"),
    ],
)
def test_paddleocr_paths_from_the_folder_above(tree, name, image):
    images = {"train_data/rec/train/word_1.jpg": None, "elsewhere/a.jpg": None}
    folder = tree({"train_data/rec/rec_gt_train.txt": f"{name}\tx\n", **images})
    found = read_samples(folder / "train_data/rec")
    assert _pairs(found, folder) == [(image, "x")]
    above = name.startswith(("train_data", "rec/train/word"))
    assert ("paths start from" in found.description) == above


SYNTH = [
    ("./2425/1/115_Lube_2.jpg 2", None),
    ("./1/1/1_LUBE_2.jpg 2", None),
    ("./1/1/1_Lube_1.jpg 1", "label differs from the lexicon"),
    ("./1/1/1_Lube_3.jpg 3", "not in the lexicon"),
    ("./1/1/1_Lube_99999999999.jpg 99999999999", "not in the lexicon"),
    ("./1/1/Lube.jpg 2", "no label in the name"),
    ("./1/1/1_Lube_2.jpg", "no label in the name"),
    ("./1/1/1_Lube_2.jpg -2", "no label in the name"),
    ("../1/1/1_Lube_2.jpg 2", "path outside the folder"),
    ("./1/1/1_a_0.jpg 0", None),
]


def test_synth90k_labels_are_checked_against_the_lexicon(tree):
    rows = "".join(f"{line}\n" for line, _ in SYNTH)
    folder = tree({"annotation_val.txt": rows, "lexicon.txt": "a\nx\nlube\n"})
    found = read_samples(folder / "annotation_val.txt")
    assert found.layout == "synth90k"
    assert [s.text for s in found.samples] == ["Lube", "LUBE", "a"]
    assert found.samples[0].image == str(folder / "2425/1/115_Lube_2.jpg")
    assert found.samples[0].where == f"{folder}/annotation_val.txt, line 1"
    assert _kinds(found) == {
        f"annotation_val.txt, line {number}": kind
        for number, (_, kind) in enumerate(SYNTH, start=1)
        if kind
    }
    assert "line 2 of lexicon.txt" in found.issues[0].reason


def test_synth90k_without_a_lexicon_is_described_so(tree):
    folder = tree({"annotation.txt": "./1/1/1_Lube_9.jpg 9\n"})
    found = read_samples(folder)
    assert (found.layout, _pairs(found, folder)) == ("synth90k", [("1/1/1_Lube_9.jpg", "Lube")])
    assert "no lexicon.txt" in found.description


def test_synth90k_of_a_folder_without_annotations(tree):
    with pytest.raises(ValueError, match=r"set .*annotation_\*\.txt"):
        read_samples(tree({"lexicon.txt": "a"}), layout="synth90k")


def _mat(folder, name, rows, variable="testdata"):
    dtype = [(field, object) for field in ("ImgName", "GroundTruth", "smallLexi", "mediumLexi")]
    entries = np.zeros((1, len(rows)), dtype)
    for number, (image, text, small, medium) in enumerate(rows):
        lexica = [np.array([*words, None], dtype=object)[None, :-1] for words in (small, medium)]
        entries[0, number] = (image, text, *lexica)
    scipy.io.savemat(folder / name, {variable: entries})


@pytest.mark.parametrize("rows", [1, 3])
def test_iiit5k_with_its_lexicons(tree, rows):
    folder = tree({"test/1_1.png": None})
    medium = [f"W{i}" for i in range(1000)]
    _mat(
        folder,
        "testdata.mat",
        [(f"test/{i}_1.png", "YOU", ["YOU", "AND"], medium) for i in range(rows)],
    )
    found = read_samples(folder)
    assert found.layout == "iiit5k" and found.issues == []
    assert _pairs(found, folder) == [(f"test/{i}_1.png", "YOU") for i in range(rows)]
    assert found.samples[0].where == f"{folder}/testdata.mat, entry 1"
    path = found.samples[-1].image
    assert found.lexicons["50"][path] == ("YOU", "AND")
    assert found.lexicons["1k"][path] == tuple(medium)
    assert {len(lexicon) for lexicon in found.lexicons.values()} == {rows}


def test_iiit5k_of_odd_entries(tree):
    folder = tree({"a.png": None})
    rows = [
        ("a.png", "", [], []),
        ("../a.png", "A", ["A"], []),
        ("a.png", "A", ["A"], ["ABC", "D"]),
    ]
    _mat(folder, "traindata.mat", rows, "traindata")
    found = read_samples(folder)
    assert _kinds(found) == {
        "traindata.mat, entry 1": "empty label",
        "traindata.mat, entry 2": "path outside the folder",
    }
    assert found.lexicons == {
        "50": {str(folder / "a.png"): ("A",)},
        "1k": {str(folder / "a.png"): ("ABC", "D")},
    }


def test_a_damaged_mat_is_named(tree):
    folder = tree({"testdata.mat": b"MATLAB 5.0 MAT-file" * 20, "other.mat": b"", "a.png": None})
    with pytest.raises(ValueError, match=r"testdata\.mat"):
        read_samples(folder)
    with pytest.raises(ValueError, match=r"other\.mat"):
        read_samples(folder / "other.mat")
    scipy.io.savemat(folder / "other.mat", {"numbers": np.arange(3)})
    with pytest.raises(ValueError, match=r"other\.mat.*\['numbers'\].*traindata\.mat"):
        read_samples(folder / "other.mat")


def test_a_mat_with_any_byte_changed_is_read_or_named(tree):
    folder = tree({"a.png": None})
    _mat(folder, "testdata.mat", [("a.png", "YOU", ["YOU"], ["AND"])])
    path = folder / "testdata.mat"
    good = path.read_bytes()
    for position in range(124, len(good), 97):
        wrong = bytearray(good)
        wrong[position] ^= 0xFF
        path.write_bytes(wrong)
        try:
            read_samples(path)
        except ValueError as error:
            assert "testdata.mat" in str(error)


def test_svt_words_are_boxes_with_lexicons(tree):
    pixels = np.arange(60 * 40, dtype=np.uint32).reshape(40, 60)
    pixels = np.stack([pixels % 256, pixels // 256, pixels * 0], axis=-1).astype(np.uint8)
    folder = tree({"test.xml": SVT, "img/x": ""})
    Image.fromarray(pixels).save(folder / "img/14_03.jpg", "PNG")
    living, room = read_samples(folder).samples
    assert (living.box, room.box) == ((30, 5, 20, 10), (-5, 20, 40, 30))
    assert living.where == f"{folder}/test.xml, line 9"
    gray = np.asarray(to_gray(folder / "img/14_03.jpg"))
    assert np.array_equal(Image.open(io.BytesIO(living.read())), gray[5:15, 30:50])
    # The box is clipped at the edges of the image.
    assert np.array_equal(Image.open(io.BytesIO(room.read())), gray[20:40, 0:35])
    assert read_samples(folder).lexicons == {"50": {living.image: ("LIVING", "ROOM", "THEATERS")}}


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ('x="30"', 'x="left"', "invalid box"),
        ('x="30"', "", "invalid box"),
        ('x="30"', 'x="nan"', "invalid box"),
        ('width="20"', 'width="1e99"', "invalid box"),
        ('width="20"', 'width="0"', "invalid box"),
        ('height="10"', 'height="-3"', "invalid box"),
        ("<tag>LIVING</tag>", "<tag> </tag>", "empty label"),
        ("<tag>LIVING</tag>", "", "empty label"),
    ],
)
def test_svt_boxes_that_cannot_be_used_are_named_by_line(tree, old, new, kind):
    found = read_samples(tree({"test.xml": SVT.replace(old, new, 1)}))
    assert [sample.text for sample in found.samples] == ["ROOM"]
    assert _kinds(found) == {"test.xml, line 9": kind}


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ('<!DOCTYPE a [<!ENTITY b "bb">]><tagset>&b;</tagset>', "line 1: .*DOCTYPE"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><tagset/>', "line 1: .*DOCTYPE"),
        ("<tagset><image></tagset>", "mismatched tag"),
        ("", "no element"),
        ("<tagset>&unknown;</tagset>", "undefined entity"),
        ("<annotation/>", "<annotation>.*<tagset>"),
        ("<tagset/>", "is empty"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_that_is_not_svt_or_declares_entities_is_an_error(tree, xml, message, encoding):
    path = tree({"test.xml": xml.encode(encoding)}) / "test.xml"
    with pytest.raises(ValueError, match=rf"test\.xml.*{message}"):
        read_samples(path)


@pytest.mark.parametrize("declared", ["gb2312", "Big5", "Shift_JIS", "koi8-r", "windows-1251"])
def test_xml_is_read_in_the_encoding_that_it_states(tree, declared):
    word = {"koi8-r": "стоп", "windows-1251": "стоп"}.get(declared, "中")
    xml = SVT.replace("utf-8", declared).replace("LIVING</tag>", f"{word}</tag>")
    found = read_samples(tree({"test.xml": xml.encode(declared)}))
    assert [sample.text for sample in found.samples] == [word, "ROOM"]
    assert f"encoding {declared};" in f"{found.description};"
    stated = tree({"other.xml": xml.encode("utf-16-le")}) / "other.xml"
    assert read_samples(stated, encoding="utf-16-le").samples[0].text == word


@pytest.mark.parametrize("name", ["test.xml", "labels.json"])
def test_files_in_another_encoding_than_stated_are_named(tree, name):
    text = SVT.replace("utf-8", "ascii") if name == "test.xml" else '{"a.png": "LIVING"}'
    path = tree({name: text.replace("LIVING", "café").encode("cp1252")}) / name
    with pytest.raises(ValueError, match=rf"{name}.*0xe9"):
        read_samples(path, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"{name}.*0xe9"):
        read_samples(path)
    assert read_samples(path, encoding="cp1252").samples[0].text == "café"


def test_damaged_xml_and_json_name_the_line(tree):
    folder = tree({"test.xml": SVT.replace("</lex>", "", 1), "labels.json": '{"a.png": "x",\n!}'})
    with pytest.raises(ValueError, match=r"test\.xml.*line 14"):
        read_samples(folder / "test.xml")
    with pytest.raises(ValueError, match=r"labels\.json.*line 2"):
        read_samples(folder / "labels.json")


def test_layouts_without_text_take_no_encoding(tree):
    with pytest.raises(ValueError, match="file_name.*encoding"):
        read_samples(tree({"one.png": None}), encoding="cp1251")


def test_comments_are_no_rows_in_layouts_of_data_sets(tree):
    rows = {
        "gt.txt": 'a.png, "one"',
        "rec_gt.txt": "a.png\tone",
        "annotation.txt": "1/1_one_0.jpg 0",
    }
    for name, row in rows.items():
        found = read_samples(tree({name: f"# made by hand\n{row}\n"}) / name)
        assert len(found.samples) == 1 and _kinds(found) == {f"{name}, line 1": "comment"}


def test_deep_xml_and_json_do_not_end_the_process(tree):
    deep = "<tagset>" + "<a>" * 100_000 + "</a>" * 100_000 + "</tagset>"
    folder = tree({"a.xml": deep, "labels.json": "[" * 100_000, "l.jsonl": "[" * 100_000})
    for name in ("a.xml", "labels.json"):
        with pytest.raises(ValueError, match=name):
            read_samples(folder / name)
    (issue,) = read_samples(folder / "l.jsonl").issues
    assert issue.kind == "not JSON"


def test_other_xml_files_in_a_folder_of_images_are_not_label_files(tree):
    found = read_samples(tree({"one.png": None, "one.xml": "<annotation></annotation>"}))
    assert found.layout == "file_name"


@pytest.mark.parametrize(
    ("files", "folder"),
    [
        (["images/a.png"], "images/"),
        (["a.png"], ""),
        (["a.png", "images/b.png"], ""),
        (["a.png", "images/a.png"], "images/"),
        (["images/b.png"], "images/"),
    ],
)
def test_doctr_images_lie_in_images_or_beside(tree, files, folder):
    path = tree({"labels.json": '{"a.png": "one"}', **dict.fromkeys(files)})
    found = read_samples(path)
    assert _pairs(found, path) == [(f"{folder}a.png", "one")]
    elsewhere = read_samples(path, images_folder=path / "scans")
    assert _pairs(elsewhere, path) == [("scans/a.png", "one")]


def test_doctr_values_that_are_not_text(tree):
    content = (
        '{"a.png": 12, "b.png": null, "c.png": {"polygons": []}, "d.png": "", "../e.png": "x",'
        ' "f.png": "one", "f.png": "two", "g.png": "a\\nb", "h.png": "\\ud800"}'
    )
    path = tree({"labels.json": content})
    found = read_samples(path)
    assert _pairs(found, path) == [("f.png", "one")]
    kinds = {issue.where.split("key ")[1].strip("'"): issue.kind for issue in found.issues}
    assert kinds == {
        "a.png": "label is not text",
        "b.png": "label is not text",
        "c.png": "label is not text",
        "d.png": "empty label",
        "../e.png": "path outside the folder",
        "f.png": "image named twice",
        "g.png": "line break in label",
        "h.png": "not UTF-8",
    }
    assert 'quotation marks: "12"' in found.issues[0].reason
    assert "text detection" in found.issues[2].reason


@pytest.mark.parametrize("content", ["{", "[]", "7", '[["a.png", "x"]]', "{}"])
def test_a_json_file_that_is_not_doctr_is_named(tree, content):
    with pytest.raises(ValueError, match=r"labels\.json"):
        read_samples(tree({"labels.json": content}))


def test_json_lines_in_a_json_file(tree):
    rows = '{"image": "a.png", "text": "one"}\n{"image": "b.png", "text": "two"}\n'
    found = read_samples(tree({"train.json": rows}) / "train.json")
    assert (found.layout, [s.text for s in found.samples]) == ("jsonl", ["one", "two"])


def test_a_lexicon_in_another_encoding(tree):
    folder = tree({"lex.tsv": "a.jpg\tстоп,хлеб\n".encode("cp1251")})
    assert read_lexicon(folder / "lex.tsv", encoding="cp1251") == {
        str(folder / "a.jpg"): ("стоп", "хлеб")
    }
    with pytest.raises(ValueError, match=r"lex\.tsv.*cp1251"):
        read_lexicon(folder / "lex.tsv")


def test_read_lexicon(tree):
    path = tree({"lex50.tsv": "\ufeffimages/0.jpg\tDOOR, WILD,,GINGER\r\n\nb.jpg\t省,市\n"})
    assert read_lexicon(path / "lex50.tsv") == {
        str(path / "images/0.jpg"): ("DOOR", "WILD", "GINGER"),
        str(path / "b.jpg"): ("省", "市"),
    }
    assert str(path / "x/b.jpg") in read_lexicon(path / "lex50.tsv", path / "x")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("b.jpg", "line 2: 'b.jpg'"),
        ("b.jpg\t , ,", "line 2: 'b.jpg'"),
        ("../b.jpg\tA", r"line 2: '\.\./b\.jpg'"),
        ("a.jpg\tA", "line 2: 'a.jpg'"),
    ],
)
def test_a_lexicon_with_a_wrong_row_is_an_error(tree, row, message):
    path = tree({"lex50.tsv": f"a.jpg\tA,B\n{row}\n"}) / "lex50.tsv"
    with pytest.raises(ValueError, match=rf"lex50\.tsv, {message}"):
        read_lexicon(path)


@pytest.mark.parametrize(
    ("name", "count"),
    [("captcha_v2", 1040), ("iiit5k_test", 3000), ("plates_cn", 1000), ("svt_test", 647)],
)
def test_real_sets(data_folder, name, count):
    folder = data_folder(name)
    found = read_samples(folder)
    assert (found.layout, len(found.samples), found.issues) == ("tsv", count, [])
    assert to_gray(found.samples[-1].read()).height > 0
    if name == "svt_test":
        lexicon = read_lexicon(folder / "lex50.tsv")
        assert {sample.image for sample in found.samples} == set(lexicon)
        assert all(sample.text in lexicon[sample.image] for sample in found.samples)

"""Columns of csv, tsv and jsonl: known ones, named ones, headers and none."""

import json

import pytest

from crnn_keras.data.labels import read_samples


@pytest.fixture
def read(tmp_path):
    """Function `(file name, content, columns)`: returns the set and its (path, text) pairs."""

    def written(name, content, columns=(None, None), **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        image_column, text_column = columns
        found = read_samples(path, image_column=image_column, text_column=text_column, **options)
        return found, [(s.image.removeprefix(f"{tmp_path}/"), s.text) for s in found.samples]

    return written


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("l.csv", "id,Crop,word\n1,a.png,one\n2,b.png,two\n", ("crop", "word")),
        ("l.csv", "id,Crop,word\n1,a.png,one\n2,b.png,two\n", ("CROP", " word ")),
        ("l.csv", "id,Crop,word\n1,a.png,one\n2,b.png,two\n", (1, 2)),
        ("l.csv", "id,Crop,spoken\n1,a.png,one\n2,b.png,two\n", (1, "spoken")),
        ("l.csv", "id;crop;spoken\n1;a.png;one\n2;b.png;two\n", ("crop", "spoken")),
        ("l.csv", "1,a.png,one\n2,b.png,two\n", (1, 2)),
        ("l.csv", "one,a.png\ntwo,b.png\n", (1, 0)),
        ("l.csv", "a.png;one\nb.png;two\n", (None, None)),
        ("l.csv", "\ufeff0,1\none,a.png\ntwo,b.png\n", ("1", "0")),
        ("l.csv", 'a.png, "one"\nb.png, two\n', ("", "")),
        ("l.tsv", "spoken\timage.png\none\ta.png\ntwo\tb.png\n", ("image.png", "spoken")),
        ("l.tsv", "word\tfile\none\ta.png\ntwo\tb.png\n", (1, 0)),
        ("l.txt", "spoken\tcrop\none\ta.png\ntwo\tb.png\n", ("crop", "spoken")),
        ("l.txt", "spoken,crop\none,a.png\ntwo,b.png\n", ("crop", "spoken")),
        # As a command line and a notebook have them: indices as text, names with blanks.
        ("l.csv", "one,a.png\ntwo,b.png\n", ("1", "0")),
        ("l.tsv", "7\ta.png\tone\n7\tb.png\ttwo\n", (" 1 ", "2")),
        ("l.csv", "id,crop,spoken\n1,a.png,one\n2,b.png,two\n", ("1", "spoken")),
        (
            "l.csv",
            "Image Path , spoken text\na.png,one\nb.png,two\n",
            ("image path", " Spoken Text"),
        ),
        ("l.csv", "STRASSE,x\na.png,one\nb.png,two\n", ("straße", "x")),
        ("l.csv", "crop|spoken\na.png|one\nb.png|two\n", ("crop", "spoken")),
    ],
)
def test_columns_by_name_or_index(read, name, content, columns):
    layout = "csv" if content.startswith("spoken,") else "auto"
    found, pairs = read(name, content, columns, layout=layout)
    assert pairs == [("a.png", "one"), ("b.png", "two")] and found.issues == []


@pytest.mark.parametrize(
    ("content", "columns", "pairs"),
    [
        # Without an image's suffix, the first row is a row: the indices were named.
        ("img/0\tone\nimg/1\ttwo\n", (0, 1), [("img/0", "one"), ("img/1", "two")]),
        ("img/0\tword\nimg/1\ttwo\n", (0, 1), [("img/0", "word"), ("img/1", "two")]),
        # Clearly a header: a known name, or images from the next row on.
        ("image\ttext\nimg/1\ttwo\n", (0, 1), [("img/1", "two")]),
        ("crop\tspoken\nimg/1.png\ttwo\n", (0, 1), [("img/1.png", "two")]),
        ("img/0\tone\n", (0, 1), [("img/0", "one")]),
    ],
)
def test_by_indices_there_is_a_header_only_if_it_is_clear(read, content, columns, pairs):
    found, read_pairs = read("l.tsv", content, columns)
    assert read_pairs == pairs
    rows = content.count("\n")
    assert ("no header" in found.description) == (len(pairs) == rows)


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (
            "image,text\na.png,x\n",
            "a header: the path in column 'image', the text in column 'text'",
        ),
        ("a.png,x\n", "no header: the path first, the text second"),
        ("text,label,img\ny,x,a.png\n", "the path in column 'img', the text in column 'text'"),
    ],
)
def test_the_columns_are_named_in_the_description(read, content, note):
    assert note in read("l.csv", content)[0].description


def test_a_table_without_known_columns_tells_how_to_name_them(read):
    with pytest.raises(ValueError, match='line 1: .*image_column="crop".*text_column=1'):
        read("l.tsv", "img/0\tone\nimg/1\ttwo\n")


@pytest.mark.parametrize(
    ("name", "content", "columns", "message"),
    [
        ("l.csv", "image,text\na.png,x\n", ("crop", "text"), r"line 1: there is no column 'crop'"),
        ("l.csv", "image,text\na.png,x\n", (0, 2), r"line 1: there is no column 2"),
        ("l.csv", "image,text\na.png,x\n", ("image", None), r"image_column='image'"),
        ("l.csv", "image,text\na.png,x\n", ("", "text"), r"text_column='text'"),
        ("l.csv", "image,text\na.png,x\n", (0, 0), r"image_column=0, text_column=0"),
        ("l.csv", "image,text\na.png,x\n", (0, -1), r"text_column=-1.*indices from 0"),
        ("l.csv", "image,text\na.png,x\n", (0, True), r"text_column=True"),
        ("l.csv", "image,text\na.png,x\n", ("0", "-1"), r"line 1: there is no column '-1'"),
        ("l.csv", "image,text\na.png,x\n", ("0", "2"), r"line 1: there is no column 2"),
        ("l.csv", "image,text\na.png,x\n", ("0", "0.5"), r"line 1: there is no column '0\.5'"),
        ("l.csv", "image,text\na.png,x\n", (" Text", "text"), r"line 1: ' Text' and 'text' are"),
        ("l.csv", "image,a,A\na.png,x,y\n", ("image", "a"), r"line 1: 2 columns .*'a'.*1 or 2"),
        ("l.csv", "image,text\na.png,x\n", (" ", "text"), r"text_column='text'"),
        ("l.csv", "image,text\na.png,x\n", (0, 1.5), r"text_column=1\.5"),
        ("l.jsonl", '{"a": "a.png", "b": "x"}\n', (0, 1), r"image_column=0"),
        ("l.jsonl", '{"a": "a.png", "b": "x"}\n', ("a", "c"), r"line 1: there is no key 'c'"),
        ("sample.txt", "a.png x\n", ("a", "c"), r"sample\.txt: image_column.* is sample_txt"),
    ],
)
def test_columns_that_do_not_exist_or_make_no_sense(read, name, content, columns, message):
    with pytest.raises(ValueError, match=message):
        read(name, content, columns)


def test_columns_beyond_a_row_are_issues_of_that_row(read):
    found, pairs = read("l.csv", "1,a.png,one\n2\n3,b.png\n4,c.png,x,y\n", (1, 2))
    assert pairs == [("a.png", "one")]
    assert [issue.kind for issue in found.issues] == ["no image", "empty label", "too many columns"]


TABLE = "图片\t文字\n省/a.png\t市\nb.png\tx\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", ["\t", ",", ";"])
def test_tables_in_any_encoding(read, encoding, end, separator):
    raw = TABLE.replace("\t", separator).replace("\n", end).encode(encoding)
    name = "l.tsv" if separator == "\t" else "l.csv"
    found, pairs = read(name, raw, ("图片", "文字"))
    assert pairs == [("省/a.png", "市"), ("b.png", "x")]
    assert [s.where.split(", ")[1] for s in found.samples] == ["line 2", "line 3"]


def test_lines_after_a_label_of_two_lines_are_counted_correctly(read):
    found, pairs = read("l.csv", 'a.png,"one\ntwo"\nb.png,\nc.png,three\n')
    assert [issue.where.split("/")[-1] for issue in found.issues] == [
        "l.csv, line 1",
        "l.csv, line 3",
    ]
    assert found.samples[0].where.endswith("line 4")


@pytest.mark.parametrize(
    ("line", "kind", "reason"),
    [
        ("a.png one", "not JSON", "'a.png one'"),
        ('{"image": "a.png"', "not JSON", "Write one object a line"),
        ('["a.png", "one"]', "not JSON", "not an object"),
        ('"a.png"', "not JSON", "not an object"),
        ("[" * 100_000, "not JSON", "not JSON"),
        ('{"image": "a.png", "text": 123}', "label is not text", '"123"'),
        ('{"image": "a.png", "text": 1.50}', "label is not text", "has the label 1.5,"[:-1]),
        ('{"image": "a.png", "text": NaN}', "label is not text", "NaN"),
        ('{"image": "a.png", "text": null}', "label is not text", "null"),
        ('{"image": "a.png", "text": true}', "label is not text", "true. Write one text"),
        ('{"image": "a.png", "text": ["one"]}', "label is not text", '["one"]'),
        ('{"image": "a.png", "text": {"a": 1}}', "label is not text", '{"a": 1}'),
        ('{"image": "a.png"}', "empty label", "has no label"),
        ('{"image": "a.png", "text": " "}', "empty label", "has no label"),
        ('{"image": "a.png", "text": "a\\nb"}', "line break in label", "several lines"),
        ('{"image": "a.png", "text": "a\\u2028b"}', "line break in label", "several lines"),
        ('{"image": "a.png", "text": "\\ud800"}', "not UTF-8", "UTF-8"),
        ('{"image": 7, "text": "one"}', "no image", "ends in"),
        ('{"text": "one"}', "no image", "ends in"),
        ('{"image": "", "text": "one"}', "no image", "ends in"),
        ('{"image": "a\\u0000.png", "text": "one"}', "no image", "ends in"),
        ('{"image": "../a.png", "text": "one"}', "path outside the folder", "relative"),
        ('{"image": "/a.png", "text": "one"}', "path outside the folder", "relative"),
        ('{"image": "..\\\\a.png", "text": "one"}', "path outside the folder", "relative"),
        ('{"image": "c:/a.png", "text": "one"}', "path outside the folder", "relative"),
    ],
)
def test_json_lines_that_cannot_be_used_are_named(read, line, kind, reason):
    good = '{"image": "a.png", "text": "one", "size": [1, 2]}'
    found, pairs = read("l.jsonl", f"{good}\n\n{line}\n{good}\n")
    assert pairs == [("a.png", "one")] * 2
    (issue,) = found.issues
    assert issue.where.endswith("l.jsonl, line 3")
    assert issue.kind == kind and reason in issue.reason


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ([{"image": "a.png", "text": "省 市"}], (None, None)),
        ([{"File_Name": "a.png", "Transcription": "省 市"}], (None, None)),
        ([{"text": 7, "crop": "a.png", "spoken": "省 市"}], ("crop", "spoken")),
        ([{"Crop Path": "a.png", "0": "省 市"}], ("crop path ", "0")),
        ([{"label": "省 市", "width": 3, "path": "./a.png"}], (None, None)),
    ],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_keys_of_json_lines(read, rows, columns, ascii_only):
    content = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\r\n" for row in rows)
    found, pairs = read("l.jsonl", content, columns)
    assert pairs == [("a.png", "省 市")] and found.layout == "jsonl"


def test_objects_before_the_first_with_both_keys_are_named(read):
    rows = '{"made": "by hand"}\n{"image": "a.png"}\n{"image": "b.png", "text": "x"}\n'
    found, pairs = read("l.jsonl", rows)
    assert pairs == [("b.png", "x")]
    assert [issue.kind for issue in found.issues] == ["no image", "empty label"]


def test_a_key_that_comes_twice_is_named(read):
    rows = '{"image": "a.png", "text": "x"}\n{"image": "b.png", "text": "x", "text": "y"}\n'
    found, pairs = read("l.jsonl", rows)
    assert pairs == [("a.png", "x")] and "twice" in found.issues[0].reason


def test_json_lines_without_known_keys_name_the_known_ones(read):
    with pytest.raises(
        ValueError, match=r"line 1: the keys \['crop', 'text'\].*image, path.*image_column"
    ):
        read("l.jsonl", '{"crop": "a.png", "text": "x"}\n')


def test_a_leading_line_that_is_not_json_does_not_hide_the_keys(read):
    found, pairs = read("l.jsonl", '# made by hand\n{"image": "a.png", "text": "x"}\n')
    assert pairs == [("a.png", "x")] and [issue.kind for issue in found.issues] == ["not JSON"]

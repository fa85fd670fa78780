"""Every row of a label file is one sample or one named issue, whatever the other rows hold."""

import csv
import io
import json
import os

import hypothesis
import pytest
from hypothesis import strategies as st

from crnn_keras.data.labels import read_samples
from crnn_keras.utils import limits

ROWS = hypothesis.settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
# What labels of strangers hold: separators, quotation marks, ends of lines, damage.
LABELS = st.lists(
    st.sampled_from([*'ab省é"\t,;|# \0\r\x0b\u2028\x1b', '""', "x" * 99_990, "\ufeff"]), max_size=8
).map("".join)
# Lines without an image.
JUNK = st.sampled_from(["# made by hand, twice", "#", "alone", ",", "|", "   ", "", "#a\tb", "7"])
LINES = st.lists(st.one_of(LABELS.map(lambda label: (label,)), JUNK), min_size=1, max_size=12)


def _written(form, lines, start):
    """Returns the content of a file, and the label of each line, None for junk."""
    content, labels = list(start), [None] * len(start)
    for line in lines:
        number = len(content)
        content.append(line if isinstance(line, str) else form(f"{number}.png", line[0]))
        labels.append(None if isinstance(line, str) else line[0])
    return content, labels


def _check(path, content, labels, *, header=0, unquote=None, **options):
    """Checks that each line that is not blank is one sample with its whole label, or one issue."""
    text = "\n".join(content) + "\n"
    path.write_bytes(text.encode())
    rows = [n for n, line in enumerate(content, 1) if line.strip("\ufeff").strip() and n > header]
    if not rows:
        with pytest.raises(ValueError, match="is empty"):
            read_samples(path, **options)
        return
    found = read_samples(path, **options)
    samples = {int(s.where.rpartition(" ")[2]): s.text for s in found.samples}
    issues = {int(issue.where.rpartition(" ")[2]): issue.kind for issue in found.issues}
    assert len(found.samples) + len(found.issues) == len(rows)
    assert sorted([*samples, *issues]) == rows
    for number, sample in samples.items():
        written = labels[number - 1]
        if written is not None:
            whole = written.strip()
            expected = {whole, unquote(whole) if unquote else whole}
            # Where every row of many ends with the same empty columns, they are no label's.
            if "empty column" in found.description:
                expected.add(whole.rstrip(" ,;|"))
            assert sample in expected


def _plain(label):
    """A label in quotation marks without them."""
    is_quoted = len(label) > 1 and label[0] == label[-1] == '"'
    return label[1:-1].replace('""', '"').strip() if is_quoted else label


@ROWS
@hypothesis.given(lines=LINES)
@pytest.mark.parametrize("separator", [",", ";", "|"])
def test_rows_of_a_csv_that_quotes_nothing(tmp_path, separator, lines):
    form = f"{{}}{separator}{{}}".format
    content, labels = _written(form, lines, [f"a.png{separator}good"])
    _check(tmp_path / "l.csv", content, labels, unquote=_plain)
    content[0] = f"image{separator}text"
    _check(tmp_path / "l.csv", content, labels, header=1, unquote=_plain)


@pytest.mark.parametrize(
    "rows, padding, is_padded",
    [(1, 1, False), (9, 1, False), (10, 1, True), (1, 2, False), (1, 4, False), (2, 2, True)],
)
def test_few_rows_that_end_with_separators_may_be_labels(tmp_path, rows, padding, is_padded):
    path = tmp_path / "l.csv"
    table = [f"{i}.png,a{',' * padding}" for i in range(rows)]
    path.write_text("\n".join(["image,text", *table]) + "\n")
    found = read_samples(path)
    assert [sample.text for sample in found.samples] == ["a"] * rows * is_padded
    assert len(found.issues) == rows * (not is_padded)


@ROWS
@hypothesis.given(lines=LINES)
def test_rows_of_a_csv_that_quotes_everything(tmp_path, lines):
    def form(name, label):
        row = io.StringIO()
        csv.writer(row, quoting=csv.QUOTE_ALL, lineterminator="").writerow(["7", name, label])
        return row.getvalue()

    content, labels = _written(form, lines, ["id,image,text"])
    _check(tmp_path / "l.csv", content, labels, header=1)
    columns = {"image_column": "1", "text_column": "2"}
    content[0] = "7,a.png,good"
    _check(tmp_path / "l.csv", content, labels, **columns)


@ROWS
@hypothesis.given(lines=LINES)
@pytest.mark.parametrize("layout", ["tsv", "paddleocr", "sample_txt"])
def test_rows_of_layouts_without_quotation_marks(tmp_path, layout, lines):
    between = " " if layout == "sample_txt" else "\t"
    content, labels = _written(f"{{}}{between}{{}}".format, lines, [f"a.png{between}good"])
    _check(tmp_path / "l.txt", content, labels, layout=layout)


@ROWS
@hypothesis.given(lines=LINES)
def test_rows_of_icdar(tmp_path, lines):
    content, labels = _written('{}, "{}"'.format, lines, ['a.png, "good"'])
    _check(tmp_path / "gt.txt", content, labels)


@ROWS
@hypothesis.given(lines=LINES)
def test_rows_of_json_lines(tmp_path, lines):
    def form(name, label):
        return json.dumps({"image": name, "text": label})

    content, labels = _written(form, lines, [form("a.png", "good")])
    _check(tmp_path / "l.jsonl", content, labels)


@ROWS
@hypothesis.given(lines=LINES)
def test_rows_of_synth90k(tmp_path, lines):
    content, labels = _written(lambda name, label: f"1/2/3_{label}_0.jpg 0", lines, [])
    (tmp_path / "lexicon.txt").write_text("a\nb\n")
    path = tmp_path / "annotation_train.txt"
    _check(path, content, labels, layout="synth90k")


@ROWS
@hypothesis.given(labels=st.lists(LABELS, min_size=1, max_size=12))
def test_keys_of_doctr(tmp_path, labels):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({f"{i}.png": label for i, label in enumerate(labels)}))
    found = read_samples(path)
    assert len(found.samples) + len(found.issues) == len(labels)
    for sample in found.samples:
        number = int(sample.image.rpartition("/")[2].removesuffix(".png"))
        assert sample.text == labels[number].strip()


@ROWS
@hypothesis.given(
    labels=st.lists(st.text("ab省é\"',; \r\u2028", max_size=8), min_size=1, max_size=9)
)
def test_words_of_svt(tmp_path, labels):
    words = "".join(
        f'<taggedRectangle x="1" y="1" width="9" height="9"><tag>{label}</tag></taggedRectangle>\n'
        for label in labels
    )
    path = tmp_path / "test.xml"
    xml = f"<tagset><image><imageName>a.jpg</imageName>\n{words}</image></tagset>"
    path.write_bytes(xml.encode())
    found = read_samples(path)
    lines = [int(row.where.rpartition(" ")[2]) for row in (*found.samples, *found.issues)]
    assert sorted(lines) == sorted(set(lines)) and len(lines) == len(labels)


@pytest.mark.parametrize(
    ("content", "texts", "issues"),
    [
        # A first row with more cells does not make the table wider.
        ("a.png,Hello, world\nb.png,two\n", ["two"], {1: "too many columns"}),
        ("a.png,one\nb.png,Hello, world\n", ["one"], {2: "too many columns"}),
        ("a.png,one,\nb.png,two\n", ["two"], {1: "too many columns"}),
        ("image,text\na.png,Hello, world\n", [], {2: "too many columns"}),
        ("text,image\nHello, world,a.png\none,b.png\n", ["one"], {2: "too many columns"}),
        ('a.png,"Hello, world"\nb.png,two\n', ["Hello, world", "two"], {}),
        # A label that is one quotation mark.
        (
            'a.png,one\nb.png,"\nc.png,two\nd.png,"\ne.png,3\n',
            ["one", "two", "3"],
            {2: "q", 4: "q"},
        ),
        ('a.png,one\nb.png,"\nc.png,"two"\n', ["one", "two"], {2: "q"}),
        ('a.png,"two"x\nb.png,one\n', ["one"], {1: "q"}),
        ('a.png,say "hi"\nb.png,"say "hi""\n', ['say "hi"'], {2: "q"}),
        ('a.png,"two\nlines"\nb.png,one\n', ["one"], {1: "line break in label"}),
        ('a.png,"two\n\nlines ""x""\nend"\nb.png,one\n', ["one"], {1: "line break in label"}),
        ('"a.png\n",one\nb.png,two\n', ["one", "two"], {}),
        # What Excel writes.
        ("sep=;\na.png;one\nb.png;t,w\n", ["one", "t,w"], {}),
        ("a.png,one,,\nb.png,two,,\n", ["one", "two"], {}),
        ("image,text,\na.png,one,\nb.png,two,\n", ["one", "two"], {}),
        ("a.png,one\n,\n,,,\nb.png,two\n", ["one", "two"], {2: "no image", 3: "no image"}),
        # Comments, and other separators.
        (
            "# made by hand\na.png,one\n#b.png,two\n# c\n",
            ["one", "two"],
            {1: "comment", 4: "comment"},
        ),
        ("#image,text\na.png,one\n", ["one"], {}),
        (
            "a.png,one\nb.png;two\nc.png|x,y\n",
            ["one"],
            {2: "other separator", 3: "other separator"},
        ),
        ("a.png|one\nb.png|t,w\n", ["one", "t,w"], {}),
        ("text|image\none|a.png\n", ["one"], {}),
        ("a.png\tone\nb.png\tt,w\n", ["one", "t,w"], {}),
        ("alone\na.png,one\n", ["one"], {1: "empty label"}),
        ("\ufeffa.png,one\n\ufeffb.png,two\n", ["one", "two"], {}),
        ("a.png,one\rtwo\nb.png,two\n", ["two"], {1: "line break in label"}),
        ("a.png,one\rb.png,two\r", ["one", "two"], {}),
    ],
)
def test_rows_of_a_csv(tmp_path, content, texts, issues):
    path = tmp_path / "labels.csv"
    path.write_bytes(content.encode())
    found = read_samples(path)
    assert [sample.text for sample in found.samples] == texts
    kinds = {n: "quotation mark missing" if kind == "q" else kind for n, kind in issues.items()}
    assert {int(i.where.rpartition(" ")[2]): i.kind for i in found.issues} == kinds


def test_an_open_quotation_mark_does_not_swallow_the_rest_of_a_csv(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text('a.png,one\nb.png,"two\n' + "c.png,three\n" * 50_000)
    found = read_samples(path)
    assert len(found.samples) == 50_001
    (issue,) = found.issues
    assert issue.kind == "quotation mark missing" and issue.where == f"{path}, line 2"
    assert '"say ""hi"""' in issue.reason


def test_open_quotation_marks_in_every_row_take_no_longer(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text('"x' * 3 + "\n" + 'img/0,"a\n' * 20_000)
    found = read_samples(path, image_column=0, text_column=1)
    assert len(found.issues) == 20_001


@pytest.mark.parametrize("layout", ["csv", "tsv", "jsonl", "sample_txt", "icdar", "paddleocr"])
@pytest.mark.parametrize("length", [limits.MAX_LABEL_CHARACTERS + 1, 131_073])
def test_an_overlong_label_is_one_named_row(tmp_path, layout, length):
    forms = {
        "csv": '{},"{}"',
        "tsv": "{}\t{}",
        "sample_txt": "{} {}",
        "icdar": '{}, "{}"',
        "paddleocr": "{}\t{}",
        "jsonl": '{{"image": "{}", "text": "{}"}}',
    }
    labels = ["one", "x" * length, "two"]
    lines = [forms[layout].format(f"{i}.png", label) for i, label in enumerate(labels)]
    (tmp_path / "l.txt").write_text("\n".join(lines))
    found = read_samples(tmp_path / "l.txt", layout=layout)
    assert [sample.text for sample in found.samples] == ["one", "two"]
    assert [(i.kind, i.where[-6:]) for i in found.issues] == [("overlong label", "line 2")]


def test_a_line_without_an_end_is_refused_by_its_number(tmp_path, monkeypatch):
    monkeypatch.setattr("crnn_keras.utils.files.MAX_LINE_CHARACTERS", 1000)
    (tmp_path / "labels.tsv").write_text("a.png\tone\n" + "x" * 5000)
    with pytest.raises(ValueError, match=r"labels\.tsv, line 2: .*1,000 characters"):
        read_samples(tmp_path / "labels.tsv")


NAMES = {
    "x" * 252 + ".png": "path too long",
    "省" * 84 + ".png": "path too long",
    "/".join(["folder"] * 700) + "/a.png": "path too long",
    "x" * 251 + ".png": None,
    "a\nb.png": "line break in path",
    "a\rb.png": "line break in path",
    "a\ud800.png": "not UTF-8",
    "a\x1b[31m.png": None,
    "a\0.png": "no image",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", ["jsonl", "doctr"])
def test_names_that_no_file_can_have_are_named(tmp_path, name, layout):
    content = {name: "one"} if layout == "doctr" else {"image": name, "text": "one"}
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(content) + "\n")
    found = read_samples(path, layout=layout)
    assert [issue.kind for issue in found.issues] == ([NAMES[name]] if NAMES[name] else [])
    assert "\x1b" not in found.summary()


def test_a_path_or_label_cannot_command_the_terminal(tmp_path):
    path = tmp_path / "evil\x1b[2J.tsv"
    path.write_text("a\x1b[31m.png\t\nb.png\tc\x1b[0md\nc.png\tx\n")
    found = read_samples(path)
    assert [issue.kind for issue in found.issues] == ["empty label", "control character"]
    assert "\x1b" not in found.summary() and "\x1b" not in found.description
    assert r"evil\x1b[2J.tsv" in found.summary()


@pytest.mark.parametrize("options", [{}, {"images_folder": "images"}])
def test_an_absolute_path_inside_the_images_folder_is_accepted(tmp_path, options):
    folder = tmp_path / options.get("images_folder", "")
    names = [
        f"{folder}/a.png",
        f"{folder}/b/../../c.png",
        f"{folder}x/a.png",
        "/etc/a.png",
        "a.png",
    ]
    path = tmp_path / "labels.tsv"
    path.write_text("".join(f"{name}\t{i}\n" for i, name in enumerate(names)))
    found = read_samples(path, **{name: tmp_path / value for name, value in options.items()})
    assert [(s.image, s.text) for s in found.samples] == [
        (str(folder / "a.png"), "0"),
        (str(folder / "a.png"), "4"),
    ]
    assert {issue.kind for issue in found.issues} == {"path outside the folder"}
    assert "images_folder" in found.issues[0].reason


def test_an_absolute_path_through_a_symbolic_link_is_accepted(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    labels = tmp_path / "link/labels.tsv"
    labels.write_text(f"{tmp_path}/real/a.png\tone\n{tmp_path}/link/a.png\ttwo\n")
    assert [sample.text for sample in read_samples(labels).samples] == ["one", "two"]


def test_a_pipe_in_place_of_a_label_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "labels.tsv")
    with pytest.raises(ValueError, match=r"labels\.tsv is neither a file nor a folder"):
        read_samples(tmp_path / "labels.tsv")
    with pytest.raises(ValueError, match=r"does not exist"):
        read_samples(tmp_path / ("x" * 300))

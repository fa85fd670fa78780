"""Label files by line, the layouts of text files, and issues as a table."""

import csv

import pytest

from crnn_keras.char_dict import CharDict
from crnn_keras.data.issues import SEVERITIES, Issue, issue_line, write_issues
from crnn_keras.data.labels import LabelledSet, Sample, check_label, read_samples
from crnn_keras.images import Canvas, make_canvas


@pytest.fixture
def read(tmp_path):
    """Function `(file name, content, **options)`: writes a label file and reads it."""

    def written(name, content, **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_samples(path, **options)

    return written


def _pairs(found, folder):
    """The samples as (path below the folder, text)."""
    return [(s.image.removeprefix(f"{folder}/"), s.text) for s in found.samples]


@pytest.mark.parametrize(
    ("line", "image", "text"),
    [
        ("a.png word", "a.png", "word"),
        ("images/b.JPG Word", "images/b.JPG", "Word"),
        ("images/b.TIFF Word", "images/b.TIFF", "Word"),
        ("a.png two words", "a.png", "two words"),
        ("a.png   far  apart  ", "a.png", "far  apart"),
        ("my images/c d.jpeg word", "my images/c d.jpeg", "word"),
        ("my images/c d.jpeg two words", "my images/c d.jpeg", "two words"),
        ("a.png\tword", "a.png", "word"),
        (r"images\b.bmp word", "images/b.bmp", "word"),
        ("a.png b.png", "a.png", "b.png"),
        ("a.jpg.png word", "a.jpg.png", "word"),
        ("a.b.webp 省 市", "a.b.webp", "省 市"),
        ("two..dots.gif word", "two..dots.gif", "word"),
        ('a.tif "quoted"', "a.tif", '"quoted"'),
    ],
)
def test_sample_txt_lines(read, tmp_path, line, image, text):
    found = read("sample.txt", f"{line}\n", layout="sample_txt")
    assert _pairs(found, tmp_path) == [(image, text)]
    assert found.issues == []


@pytest.mark.parametrize(
    ("name", "row", "kind"),
    [
        ("sample.txt", "a.png", "empty label"),
        ("sample.txt", "a.png   ", "empty label"),
        ("sample.txt", "word alone", "no image"),
        ("sample.txt", "notes.txt word", "no image"),
        ("labels.tsv", "b.png\t", "empty label"),
        ("labels.tsv", "b.png\t   ", "empty label"),
        ("labels.tsv", "b.png", "empty label"),
        ("labels.tsv", "\tword", "no image"),
        ("labels.csv", "b.png,", "empty label"),
        ("labels.csv", 'b.png,""', "empty label"),
        ("labels.csv", "b.png,hello, world", "too many columns"),
        ("labels.tsv", "b.png\thello\tworld", "too many columns"),
        ("labels.csv", 'b.png,"two\nlines"', "line break in label"),
    ],
)
def test_a_row_without_a_usable_label_is_named_by_line(read, tmp_path, name, row, kind):
    between = {"sample.txt": " ", "labels.tsv": "\t", "labels.csv": ","}[name]
    good = f"a.png{between}word\n"
    found = read(name, f"{good}\n{row}\n{good}")
    assert [issue.kind for issue in found.issues] == [kind]
    assert found.issues[0].where == f"{tmp_path / name}, line 3"
    assert _pairs(found, tmp_path) == [("a.png", "word")] * 2


def test_samples_and_issues_count_lines_with_the_empty_ones(read, tmp_path):
    found = read("sample.txt", "\na.png one\n\nb.png\n   \nc.png two\n")
    assert [s.where.removeprefix(f"{tmp_path}/") for s in found.samples] == [
        "sample.txt, line 2",
        "sample.txt, line 6",
    ]
    assert found.issues[0].where.endswith("sample.txt, line 4")


OUTSIDE = [
    "/etc/a.png",
    "../a.png",
    "images/../../a.png",
    r"..\a.png",
    r"C:\images\a.png",
    "c:a.png",
    r"\\server\share\a.png",
]


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("name", ["sample.txt", "labels.tsv", "labels.csv"])
def test_a_path_that_leaves_the_folder_is_skipped_by_name(read, tmp_path, name, path):
    between = {"sample.txt": " ", "labels.tsv": "\t", "labels.csv": ","}[name]
    found = read(name, f"a.png{between}one\n{path}{between}two\n")
    assert _pairs(found, tmp_path) == [("a.png", "one")]
    (issue,) = found.issues
    assert issue.kind == "path outside the folder"
    assert issue.where.endswith(f"{name}, line 2")
    assert repr(path) in issue.reason and "relative" in issue.reason


def test_tsv_labels_may_hold_quotation_marks(read, tmp_path):
    rows = [("a.png", '"hello'), ("b.png", 'say "hi"'), ("c.png", '"all"'), ("d.png", "it's")]
    found = read("labels.tsv", "".join(f"{image}\t{text}\n" for image, text in rows))
    assert _pairs(found, tmp_path) == rows


def test_csv_labels_may_hold_commas_and_quotation_marks(read, tmp_path):
    content = 'a.png,plain\n"b,1.png","one, two"\nc.png,"say ""hi"""\nd.png,5" pipe\n'
    assert _pairs(read("labels.csv", content), tmp_path) == [
        ("a.png", "plain"),
        ("b,1.png", "one, two"),
        ("c.png", 'say "hi"'),
        ("d.png", '5" pipe'),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.csv", "image,text\nb/a.png,word\n"),
        ("labels.csv", "Text , FILE_NAME\nword,b/a.png\n"),
        ("labels.csv", 'id,"label",width,"path"\n7,word,100,b/a.png\n'),
        ("labels.csv", "\n\nwords,filename\nword,b/a.png\n"),
        ("labels.csv", "b/a.png,word\n"),
        ("labels.csv", "b/a.png,word,,\n"),
        ("labels.csv", "b/a.png , word\n"),
        ("labels.tsv", "transcription\timg\nword\tb/a.png\n"),
        ("labels.tsv", "b/a.png\tword\n"),
        ("labels.tsv", "b/a.png\tword\t\t\n"),
        ("labels.csv", "sep=;\nb/a.png;word\n"),
        ("labels.csv", "b/a.png|word\n"),
        ("labels.txt", "# made by hand\nb/a.png|word\n"),
        ("labels.txt", "no path here\nb/a.png;word\n"),
        ("labels.txt", "b/a.png\tword\n"),
        ("labels.txt", "b/a.png word\n"),
        ("sample.txt", "b/a.png word\n"),
    ],
)
def test_the_layout_is_detected_from_the_file(read, tmp_path, name, content):
    assert _pairs(read(name, content), tmp_path) == [("b/a.png", "word")]


def test_a_forced_layout_overrides_the_detected_one(read, tmp_path):
    content = "a.png,b.png\tword\n"
    assert _pairs(read("l.csv", content, layout="tsv"), tmp_path) == [("a.png,b.png", "word")]
    assert _pairs(read("l.csv", content), tmp_path) == [("a.png", "b.png\tword")]


@pytest.mark.parametrize(
    ("header", "missing"), [("drawing,text", "image, path, file"), ("image,spoken", "text, label")]
)
def test_a_header_without_a_known_column_names_the_known_ones(read, header, missing):
    with pytest.raises(ValueError, match=rf"labels\.csv, line 1: .*{missing}.*image_column"):
        read("labels.csv", f"{header}\na.png,word\n")


SAME_IN_ANY_ENCODING = "省/a.png 省市 a\nb.png 市\n"


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (SAME_IN_ANY_ENCODING.encode(), "utf-8-sig"),
        (SAME_IN_ANY_ENCODING.encode("utf-8-sig"), "utf-8-sig"),
        (SAME_IN_ANY_ENCODING.encode("gbk"), "gb18030"),
        (SAME_IN_ANY_ENCODING.encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + SAME_IN_ANY_ENCODING.encode("utf-16-be"), "utf-16"),
        (SAME_IN_ANY_ENCODING.replace("\n", "\r\n").encode(), "utf-8-sig"),
        (SAME_IN_ANY_ENCODING.replace("\n", "\r\n").encode("gbk"), "gb18030"),
        (SAME_IN_ANY_ENCODING.replace("\n", "\r").encode(), "utf-8-sig"),
    ],
    ids=["utf-8", "mark", "gbk", "utf-16-le", "utf-16-be", "crlf", "gbk crlf", "cr"],
)
def test_a_label_file_in_another_encoding_gives_the_same_samples(read, tmp_path, raw, encoding):
    found = read("sample.txt", raw)
    assert _pairs(found, tmp_path) == [("省/a.png", "省市 a"), ("b.png", "市")]
    assert found.issues == []
    assert encoding in found.description and "sample_txt" in found.description


@pytest.mark.parametrize("separator", [",", "\t"])
def test_tables_with_a_mark_and_windows_line_ends(read, tmp_path, separator):
    content = f"image{separator}text\r\na.png{separator}市\r\n".encode("utf-8-sig")
    found = read("labels.csv" if separator == "," else "labels.tsv", content)
    assert _pairs(found, tmp_path) == [("a.png", "市")]


def test_an_image_in_place_of_a_label_file_is_an_error(read):
    with pytest.raises(ValueError, match=r"a\.png"):
        read("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")


@pytest.mark.parametrize("content", ["", "\n\n  \n", "\ufeff", "image\ttext\n"])
def test_a_label_file_without_rows_is_an_error(read, content):
    with pytest.raises(ValueError, match=r"labels\.tsv is empty"):
        read("labels.tsv", content)


def test_paths_that_do_not_exist_or_do_not_have_the_layout(read, tmp_path):
    with pytest.raises(ValueError, match=r"absent\.tsv"):
        read_samples(tmp_path / "absent.tsv")
    with pytest.raises(ValueError, match="path is empty"):
        read_samples("")
    with pytest.raises(ValueError, match=r"'xml'.*'sample_txt', 'tsv', 'csv', 'jsonl'"):
        read("a.txt", "a.png word", layout="xml")
    with pytest.raises(ValueError, match=r"a\.txt .*'file_name'"):
        read_samples(tmp_path / "a.txt", layout="file_name")
    folder = tmp_path / "images"
    folder.mkdir()
    with pytest.raises(ValueError, match="images is empty"):
        read_samples(folder)
    (folder / "word.png").touch()
    with pytest.raises(ValueError, match=r"'tsv'.*labels\.tsv"):
        read_samples(folder, layout="tsv")
    with pytest.raises(ValueError, match=r"a\.txt .*'lmdb'"):
        read_samples(tmp_path / "a.txt", layout="lmdb")
    with pytest.raises(ValueError, match="file_name.*images_folder"):
        read_samples(folder, images_folder=tmp_path)


@pytest.mark.parametrize("name", ["path", "images_folder"])
@pytest.mark.parametrize("value", [5, b"labels.tsv", ["labels.tsv"], True])
def test_what_is_no_path_is_refused_by_name(tmp_path, name, value):
    (tmp_path / "labels.tsv").write_text("a.png\tone\n")
    with pytest.raises(ValueError, match=rf"^{name} is .*Expected a path"):
        read_samples(**{"path": tmp_path / "labels.tsv", name: value})


def test_a_folder_is_read_by_its_label_file_or_else_by_its_names(tmp_path):
    (tmp_path / "tree.png").touch()
    assert _pairs(read_samples(tmp_path), tmp_path) == [("tree.png", "tree")]
    (tmp_path / "sample.txt").write_text("tree.png oak")
    assert _pairs(read_samples(tmp_path), tmp_path) == [("tree.png", "oak")]
    by_name = read_samples(tmp_path, layout="file_name")
    assert _pairs(by_name, tmp_path) == [("tree.png", "tree")]
    assert [issue.kind for issue in by_name.issues] == ["no image"]


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        (["labels.csv", "labels.tsv"], {"csv": "labels.csv", "tsv": "labels.tsv"}),
        (["labels.jsonl", "sample.txt"], {"jsonl": "labels.jsonl", "sample_txt": "sample.txt"}),
        (["labels.tsv", "sample.txt"], {}),
        (["labels.tsv", "rec_gt_train.txt"], {"paddleocr": "rec_gt_train.txt"}),
        (["rec_gt_test.txt", "rec_gt_train.txt"], {}),
        (["gt.txt", "labels.json"], {"icdar": "gt.txt"}),
        (["testdata.mat", "traindata.mat"], {}),
        (["annotation_train.txt", "labels.csv", "lexicon.txt"], {"csv": "labels.csv"}),
        (["data.mdb", "labels.tsv"], {"tsv": "labels.tsv"}),
    ],
)
def test_of_several_label_files_none_is_chosen_silently(tmp_path, names, asked):
    rows = {".csv": "a.png,x", ".tsv": "a.png\tx", ".jsonl": '{"image": "a.png", "text": "x"}'}
    for name in names:
        (tmp_path / name).write_text(rows.get(name[name.index(".") :], "a.png x\n"))
    with pytest.raises(ValueError, match="2 files") as error:
        read_samples(tmp_path)
    assert all(name in str(error.value) for name in names if name != "lexicon.txt")
    for layout, name in asked.items():
        assert name in read_samples(tmp_path, layout=layout).description


def test_many_label_files_are_not_all_listed(tmp_path):
    for number in range(9):
        (tmp_path / f"rec_gt_{number}.txt").write_text("a.png\tx\n")
    with pytest.raises(ValueError, match=r"9 files.*: rec_gt_0\.txt.*rec_gt_5\.txt, \.\.\."):
        read_samples(tmp_path)


def test_paths_start_from_the_images_folder(tmp_path):
    labels = tmp_path / "notes" / "labels.tsv"
    labels.parent.mkdir()
    labels.write_text("b/a.png\tword\n")
    assert read_samples(labels).samples[0].image == f"{tmp_path}/notes/b/a.png"
    elsewhere = read_samples(labels, images_folder=tmp_path / "scans")
    assert elsewhere.samples[0].image == f"{tmp_path}/scans/b/a.png"


@pytest.mark.parametrize(
    ("text", "frames", "kind", "reason"),
    [
        ("aab", 4, None, None),
        ("aab", 3, "label too long", "'aab' needs 4 frames, its image has 3"),
        ("ab", 2, None, None),
        ("ab", 1, "label too long", "'ab' needs 2 frames"),
        ("axbyx", 25, "unknown character", "'axbyx' has 'xy', outside the char dict of 2"),
        ("A", 25, "unknown character", "'A' has 'A'"),
    ],
)
def test_a_label_that_cannot_be_trained_on(text, frames, kind, reason):
    issue = check_label(text, CharDict("ab"), frames, where="labels.tsv, line 5")
    if kind is None:
        assert issue is None
    else:
        assert (issue.kind, issue.where) == (kind, "labels.tsv, line 5")
        assert reason in issue.reason


@pytest.mark.parametrize(
    ("canvas", "frames", "helps", "not_said"),
    [
        (Canvas("stretch", 32, (16,)), 4, ["canvas of at least 40 pixels"], "stretch"),
        # A narrow image: its frames come from its own width.
        (make_canvas("keep", 216), 4, ["does not help", "mode 'stretch'", "40 pixels"], "\0"),
        # The widest canvas: the image may have been squeezed.
        (Canvas("keep", 32, (8, 16)), 4, ["wider than 16 pixels", "40 pixels", "stretch"], "\0"),
    ],
)
def test_a_label_that_is_too_long_says_what_gives_it_frames(canvas, frames, helps, not_said):
    issue = check_label("ab" * 5, CharDict("ab"), frames, where="line 1", canvas=canvas)
    assert issue.kind == "label too long"
    assert all(part in issue.reason for part in helps) and not_said not in issue.reason


def test_repeats_are_counted_after_the_case_is_folded():
    char_dict = CharDict("ab", fold_case=True)
    assert check_label("Aa", char_dict, 3, where="") is None
    assert check_label("Aa", char_dict, 2, where="").kind == "label too long"


def test_the_summary_of_a_clean_set_names_no_issue():
    sample = Sample("a.png", "a", "labels.tsv, line 1")
    found = LabelledSet([sample] * 3, description="labels.tsv: layout tsv")
    assert found.summary().splitlines() == [
        "labels.tsv: layout tsv",
        "3 rows: 3 usable, 0 skipped",
    ]


def test_the_summary_counts_the_issues_by_kind():
    kinds = ["missing file", "empty label", "empty label"]
    issues = [Issue(kind, f"line {line}", "why") for line, kind in enumerate(kinds, start=1)]
    first, second = LabelledSet([], issues).summary().splitlines()[2:]
    assert "empty label: 2" in first and "line 2: why" in first
    assert "missing file: 1" in second and "line 1: why" in second


def test_issues_are_written_as_a_table(tmp_path):
    path = tmp_path / "reports" / "issues.tsv"
    issues = [
        Issue("empty label", "labels.tsv, line 2", "'a.png' has no label."),
        Issue("near duplicate", "a\tb.tsv, line 9", "省.png is\nlike b.png.", "warning"),
    ]
    write_issues(path, issues)
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert rows == [
        ["severity", "kind", "where", "reason"],
        ["error", "empty label", "labels.tsv, line 2", "'a.png' has no label."],
        ["warning", "near duplicate", "a b.tsv, line 9", "省.png is like b.png."],
    ]
    assert path.read_bytes() == b"".join(map(issue_line, [None, *issues]))


def test_an_issue_in_a_table_cannot_command_a_terminal():
    issue = Issue("no image", "a\x1b[2J.tsv, line 1", "\u202eevil\udce9")
    assert (
        issue_line(issue).decode() == "error\tno image\ta\\x1b[2J.tsv, line 1\t\\u202eevil\\udce9\n"
    )


def test_an_issue_has_one_of_three_severities():
    assert SEVERITIES == ("error", "warning", "info")
    with pytest.raises(ValueError, match="'fatal'.*error.*warning.*info"):
        Issue("empty label", "line 1", "why", "fatal")

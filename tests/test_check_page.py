"""The page of a data check: complete, well-formed, and safe from what labels and paths hold."""

import csv
import html.parser
import re

import pytest
from matplotlib.figure import Figure
from PIL import Image

from crnn_keras.char_dict import CharDict
from crnn_keras.data.check import DataCheck, check_splits, page
from crnn_keras.data.issues import Issue
from crnn_keras.data.labels import Sample
from crnn_keras.images import Canvas

CANVAS = Canvas("stretch", 32, (400,))
NASTY = "<script>alert(1)</script>\u202egnp.\u2066&\"'"


class _Tags(html.parser.HTMLParser):
    """Checks that every tag is closed in its place, and keeps tags and texts."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []

    def handle_starttag(self, tag, attributes):
        assert [name for name, _ in attributes if name.startswith("on")] == []
        self.tags.append(tag)
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def parse(text):
    assert text.lstrip().startswith("<!doctype html>")
    parser = _Tags()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser


@pytest.fixture
def checked(tmp_path):
    """A check of 2 rows that are used, one of them a duplicate, and 2 that are skipped."""
    samples = []
    for line, (name, text) in enumerate(
        [("a.png", "ab"), ("b.png", "ab"), ("absent.png", "ab"), ("c.png", "xyz")], start=1
    ):
        path = tmp_path / "images" / name
        path.parent.mkdir(exist_ok=True)
        if name != "absent.png":
            Image.linear_gradient("L").resize((90, 30)).save(path)
        samples.append(Sample(str(path), text, f"labels.tsv, line {line}"))
    return check_splits({"train": samples, "test": []}, CharDict("abc"), CANVAS)


def read_table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_the_page_needs_no_other_file_and_has_every_issue(checked, tmp_path):
    path = tmp_path / "run" / "data_check.html"
    titled = Figure(figsize=(6.4, 2), dpi=90)
    titled.suptitle("Lengths")
    checked.write_page(path, [Figure(), Figure(), titled])
    text = path.read_text()
    parsed = parse(text)
    assert "://" not in text and {"script", "link", "iframe"}.isdisjoint(parsed.tags)
    assert text.count('<img src="data:image/png;base64,') == 3
    assert 'name="viewport"' in text and 'width="576" alt="Lengths"' in text
    assert "<figcaption>Lengths</figcaption>" in text and "prefers-color-scheme: dark" in text
    assert "Data check: run" in parsed.texts
    checked.write_page(path, name="my <set>")
    assert "Data check: my <set>" in parse(path.read_text()).texts
    headings = ["Splits", "Overview", "Figures", "Skipped", "Warnings", "Notes", "Characters"]
    assert [one for one in parsed.texts if one in headings] == headings
    kinds = {"missing file", "unknown character", "exact duplicate", "unused characters"}
    kinds |= {"rare characters", "labels hardly differ", "few training images", "empty split"}
    assert {issue.kind for issue in checked.issues} == kinds
    for issue in checked.issues:
        assert {issue.kind, issue.where, issue.reason} <= set(parsed.texts)
    table = read_table(path.parent / "issues.tsv")
    columns = ("severity", "kind", "where", "reason")
    assert [tuple(row.values()) for row in table] == [
        tuple(getattr(issue, column) for column in columns) for issue in checked.issues
    ]


def test_numbers_and_booleans_are_written_for_people(checked, tmp_path):
    checked.num_samples["train"] = 1234567
    checked.write_page(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert '<td class="number">1,234,567</td>' in text and '<th class="number">samples</th>' in text
    assert '<td class="number">yes</td>' in text and '<td class="number">no</td>' in text


@pytest.mark.parametrize("splits", [{}, {"train": []}])
def test_a_page_without_samples(splits, tmp_path):
    check_splits(splits, CharDict("ab"), CANVAS).write_page(tmp_path / "page.html")
    parsed = parse((tmp_path / "page.html").read_text())
    assert "Skipped" not in parsed.texts
    assert ("No row was skipped" in "".join(parsed.texts)) == (not splits)
    table = read_table(tmp_path / "issues.tsv")
    assert [row["kind"] for row in table] == ["empty split"] * len(splits)


def test_labels_and_paths_cannot_break_the_page(tmp_path):
    path = tmp_path / "<script>alert(2)<" / "script>.png"
    path.parent.mkdir()
    Image.linear_gradient("L").resize((300, 30)).save(path)
    samples = [
        Sample(str(path), NASTY, "<i>\u202e0\udc80"),
        Sample(str(path), NASTY, "<i>1"),
        Sample(str(path.parent / "absent.png"), NASTY, "<i>2"),
    ]
    char_dict = CharDict("".join(dict.fromkeys(NASTY)), normalization="none")
    checked = check_splits(
        {"<b>part\u202e": samples}, char_dict, CANVAS, issues=[Issue("<u>", "<u>\u2067", NASTY)]
    )
    folder = tmp_path / "<em>run"
    checked.write_page(folder / "data_check.html", [Figure()])
    text = (folder / "data_check.html").read_text()
    parsed = parse(text)
    assert {"script", "i", "u", "em"}.isdisjoint(parsed.tags)
    # Only the kinds are bold.
    assert parsed.tags.count("b") == len({issue.kind for issue in checked.issues})
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&lt;U+202E&gt;gnp." in text
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", text)
    for shown in ("<i><U+202E>0<U+DC80>", "<b>part<U+202E>", "<u><U+2067>", "Data check: <em>run"):
        assert shown in parsed.texts
    assert any("<script>alert(2)</absent.png does not exist" in one for one in parsed.texts)
    assert not re.search("[\u202a-\u202e]", (folder / "issues.tsv").read_text())


def test_a_long_list_is_cut_on_the_page_and_complete_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "MOST", 20)
    issues = [Issue("missing file", f"row {n:04}.", "gone") for n in range(30)]
    issues += [
        Issue("exact duplicate", f"line {n:04}.", "why", "warning", drop=True, row=n)
        for n in range(50)
    ]
    facts = check_splits({}, CharDict("ab"), CANVAS).facts
    characters = CharDict("".join(map(chr, range(0x4E00, 0x4E64))))
    checked = DataCheck({}, issues, facts, char_dict=characters, num_samples={})
    checked.write_page(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    # Each first line comes once more in the overview.
    assert text.count("line 00") == 21 and text.count("row 00") == 21
    assert "and 30 more, in issues.tsv" in text and "and 10 more, in issues.tsv" in text
    assert "and 80 more." in text
    assert len(read_table(tmp_path / "issues.tsv")) == 80

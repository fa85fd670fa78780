"""The Chinese notebooks: complete, with the code of the English, and called stale when they are."""

import collections
import json
import pathlib
import re

import keep_outputs
import nbformat
import pytest

from crnn_keras.notebook.exercises import chinese as hints
from tools import chinese, classroom, open_anywhere

ROOT = pathlib.Path(__file__).parent.parent
NAMES = chinese.list_translated()
FINAL = {
    "00_read_a_word",
    "01_characters",
    "02_prepare_data",
    "03_model_and_ctc",
    "03b_decoding",
    "03c_when_ctc_fails",
    "05_evaluate",
    "05b_confidence",
    "07_chinese",
}
# What a Chinese sentence does not hold: ASCII punctuation after a Chinese character.
HALF_WIDTH = re.compile(r"[\u4e00-\u9fff][,;:?!]")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder of the notebooks in Chinese."""
    folder = tmp_path_factory.mktemp("chinese")
    chinese.build(folder)
    return folder


def read(path):
    return nbformat.read(path, as_version=4)


def texts_of(notebook):
    cells = [cell for cell in notebook.cells if cell.id != open_anywhere.BADGES]
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


def test_no_cell_lacks_its_chinese_and_none_is_stale():
    assert set(NAMES) >= FINAL
    assert [issue for name in NAMES for issue in chinese.find_issues(name)] == []


@pytest.mark.parametrize("name", NAMES)
def test_code_and_outputs_are_those_of_the_master_but_for_hints(built, name):
    english, translated = read(chinese.NOTEBOOKS / f"{name}.ipynb"), read(built / f"{name}.ipynb")
    assert translated.metadata == english.metadata
    masters = [cell for cell in english.cells if cell.id != open_anywhere.BADGES]
    lessons = re.findall(r"notebook\.exercises import (\w+) as check", str(english.cells))
    # A lesson without a catalogue says in English whether an answer is right.
    has_hints = all(map(hints.read_catalogue, lessons))
    right = "正确：" if has_hints else "Right: "
    for own, other in zip(masters, translated.cells, strict=True):
        assert own.id == other.id
        if own.cell_type == "code":
            if "check.q" in own.source and "def q" not in own.source:
                (printed,) = other.outputs
                assert re.fullmatch(rf"({right}|请先填好).*\n", printed.text)
                printed.text = own.outputs[0].text
            other.source = other.source.replace("exercises.chinese import", "exercises import")
            assert nbformat.from_dict(own) == other
        else:
            assert own.source != other.source and re.search("[\u4e00-\u9fff]{2}", other.source)


@pytest.mark.parametrize("name", NAMES)
def test_formulas_and_code_spans_are_the_same_in_both_languages(built, name):
    english, translated = read(chinese.NOTEBOOKS / f"{name}.ipynb"), read(built / f"{name}.ipynb")
    spans = [*map(chinese.list_spans, texts_of(english))]
    assert spans == [*map(chinese.list_spans, texts_of(translated))]
    assert sum(spans, start=collections.Counter()).total() > 5


@pytest.mark.parametrize("name", NAMES)
def test_the_form_of_a_lesson_is_kept(built, name):
    english, translated = read(chinese.NOTEBOOKS / f"{name}.ipynb"), read(built / f"{name}.ipynb")
    for own, text in zip(texts_of(english), texts_of(translated), strict=True):
        for part in (r"^#+ (?:\d+[a-z]?\b)?", r"^- (?:[a-c]\)|)", r"^\d+\.", r"</?\w+>", r"\$\$"):
            assert re.findall(part, own, re.M) == re.findall(part, text, re.M), text
        answers = r"^\*\*\d\.\*\*|^([a-c])[.。]"
        assert re.findall(answers, own, re.M) == re.findall(answers, text, re.M), text
        prose = re.sub(r"`[^`]*`", "", text)
        assert not HALF_WIDTH.search(prose), HALF_WIDTH.search(prose)
    (links, own_links) = (
        re.findall(r"\]\(([^\s)]+)\)", str(texts_of(b))) for b in (translated, english)
    )
    assert links == own_links
    for link in links:
        folder = chinese.NOTEBOOKS if link.startswith("../") else built
        assert (folder / link.partition("#")[0]).is_file(), link


def test_links_lead_to_the_english_where_there_is_no_chinese():
    links = re.findall(r"\]\((\S+?\.ipynb)\)", texts_of(chinese.translate("07_chinese"))[-1])
    there = chinese.translate("07_chinese", english="../notebooks/")
    elsewhere = re.findall(r"\]\((\S+?\.ipynb)\)", texts_of(there)[-1])
    (name,) = links
    assert elsewhere == [name if pathlib.Path(name).stem in NAMES else f"../notebooks/{name}"]
    (inside,) = re.findall(
        r"\]\((\S+?\.ipynb)\)", texts_of(chinese.translate("00_read_a_word", english="../"))[-1]
    )
    assert inside == "01_characters.ipynb"


def test_a_reader_of_the_old_project_finds_its_files_and_its_error():
    text = (chinese.CHINESE / "07_chinese.md").read_text(encoding="utf-8")
    data = (chinese.CHINESE / "02_prepare_data.md").read_text(encoding="utf-8")
    assert all(word in data for word in ("write_text_tfrecords.py", "sample.txt", "labels.txt"))
    files = "char_dict.json ord_2_index_map.json index_2_ord_map.json establish_char_dict.py"
    assert all(word in text for word in [*files.split(), "train_shadownet.py", "null label"])
    assert re.findall(r"^> \| (\d) \|", text, re.M) == [*"1234567"]


@pytest.fixture
def planted(tmp_path):
    """Folder of a master of three texts and a cell of code, and of its Chinese."""
    sources = {"cell-0": "# One", "cell-1": "Two `b`, $x^2$.", "cell-3": "Three, $\\5 and `c`."}
    cells = [nbformat.v4.new_markdown_cell(text, id=own) for own, text in sources.items()]
    cells.insert(2, nbformat.v4.new_code_cell("1 + 1", id="cell-2"))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "09_a.ipynb")
    chinese.new("09_a", tmp_path, tmp_path)
    path = tmp_path / "09_a.md"
    text = path.read_text().replace("One", "一").replace("Two", "二").replace("Three", "三")
    path.write_text(text)
    assert chinese.find_issues("09_a", tmp_path, tmp_path) == []
    return tmp_path


def edit(path, change):
    """Changes the cells of a notebook in place."""
    notebook = read(path)
    notebook.cells = change(notebook.cells) or notebook.cells
    nbformat.write(notebook, path)


def test_a_stale_cell_is_named_until_it_is_stamped(planted):
    edit(planted / "09_a.ipynb", lambda cells: cells[1].update(source="Two and a half `b`, $x^2$."))
    (issue,) = chinese.find_issues("09_a", planted, planted)
    assert re.match(r"09_a\.md, cell-1: stale", issue)
    chinese.stamp("09_a", planted, planted)
    assert chinese.find_issues("09_a", planted, planted) == []


def test_a_figure_that_a_new_run_changed_is_named_until_it_is_mended(planted):
    source = "Two `b`, $x^2$: 5 of 8.7 million, 2.48 % of 1,600."
    edit(planted / "09_a.ipynb", lambda cells: cells[1].update(source=source))
    path = planted / "09_a.md"
    path.write_text(path.read_text().replace("$x^2$.", "$x^2$：870 万中有 5，1,600 的 2.84 %。"))
    (issue,) = chinese.find_issues("09_a", planted, planted)
    assert re.match(r"09_a\.md, cell-1: stale, .*Missing: \['2.48'\], added: \['2.84'\]", issue)
    chinese.stamp("09_a", planted, planted)
    (issue,) = chinese.find_issues("09_a", planted, planted)
    assert re.match(r"09_a\.md, cell-1: .*Missing: \['2.48'\], added: \['2.84'\]", issue)
    # What is a word in English may be a figure in Chinese.
    path.write_text(path.read_text().replace("2.84 %", "2.48 %，共 2 次"))
    assert chinese.find_issues("09_a", planted, planted) == []


def test_a_cell_without_chinese_is_named_and_stays_english(planted):
    added = nbformat.v4.new_markdown_cell("## Four", id="cell-4")
    edit(planted / "09_a.ipynb", lambda cells: cells + [added])
    (issue,) = chinese.find_issues("09_a", planted, planted)
    assert re.match(r"09_a\.md, cell-4: .*'Four'", issue)
    assert texts_of(chinese.translate("09_a", planted, planted))[-1] == "## Four"
    chinese.new("09_a", planted, planted)
    # The English is there to be translated, and is no translation.
    assert "## Four" in (planted / "09_a.md").read_text()
    assert len(chinese.find_issues("09_a", planted, planted)) == 1


def test_texts_follow_their_cells_to_other_ids(planted):
    def renumber(cells):
        cells.insert(1, nbformat.v4.new_markdown_cell("New", id="new"))
        for index, cell in enumerate(cells):
            cell.id = f"cell-{index}"

    edit(planted / "09_a.ipynb", renumber)
    assert len(chinese.find_issues("09_a", planted, planted)) == 4
    chinese.stamp("09_a", planted, planted)
    (issue,) = chinese.find_issues("09_a", planted, planted)
    assert re.match(r"09_a\.md, cell-1: no Chinese", issue)
    assert [t.id for t in chinese.read_texts(planted / "09_a.md")] == ["cell-0", "cell-2", "cell-4"]


@pytest.mark.parametrize(
    ("before", "after", "fact"),
    [
        ("`b`", "`B`", r"cell-1: .*Missing: \['`b`'\], added: \['`B`'\]"),
        ("x^2", "x^3", r"cell-1: .*x\^3"),
        ("`c`.", "`c`.\n\n> **译注** `char_dict.json`\n> 和 $y$", None),
        ("cell-3", "cell-9", "cell-9: the notebook has no such cell"),
    ],
)
def test_other_formulas_code_or_cells_are_named_but_for_notes(planted, before, after, fact):
    path = planted / "09_a.md"
    path.write_text(path.read_text().replace(before, after))
    issues = "\n".join(chinese.find_issues("09_a", planted, planted))
    assert re.search(fact, issues) if fact else not issues


def test_a_text_that_belongs_to_no_cell_or_to_two_is_refused(planted):
    path = planted / "09_a.md"
    path.write_text("前言\n" + path.read_text())
    with pytest.raises(chinese.ChineseError, match=r"09_a\.md: '前言'"):
        chinese.find_issues("09_a", planted, planted)
    path.write_text(path.read_text().removeprefix("前言\n").replace("cell-3", "cell-1"))
    with pytest.raises(chinese.ChineseError, match=r"09_a\.md: cell-1 occurs 2 times"):
        chinese.stamp("09_a", planted, planted)


def test_masters_have_ids_that_outlive_a_run():
    for path in sorted(chinese.NOTEBOOKS.glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        ids = [cell["id"] for cell in notebook["cells"]]
        assert notebook["nbformat_minor"] >= 5 and len({*ids}) == len(ids), path.name
    kept = keep_outputs.clean(read(chinese.NOTEBOOKS / "01_characters.ipynb"))
    assert [cell.id for cell in kept.cells][:2] == ["cell-0", "cell-1"]


def test_a_class_can_be_chinese(tmp_path, capsys):
    classroom.main([str(tmp_path), "--language", "zh"])
    student = read(tmp_path / "student" / "01_characters.ipynb")
    assert "练习 1" in str(texts_of(student)) and "solution" not in str(student.cells)
    assert (tmp_path / "teacher" / "04_train.ipynb").is_file()
    makefile = (ROOT / "Makefile").read_text()
    assert "tools/classroom.py $(if $(filter zh,$(LANG)),build/class-zh --language zh)" in makefile


def test_the_site_links_both_languages(tmp_path):
    pytest.importorskip("sphinx", reason="the extra is missing: pip install -e '.[site]'")
    from tools import website

    website.gather(tmp_path, with_npm=False)
    assert {path.stem for path in (tmp_path / "zh").glob("*.ipynb")} == set(NAMES)
    for name in NAMES:
        for link in re.findall(
            r"\]\((\S+?\.ipynb)\)", str(texts_of(read(tmp_path / f"zh/{name}.ipynb")))
        ):
            assert (tmp_path / "zh" / link).is_file(), link

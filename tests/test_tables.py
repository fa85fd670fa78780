"""Tables of notebooks: words stand on the left, numbers on the right, as a browser computes it."""

import doctest
import re

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from crnn_keras.notebook import tables

FRAME = pd.DataFrame({"text": ["exit", "é"], "edits": [1, 12]}, index=["a", "b"])


def test_examples():
    assert doctest.testmod(tables).failed == 0


@pytest.fixture
def shell():
    """A kernel's shell that shows tables aligned, asked twice."""
    shell = InteractiveShell()
    tables.align_tables(shell)
    tables.align_tables(shell)
    return shell


def left_of(html):
    """The selectors that are aligned left, without the table's id."""
    rules = re.findall(r"#[Tt]\w+ ([^{]+) {\s*text-align: left;", html)
    return [rule for selectors in rules for rule in re.split(r",\s*#[Tt]\w+ ", selectors)]


def test_a_kernel_aligns_words_left_and_numbers_right(shell):
    data, _ = shell.display_formatter.format(FRAME)
    assert left_of(data["text/html"]) == [
        "th:nth-child(1)",
        ":is(th:nth-child(2), td:nth-of-type(1))",
    ]
    assert data["text/plain"] == repr(FRAME)
    data, _ = shell.display_formatter.format(FRAME.style.hide(axis="index"))
    heading, name = ":where(.row_heading.level0)", ":where(.index_name.level0)"
    assert left_of(data["text/html"]) == [heading, name, ":where(.col0)"]
    assert ":where(th)" in data["text/html"] and ":where(td)" in data["text/html"]


def test_equal_frames_have_equal_html_and_what_pandas_wrote_stays(shell):
    html = tables.format_frame(FRAME)
    assert html == tables.format_frame(FRAME.copy()) != tables.format_frame(FRAME[::-1])
    own, rest = FRAME._repr_html_(), re.sub(r"    #t\w+ .+\n| id=\"t\w+\"", "", html)
    assert rest == own


def test_the_style_of_a_cell_is_stronger_and_the_styler_is_not_changed():
    styler = FRAME.style.set_properties(**{"text-align": "center"})
    before = styler.to_html(table_uuid="same")
    html = tables.format_styler(styler)
    assert html.rindex("text-align: left") < html.index("text-align: center")
    assert styler.to_html(table_uuid="same") == before


@pytest.mark.parametrize(
    ("table", "left"),
    [
        (FRAME.set_index("text", append=True), ["th:nth-child(1)", "th:nth-child(2)"]),
        (pd.DataFrame({"n": [1.5]}), []),
        (pd.DataFrame(index=[1], columns=range(40)), []),
        (pd.concat([FRAME], axis=1, keys=["k"]), ["th:nth-child(1)"]),
        (pd.DataFrame({"t": ["a"] * 90}), [":is(th:nth-child(2), td:nth-of-type(1))"]),
        (FRAME[:0], ["th:nth-child(1)", ":is(th:nth-child(2), td:nth-of-type(1))"]),
    ],
    ids=["levels", "numbers", "wide", "headers", "long", "empty"],
)
def test_other_tables_are_aligned_as_far_as_cells_can_be_told(table, left):
    with pd.option_context("display.max_columns", 20):
        assert left_of(tables.format_frame(table)) == left


def test_pandas_may_be_set_to_write_no_html():
    with pd.option_context("display.notebook_repr_html", False):
        assert tables.format_frame(FRAME) is None

"""Pages of executed notebooks: formulas are MathML, figures sharp, and no host is asked."""

import base64
import logging
import re

import bs4
import nbformat
import pytest
from matplotlib.figure import Figure

from crnn_keras.notebook import NotebookRun
from crnn_keras.notebook.executed import (
    align_tables,
    convert_formula,
    export_notebook,
    make_exporter,
)

SCORE = r"$$\hat w = \arg\max_{d(w, \hat y) \le 2} \log p(w \mid x)$$"
MARKDOWN = rf"""# A lesson

A path $\pi$ costs $5 or $6, and `$x$` is code:

{SCORE}

```python
price = "$a$"
```
"""


@pytest.fixture(scope="module")
def exporter():
    return make_exporter()


def page_of(exporter, folder, *cells):
    notebook = nbformat.v4.new_notebook(cells=list(cells))
    return export_notebook(exporter, notebook, folder / "03_lesson.ipynb")


def markdown(text):
    return nbformat.v4.new_markdown_cell(text)


def code(source, *outputs):
    return nbformat.v4.new_code_cell(source, outputs=list(outputs), execution_count=1)


def parts(page):
    """MathML of a page: the inline formulas, and the displayed ones."""
    found = re.findall(r"<math .*?</math>", page)
    return [[one for one in found if f'display="{kind}"' in one] for kind in ("inline", "block")]


def image_of(page):
    image = bs4.BeautifulSoup(page, "html.parser").find("img")
    return {"src": image["src"].split(",")[1], **{n: image.get(n) for n in ("width", "alt")}}


def test_formulas_become_mathml_and_code_stays(exporter, tmp_path):
    page = page_of(exporter, tmp_path, markdown(MARKDOWN), code("cost = '$y$'"))
    inline, displayed = parts(page)
    assert [re.sub("<.*?>", "", one) for one in inline] == ["π"]
    (score,) = displayed
    assert "<mi>arg</mi>" in score and "<munder><mi>max</mi>" in score
    assert "<mi>log</mi><mspace" in score
    assert r"\hat" not in page and r"\max" not in page
    assert "<code>$x$</code>" in page and "$a$" in page and "$y$" in page
    assert not re.search(r"""<script|(src|href|from|import)[=( ]+["']?https?://""", page)


def test_a_formula_that_is_not_known_stays_as_it_is_written(exporter, tmp_path, caplog):
    text = r"Not $\nosuchcommand{y}$, not $\frac$, but $T$." + "\n\n$$\\begin{x} a$$"
    with caplog.at_level(logging.WARNING):
        page = page_of(exporter, tmp_path, markdown(text))
    for formula in (r"$\nosuchcommand{y}$", r"$\frac$", r"$$\begin{x} a$$"):
        assert formula in page
    assert parts(page)[0] and len(parts(page)[0]) == 1
    assert [record.args[:2] for record in caplog.records] == [
        ("03_lesson", r"\nosuchcommand{y}"),
        ("03_lesson", r"\frac"),
        ("03_lesson", r"\begin{x} a"),
    ]


@pytest.mark.parametrize(
    ("formula", "content"),
    [
        (r"\texttt{h\_el}", '<mtext mathvariant="monospace">h_el</mtext>'),
        (r"|y|", '<mo stretchy="false" lspace="0" rspace="0">&#x0007C;</mo><mi>y</mi>'),
        (r"-\ln \frac{5}{27}", '<mi>ln</mi><mspace width="0.167em" /><mfrac>'),
        (r"\begin{aligned} a &= b \\ c &= d \end{aligned}", "<mtable"),
        (r"\max(a, b)", "<mi>max</mi><mo"),
    ],
)
def test_mathml_is_spaced_as_tex_does(formula, content):
    assert content in convert_formula(formula)


@pytest.mark.parametrize("formula", ["", "{", r"\left(", "a & b", r"\sum_", r"\foo"])
def test_what_is_no_formula_is_refused(formula):
    with pytest.raises(ValueError, match=r"\w"):
        convert_formula(formula)


def test_the_page_shows_the_sharp_file_of_a_figure(exporter, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = NotebookRun("03_lesson", "mine")
    data, metadata = run.show(Figure(figsize=(3, 1), dpi=100), "curve")._repr_mimebundle_()
    output = nbformat.v4.new_output("display_data", data, metadata=metadata)
    page = page_of(exporter, run.reports, code("show()", output))
    kept = (run.reports / "figures/03_lesson_curve.png").read_bytes()
    sharp = base64.b64encode(kept).decode()
    assert image_of(page) == {"src": sharp, "width": "300", "alt": "curve"}
    # Without the file, what the notebook holds is shown.
    (run.reports / "figures/03_lesson_curve.png").unlink()
    page = page_of(exporter, run.reports, code("show()", output))
    assert image_of(page) == {"src": data["image/png"].strip(), "width": "300", "alt": "curve"}


def test_columns_of_texts_are_aligned_left_and_numbers_right(exporter, tmp_path):
    head = "<thead><tr><th></th><th>text</th><th>count</th></tr></thead>"
    body = (
        "<tr><th>0</th><td>wring</td><td>1,234</td></tr><tr><th>1</th><td>7</td><td>5.0%</td></tr>"
    )
    table = f"<table>{head}<tbody>{body}</tbody></table>"
    aligned = align_tables(table)
    assert re.findall(r'<t[hd] class="text">(.*?)<', aligned) == ["text", "wring", "7"]
    assert align_tables("<p>no table</p>") == "<p>no table</p>"
    output = nbformat.v4.new_output("display_data", {"text/html": table})
    assert '<td class="text">wring</td>' in page_of(exporter, tmp_path, code("table", output))


def test_a_phone_shows_the_page_without_scrolling_sideways(exporter, tmp_path, browser):
    wide = "$$" + " + ".join(f"a_{{{i}}}" for i in range(60)) + "$$"
    rows = "".join(f"<td>column {i}</td>" for i in range(30))
    output = nbformat.v4.new_output(
        "display_data", {"text/html": f"<table><tr>{rows}</tr></table>"}
    )
    page = page_of(exporter, tmp_path, markdown(wide), code("x = 1  # " + "long " * 60, output))
    (tmp_path / "page.html").write_text(page)
    tab = browser.new_page(viewport={"width": 400, "height": 800})
    tab.goto((tmp_path / "page.html").as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") == 400
    # What is wider is scrolled by itself, not cut.
    for selector in (".formula", ".jp-InputArea-editor", "table"):
        sizes = "e => [e.scrollWidth > e.clientWidth, getComputedStyle(e).overflowX]"
        assert tab.locator(selector).evaluate(sizes) == [True, "auto"], selector
    tab.close()

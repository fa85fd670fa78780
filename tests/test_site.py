"""The site: built with warnings as errors, complete, on its own, and looked at in Chromium."""

import functools
import http.server
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import urllib.parse

import bs4
import nbformat
import pytest
from contrast import contrast
from npm_network import skip_without_npm

import crnn_keras

ROOT = pathlib.Path(__file__).parent.parent
SITE = ROOT / "docs" / "site"
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
PAGES = (
    "index.html",
    "notebooks/03_model_and_ctc.html",
    "zh/07_chinese.html",
    "api/inference.html",
    "docs/cli.html",
    "docs/benchmarks.html",
    "docs/glossary.html",
    "docs/teaching.html",
)

for module in ("furo", "myst_nb", "sphinx_copybutton", "sphinx_design"):
    pytest.importorskip(module, reason="the extra is missing: pip install -e '.[site]'")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Folder of the site, without what npm brings."""
    folder = tmp_path_factory.mktemp("built") / "site"
    command = [sys.executable, "tools/website.py", "build", str(folder), "--no-npm"]
    environment = {n: v for n, v in os.environ.items() if n != "KERAS_BACKEND"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def pages(site):
    """The pages of the site, parsed, by path."""
    found = {path.relative_to(site).as_posix(): path for path in site.rglob("*.html")}
    return {
        name: bs4.BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for name, path in found.items()
    }


@pytest.fixture(scope="module")
def address(site):
    """Address of the site on the loopback."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_document_and_notebook_has_a_page(site, pages):
    documents = {f"docs/{path.stem}.html" for path in (ROOT / "docs").glob("*.md")}
    lessons = {f"notebooks/{name}.html" for name in NOTEBOOKS}
    assert documents | lessons | {"README.zh.html", "crnn_keras/readers/README.html"} <= set(pages)
    menu = {urllib.parse.unquote(a["href"]) for a in pages["index.html"].select(".sidebar-tree a")}
    assert documents | lessons <= menu
    for name in NOTEBOOKS:
        copy = (site / "notebooks" / f"{name}.ipynb").read_bytes()
        assert copy == (ROOT / "notebooks" / f"{name}.ipynb").read_bytes()


def test_outputs_are_those_of_the_repository(pages):
    notebook = nbformat.read(ROOT / "notebooks" / "03_model_and_ctc.ipynb", as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    page = pages["notebooks/03_model_and_ctc.html"]
    shown = page.get_text()
    printed = [output.text for output in outputs if output.output_type == "stream"]
    assert printed and all(line in shown for text in printed for line in text.splitlines())
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    images = page.select(".cell_output img")
    assert len(images) == len(figures) >= 3
    assert all(image["alt"] and not image["alt"].startswith("../") for image in images)


def test_a_lesson_and_its_chinese_lead_to_each_other(site, pages):
    links = {a["href"] for a in pages["README.zh.html"].select("article a[href]")}
    for name in (path.stem for path in (ROOT / "notebooks" / "zh").glob("*.md")):
        english, chinese = pages[f"notebooks/{name}.html"], pages[f"zh/{name}.html"]
        assert english.select_one(f'.lesson-bar a[href="../zh/{name}.html"]')["lang"] == "zh-CN"
        assert chinese.select_one(f'.lesson-bar a[href="../notebooks/{name}.html"]')
        assert (english.html["lang"], chinese.html["lang"]) == ("en", "zh-CN")
        assert len(english.select("article math")) == len(chinese.select("article math"))
        assert len(english.select(".cell_output img")) == len(chinese.select(".cell_output img"))
        assert (site / "zh" / f"{name}.ipynb").is_file()
        assert f"zh/{name}.html" in links and f"notebooks/{name}.html" not in links


def test_formulas_need_no_script(pages):
    page = pages["notebooks/03_model_and_ctc.html"]
    assert len(page.select(".formula > math")) >= 1 and page.find("munderover")
    for name, found in pages.items():
        assert "mathjax" not in str(found).lower(), name
        assert not found.select("math merror"), name


def test_every_public_name_has_an_anchor_and_a_signature(pages):
    anchors = {tag["id"]: tag for name, page in pages.items() if "api/" in name
               for tag in page.select("dt[id]")}  # fmt: skip
    for name in crnn_keras.__all__:
        described = anchors[f"crnn_keras.{name}"]
        assert described.select(".sig-paren"), name
        assert described.find_next_sibling("dd").find("p"), name
    # Methods of a base of ours are there, those of Keras are not.
    assert "crnn_keras.Recognizer.read" in anchors and "crnn_keras.CRNN.fit" not in anchors
    sections = {tag.get_text() for tag in pages["api/inference.html"].select("dl.field-list dt")}
    assert {"Parameters:", "Returns:", "Raises:"} <= sections


def test_names_in_the_text_lead_to_the_interface(pages):
    links = {a["href"] for a in pages["docs/guide.html"].select("article a")}
    assert "../api/inference.html#crnn_keras.Recognizer" in links


def test_nothing_is_loaded_from_another_host(site, pages):
    for name, page in pages.items():
        for tag, attribute in LOADED.items():
            for found in page.find_all(tag):
                if tag == "link" and not {"stylesheet", "icon", "preload"} & set(found["rel"]):
                    continue
                value = found.get(attribute, "")
                assert not re.match(r"(https?:)?//", value), f"{name}: {found}"
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", path.read_text("utf-8")), path


def test_every_link_within_the_site_leads_somewhere(site, pages):
    anchors = {
        name: {tag.get("id") or tag["name"] for tag in page.select("[id], a[name]")}
        for name, page in pages.items()
    }
    for name, page in pages.items():
        for link in page.find_all("a", href=True):
            target, _, anchor = urllib.parse.unquote(link["href"]).partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            path = os.path.normpath(os.path.join(os.path.dirname(name), target)) if target else name
            assert (site / path).is_file(), f"{name}: {link['href']}"
            if anchor and path in anchors:
                assert anchor in anchors[path], f"{name}: {link['href']}"


def test_the_search_knows_the_lattice(site):
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert re.search(r'"?lattic"?:', index)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone_and_ask_no_other_host(browser, address, scheme):
    with browser.new_context(
        viewport={"width": 400, "height": 800}, color_scheme=scheme
    ) as context:
        # A machine that is busy loads a page in minutes.
        context.set_default_timeout(180_000)
        asked, said = [], []
        context.on("request", lambda request: asked.append(request.url))
        context.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
        context.on("weberror", lambda error: said.append(str(error.error)))
        tab = context.new_page()
        for name in PAGES:
            tab.goto(address + name)
            assert tab.evaluate("document.documentElement.scrollWidth") <= 400, name
            for selector in ("article h1", "article p", "article a:not(.headerlink)"):
                if tab.locator(selector).count():
                    assert contrast(tab, selector) >= 4.5, f"{name}: {selector}"
        assert not said
        assert {url for url in asked if not url.startswith((address, "data:"))} == set()


def test_the_search_finds_the_notebook_about_the_lattice(browser, address):
    with browser.new_context() as context:
        tab = context.new_page()
        tab.goto(f"{address}search.html?q=lattice")
        tab.wait_for_selector("#search-results li")
        found = tab.eval_on_selector_all("#search-results li a", "links => links.map(a => a.href)")
        assert any("03_model_and_ctc" in link for link in found)


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    """Folder of the slides, and of nothing else."""
    from tools import website

    folder = tmp_path_factory.mktemp("slides")
    shutil.copytree(SITE / "static", folder / "_static")
    with skip_without_npm():
        website.write_slides(folder)
    return folder


def test_slides_can_be_shown_without_a_network(browser, slides):
    with browser.new_context(viewport={"width": 1280, "height": 720}) as context:
        asked, said = [], []
        context.on("request", lambda request: asked.append(request.url))
        context.on("weberror", lambda error: said.append(str(error.error)))
        tab = context.new_page()
        tab.goto((slides / "notebooks" / "03_model_and_ctc.slides.html").as_uri())
        tab.wait_for_selector(".reveal.ready section.present h1")
        first = tab.locator("section.present > section.present").inner_text()
        tab.keyboard.press("ArrowRight")
        tab.wait_for_selector("section.present > section.present h2")
        assert tab.locator("section.present > section.present").inner_text() != first
        assert tab.locator("math").count() > 0 and not said
        assert all(url.startswith(("file:", "data:")) for url in asked)


def test_cells_of_slides_are_chosen_by_tags_or_by_headings():
    from tools import website

    cells = [
        ("markdown", "# 01 · Title", []),
        ("code", 'run = "lesson"', ["parameters"]),
        ("code", 'this_run = notebook.start("01", run)', []),
        ("markdown", "## 1. A section", []),
        ("code", "1 + 1", []),
        ("markdown", "A text.", []),
        ("markdown", "A remark.", ["continue"]),
        ("code", "2 + 2", ["slide"]),
        ("code", "3 + 3", ["solution"]),
        ("markdown", "## What to try", ["skip"]),
        ("code", "this_run.finish()", []),
    ]
    notebook = nbformat.v4.new_notebook()
    for kind, source, tags in cells:
        make = getattr(nbformat.v4, f"new_{kind}_cell")
        notebook.cells.append(make(source, metadata={"tags": tags}))
    chosen = website.choose_cells(notebook)
    assert [(cell.source[:6], cell.metadata.slide) for cell in chosen.cells] == [
        ("# 01 ·", ""),
        ("## 1. ", "slide"),
        ("1 + 1", "continue"),
        ("A text", "subslide"),
        ("A rema", "continue"),
        ("2 + 2", "slide"),
    ]


@pytest.mark.parametrize(
    ("docstring", "written"),
    [
        ("A `path` or\n`None`.", "A ``path`` or\n``None``."),
        ("Some `Canvas`es.", "Some :py:obj:`Canvas <crnn_keras.Canvas>`\\ es."),
        ("Over `two\nlines`.", "Over ``two lines``."),
        ("See `crnn_keras.train`.", "See :py:obj:`crnn_keras.train <crnn_keras.train>`."),
        ("Its own `ctc_loss`.", "Its own ``ctc_loss``."),
        (">>> '`a`'\n'`a`'", None),
        ("Returns:\n    A dict: of ids.", "Returns:\n    : A dict: of ids."),
        (
            "| a | b |\n|---|---|\n| `x` | y\\|z |",
            ".. list-table::\n   :header-rows: 1\n\n   * - a\n     - b\n   * - ``x``\n     - y|z\n",
        ),
    ],
)
def test_docstrings_become_what_sphinx_reads(monkeypatch, docstring, written):
    monkeypatch.syspath_prepend(SITE)
    extension = __import__("extension")
    lines = docstring.split("\n")
    extension.write_rst(None, "function", "crnn_keras.ctc_loss", None, None, lines)
    if written is not None:
        assert "\n".join(lines) == written
    else:
        assert lines[0] == docstring.split("\n")[0]

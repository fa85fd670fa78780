"""Builds the site: lessons, guides, the Python interface and slides, for any static host.

    python tools/website.py build FOLDER             # make site: build/site
    python tools/website.py build FOLDER --no-npm    # without slides and the page that reads
    python tools/website.py update 5.2.1             # pins another reveal.js

The sources stay where they are, readable on their own: this file gathers them into a folder for
Sphinx, with pages that are made of the package and of the notebooks. Notebooks are shown as they
are in the repository, and not run. Warnings are errors, links within the site are checked, and
neither the build nor the site asks another host, but for npm, which brings reveal.js for the slides
and ONNX Runtime Web for the page that reads (`tools/demo.py`).
"""

from __future__ import annotations

import argparse
import ast
import base64
import copy
import os
import pathlib
import re
import shutil
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import jinja2  # noqa: E402
import nbformat  # noqa: E402

from crnn_keras.notebook.executed import align_tables, make_exporter  # noqa: E402
from tools import chinese, demo, open_anywhere  # noqa: E402
from tools.npm import NpmError, run_npm  # noqa: E402

SITE = ROOT / "docs" / "site"
_READERS = ROOT / "crnn_keras" / "readers"
# Documents, by where they are in the repository. What they link to goes along.
PAGES = (
    "README.md",
    "README.zh.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    *(f"crnn_keras/readers/{path.name}" for path in sorted(_READERS.glob("*.md"))),
    "docs/demo/README.md",
)
# The wings of the front door, in the order of the pages.
API = {
    "inference": "Reading and export",
    "training": "Training",
    "evaluation": "Evaluation",
    "model": "Network, CTC and decoding",
    "data": "Labels and records",
    "char_dict": "Characters",
    "images": "Canvas",
    "synth": "Rendered words",
}
SLIDES = ("01_characters", "03_model_and_ctc", "05_evaluate")
# Tags that say of a cell what it is in the slides. Without one, headings and texts begin slides.
ROLES = ("slide", "subslide", "fragment", "continue", "skip")
REVEAL = ("reveal.js", "reveal.css")
# What folds a solution in Chinese. In English it stands in docs/site/conf.py.
_SOLUTION_ZH = {"code_prompt_show": "显示解答", "code_prompt_hide": "隐藏解答"}
_LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
_ABSOLUTE = re.compile(r"[a-z]+:")
_CARDS = jinja2.Template(
    """\
:::::{grid} 1 2 2 3
:gutter: 2
:class-container: lessons
{% for lesson in lessons %}
::::{grid-item-card} {{ lesson.title }}
:link: {{ lesson.page }}
:link-type: doc
{%- if lesson.image %}
:img-bottom: {{ lesson.image }}
:img-alt:
{%- endif %}

{{ lesson.promise }}
{% if lesson.time %}
:::{card-footer}
{{ lesson.time }} on 2 cores
:::
{% endif %}
::::
{% endfor %}:::::
{% if slides %}
As slides: {% for lesson in lessons if lesson.name in slides -%}
<a href="{{ lesson.page }}.slides.html">{{ lesson.title }}</a>
{%- if not loop.last %}, {% endif %}{% endfor %}.
{% endif %}"""
)


class SiteError(Exception):
    """What went wrong, and how to mend it, in one sentence each."""


def build(folder: pathlib.Path, *, with_npm: bool = True) -> None:
    """Builds the site.

    Args:
        folder: Folder to write into: a new or empty one, or one of an earlier build, which is
            replaced.
        with_npm: Whether to build what needs npm: slides, and the page that reads. Defaults to
            `True`.

    Raises:
        SiteError: The folder holds something else, or Sphinx found something wrong, which stands
            on stderr.
        NpmError: npm is missing or fails.
    """
    from sphinx.cmd.build import build_main

    if folder.exists() and not _is_ours(folder):
        raise SiteError(
            f"{folder} holds other files than an earlier build. Expected a new or an empty folder."
        )
    with tempfile.TemporaryDirectory(prefix="crnn_keras_site_") as temporary:
        source, made = pathlib.Path(temporary, "source"), pathlib.Path(temporary, "made")
        gather(source, with_npm=with_npm)
        options = ["-W", "--keep-going", "-q", "-b", "html", "-c", str(SITE)]
        options += ["-d", f"{temporary}/doctrees", *(["-t", "npm"] if with_npm else [])]
        if build_main([*options, str(source), str(made)]):
            raise SiteError("Sphinx found something wrong, see above. Paths are those of the copy.")
        # What a notebook shows in a frame, and the notebooks themselves.
        for path in sorted((ROOT / "notebooks").iterdir()):
            if path.suffix in (".html", ".ipynb"):
                shutil.copyfile(path, made / "notebooks" / path.name)
            if path.suffix == ".html":
                shutil.copyfile(path, made / "zh" / path.name)
        for name in chinese.list_translated():
            nbformat.write(_translate(name), made / "zh" / f"{name}.ipynb")
        if with_npm:
            write_slides(made)
            demo.build(made / "demo")
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(made, folder)


def _is_ours(folder):
    """Tells whether a folder is empty, or holds an earlier build."""
    return folder.is_dir() and ((folder / ".buildinfo").is_file() or not any(folder.iterdir()))


def gather(folder: pathlib.Path, *, with_npm: bool = True) -> None:
    """Copies the pages, and writes those that are made of the package and the notebooks.

    Args:
        folder: New folder.
        with_npm: Whether the pages name what npm brings. Defaults to `True`.
    """
    docs = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")]
    for name in [*PAGES, *docs]:
        text = _adapt_links((ROOT / name).read_text(encoding="utf-8"))
        _write(folder / name, _link_chinese(text) if name.endswith(".zh.md") else text)
        _copy_linked(folder, name)
    shutil.copyfile(SITE / "index.md", folder / "index.md")
    lessons = [
        _gather_notebook(folder, path) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
    ]
    for name in chinese.list_translated():
        notebook = _translate(name)
        _dress(notebook, _SOLUTION_ZH)
        _write(folder / "zh" / f"{name}.ipynb", nbformat.writes(notebook))
    _write(folder / "lessons.md", _CARDS.render(lessons=lessons, slides=SLIDES if with_npm else ()))
    for name, text in write_api().items():
        _write(folder / "api" / f"{name}.rst", text)


def _adapt_links(text):
    """Returns Markdown whose links suit the site: the README is its first page."""
    text = re.sub(r"\]\(((?:\.\./)*)README\.md(?:#[\w-]+)?\)", r"](\1index.md)", text)
    # Sphinx would offer a page that is not one of its own as a download.
    return re.sub(r"\[([^\]]+)\]\(((?!\w+:)[\w./]+\.html)\)", r'<a href="\2">\1</a>', text)


def _link_chinese(text):
    """Returns Markdown whose links to lessons lead to the Chinese ones where they exist."""
    for name in chinese.list_translated():
        text = text.replace(f"](notebooks/{name}.ipynb)", f"](zh/{name}.ipynb)")
    return text


def _copy_linked(folder, name):
    """Copies the files that a document links to; a document among them is in no menu."""
    for target in _LINK.findall((ROOT / name).read_text(encoding="utf-8")):
        path = (ROOT / name).parent / target
        if _ABSOLUTE.match(target) or not path.is_file():
            continue
        copied = pathlib.Path(os.path.normpath(path)).relative_to(ROOT).as_posix()
        if copied in PAGES or path.suffix in (".html", ".ipynb") or (folder / copied).exists():
            continue
        if path.parent == ROOT / "docs" and path.suffix == ".md":
            continue
        content = path.read_bytes()
        front = b"---\norphan: true\n---\n" if path.suffix == ".md" else b""
        _write(folder / copied, front + content)


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def _gather_notebook(folder, path):
    """Writes a notebook for Sphinx; returns what its card shows."""
    notebook = nbformat.read(path, as_version=4)
    figures = _dress(notebook)
    _write(folder / "notebooks" / path.name, nbformat.writes(notebook))
    head = notebook.cells[0].source
    title, promise = re.match(r"# (.+)\n+(.+)", head).groups()
    time = re.search(r"[\d.]+ (?:seconds|minutes)(?= on 2 CPU cores)", head)
    lesson = {"title": title, "promise": promise, "name": path.stem}
    lesson |= {"page": f"notebooks/{path.stem}", "time": time and time[0], "image": ""}
    if figures:
        lesson["image"] = f"lessons/{path.stem}.png"
        _write(folder / lesson["image"], base64.b64decode(figures[0]))
    return lesson


def _translate(name):
    """Returns a notebook in Chinese, as it stands beside the folder of the English ones."""
    return chinese.translate(name, english="../notebooks/")


def _dress(notebook, prompts=None):
    """Adds in place what Sphinx wants to know of the cells; returns the figures.

    What opens the notebook elsewhere is left out: the badges would ask other hosts.
    """
    notebook.cells = open_anywhere.remove(notebook).cells
    figures = []
    for cell in notebook.cells:
        shown = [o for o in cell.get("outputs", ()) if "image/png" in o.get("data", {})]
        figures += [output.data["image/png"] for output in shown]
        options = {"image": _describe_figure(shown[0])} if shown else {}
        if "solution" in cell.metadata.get("tags", ()):
            cell.metadata["tags"] = [*{*cell.metadata.tags, "hide-cell"}]
            options |= prompts or {}
        if options:
            cell.metadata["mystnb"] = options
        if cell.cell_type == "markdown":
            cell.source = _adapt_links(cell.source)
    return figures


def _describe_figure(output):
    """Returns the options of a figure: what is said instead of it, and how wide it is."""
    known = output.metadata.get("image/png", output.metadata)
    options = {"alt": known.get("alt", "")}
    return options | ({"width": f"{known['width']}px"} if "width" in known else {})


def write_api() -> dict[str, str]:
    """Writes the pages of the Python interface.

    Returns:
        Dict of `name: reStructuredText`: the page `index`, and one for each wing of the front door.
    """
    pages = {}
    for wing, names in list_public_names().items():
        listed = _list_names(names)
        entries = []
        for name in names:
            kind = "class" if name[0].isupper() else "function"
            entries.append(f".. auto{kind}:: crnn_keras.{name}")
            # The members of Keras' own classes, dicts and tuples have documents of their own.
            hidden = "Model, Layer, Loss, tuple, dict, object"
            members = f"\n   :members:\n   :inherited-members: {hidden}"
            entries[-1] += f"{members}\n" if kind == "class" else "\n"
        pages[wing] = f"{_underline(API[wing], '=')}\n{listed}\n" + "\n".join(entries)
    parts = []
    for wing, names in list_public_names().items():
        title = f":doc:`{API[wing]} <{wing}>`"
        parts.append(f"{_underline(title, '-')}\n{_list_names(names)}")
    menu = "\n".join(f"   {wing}" for wing in pages)
    pages["index"] = (
        f"{_underline('Python interface', '=')}\n"
        "What ``from crnn_keras import ...`` gives. A name is loaded when it is first used:\n"
        "``import crnn_keras`` imports neither Keras nor a backend.\n\n"
        f".. toctree::\n   :hidden:\n\n{menu}\n\n" + "\n".join(parts)
    )
    return pages


def list_public_names() -> dict[str, list[str]]:
    """Returns the public names of `crnn_keras` by the wing that they come from.

    They are read off the source, as importing what is behind the names takes seconds.
    """
    source = (ROOT / "crnn_keras" / "__init__.py").read_text(encoding="utf-8")
    (table,) = (
        ast.literal_eval(node.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.keyword) and node.arg == "submod_attrs"
    )
    found = {wing: [] for wing in API}
    for module, names in table.items():
        found[module.partition(".")[0]] += names
    return found


def _list_names(names):
    listed = "\n".join(f"   ~crnn_keras.{name}" for name in names)
    return f".. autosummary::\n   :nosignatures:\n\n{listed}\n"


def _underline(title, line):
    return f"{title}\n{line * len(title)}\n"


def write_slides(folder: pathlib.Path) -> None:
    """Writes the slides of `SLIDES` beside the pages of the notebooks.

    Args:
        folder: The site.

    Raises:
        NpmError: npm is missing or fails.
    """
    with tempfile.TemporaryDirectory(prefix="crnn_keras_reveal_") as temporary:
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(SITE / name, pathlib.Path(temporary, name))
        run_npm("ci", "--prefer-offline", folder=temporary)
        package = pathlib.Path(temporary, "node_modules", "reveal.js")
        for name in REVEAL:
            _write(folder / "_static" / "reveal" / name, (package / "dist" / name).read_bytes())
        _write(folder / "_static" / "reveal" / "LICENSE.txt", (package / "LICENSE").read_bytes())
    exporter = make_exporter()
    exporter.raw_template = (SITE / "slides.html").read_text(encoding="utf-8")
    exporter.register_filter("align_tables", align_tables)
    for name in SLIDES:
        notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
        named = {"metadata": {"name": name, "path": str(ROOT / "notebooks")}}
        page, _ = exporter.from_notebook_node(choose_cells(notebook), resources=named)
        _write(folder / "notebooks" / f"{name}.slides.html", page)


def choose_cells(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Chooses the cells of a notebook that its slides show.

    A cell's tag (`ROLES`) says what it is. Without one, a heading of level 1 or 2 begins a slide,
    any other text one below it, and code continues. Parameters, setup, the start, the end and the
    solutions are left out.

    Args:
        notebook: The notebook.

    Returns:
        Copy with these cells. The metadata `slide` of each says what it begins; that of the first
        is empty.
    """
    chosen = copy.deepcopy(notebook)
    chosen.cells = []
    for cell in open_anywhere.remove(notebook).cells:
        role = _find_role(cell)
        if role != "skip":
            shown = copy.deepcopy(cell)
            shown.metadata["slide"] = role if chosen.cells else ""
            chosen.cells.append(shown)
    return chosen


def _find_role(cell):
    tags = cell.metadata.get("tags", ())
    for role in ROLES:
        if role in tags:
            return role
    if {"parameters", "solution"} & set(tags) or re.search(
        r"notebook\.start\(|this_run\.finish\(", cell.source
    ):
        return "skip"
    if cell.cell_type == "markdown":
        return "slide" if re.match(r"##? ", cell.source) else "subslide"
    return "continue"


def update(version: str) -> None:
    """Pins another version of reveal.js in `docs/site`.

    Args:
        version: Such as `"5.2.1"`.

    Raises:
        NpmError: npm is missing, or does not know this version.
    """
    options = ["--package-lock-only", "--save-exact"]
    # Without addresses, which may be those of a mirror: the hashes say what is meant.
    options.append("--omit-lockfile-registry-resolved")
    run_npm("install", *options, f"reveal.js@{version}", folder=SITE)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="build the site into a folder")
    building.add_argument("folder", type=pathlib.Path, help="a new folder, or an earlier build")
    building.add_argument("--no-npm", action="store_true", help="no slides, no page that reads")
    updating = commands.add_parser("update", help="pin another version of reveal.js")
    updating.add_argument("version", help="such as 5.2.1")
    options = parser.parse_args(arguments)
    try:
        if options.command == "update":
            update(options.version)
            print(f"docs/site/package.json pins reveal.js {options.version}.")
            return 0
        build(options.folder, with_npm=not options.no_npm)
    except NpmError as error:
        print(f"{error} Or build without slides: --no-npm.", file=sys.stderr)
        return 1
    except (SiteError, demo.DemoError) as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"{options.folder} is ready. Open index.html, or serve it: "
        f"python -m http.server --bind 127.0.0.1 --directory {options.folder}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

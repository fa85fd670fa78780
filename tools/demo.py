"""Builds the page that reads words in a browser, `docs/demo`, into a folder ready to serve.

    python tools/demo.py build FOLDER                 # the shipped reader `words`
    python tools/demo.py build FOLDER --reader FILE   # one that crnn_keras.export_onnx wrote
    python tools/demo.py update 1.30.0                # pins another ONNX Runtime Web
    python -m http.server --directory FOLDER          # any static host will do

ONNX Runtime Web is no part of the repository, as it has 14 megabytes. npm fetches the version that
`docs/demo/package-lock.json` pins, and checks its hash. Of its variants the smallest is taken: a
single module and one WebAssembly file, which is packed to a quarter.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from crnn_keras import OnnxRecognizer, render_word
from crnn_keras.inference.shipped import find_file, shipped_files
from crnn_keras.synth import Style, bundled_fonts

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE, READERS = ROOT / "docs" / "demo", ROOT / "crnn_keras" / "readers"
# What npm installs by.
LOCK = ("package.json", "package-lock.json")
# Files of ONNX Runtime Web and what they are called here: not every host knows `.mjs`.
MODULE, WASM, NOTES = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm", "README.md"
# Texts of the examples with the index of their font and of their image.
EXAMPLES = (
    ("keras", 0, 0),
    ("coffee", 14, 2),
    ("exit", 6, 5),
    ("2026", 9, 1),
    ("library", 17, 8),
    ("welcome", 3, 7),
)
WORKER, KEPT_BY = "sw.js", '"@FILES@"'


class DemoError(Exception):
    """What went wrong, and how to mend it, in one sentence each."""


def build(folder: pathlib.Path, reader: str = "words") -> int:
    """Builds the page.

    Args:
        folder: Folder to write into: a new or empty one, or one of an earlier build, whose files
            are replaced.
        reader: Name of a shipped reader, or path of an `.onnx` file that `export_onnx` wrote.
            Defaults to `"words"`.

    Returns:
        Bytes that a browser loads.

    Raises:
        DemoError: The folder holds something else, the reader cannot be read in a browser, or npm
            is missing or fails.
    """
    model = _find_reader(reader)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not (folder / WORKER).is_file():
            raise DemoError(
                f"{folder} holds other files than an earlier build. Expected a new or an empty "
                "folder."
            )
    for name in ("ort", "examples", "reader"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    _copy_page(folder)
    shutil.copyfile(model, folder / "reader.onnx")
    shutil.copy(READERS / "LICENSE-language-model.txt", folder)
    _copy_runtime(folder / "ort")
    _draw_examples(folder / "examples")
    return _keep_offline(folder)


def update(version: str) -> None:
    """Pins another version of ONNX Runtime Web in `docs/demo`.

    Args:
        version: Such as `"1.30.0"`.

    Raises:
        DemoError: npm is missing, or does not know this version.
    """
    options = ["--package-lock-only", "--ignore-scripts", "--save-exact"]
    _run_npm("install", *options, f"onnxruntime-web@{version}", folder=PAGE)


def _find_reader(reader):
    """Returns the path of a reader that the page can read with."""
    try:
        path = find_file(reader, shipped_files(".onnx"), advice="Expected an exported reader.")
        char_dict = OnnxRecognizer.load(path, cores=1).char_dict
    except ValueError as error:
        raise DemoError(str(error)) from None
    if char_dict.direction != "logical":
        raise DemoError(
            f"{path} writes texts in the direction {char_dict.direction!r}, by Unicode's "
            "bidirectional algorithm, which the page does not have. Expected 'logical'."
        )
    return path


def _copy_page(folder):
    """Copies what the repository has of the page."""
    for path in sorted(PAGE.rglob("*")):
        name = path.relative_to(PAGE).as_posix()
        if path.suffix in (".html", ".css", ".js") and "node_modules" not in name:
            shutil.copyfile(path, folder / name)


def _copy_runtime(folder):
    """Lets npm fetch ONNX Runtime Web, and copies the files that are needed of it."""
    with tempfile.TemporaryDirectory(prefix="crnn_keras_demo_") as temporary:
        for name in LOCK:
            shutil.copy(PAGE / name, temporary)
        _run_npm("ci", "--ignore-scripts", "--prefer-offline", folder=temporary)
        package = pathlib.Path(temporary, "node_modules", "onnxruntime-web")
        shutil.copyfile(package / "dist" / MODULE, folder / "ort.js")
        shutil.copyfile(package / NOTES, folder / NOTES)
        content = (package / "dist" / WASM).read_bytes()
    # Without a time: the same files give the same bytes.
    (folder / "ort.wasm.gz").write_bytes(gzip.compress(content, 9, mtime=0))


def _run_npm(*arguments, folder):
    program = shutil.which("npm")
    if program is None:
        raise DemoError("npm is not on the path. Install Node.js 18 or newer, which brings it.")
    command = [program, *arguments, "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise DemoError(
            f"npm {arguments[0]} failed in {folder}: {done.stderr.strip()[-2000:]}. Expected a "
            "network that reaches the npm registry, and a lock file that fits package.json: "
            "`python tools/demo.py update VERSION` makes it anew."
        )


def _draw_examples(folder):
    """Renders the examples, and lists them with their texts."""
    fonts, style = bundled_fonts(), Style(height=64)
    rows = []
    for index, (text, font, image) in enumerate(EXAMPLES):
        name = f"{index}.png"
        render_word(text, fonts[font], style, seed=6, index=image).save(folder / name)
        rows.append({"file": name, "text": text})
    (folder / "list.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _keep_offline(folder):
    """Tells the service worker which files to keep, and their version; returns their bytes."""
    lines = (PAGE / WORKER).read_text(encoding="utf-8")
    kept = [
        path
        for name in ("*.*", "reader/*.js", "ort/*", "examples/*")
        for path in sorted(folder.glob(name))
        if path.is_file() and path.name != WORKER
    ]
    names = [path.relative_to(folder).as_posix() for path in kept]
    contents = [path.read_bytes() for path in kept]
    version = hashlib.sha256(lines.encode())
    for name, content in zip(names, contents, strict=True):
        version.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    # The page is asked for by the name of its folder too.
    files = json.dumps(["./", *names])[1:-1]
    lines = lines.replace("@VERSION@", version.hexdigest()[:16]).replace(KEPT_BY, files)
    (folder / WORKER).write_text(lines, encoding="utf-8")
    return sum(map(len, contents))


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="build the page into a folder")
    building.add_argument("folder", type=pathlib.Path, help="a new folder, or an earlier build")
    building.add_argument("--reader", default="words", help="default: words")
    updating = commands.add_parser("update", help="pin another version of ONNX Runtime Web")
    updating.add_argument("version", help="such as 1.30.0")
    options = parser.parse_args(arguments)
    try:
        if options.command == "update":
            update(options.version)
            print(f"{PAGE / LOCK[0]} pins onnxruntime-web {options.version}.")
            return 0
        size = build(options.folder, options.reader)
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"{options.folder} is ready: {size / 1e6:.1f} MB. "
        f"Serve it: python -m http.server --bind 127.0.0.1 --directory {options.folder}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

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
import base64
import gzip
import hashlib
import io
import json
import pathlib
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from crnn_keras import OnnxRecognizer, render_word  # noqa: E402
from crnn_keras.inference.shipped import find_file, shipped_files  # noqa: E402
from crnn_keras.synth import Style, bundled_fonts  # noqa: E402
from tools.npm import NpmError, run_npm  # noqa: E402

PAGE, READERS = ROOT / "docs" / "demo", ROOT / "crnn_keras" / "readers"
LICENSE, SUFFIXES = "LICENSE-language-model.txt", (".css", ".html", ".js", ".svg")
PACKAGE, WASM = "onnxruntime-web", "ort/ort.wasm.gz"
# Files of it and what they are called here: not every host knows `.mjs`, and some render `.md`.
TAKEN = {
    "dist/ort.wasm.bundle.min.mjs": "ort/ort.js",
    "dist/ort-wasm-simd-threaded.wasm": WASM,
    "README.md": "ort/README.txt",
}
# Texts of the examples with the index of their font and of their image: the first has a letter
# twice, the last is read by help of the language model.
EXAMPLES = (
    ("coffee", 14, 2),
    ("keras", 0, 0),
    ("exit", 6, 5),
    ("2026", 9, 1),
    ("library", 17, 8),
    ("garden", 4, 12),
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
        DemoError: The folder holds something else, or the reader cannot be read in a browser.
        NpmError: npm is missing or fails.
    """
    model = _find_reader(reader)
    if folder.exists() and not _is_ours(folder):
        raise DemoError(
            f"{folder} holds other files than an earlier build. Expected a new or an empty folder."
        )
    copied = {"reader.onnx": model, LICENSE: READERS / LICENSE}
    for path in sorted([*PAGE.glob("*"), *PAGE.glob("reader/*")]):
        if path.suffix in SUFFIXES:
            copied[path.relative_to(PAGE).as_posix()] = path
    files = {name: path.read_bytes() for name, path in copied.items()}
    files |= _fetch_runtime() | _draw_examples()
    files[WORKER] = _keep_offline(files)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return sum(map(len, files.values()))


def update(version: str) -> None:
    """Pins another version of ONNX Runtime Web in `docs/demo`.

    Args:
        version: Such as `"1.30.0"`.

    Raises:
        NpmError: npm is missing, or does not know this version.
    """
    options = ["--package-lock-only", "--save-exact"]
    # Without addresses, which may be those of a mirror: the hashes say what is meant.
    options.append("--omit-lockfile-registry-resolved")
    run_npm("install", *options, f"{PACKAGE}@{version}", folder=PAGE)


def _is_ours(folder):
    """Tells whether a folder is empty, or holds an earlier build."""
    return folder.is_dir() and ((folder / WORKER).is_file() or not any(folder.iterdir()))


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


def _fetch_runtime():
    """Lets npm fetch ONNX Runtime Web; returns the files that are needed of it, by name."""
    locked = json.loads((PAGE / "package-lock.json").read_text(encoding="utf-8"))
    locked = locked["packages"][f"node_modules/{PACKAGE}"]
    # Packed: its dependencies are in its module, and unpacked it has 150 megabytes.
    with tempfile.TemporaryDirectory(prefix="crnn_keras_demo_") as temporary:
        run_npm("pack", "--prefer-offline", f"{PACKAGE}@{locked['version']}", folder=temporary)
        (path,) = pathlib.Path(temporary).iterdir()
        content = path.read_bytes()
    _check_hash(content, locked["integrity"])
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        files = {own: archive.extractfile(f"package/{name}").read() for name, own in TAKEN.items()}
    # Without a time: the same files give the same bytes.
    files[WASM] = gzip.compress(files[WASM], 9, mtime=0)
    return files


def _check_hash(content, integrity):
    """Raises a `DemoError` unless a package is the one that the lock file names."""
    found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != integrity:
        raise DemoError(
            f"npm brought a {PACKAGE} with the hash {found}. Expected {integrity}, as "
            "docs/demo/package-lock.json has it: the registry or a cache on the way is damaged."
        )


def _draw_examples():
    """Renders the examples; returns them by name, with the list of their texts."""
    fonts, style = bundled_fonts(), Style(height=64)
    files, rows = {}, []
    for index, (text, font, image) in enumerate(EXAMPLES):
        buffer = io.BytesIO()
        render_word(text, fonts[font], style, seed=6, index=image).save(buffer, "PNG")
        files[f"examples/{index}.png"] = buffer.getvalue()
        rows.append({"file": f"{index}.png", "text": text})
    return files | {"examples/list.json": json.dumps(rows, indent=1).encode()}


def _keep_offline(files):
    """Returns the service worker, which knows what files to keep, and their version."""
    version = hashlib.sha256()
    for name, content in sorted(files.items()):
        version.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    # The page is asked for by the name of its folder too.
    names = ["./", *sorted(files.keys() - {WORKER})]
    lines = files[WORKER].decode().replace("@VERSION@", version.hexdigest()[:16])
    return lines.replace(KEPT_BY, json.dumps(names)[1:-1]).encode()


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
            print(f"docs/demo/package.json pins {PACKAGE} {options.version}.")
            return 0
        size = build(options.folder, options.reader)
    except (DemoError, NpmError) as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"{options.folder} is ready: {size / 1e6:.1f} MB. "
        f"Serve it: python -m http.server --bind 127.0.0.1 --directory {options.folder}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

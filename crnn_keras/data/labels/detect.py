"""Detection of the layout of a label file or folder, with the evidence for it."""

from __future__ import annotations

import json
import pathlib
import re

from crnn_keras.data.labels import file_name, icdar
from crnn_keras.data.labels.sample_txt import PATH_THEN_LABEL
from crnn_keras.data.labels.source import IMAGE_COLUMNS, SUFFIX_PATTERN, TEXT_COLUMNS, Source
from crnn_keras.data.lmdb_folder import FILE
from crnn_keras.images import SUFFIXES
from crnn_keras.utils import files

# Names of label files by layout. The first lines of a file decide which layout it has.
_NAMES = {
    "sample_txt": r"sample\.txt|labels\.txt",
    "tsv": r"labels\.tsv|labels\.txt|.*gt\.txt",
    "csv": r"labels\.csv|labels\.txt|metadata\.csv",
    "jsonl": r"labels\.jsonl|labels\.txt|metadata\.jsonl",
    "synth90k": r"annotation(_.*)?\.txt",
    "iiit5k": r"(train|test)data\.mat",
    "svt": r".*\.xml",
    "icdar": r".*gt\.txt|labels\.txt",
    "paddleocr": r"rec_gt.*\.txt|labels\.txt",
    "doctr": r"labels\.json",
}
_BY_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".mat": "iiit5k",
    ".xml": "svt",
}
_BINARY = ("iiit5k", "svt", "doctr", "lmdb")
_SYNTH90K = re.compile(r".*[0-9]+_[^_/\\]+_([0-9]+)\.\w+\s+\1")
_CSV = re.compile(rf'(.+?\.(?:{SUFFIX_PATTERN})|"[^"]+")\s*[,;]', re.I)
_FORCED = "it was asked for"
# Lines that are read, and characters of each.
_LINES, _WIDTH = 20, 1 << 16


def detect_layout(path: pathlib.Path, layout: str) -> Source:
    """Detects how a label source is to be read.

    Args:
        path: label file or folder.
        layout: string, one of the layouts, or `"auto"` to detect it.

    Returns:
        `Source`.

    Raises:
        ValueError: the layout does not fit the path; or a folder holds several label files, or
            none that the layout could read.
    """
    if path.name == FILE and path.is_file():
        path = path.parent
    if path.is_dir():
        return _detect_folder(path, layout)
    if layout == "lmdb" or layout in file_name.LAYOUTS:
        raise ValueError(f"{path} is a file, but layout {layout!r} reads a folder.")
    return _detect_file(path, layout)


def _detect_folder(folder, layout):
    if layout in (*file_name.LAYOUTS, "lmdb"):
        return Source(folder, layout, _FORCED)
    found = _find_label_files(folder, layout)
    annotations = [path for path in found if re.fullmatch(_NAMES["synth90k"], path.name.lower())]
    if layout == "synth90k" or (annotations and (folder / "lexicon.txt").is_file()):
        rest = [path.name for path in found if path not in annotations]
        if rest:
            raise _several(folder, [*(path.name for path in annotations), *rest])
        evidence = "there are annotation files and a lexicon.txt"
        return Source(folder, "synth90k", evidence if layout == "auto" else _FORCED)
    if layout == "auto" and (folder / FILE).is_file():
        if found:
            raise _several(folder, [FILE, *(path.name for path in found)])
        return Source(folder, "lmdb", f"the folder holds {FILE}")
    if len(found) > 1:
        raise _several(folder, [path.name for path in found])
    if found:
        return _detect_file(found[0], layout)
    if layout != "auto":
        names = _NAMES[layout].replace("\\", "").replace(".*", "*").replace("|", ", ")
        raise ValueError(
            f"Layout {layout!r} reads a label file, but {folder} holds none of these: {names}. "
            "Name the file itself."
        )
    if _holds_lmdbs(folder):
        return Source(folder, "lmdb", f"the folders in it hold {FILE}")
    return Source(folder, "file_name", "the folder holds no label file")


def _find_label_files(folder, layout):
    patterns = _NAMES.values() if layout == "auto" else [_NAMES[layout]]
    pattern = re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
    # Only the matching names are kept: a folder may hold millions of files.
    found = [path for path in folder.iterdir() if pattern.fullmatch(path.name.lower())]
    found = sorted(path for path in found if path.is_file())
    found = [path for path in found if path.suffix.lower() == f".{layout}"] or found
    return [path for path in found if path.suffix.lower() != ".xml" or _is_tagset(path)]


def _is_tagset(path):
    with open(path, "rb") as file:
        return b"<tagset" in file.read(4096).replace(b"\0", b"")


def _several(folder, names):
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return ValueError(
        f"{folder} holds {len(names)} files with labels: {shown}. Name the file to read, or its "
        "layout."
    )


def _holds_lmdbs(folder):
    for _, entries in file_name.walk(folder):
        names = [entry.name for entry in entries]
        if FILE in names:
            return True
        if any(name.lower().endswith(SUFFIXES) for name in names):
            return False
    return False


def _detect_file(path, layout):
    if layout in _BINARY:
        return Source(path, layout, _FORCED)
    suffix = path.suffix.lower()
    if layout == "auto" and _BY_SUFFIX.get(suffix) in _BINARY:
        return Source(path, _BY_SUFFIX[suffix], f"its name ends in {suffix}")
    with files.open_text(path) as file:
        encoding, lines = file.encoding, _first_lines(file)
    evidence = _FORCED
    if layout == "auto":
        layout, evidence = _detect_text(path, suffix, lines)
    return Source(path, layout, evidence, encoding="" if layout in _BINARY else encoding)


def _first_lines(file):
    lines = []
    while len(lines) < _LINES and (line := file.readline(_WIDTH)):
        if not line.isspace():
            lines.append(line.strip())
    return lines


def _detect_text(path, suffix, lines):
    """Returns the layout of a text file and the evidence for it."""
    first = lines[0] if lines else ""
    if suffix == ".json":
        several = len(lines) > 1 and all(map(_is_object, lines[:2]))
        return ("jsonl", "each line is an object") if several else ("doctr", "it ends in .json")
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix], f"its name ends in {suffix}"
    if re.fullmatch(r"rec_gt.*\.txt", path.name.lower()):
        return "paddleocr", "its name begins with rec_gt"
    if _SYNTH90K.fullmatch(first) and (
        path.name.lower().startswith("annotation") or (path.parent / "lexicon.txt").is_file()
    ):
        return "synth90k", "its first line names a word of a lexicon"
    if _is_object(first):
        return "jsonl", "its first line is an object of JSON"
    if any(re.match(r'\[\s*".*"\s*\]\t', line) for line in lines):
        return "paddleocr", "it has lists of images before a tab"
    if "\t" in first:
        return "tsv", "its first line has a tab"
    if icdar.QUOTED.fullmatch(first):
        return "icdar", "its first line is a path, a comma and a text in quotation marks"
    if not PATH_THEN_LABEL.match(first) and (_CSV.match(first) or _csv_header(first)):
        return "csv", "its first line has a comma after the path, or names of columns"
    return "sample_txt", "its first line has a gap after the path"


def _is_object(line):
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _csv_header(line):
    names = {name.strip(' "').lower() for name in re.split("[,;]", line)}
    return bool(names & set(IMAGE_COLUMNS) and names & set(TEXT_COLUMNS))

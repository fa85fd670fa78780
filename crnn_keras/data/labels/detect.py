"""Detection of the layout of a label file or folder, with the evidence for it."""

from __future__ import annotations

import json
import os
import pathlib
import re

from crnn_keras.data.labels import (
    file_name,
    iam,
    icdar,
    label_studio,
    lmdb,
    mmocr,
    pairs,
    parquet,
    webdataset,
)
from crnn_keras.data.labels.sample_txt import PATH_THEN_LABEL
from crnn_keras.data.labels.source import IMAGE_COLUMNS, SUFFIX_PATTERN, TEXT_COLUMNS, Source
from crnn_keras.data.labels.tables import SEPARATOR_LINE
from crnn_keras.data.lmdb_folder import FILE, is_lmdb
from crnn_keras.images import SUFFIXES
from crnn_keras.utils import files
from crnn_keras.utils.encodings import AUTO, find_encoding

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
    "mmocr": r"textrecog_.*\.json",
    "label_studio": r"project-\d+-at-.*\.json|label_studio.*\.json",
    "iam": r"words\.txt|lines\.txt|sentences\.txt",
}
_BY_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".mat": "iiit5k",
    ".parquet": "parquet",
    **dict.fromkeys(webdataset.TAR_SUFFIXES, "webdataset"),
    ".xml": "svt",
}
_BINARY = ("iiit5k", "svt", "doctr", "mmocr", "label_studio", "lmdb", "parquet", "webdataset")
# Layouts that read all of a folder.
_WHOLE_FOLDERS = (*file_name.LAYOUTS, "pairs", "lmdb", "parquet", "webdataset")
_SYNTH90K = re.compile(r".*[0-9]+_[^_/\\]+_([0-9]+)\.\w+\s+\1")
_CSV = re.compile(rf'(.+?\.(?:{SUFFIX_PATTERN})|"[^"]+")\s*[,;|]', re.I)
_IMAGE = re.compile(rf"\.(?:{SUFFIX_PATTERN})\b", re.I)
_FORCED = "it was asked for"
# Lines that are read, and characters of each.
_LINES, _WIDTH = 20, 1 << 16


def detect_layout(path: pathlib.Path, layout: str, encoding: str = AUTO) -> Source:
    """Detects how a label source is to be read.

    Args:
        path: label file or folder.
        layout: string, one of the layouts, or `"auto"` to detect it.
        encoding: string, encoding of the label file. Defaults to `"auto"`: it is found.

    Returns:
        `Source`.

    Raises:
        ValueError: the layout does not fit the path; or a folder holds several label files, or
            none that the layout could read.
    """
    if path.name == FILE and path.is_file():
        path = path.parent
    if path.is_dir():
        path = _detect_folder(path, layout)
        if isinstance(path, Source):
            path.asked_encoding = encoding
            return path
    if layout in ("auto", "lmdb") and is_lmdb(path):
        evidence = "it begins as an LMDB does" if layout == "auto" else _FORCED
        return Source(path, "lmdb", evidence, asked_encoding=encoding)
    if layout in ("lmdb", "pairs", *file_name.LAYOUTS):
        raise ValueError(f"{path} is a file, but layout {layout!r} reads a folder.")
    return _detect_file(path, layout, encoding)


def _detect_folder(folder, layout):
    """Returns the `Source` of a folder, or the path of its label file."""
    if layout in _WHOLE_FOLDERS:
        return Source(folder, layout, _FORCED)
    found = _find_label_files(folder, layout)
    texts = [path.name for path in found if re.fullmatch(r".+\.gt\.txt", path.name.lower())]
    if layout == "auto" and texts and pairs.holds_pair(os.listdir(folder), (".gt.txt",)):
        if len(found) > len(texts):
            others = [path.name for path in found if path.name not in texts[:1]]
            raise _several(folder, [texts[0], *others])
        return Source(folder, "pairs", f"each image has a text of its name, like {texts[0]}")
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
        return found[0]
    if layout != "auto":
        names = _NAMES[layout].replace("\\", "").replace(".*", "*").replace("|", ", ")
        raise ValueError(
            f"Layout {layout!r} reads a label file, but {folder} holds none of these: {names}. "
            "Name the file itself."
        )
    return _detect_tree(folder)


def _detect_tree(folder):
    """Detects the layout of a folder without a label file, by all that is in it and below it."""
    found, label_files = {}, []
    for here, entries in file_name.walk(folder):
        names = [entry.name for entry in entries]
        for name in names:
            if name.lower().endswith(parquet.SUFFIXES):
                found.setdefault("parquet", f"there are parquet files like {name}")
            if name.lower().endswith(webdataset.TAR_SUFFIXES):
                found.setdefault("webdataset", f"there are tars like {name}")
            if re.fullmatch(_NAMES["iam"], name) and _is_iam(pathlib.Path(here, name)):
                label_files.append(pathlib.Path(here, name))
        if any(name.lower().endswith(SUFFIXES) for name in names):
            if pairs.holds_pair(names):
                found.setdefault("pairs", "there are images with texts of their names")
            found.setdefault("file_name", "there are images and no label file")
    if next(lmdb.find_lmdbs(folder), None):
        found["lmdb"] = f"the folders in it hold {FILE}"
    if label_files:
        if len(label_files) > 1:
            raise _several(folder, [str(path.relative_to(folder)) for path in label_files])
        return label_files[0]
    if "pairs" in found:
        del found["file_name"]
    if len(found) > 1:
        raise ValueError(
            f"{folder} holds several kinds of sets: {'; '.join(found.values())}. Name the folder "
            f"or the file of one, or its layout: {', '.join(found)}."
        )
    layout, evidence = next(iter(found.items()), ("file_name", "the folder holds no label file"))
    return Source(folder, layout, evidence)


def _find_label_files(folder, layout):
    patterns = _NAMES.values() if layout == "auto" else [_NAMES[layout]]
    pattern = re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
    # Only the matching names are kept: a folder may hold millions of files.
    found = [path for path in folder.iterdir() if pattern.fullmatch(path.name.lower())]
    found = sorted(path for path in found if path.is_file())
    found = [path for path in found if path.suffix.lower() == f".{layout}"] or found
    return [path for path in found if _looks_right(path)]


def _looks_right(path):
    """Whether the start of a file is what its name, a common one, promises."""
    if path.suffix.lower() == ".xml":
        return _is_tagset(path)
    return not re.fullmatch(_NAMES["iam"], path.name.lower()) or _is_iam(path)


def _is_tagset(path):
    with open(path, "rb") as file:
        return b"<tagset" in file.read(4096).replace(b"\0", b"")


def _is_iam(path):
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        lines = file.read(_WIDTH).decode("latin-1").splitlines()
    return any(iam.is_row(line.strip()) for line in lines)


def _several(folder, names):
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return ValueError(
        f"{folder} holds {len(names)} files with labels: {shown}. Name the file to read, or its "
        "layout."
    )


def _detect_file(path, layout, asked):
    if layout in _BINARY:
        return Source(path, layout, _FORCED, asked_encoding=asked)
    suffix = next(filter(path.name.lower().endswith, webdataset.TAR_SUFFIXES), path.suffix.lower())
    if layout == "auto" and _BY_SUFFIX.get(suffix) in _BINARY:
        evidence = f"its name ends in {suffix}"
        return Source(path, _BY_SUFFIX[suffix], evidence, asked_encoding=asked)
    encoding = find_encoding(path, asked, allow_damage=True)
    evidence = _FORCED
    if layout == "auto":
        if suffix == ".json":
            layout, evidence = _detect_json(path, encoding)
        else:
            layout, evidence = _detect_text(path, suffix, _first_lines(path, encoding))
    if layout in _BINARY:
        encoding = ""
    return Source(path, layout, evidence, encoding=encoding, asked_encoding=asked)


def _first_lines(path, encoding):
    """Returns the start of the first lines that are neither blank nor comments."""
    lines = []
    for _, line in files.read_lines(path, encoding):
        line = line[:_WIDTH].strip()
        if line and (line[0] != "#" or _IMAGE.search(line)):
            lines.append(line)
        if len(lines) == _LINES:
            break
    return lines


def _detect_json(path, encoding):
    # Such a file may be one long line.
    with open(path, encoding=encoding, errors="replace") as file:
        start = file.read(_WIDTH)
    if mmocr.START.match(start):
        return "mmocr", "it begins with metainfo or data_list"
    if label_studio.START.match(start):
        return "label_studio", "it is a list of objects"
    lines = [line for line in start.splitlines() if not line.isspace()]
    several = len(lines) > 1 and all(map(_is_object, lines[:2]))
    return ("jsonl", "each line is an object") if several else ("doctr", "it ends in .json")


def _detect_text(path, suffix, lines):
    """Returns the layout of a text file and the evidence for it."""
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix], f"its name ends in {suffix}"
    if re.fullmatch(r"rec_gt.*\.txt", path.name.lower()):
        return "paddleocr", "its name begins with rec_gt"
    if any(re.match(r'\[\s*".*"\s*\]\t', line) for line in lines):
        return "paddleocr", "it has lists of images before a tab"
    # A damaged row may come first.
    found = (_detect_line(path, line) for line in lines)
    return next(filter(None, found), ("sample_txt", "its first lines have none of other layouts"))


def _detect_line(path, line):
    """Returns the layout that a line shows and the evidence for it, or None."""
    if iam.is_row(line):
        return "iam", "its first line is an id, a status, numbers and a text"
    if _SYNTH90K.fullmatch(line) and (
        path.name.lower().startswith("annotation") or (path.parent / "lexicon.txt").is_file()
    ):
        return "synth90k", "its first line names a word of a lexicon"
    if _is_object(line):
        return "jsonl", "its first line is an object of JSON"
    if "\t" in line:
        return "tsv", "its first line has a tab"
    if icdar.QUOTED.fullmatch(line):
        return "icdar", "its first line is a path, a comma and a text in quotation marks"
    if PATH_THEN_LABEL.match(line):
        return "sample_txt", "its first line has a gap after the path"
    if _CSV.match(line) or _csv_header(line) or SEPARATOR_LINE.fullmatch(line):
        return "csv", "its first line has a separator after the path, or names of columns"
    return None


def _is_object(line):
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _csv_header(line):
    names = {name.strip(' "').lower() for name in re.split("[,;|]", line)}
    return bool(names & set(IMAGE_COLUMNS) and names & set(TEXT_COLUMNS))

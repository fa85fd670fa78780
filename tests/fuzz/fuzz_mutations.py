"""Hypothesis strategies that damage a sound file: bytes, text, JSON and archives."""

import copy
import io
import json
import struct
import zipfile

from hypothesis import strategies as st

# Numbers that parsers of binary formats trip over, in the widths in which they are stored.
_NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1]
_PACKED = [
    struct.pack(form, number & (2 ** (8 * struct.calcsize(form)) - 1))
    for number in _NUMBERS
    for form in ("<B", "<H", ">H", "<I", ">I", "<Q", ">Q")
]
_TOKENS = [
    '"',
    "'",
    "\t",
    ",",
    ";",
    "\n",
    "\r",
    "\r\n",
    "\0",
    "\ufeff",
    "#",
    "\\",
    "../",
    "é",
    "省",
]
_TOKENS += [
    "\u202e",
    "\u0301",
    "\x1b[31m",
    "\x85",
    "\u2028",
    "{",
    "[",
    '""',
    " ",
    "𝔘",
    "x" * 300,
    "ש",
]
_RAW = [token.encode() for token in _TOKENS] + [b"\xff\xfe", b"\x80", "привет".encode("cp1251")]
_ODD = [None, True, False, -1, 0, 1, 1.5, -0.0, 1e308, 2**31, 2**63, 10**30, "", "1", "x" * 500]
_ODD += [
    "../x",
    "/etc/passwd",
    "a\0b",
    "\ud800",
    "\u202e",
    [],
    {},
    [[]],
    {"": None},
    [1, "1", None],
]

# Copies: what is drawn may be changed again.
_odd = st.sampled_from(_ODD).map(copy.deepcopy)


@st.composite
def damaged_bytes(draw, seeds, pieces=()):
    """Draws one of the seeds with one to four changes: bits, numbers, pieces, cuts, repeats."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content)))
        end = min(place + draw(st.integers(1, 64)), len(content))
        kind = draw(st.integers(0, 6))
        if kind <= 1 and place < len(content):
            content[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == 2:
            piece = draw(st.sampled_from([*_PACKED, *pieces]))
            content[place : place + len(piece)] = piece
        elif kind == 3:
            content[place:place] = draw(st.sampled_from([*_RAW, *pieces]) | st.binary(max_size=16))
        elif kind == 4:
            del content[place:end]
        elif kind == 5:
            content[place:place] = content[place:end]
        elif kind == 6:
            del content[place:]
    return bytes(content)


@st.composite
def damaged_json(draw, seeds):
    """Draws the bytes of a JSON file of which one to three values are odd, missing or added."""
    tree = json.loads(json.dumps(draw(st.sampled_from(seeds))))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(tree))
        if not places:
            break
        parent, key = places[draw(st.integers(0, len(places) - 1))]
        kind = draw(st.integers(0, 4))
        if kind <= 2:
            parent[key] = draw(_odd | st.integers() | st.floats() | st.text())
        elif kind == 3:
            del parent[key]
        elif isinstance(parent, dict):
            parent[draw(st.text(max_size=8))] = draw(_odd)
        else:
            parent.insert(key, draw(_odd))
    return json.dumps(tree).encode("utf-8", "backslashreplace")


def _places(tree):
    """Yields each container of a tree with each of its keys or indices."""
    keys = tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in list(keys):
        yield tree, key
        yield from _places(tree[key])


@st.composite
def damaged_archive(draw, seeds, json_members=()):
    """Draws a zip file: one member is damaged, removed or doubled; or all of it is, as bytes."""
    content = draw(st.sampled_from(seeds))
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return draw(damaged_bytes([content]))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    index = draw(st.integers(0, len(members) - 1))
    wanted = [i for i, (name, _) in enumerate(members) if name in json_members]
    if kind <= 3 and wanted:
        index = draw(st.sampled_from(wanted))
        name, member = members[index]
        members[index] = name, draw(damaged_json([json.loads(member)]))
    elif kind <= 4:
        name, member = members[index]
        members[index] = name, draw(damaged_bytes([member]))
    else:
        name, member = members.pop(index)
        if draw(st.booleans()):
            members += [(name, member), (draw(st.sampled_from(["../x", name, "/x"])), member)]
    written = io.BytesIO()
    method = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    with zipfile.ZipFile(written, "w", method) as archive:
        for name, member in members:
            archive.writestr(name, member)
    return written.getvalue()

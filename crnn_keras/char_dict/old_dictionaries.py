"""Character dictionaries of CRNN_Tensorflow and its Chinese branch.

They are json files of code points. `{"48_ord": "0"}` says that character `0` has index 0 (in
`char_dict.json`: that code point 48 is `0`), `{"0_index": "48"}` says the same in the other
direction. Some versions omit `_ord` and `_index`.
"""

from __future__ import annotations

import itertools
import os
import pathlib
import sys
from collections.abc import Iterable

from crnn_keras.char_dict.lists import read_json
from crnn_keras.utils import files


def read_characters(path: str | os.PathLike) -> tuple[pathlib.Path, str]:
    """Reads the characters of an old dictionary in the order of its indices.

    Args:
        path: A file whose name begins with `ord_2_index_map` or `index_2_ord_map` (the Chinese
            branch), `ord_map` (the main branch: `ord_map_en.json`), or `char_dict`, which has no
            indices: its order is that of the file. Or a folder of such files: the first of these
            that exists is read.

    Returns:
        Tuple of the file's path and its characters.

    Raises:
        ValueError: If there is no such file, or its content is not what its name says.

    Reference:
        `local_utils/establish_char_dict.py` of CRNN_Tensorflow.
    """
    path = pathlib.Path(path)
    for prefix, parse in _PARSERS.items():
        file = [path] if path.name.startswith(prefix) else []
        found = sorted(path.glob(f"{prefix}*.json")) if path.is_dir() else file
        if len(found) > 1:
            names = ", ".join(p.name for p in found)
            raise ValueError(f"{path} holds {names}. Pass the path of one of them.")
        if found:
            content = read_json(found[0])
            with files.prefix_errors(found[0]):
                if not isinstance(content, dict):
                    raise ValueError('Expected a JSON object such as {"48_ord": "0"}.')
                return found[0], parse(content)
    names = ", ".join(f"{prefix}*.json" for prefix in _PARSERS)
    raise ValueError(
        f"{path} is no json dictionary of CRNN_Tensorflow, and holds none. Expected {names}."
    )


def _parse_key(key: str) -> int:
    """Returns the integer of an old key, which is "97", "97_ord" or "3_index"."""
    try:
        return int(str(key).split("_")[0])
    except ValueError:
        raise ValueError(f"{key!r} is not of the form 97, 97_ord or 3_index.") from None


def _parse_code(code: str) -> int:
    """Returns a code point that belongs to a character."""
    number = _parse_key(code)
    if not 0 <= number <= sys.maxunicode:
        raise ValueError(f"{code!r} is no code point. Expected 0 to {sys.maxunicode}.")
    return number


def _sort_by_index(pairs: Iterable[tuple[int, int]]) -> str:
    """Returns the characters of `(index, code point)` pairs, by index."""
    pairs = sorted(pairs)
    for (index, code), (following, other) in itertools.pairwise(pairs):
        if index == following:
            raise ValueError(f"Index {index} belongs to both {chr(code)!r} and {chr(other)!r}.")
    return "".join(chr(code) for _, code in pairs)


def _parse_ord_to_index(content: dict[str, str]) -> str:
    return _sort_by_index((_parse_key(index), _parse_code(code)) for code, index in content.items())


def _parse_index_to_ord(content: dict[str, str]) -> str:
    # The main branch's ord_map.json holds both directions in one file.
    pairs = {k: v for k, v in content.items() if not str(k).endswith("_ord")}
    return _sort_by_index((_parse_key(index), _parse_code(code)) for index, code in pairs.items())


def _parse_ord_to_char(content: dict[str, str]) -> str:
    for code, character in content.items():
        if not isinstance(character, str):
            raise ValueError(f"{code!r} has {str(character)[:80]!r}. Expected a character.")
    return "".join(chr(_parse_code(code)) for code in content)


_PARSERS = {
    "ord_2_index_map": _parse_ord_to_index,
    "index_2_ord_map": _parse_index_to_ord,
    "ord_map": _parse_index_to_ord,
    "char_dict": _parse_ord_to_char,
}

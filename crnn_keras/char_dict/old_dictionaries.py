"""The character dictionaries of CRNN_Tensorflow and its Chinese branch.

They are json files of code points: `{"48_ord": "0"}` says that character `0` has index 0 (or, in
`char_dict.json`, that code point 48 is `0`), `{"0_index": "48"}` says the same the other way. Some
versions leave out `_ord` and `_index`.
"""

import itertools
import pathlib

from crnn_keras.utils import files


def read_characters(path):
    """Reads the characters of an old dictionary in the order of its indices.

    Args:
        path: a file whose name begins with `ord_2_index_map` or `index_2_ord_map` (the Chinese
            branch), `ord_map` (the main branch: `ord_map_en.json`), or `char_dict`, which has no
            indices: its order is that of the file. Or a folder of such files: the first of these
            that is there is read.

    Returns:
        Tuple of the file's path and a string of its characters.

    Raises:
        ValueError: no such file, or a file that does not hold what its name says.

    Reference:
        `local_utils/establish_char_dict.py` of CRNN_Tensorflow.
    """
    path = pathlib.Path(path)
    for beginning, reader in _READERS.items():
        named = [path] if path.name.startswith(beginning) else []
        found = sorted(path.glob(f"{beginning}*.json")) if path.is_dir() else named
        if len(found) > 1:
            raise ValueError(f"{path} holds {', '.join(p.name for p in found)}. Name one of them.")
        if found:
            content = files.read_json(found[0])
            with files.prefix_errors(found[0]):
                if not isinstance(content, dict):
                    raise ValueError('expected a JSON object such as {"48_ord": "0"}.')
                return found[0], reader(content)
    names = ", ".join(f"{beginning}*.json" for beginning in _READERS)
    raise ValueError(f"{path} is none of the old project's files, and holds none: {names}.")


def _number(key):
    """The number in an old key, which is "97", "97_ord" or "3_index"."""
    try:
        return int(str(key).split("_")[0])
    except ValueError:
        raise ValueError(f"{key!r} is not of the form 97, 97_ord or 3_index.") from None


def _in_order(pairs):
    """The characters of `(index, code)` pairs, by index."""
    pairs = sorted(pairs)
    for (index, code), (following, other) in itertools.pairwise(pairs):
        if index == following:
            raise ValueError(f"index {index} stands for both {chr(code)!r} and {chr(other)!r}.")
    return "".join(chr(code) for _, code in pairs)


def _from_ord_to_index(content):
    return _in_order((_number(index), _number(code)) for code, index in content.items())


def _from_index_to_ord(content):
    # The main branch's ord_map.json holds both directions in one file.
    pairs = {k: v for k, v in content.items() if not str(k).endswith("_ord")}
    return _in_order((_number(index), _number(code)) for index, code in pairs.items())


def _from_ord_to_char(content):
    return "".join(chr(_number(code)) for code in content)


_READERS = {
    "ord_2_index_map": _from_ord_to_index,
    "index_2_ord_map": _from_index_to_ord,
    "ord_map": _from_index_to_ord,
    "char_dict": _from_ord_to_char,
}

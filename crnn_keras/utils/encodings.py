"""The encoding of a text file: as its bytes say, or as a guess where only one is plausible."""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass

from crnn_keras.utils.checks import TEXT, check_value
from crnn_keras.utils.likelihood import text_cost
from crnn_keras.utils.log import printable

AUTO = "auto"
_UTF8, _GUESS = "utf-8-sig", "gb18030"
# Old encodings of the world, for the error that names the likely ones: the language that each was
# made for, see `text_cost`, and what it costs to be seldom used.
_OLD = {
    "gb18030": ("chinese", 0.0),
    "big5": ("traditional", 0.0),
    "big5hkscs": ("traditional", 1.0),
    "shift_jis": ("japanese", 0.0),
    "cp932": ("japanese", 0.5),
    "euc-jp": ("japanese", 1.5),
    "euc-kr": ("korean", 0.0),
    "cp949": ("korean", 0.5),
    "cp1251": ("", 0.0),
    "koi8-r": ("", 1.0),
    "cp866": ("", 3.0),
    "iso-8859-5": ("", 3.0),
    "cp1252": ("", 0.0),
    "iso-8859-1": ("", 0.5),
    "iso-8859-15": ("", 1.0),
    "cp1250": ("", 0.5),
    "iso-8859-2": ("", 1.0),
    "iso-8859-7": ("", 1.0),
    "cp1253": ("", 1.0),
    "cp1254": ("", 0.5),
    "cp1255": ("", 0.0),
    "iso-8859-8": ("", 3.0),
    "cp1256": ("", 0.0),
    "iso-8859-6": ("", 3.0),
    "cp874": ("", 1.5),
    "cp1257": ("", 1.0),
    "cp1258": ("", 1.0),
    "cp850": ("", 3.0),
    "cp437": ("", 3.0),
}
# By how much GB18030 must be more likely than any other, and how unlikely its characters may be on
# average.
_MARGIN, _MOST_COST = 1.0, 10.5
# Bytes read at a time, and kept to compare encodings by.
_CHUNK, _SAMPLE = 1 << 16, 1 << 15
# Of a text in UTF-8 whose rows are damaged: sound characters for each damaged byte.
_SOUND = 4
# Of the likely encodings: how many an error shows, how much less likely than the best they may be,
# and the characters of each, some of them before the first that is not ASCII.
_MOST_SHOWN, _MOST_WORSE, _SHOWN_CHARACTERS, _BEFORE = 4, 40.0, 40, 20


@dataclass(frozen=True)
class _Damage:
    """The first byte that an encoding does not have."""

    line: int
    offset: int
    byte: int

    def __str__(self) -> str:
        return f"line {self.line} has the byte 0x{self.byte:02x} ({self.offset:,} bytes in)"


def check_encoding(encoding: str) -> str:
    """Checks the name of an encoding.

    Args:
        encoding: Name of an encoding, or `"auto"`.

    Returns:
        The same name; that of UTF-8 with a mark for UTF-8, which reads it without one too.

    Raises:
        ValueError: Python has no such encoding of text.
    """
    check_value("encoding", encoding, TEXT)
    if encoding == AUTO:
        return AUTO
    try:
        name = codecs.lookup(encoding).name
        "".encode(name)
    except (LookupError, ValueError):
        raise ValueError(
            f"encoding is {encoding!r}, which Python does not know. Expected 'auto' or a name such "
            "as 'utf-8', 'gb18030', 'big5', 'shift_jis', 'euc-kr', 'cp1251' or 'cp1252'."
        ) from None
    return _UTF8 if name == "utf-8" else encoding


def find_encoding(
    path: str | os.PathLike, encoding: str = AUTO, *, allow_damage: bool = False
) -> str:
    """Finds the encoding of a text file, and checks all of the file against it.

    The file is read in chunks, so the memory does not grow with its length. UTF-8, and UTF-16 by
    its mark, are certain. Without either, GB18030 (which includes GBK and GB2312) is taken if it
    is more likely than every other old encoding, and UTF-16 without a mark if its zero bytes are
    where Latin letters have them. Nothing else is guessed.

    Args:
        path: Text file.
        encoding: Name of its encoding. Defaults to `"auto"`: it is found.
        allow_damage: Whether single bytes that are not UTF-8, in a file that otherwise is, and
            zero bytes are let through: a reader of rows names the rows that hold them. Defaults to
            `False`.

    Returns:
        Name of the encoding, as `open` takes it.

    Raises:
        ValueError: The encoding is unknown, or does not have one of the file's bytes; or none was
            found. The error names the file, the line, the byte and the likely encodings.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "labels.tsv"
    >>> path.write_text("a.png\\tcafé", encoding="cp1252")
    10
    >>> find_encoding(path, "cp1252")
    'cp1252'
    """
    asked = check_encoding(encoding)
    with open(path, "rb") as file:
        start = file.read(_CHUNK)
    if asked != AUTO:
        return _check_stated(path, asked, start)
    if start[:4] == codecs.BOM_UTF32_LE:
        raise _unknown(path, "it begins with the mark of UTF-32", [("utf-32", "")])
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        if damage := _find_damage(path, "utf-16"):
            raise _unknown(path, f"it begins with the mark of UTF-16, but {damage}")
        return "utf-16"
    if (unmarked := _unmarked_utf16(start)) and not _find_damage(path, unmarked):
        return unmarked
    num_zeros, sample = _survey(path)
    if num_zeros and not (allow_damage and num_zeros * 3 <= os.path.getsize(path)):
        raise _unknown(path, f"it holds {num_zeros:,} zero bytes, as files that are not text do")
    damage = _find_damage(path, _UTF8)
    if damage is None or (allow_damage and _is_mostly_utf8(sample)):
        return _UTF8
    likely = _rank(sample)
    if _is_plausible(sample, likely) and not _find_damage(path, _GUESS):
        return _GUESS
    raise _unknown(path, str(damage), _show(likely))


def is_guess(asked: str, found: str) -> bool:
    """Returns whether an encoding is likely rather than certain.

    Args:
        asked: What the user asked for.
        found: What `find_encoding` returned.

    Returns:
        Whether nobody stated it and no mark of the file proves it.
    """
    return asked == AUTO and found not in (_UTF8, "utf-16")


def _check_stated(path, encoding, start):
    name = codecs.lookup(encoding).name
    if name.startswith("utf-16") and start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        encoding = "utf-16"
    if damage := _find_damage(path, encoding):
        raise ValueError(
            f"{path}, line {damage.line}: the byte 0x{damage.byte:02x} ({damage.offset:,} bytes "
            f"into the file) is not {encoding}. State the file's own encoding, or correct the line."
        )
    return encoding


def _chunks(path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
        yield b""


def _find_damage(path, encoding) -> _Damage | None:
    """Decodes a whole file; returns where that fails."""
    decoder = codecs.getincrementaldecoder(encoding)()
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    line, size = 1, 0
    for chunk in _chunks(path):
        size += len(chunk)
        try:
            line += newlines.decode(decoder.decode(chunk, not chunk)).count("\n")
        except UnicodeError as error:
            rest, start = getattr(error, "object", b""), getattr(error, "start", 0)
            before = rest[:start].decode(encoding, "ignore")
            line += newlines.decode(before).count("\n")
            byte = rest[start] if start < len(rest) else 0
            return _Damage(line, size - len(rest) + start, byte)
    return None


def _unmarked_utf16(start: bytes) -> str | None:
    """Returns a form of UTF-16 if most characters of a text are Latin letters in it."""
    if len(start) < 16:
        return None
    for name, zeros, others in (
        ("utf-16-le", start[1::2], start[::2]),
        ("utf-16-be", start[::2], start[1::2]),
    ):
        if zeros.count(0) * 3 > len(zeros) and not others.count(0) and b"\n" in others:
            return name
    return None


def _survey(path) -> tuple[int, bytes]:
    """Returns how many zero bytes a file has, and its first lines that are not ASCII."""
    num_zeros, sample, size, rest = 0, [], 0, b""
    for chunk in _chunks(path):
        num_zeros += chunk.count(0)
        if size >= _SAMPLE:
            continue
        if chunk.isascii() and rest.isascii():
            rest = (rest + chunk).rpartition(b"\n")[2][-_CHUNK:]
            continue
        *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
        if not chunk or len(rest) >= _SAMPLE:
            lines.append(rest)
            rest = b""
        for line in lines:
            if not line.isascii() and size < _SAMPLE:
                sample.append(line[: 2 * _SAMPLE])
                size += len(line)
    return num_zeros, b"\n".join(sample)


def _is_mostly_utf8(sample: bytes) -> bool:
    text = sample.decode("utf-8", "surrogateescape")
    damaged = sum("\udc80" <= character <= "\udcff" for character in text)
    sound = sum(not character.isascii() for character in text) - damaged
    return sound >= _SOUND * damaged


def _rank(sample: bytes) -> list[tuple[float, list[str], str]]:
    """Returns decodings of a sample, the likeliest first: cost, encodings that give it, text."""
    found = {}
    for name, (language, rarity) in (_OLD | _others(sample)).items():
        try:
            # The sample may end within a character.
            text = codecs.getincrementaldecoder(name)().decode(sample)
        except UnicodeError:
            continue
        cost = text_cost(text, language=language) + rarity
        found.setdefault(text, []).append((cost, name))
    ranked = [(min(costs)[0], [n for _, n in sorted(costs)], text) for text, costs in found.items()]
    return sorted(ranked, key=lambda item: item[0])


def _others(sample):
    """Returns encodings beyond the common ones that charset-normalizer thinks of."""
    from charset_normalizer import from_bytes

    known = {codecs.lookup(name).name for name in _OLD}
    found = {codecs.lookup(match.encoding).name for match in from_bytes(sample)}
    return {name: ("", 3.0) for name in sorted(found - known) if not name.startswith("utf")}


def _is_plausible(sample, likely):
    """Whether GB18030 reads a sample as usual Chinese, and no other encoding reads it as well."""
    own = next((item for item in likely if _GUESS in item[1]), None)
    if own is None:
        return False
    cost, _, text = own
    others = [other for other in likely if other is not own]
    letters = [character for character in text if not character.isascii()]
    ascii_cost = text_cost("".join(c for c in text if c.isascii()), language="chinese")
    is_usual = cost - ascii_cost <= _MOST_COST * len(letters)
    return is_usual and all(other[0] - cost >= _MARGIN for other in others)


def _show(likely) -> list[tuple[str, str]]:
    """Returns the likely encodings, and how a line in which they differ most reads in each."""
    least = likely[0][0] if likely else 0.0
    likely = likely[:2] + [item for item in likely[2:_MOST_SHOWN] if item[0] < least + _MOST_WORSE]
    readings = [line for line in zip(*(text.split("\n") for *_, text in likely), strict=False)]
    differing = max(readings, key=lambda line: len(set(line)), default=())
    return [
        (names[0], f"{' or '.join(names[:3])} reads '{_shorten(line)}'")
        for (_, names, _), line in zip(likely, differing, strict=True)
    ]


def _shorten(line):
    first = next((i for i, character in enumerate(line) if not character.isascii()), 0)
    start = max(0, min(first - _BEFORE, len(line) - _SHOWN_CHARACTERS))
    return printable(line[start : start + _SHOWN_CHARACTERS].replace("\t", " ").strip())


def _unknown(path, reason, likely=()):
    example = likely[0][0] if likely else "OLD_ENCODING"
    shown = "; ".join(shown for _, shown in likely if shown)
    return ValueError(
        f"{path} is not clearly text in UTF-8, UTF-16 or GB18030: {reason}. "
        + (f"The likely encodings: {shown}. " if shown else "")
        + (
            f'State it: encoding="{example}", or --encoding {example}; or save '
            if likely
            else "Save "
        )
        + f"the file as UTF-8, for example with `iconv -f {example} -t UTF-8`."
    )

"""Files written whole or not at all, and read with errors that name them."""

import contextlib
import json
import os
import pathlib


@contextlib.contextmanager
def atomic(path):
    """Opens a file for writing bytes that appears under its name only when it is whole.

    The bytes go to `<path>.part`, are flushed to the disk and renamed; on any error (a full disk
    too) the part is removed and what stood under the name before stands there still.

    Args:
        path: file to write; its folder is made.

    Yields:
        A binary file object.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_atomic(path, content):
    """Writes bytes to a file, whole or not at all.

    Args:
        path: file to write; its folder is made.
        content: bytes.
    """
    with atomic(path) as file:
        file.write(content)


def write_json(path, content):
    """Writes plain data as readable JSON, whole or not at all.

    Args:
        path: file to write.
        content: what `json.dumps` takes.
    """
    write_atomic(path, (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode())


def read_json(path):
    """Reads a JSON file.

    Args:
        path: file to read.

    Returns:
        Plain data.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not JSON.
    """
    try:
        return json.loads(pathlib.Path(path).read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from None


def read_text(path):
    """Reads a text file in the encodings that label files come in.

    Tried in this order: UTF-16 if it begins with that byte order mark, UTF-8 with or without one,
    GB18030 (which includes GBK and GB2312). Line ends of Windows and of old Macs become `\\n`.

    Args:
        path: file to read.

    Returns:
        Tuple of the text and the name of its encoding.

    Raises:
        ValueError: the file is in none of them.
    """
    raw = pathlib.Path(path).read_bytes()
    utf16 = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if utf16 else ("utf-8-sig", "gb18030"):
        with contextlib.suppress(UnicodeDecodeError):
            text = raw.decode(encoding)
            if "\0" in text:
                break
            return text.replace("\r\n", "\n").replace("\r", "\n"), encoding
    raise ValueError(
        f"{path} is not text in UTF-8, UTF-16 or GB18030. Save it as UTF-8, for example with "
        "`iconv -f OLD_ENCODING -t UTF-8`."
    )


@contextlib.contextmanager
def blame(path):
    """Puts the file's name before the message of any ValueError raised inside.

    Args:
        path: the file that the work inside is about.
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error

"""What is printed: control characters are escaped, and any encoding of the stream will do."""

import io
import logging

import pytest

from crnn_keras.utils.log import printable, show_log


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred\x1b[0m.png", r"a\x1b[31mred\x1b[0m.png"),
        ("two\nlines\r\t", r"two\nlines\r\t"),
        ("\x9b2J\x7f", r"\x9b2J\x7f"),
        ("a\u202egnp.exe", r"a\u202egnp.exe"),
        ("a\u2028b", r"a\u2028b"),
        ("bad\udcff.png", r"bad\udcff.png"),
        ("é 文字 שלום 👩‍👩‍👧 हिन्‍दी　x", "é 文字 שלום 👩‍👩‍👧 हिन्‍दी　x"),
        (r"C:\images", r"C:\images"),
        (7, "7"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_what_is_logged_fits_into_any_encoding(encoding):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    logger = logging.getLogger("crnn_keras")
    before = logger.handlers, logger.level, logger.propagate
    try:
        show_log(stream)
        logging.getLogger("crnn_keras.x").info("%s: %s\nand 文", "a\x1b[2J\udcff.png", "Größe")
    finally:
        logger.handlers, logger.level, logger.propagate = before
    stream.flush()
    first, second = raw.getvalue().decode(encoding).splitlines()
    assert first.startswith(r"a\x1b[2J\udcff.png: Gr") and second.startswith("and ")

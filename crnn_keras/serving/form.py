"""Forms that are in memory, by the parser of python-multipart, without files on the way."""

from __future__ import annotations

from collections.abc import Collection

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from crnn_keras.serving.errors import RequestError

# A field of text: the longest is a pattern, which has a bound of its own.
_FIELD_BYTES = 2**14
_MULTIPART = b"multipart/form-data"
_FORM = "one or more files, such as curl -F image=@word.png"


def parse_form(
    content_type: str, body: bytes, *, fields: Collection[str], most_files: int
) -> tuple[list[tuple[str, bytes]], dict[str, str]]:
    """Parses a form.

    Args:
        content_type: The header `Content-Type` of the request.
        body: The form.
        fields: Names of the fields of text that there may be, each once.
        most_files: Number of files after which no more are parsed.

    Returns:
        Tuple of the files, as pairs of a name and a content, and of the other fields.

    Raises:
        RequestError: It is no form (415), is damaged, or has no file or other fields (400).

    Example:

        >>> from crnn_keras.serving.form import parse_form
        >>> body = b'--x\\r\\nContent-Disposition: form-data; name="a"; filename="b"\\r\\n\\r\\n123'
        >>> parse_form(
        ...     "multipart/form-data; boundary=x", body + b"\\r\\n--x--", fields=(), most_files=9
        ... )
        ([('b', b'123')], {})
    """
    kind, parameters = parse_options_header(content_type)
    if kind != _MULTIPART:
        shown = kind.decode("latin-1")[:80] or "of no type"
        raise RequestError(415, f"The body is {shown}. Expected {_MULTIPART.decode()}: {_FORM}.")
    if b"boundary" not in parameters:
        raise RequestError(400, "The form cannot be read: its type has no boundary.")
    form = _Form(fields, most_files)
    try:
        parser = MultipartParser(parameters[b"boundary"], form.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise RequestError(400, "The form cannot be read: it is damaged.") from None
    except _EnoughError:
        pass
    if not form.files:
        raise RequestError(400, f"The form has no file. Expected {_FORM}.")
    return form.files, form.fields


class _EnoughError(Exception):
    """Error for a form with as many files as are wanted."""


class _Form:
    """What the parser tells of a form."""

    def __init__(self, names: Collection[str], most_files: int) -> None:
        self.files: list[tuple[str, bytes]] = []
        self.fields: dict[str, str] = {}
        self._names, self._most_files = names, most_files

    def callbacks(self):
        return {
            "on_part_begin": self._begin_part,
            "on_header_begin": self._begin_header,
            "on_header_field": self._read_header_name,
            "on_header_value": self._read_header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._read_data,
            "on_part_end": self._end_part,
        }

    def _begin_part(self):
        self._disposition, self._content, self._size = b"", [], 0

    def _begin_header(self):
        self._header_name = self._header_value = b""

    def _read_header_name(self, data, start, end):
        self._header_name += data[start:end]

    def _read_header_value(self, data, start, end):
        self._header_value += data[start:end]

    def _end_header(self):
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value

    def _end_headers(self):
        options = parse_options_header(self._disposition)[1]
        if b"name" not in options:
            raise RequestError(400, "The form cannot be read: a part of it has no name.")
        self._name = _decode(options[b"name"])
        file_name = options.get(b"filename")
        self._file_name = None if file_name is None else _decode(file_name)
        is_known = self._name in self._names and self._name not in self.fields
        if self._file_name is None and not is_known:
            raise RequestError(
                400,
                f"Got the field {self._name!r:.40} as a text. Expected files, and once at most "
                f"{', '.join(self._names)}.",
            )

    def _read_data(self, data, start, end):
        self._content.append(data[start:end])
        self._size += end - start
        if self._file_name is None and self._size > _FIELD_BYTES:
            raise RequestError(
                400,
                f"The field {self._name!r:.40} has over {_FIELD_BYTES >> 10}KB. Expected a short "
                "text.",
            )

    def _end_part(self):
        content = b"".join(self._content)
        if self._file_name is None:
            self.fields[self._name] = _decode(content)
            return
        self.files.append((self._file_name, content))
        if len(self.files) == self._most_files:
            raise _EnoughError


def _decode(content):
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")

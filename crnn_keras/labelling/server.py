"""The page of a sitting and what it asks for, on the loopback, for one person.

The server of the standard library is enough: a person sends a few requests a second. Whoever else
is on the machine, or on a web site that the browser has open, is kept out:

- the address holds a secret of 128 bits, without which nothing is answered;
- a request must name the loopback as its host, so that no other name can be made to lead here;
- what changes something must come from the page itself, as JSON, of a bounded size;
- an image is asked for by its index, never by a path.
"""

from __future__ import annotations

import http.server
import json
import pathlib
import re
import secrets
import threading
import urllib.parse
from http import HTTPStatus
from typing import Any

from crnn_keras.images import ImageError
from crnn_keras.labelling.session import VIEWS, ConflictError, LabelSession, RefusedError
from crnn_keras.labelling.shown import make_png
from crnn_keras.utils.checks import Number, check_arguments
from crnn_keras.utils.limits import MAX_LABEL_REQUEST_BYTES
from crnn_keras.utils.log import printable

HOST = "127.0.0.1"
_PAGE = pathlib.Path(__file__).with_name("page.html")
# A value that a request must have.
_NEEDED = object()
_KINDS = {int: "a whole number of at least 0", str: "a text"}
# An idle connection of a browser is closed after so many seconds.
_IDLE_SECONDS = 60


class LabelServer:
    """Serves the page of a `LabelSession`.

    Args:
        session: The `LabelSession`.
        title: What the page is headed by, such as the folder of the images.
        port: Port of the loopback. Defaults to `0`: a free one.

    Attributes:
        address: The page's address, with its secret.

    Raises:
        OSError: The port is taken.
    """

    @check_arguments(port=Number(0, 65_535, is_whole=True))
    def __init__(self, session: LabelSession, title: str, *, port: int = 0) -> None:
        self._server = _Server((HOST, port), _Handler)
        self._server.session = session
        self._server.title = title
        self._server.secret = secrets.token_urlsafe(16)
        own = self._server.server_address[1]
        self._server.hosts = {f"{HOST}:{own}", f"localhost:{own}"}
        self.address: str = f"http://{HOST}:{own}/{self._server.secret}/"

    def serve(self) -> None:
        """Answers requests until `stop` is called or the page ends the sitting."""
        try:
            self._server.serve_forever(poll_interval=0.05)
        finally:
            self._server.server_close()

    def stop(self) -> None:
        """Ends `serve`, which runs in another thread."""
        self._server.shutdown()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # No second program may share the port.
    allow_reuse_port = False
    session: LabelSession
    title: str
    secret: str
    hosts: set[str]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of a browser that closed its connection."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "crnn-keras", ""
    timeout = _IDLE_SECONDS
    # A body follows its headers at once.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing: the terminal is for what concerns the labels."""

    def _answer(self, respond):
        if self.headers.get("Host") not in self.server.hosts:
            # The body was not read: the connection cannot go on.
            self.close_connection = True
            hosts = " or ".join(sorted(self.server.hosts))
            return self._fail(HTTPStatus.FORBIDDEN, f"This server answers to {hosts} only.")
        parts = urllib.parse.urlsplit(self.path)
        secret, _, path = parts.path.removeprefix("/").partition("/")
        if not secrets.compare_digest(secret.encode(), self.server.secret.encode()):
            self.close_connection = True
            return self._fail(
                HTTPStatus.NOT_FOUND, "Open the address that crnn-keras label has printed."
            )
        try:
            respond(path, dict(urllib.parse.parse_qsl(parts.query)))
        except ConflictError as error:
            self._fail(HTTPStatus.CONFLICT, str(error))
        except RefusedError as error:
            self._fail(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except ImageError as error:
            self._fail(HTTPStatus.NOT_FOUND, printable(error))
        except (OSError, ValueError) as error:
            if isinstance(error, ConnectionError | TimeoutError):
                self.close_connection = True
                return None
            self._fail(HTTPStatus.INSUFFICIENT_STORAGE, f"Not saved: {printable(error)}")
        return None

    def _get(self, path, query):
        if not path:
            return self._send_page()
        if path == "state":
            numbers = {name: _number(query.get(name)) for name in ("index", "after")}
            step = -1 if query.get("step") == "-1" else 1
            return self._send_json(
                self.server.session.show(query.get("view", VIEWS[0]), step=step, **numbers)
            )
        if match := re.fullmatch(r"image/([0-9]{1,9})", path):
            items = self.server.session.items
            if int(match[1]) < len(items):
                image = make_png(items[int(match[1])].image)
                return self._send(HTTPStatus.OK, image, "image/png", cache="private, max-age=600")
        return self._fail(HTTPStatus.NOT_FOUND, "There is nothing here.")

    def _post(self, path, _):
        content = self._read_body()
        if content is None:
            return None
        session = self.server.session
        if path == "decide":
            text = session.decide(
                _typed(content, "index", int),
                _typed(content, "action", str),
                text=_typed(content, "text", str, default=""),
                revision=_typed(content, "revision", int, default=None),
            )
            return self._send_json({"text": text})
        if path == "undo":
            index, text = session.undo()
            return self._send_json({"index": index, "text": text})
        if path == "finish":
            self.close_connection = True
            self._send_json({"counts": session.counts()})
            threading.Thread(target=self.server.shutdown, daemon=True).start()
            return None
        return self._fail(HTTPStatus.NOT_FOUND, "There is nothing here.")

    def _read_body(self):
        """Returns the object of a request that the page itself has sent; None if it is refused."""
        # Until the body is read, what follows on the connection is no request.
        self.close_connection = True
        headers = self.headers
        origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site", "same-origin")
        if (
            origin not in (None, *(f"http://{host}" for host in self.server.hosts))
            or site != "same-origin"
        ):
            return self._fail(HTTPStatus.FORBIDDEN, "The request comes from another page.")
        if headers.get_content_type() != "application/json":
            return self._fail(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Expected application/json.")
        length = _number(headers.get("Content-Length"))
        if length is None or "Transfer-Encoding" in headers:
            return self._fail(HTTPStatus.LENGTH_REQUIRED, "Expected a Content-Length.")
        if length > MAX_LABEL_REQUEST_BYTES:
            return self._fail(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"Expected at most {MAX_LABEL_REQUEST_BYTES:,} bytes.",
            )
        body = self.rfile.read(length)
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            content = None
        if len(body) < length or not isinstance(content, dict):
            return self._fail(HTTPStatus.BAD_REQUEST, "Expected an object of JSON.")
        self.close_connection = False
        return content

    def _send_page(self):
        nonce = secrets.token_urlsafe(16)
        session = self.server.session
        facts = {
            "title": self.server.title,
            "checks": session.checks,
            "output": session.store.path.name,
        }
        # In a script element, JSON may hold no tag.
        data = json.dumps(facts).replace("<", "\\u003c")
        page = _PAGE.read_text(encoding="utf-8").replace("@NONCE@", nonce).replace("@DATA@", data)
        policy = (
            "default-src 'none'; img-src 'self' data:; connect-src 'self'; "
            f"style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        headers = {"Content-Security-Policy": policy}
        self._send(HTTPStatus.OK, page.encode(), "text/html; charset=utf-8", headers=headers)

    def _send_json(self, content, status=HTTPStatus.OK):
        body = json.dumps(content).encode()
        self._send(status, body, "application/json")

    def _fail(self, status, reason):
        self._send_json({"error": reason}, status)

    def _send(self, status, body, kind, *, cache="no-store", headers=None):
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": cache,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def _number(text):
    return int(text) if text and re.fullmatch("[0-9]{1,9}", text) else None


def _typed(content, name, kind, *, default=_NEEDED):
    """Returns a value of a request; it has no other type, and a number is not below 0."""
    if name not in content and default is not _NEEDED:
        return default
    value = content.get(name)
    if type(value) is not kind or (kind is int and value < 0):
        raise RefusedError(f"{name} is {value!r:.80}. Expected {_KINDS[kind]}.")
    return value

"""Connections that send their headers slowly, or forever.

uvicorn waits for the headers of a request without a bound of time or of size.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from crnn_keras.serving.limits import Limits

_REFUSAL = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


def make_protocol(limits: Limits) -> type[HttpToolsProtocol]:
    """Makes the class of uvicorn's connections.

    Args:
        limits: The `Limits`; its `header_seconds` and `header_bytes` count.
    """

    class BoundedProtocol(HttpToolsProtocol):
        """Ends a connection whose headers take too long or are too large."""

        _deadline: asyncio.TimerHandle | None = None
        _received = 0

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._expect_headers()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._deadline is not None:
                self._received += len(data)
            super().data_received(data)
            # A piece that ends headers may hold much of the body.
            if self._deadline is not None and self._received > limits.header_bytes:
                self._end(_REFUSAL)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            if self._deadline is None:
                self._expect_headers()

        def on_headers_complete(self) -> None:
            self._stop()
            super().on_headers_complete()

        def _expect_headers(self) -> None:
            self._received = 0
            self._deadline = self.loop.call_later(limits.header_seconds, self._end)

        def _stop(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _end(self, answer: bytes = b"") -> Any:
            self._stop()
            if not self.transport.is_closing():
                self.transport.write(answer)
                self.transport.close()

    return BoundedProtocol

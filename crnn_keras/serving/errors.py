"""What a client did wrong, as a status of HTTP and a sentence."""

from __future__ import annotations


class RequestError(Exception):
    """A request that is not answered as it asks; it becomes `{"error": message}`.

    Args:
        status: Status of HTTP.
        message: What happened, what was expected, how to mend it.
        headers: Further headers of the answer. Defaults to `None`: none.
    """

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}

"""What a request, a client and all of them together may cost."""

from __future__ import annotations

from dataclasses import dataclass, fields

from crnn_keras.utils.checks import COUNT, Number, check_value
from crnn_keras.utils.limits import MAX_IMAGE_BYTES, MAX_PIXELS, MAX_SERVED_PIXELS

# Of a token: shorter ones can be guessed.
MIN_TOKEN_LENGTH = 16

_SECONDS = Number(0, 3_600, above=True)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of a server; each is far above what cropped words and lines need.

    Args:
        image_bytes: Bytes of one encoded image. Defaults to 4 MiB.
        pixels: Pixels of one image. Defaults to 4,000,000, as in a SavedModel.
        images: Images of one request. Defaults to `64`.
        request_bytes: Bytes of the body of a request. Defaults to 32 MiB.
        held_bytes: Bytes of all bodies that are received or read at one time. Defaults to 256 MiB.
        queue: Images that may wait to be read. Defaults to `1024`.
        connections: Connections that may be open. Defaults to `512`.
        header_bytes: Bytes of a request before its body. Defaults to 32 KiB.
        header_seconds: Time for these. Defaults to `10`.
        body_seconds: Time for the body. Defaults to `30`.
        read_seconds: Time from the end of the body to the answer. Defaults to `60`.
        pattern_characters: Characters of a pattern, or of those to allow. Defaults to `200`.
        pattern_states: States of its automaton; the time to read with it grows by their square.
            Defaults to `200`.
        alternatives: Likeliest texts that an image may be listed with. Defaults to `10`.

    Raises:
        ValueError: A bound is out of range; it is named.
    """

    image_bytes: int = 2**22
    pixels: int = MAX_SERVED_PIXELS
    images: int = 64
    request_bytes: int = 2**25
    held_bytes: int = 2**28
    queue: int = 1_024
    connections: int = 512
    header_bytes: int = 2**15
    header_seconds: float = 10
    body_seconds: float = 30
    read_seconds: float = 60
    pattern_characters: int = 200
    pattern_states: int = 200
    alternatives: int = 10

    def __post_init__(self) -> None:
        special = {
            "image_bytes": Number(1, MAX_IMAGE_BYTES, is_whole=True),
            "pixels": Number(1, MAX_PIXELS, is_whole=True),
        }
        for field in fields(self):
            rule = _SECONDS if field.name.endswith("_seconds") else COUNT
            check_value(field.name, getattr(self, field.name), special.get(field.name, rule))

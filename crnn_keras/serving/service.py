"""What all protocols ask of a server: images in, outcomes out."""

from __future__ import annotations

import asyncio
import collections
import functools
import io
from collections.abc import Sequence
from typing import Any

from PIL import Image

from crnn_keras.inference.base import OWN, BaseRecognizer
from crnn_keras.model.decoding import LanguageModel, Pattern
from crnn_keras.serving.batching import Batcher, ClosedError, FullError
from crnn_keras.serving.errors import RequestError
from crnn_keras.serving.images import READ, ImageReader, Options, Outcome
from crnn_keras.serving.limits import Limits
from crnn_keras.serving.metrics import Metrics
from crnn_keras.utils.checks import COUNT, NOT_NEGATIVE, check_arguments
from crnn_keras.utils.cores import count_cores

VERSION = "1"
_KEPT_PATTERNS = 64


class Service:
    """Reads the images of all requests, in batches.

    Args:
        recognizer: A `BaseRecognizer`, best one that uses one core.
        name: Name of the model.
        limits: The `Limits`. Defaults to `None`: `Limits()`.
        max_batch: Most images that the network reads at once. Defaults to `64`.
        max_wait: Seconds that an image waits for others. Defaults to `0.005`.
        threads: Number of threads that read. Defaults to `None`: one for each core.
        language_model: See `BaseRecognizer.read`. Defaults to `"own"`.

    Attributes:
        held_bytes: Bytes of the bodies of all requests that are being answered.
        is_ready: Whether it takes requests.
    """

    @check_arguments(max_batch=COUNT, max_wait=NOT_NEGATIVE, threads=COUNT.or_none())
    def __init__(
        self,
        recognizer: BaseRecognizer,
        name: str,
        limits: Limits | None = None,
        *,
        max_batch: int = 64,
        max_wait: float = 0.005,
        threads: int | None = None,
        language_model: LanguageModel | str | None = OWN,
    ) -> None:
        self.name = name
        self.limits = limits or Limits()
        self.char_dict = recognizer.char_dict
        self.held_bytes = 0
        self.is_ready = True
        self._reader = ImageReader(recognizer, self.limits, language_model=language_model)
        self.metrics = Metrics(lambda: len(self._batcher), lambda: self.held_bytes)
        self._batcher = Batcher(
            self._predict,
            finish=self._reader.decode,
            max_batch=max_batch,
            max_wait=max_wait,
            max_queue=self.limits.queue,
            threads=threads or count_cores(),
            observe=self.metrics.observe_batch,
        )
        self._patterns = functools.lru_cache(_KEPT_PATTERNS)(self._compile)

    async def read(
        self,
        images: Sequence[bytes],
        options: Options | None = None,
        *,
        facts: dict[str, Any] | None = None,
    ) -> list[Outcome]:
        """Reads the images of a request.

        Args:
            images: Bytes of encoded images.
            options: The `Options` of all. Defaults to `None`: `Options()`.
            facts: Gets the numbers of images, for the log. Defaults to `None`.

        Returns:
            List of an `Outcome` for each image, in order.

        Raises:
            RequestError: There are too many images (413), too many wait (429), the server ends
                (503), or an image made it fail (500).
        """
        self.check_count(len(images))
        items = [(image, f"image {place}") for place, image in enumerate(images)]
        try:
            waiting = self._batcher.submit(items, options or Options())
        except FullError as error:
            raise RequestError(
                429,
                f"Too many images wait. Send these {len(images)} again in {error.seconds} s.",
                {"Retry-After": str(error.seconds)},
            ) from None
        except ClosedError:
            raise RequestError(503, "The server ends.") from None
        outcomes = await asyncio.wrap_future(waiting)
        for place, outcome in enumerate(outcomes):
            if isinstance(outcome, Exception):
                raise RequestError(500, f"The server failed on image {place}; its log says why.")
        counts = collections.Counter(outcome.kind for outcome in outcomes)
        if facts is not None:
            facts |= {"images": len(images), "not_read": len(images) - counts[READ]}
        for kind, count in counts.items():
            self.metrics.count_images(kind, count)
        return outcomes

    def check_count(self, count: int) -> None:
        """Raises a `RequestError` if a request has too many images."""
        if count > self.limits.images:
            raise RequestError(
                413, f"The request has {count:,} images. Expected at most {self.limits.images:,}."
            )

    async def make_options(
        self, *, allow: str | None, pattern: str | None, alternatives: int
    ) -> Options:
        """Makes the options of a request.

        Args:
            allow: Characters that a text may have, or None.
            pattern: Regular expression that a text matches, or None.
            alternatives: How many of the likeliest texts to list.

        Raises:
            RequestError: The options cannot be used (400).
        """
        most = self.limits.alternatives
        if not 0 <= alternatives <= most:
            raise RequestError(400, f"alternatives is {alternatives:,}. Expected 0 to {most}.")
        if allow is not None and pattern is not None:
            raise RequestError(400, "Got both allow and pattern. Expected one of them.")
        given = pattern if allow is None else allow
        if given is None:
            return Options(alternatives=alternatives)
        most = self.limits.pattern_characters
        if len(given) > most:
            raise RequestError(
                400, f"allow or pattern has {len(given):,} characters. Expected at most {most}."
            )
        try:
            # In a thread: a large one takes a while.
            found = await asyncio.to_thread(self._patterns, given, allow is not None)
        except ValueError as error:
            raise RequestError(400, str(error)) from None
        return Options(found, alternatives)

    def warm_up(self) -> None:
        """Reads an image, so that the first request is not slower than others."""
        buffer = io.BytesIO()
        Image.new("L", (100, 32), 255).save(buffer, "PNG")
        self._batcher.submit([(buffer.getvalue(), "image 0")], Options()).result()

    def close(self) -> None:
        """Reads what waits, and ends the threads."""
        self.is_ready = False
        self._batcher.close()

    def _predict(self, items, options):
        return self._reader.predict(*zip(*items, strict=True))

    def _compile(self, expression, is_allowed):
        make = Pattern.allow if is_allowed else Pattern
        pattern = make(expression, self.char_dict)
        states, most = len(pattern.accepting), self.limits.pattern_states
        if states > most:
            raise ValueError(
                f"The pattern has {states:,} states. Expected at most {most}: repeat less in it."
            )
        return pattern

"""The measurements of a server, for Prometheus."""

from __future__ import annotations

import functools
from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters and histograms of one server, in a registry of their own.

    Args:
        queue_length: Returns how many images wait.
        held_bytes: Returns the bytes of all bodies in memory.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, queue_length: Callable[[], float], held_bytes: Callable[[], float]) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._requests = Counter(
            "crnn_requests", "Requests that were answered.", ("route", "status"), registry=registry
        )
        self._request_seconds = Histogram(
            "crnn_request_seconds",
            "Time from the headers of a request to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._images = Counter(
            "crnn_images", "Images by what became of them.", ("outcome",), registry=registry
        )
        self._batch_images = Histogram(
            "crnn_batch_images", "Images read at once.", buckets=_SIZES, registry=registry
        )
        self._wait_seconds = Histogram(
            "crnn_wait_seconds",
            "Time that the first image of a batch waited.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._batch_seconds = Histogram(
            "crnn_batch_seconds",
            "Time of the network for a batch.",
            buckets=_SECONDS,
            registry=registry,
        )
        # Finding a child by its labels takes longer than counting.
        self._request_count = functools.cache(self._requests.labels)
        self._request_time = functools.cache(self._request_seconds.labels)
        for name, text, function in (
            ("crnn_queue_images", "Images that wait.", queue_length),
            ("crnn_held_bytes", "Bytes of all bodies in memory.", held_bytes),
        ):
            Gauge(name, text, registry=registry).set_function(function)

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Counts a request that was answered.

        Args:
            route: Its route, one of a few.
            status: Status of the answer.
            seconds: How long it took.
        """
        self._request_count(route, str(status)).inc()
        self._request_time(route).observe(seconds)

    def count_images(self, kind: str, count: int) -> None:
        """Counts images of which the same became."""
        self._images.labels(kind).inc(count)

    def observe_batch(self, size: int, waited: float, took: float) -> None:
        """Counts a batch, see `Batcher`."""
        self._batch_images.observe(size)
        self._wait_seconds.observe(waited)
        self._batch_seconds.observe(took)

    def text(self) -> bytes:
        """Returns all measurements in the text format of Prometheus."""
        return generate_latest(self._registry)

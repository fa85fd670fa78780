"""`crnn-keras serve` under load, beside `OnnxRecognizer.stream` in turns, and a soak test.

    python benchmarks/serving.py [--rounds 5] [--seconds 4] [--protocols read kserve tf_serving]
        [--sizes 1 4 16 64] [--in-flight 256]
    python benchmarks/serving.py --requests 50000 [--clients 64]

A server is started on the loopback, with its log in a file. One other process asks it: an event
loop with many connections, each of which sends a request that was encoded beforehand, and the next
when it has the answer. Its part of the cores counts against the server. `stream` reads the same
images from memory in this process, while nobody asks the server. One answer of fifty is compared
with what `stream` reads.

Without `--requests`, each round lets `stream` read, and then requests of each size be sent, each
for `--seconds`. There are as many clients as make `--in-flight` images together, and a lone one at
the end. The columns: the protocol; images of a request; clients; images a second, the median of the
rounds with the smallest and the largest in brackets; the same of what `stream` reads in the same
round; milliseconds of a request, as the median and the 99th percentile over all rounds; images that
the server read at once, on average; milliseconds of a core for an image, of `stream`, of the server
and of the client, which say most where other programs run. The last line has the memory of the
server (resident) before and after.

With `--requests`, so many requests of one image are sent in all: milliseconds of a request, errors,
and the memory of the server at the start, after a tenth and at the end.
"""

import argparse
import asyncio
import base64
import collections
import contextlib
import itertools
import json
import multiprocessing
import os
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
import uvloop

from crnn_keras import OnnxRecognizer
from crnn_keras.synth import bundled_fonts, read_words, render_many
from crnn_keras.utils.cores import count_cores

IMAGES = 512
# One answer of so many is compared.
COMPARED = 50
WARM_UP = 200
# A soak test takes no longer, and an answer to the last request.
MOST_SECONDS, ANSWER_SECONDS = 900, 60
MEASURED = ("process_cpu_seconds_total", "crnn_batch_images_sum", "crnn_batch_images_count")
BOUNDARY = b"benchmark-of-crnn-keras"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: (\d+)")


def draw_images():
    """Returns encoded images of words, the same at each call."""
    words = [word for word in read_words() if word.isascii() and word.isalpha()]
    words = [word.lower() for word in words if 3 <= len(word) <= 10][::40][:IMAGES]
    fonts = [font for font in bundled_fonts() if fonts_ascii(font)]
    return [bytes(image) for image in render_many(words, fonts, seed=1)]


def fonts_ascii(path):
    """Tells whether a font is one of the plain bundled ones."""
    return os.path.basename(path).startswith("DejaVu")


def encode_read(images):
    """Encodes a request of `POST /read`."""
    parts = [
        b'--%s\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n%s\r\n" % (BOUNDARY, image)
        for image in images
    ]
    body = b"".join([*parts, b"--%s--\r\n" % BOUNDARY])
    return _encode(b"/read", b"multipart/form-data; boundary=" + BOUNDARY, body)


def encode_kserve(images):
    """Encodes a request of the Open Inference Protocol, with a binary tensor."""
    content = b"".join(struct.pack("<I", len(image)) + image for image in images)
    tensor = {"name": "image_bytes", "datatype": "BYTES", "shape": [len(images), 1]}
    tensor["parameters"] = {"binary_data_size": len(content)}
    head = json.dumps({"inputs": [tensor]}).encode()
    length = b"Inference-Header-Content-Length: %d\r\n" % len(head)
    path = b"/v2/models/model/infer"
    return _encode(path, b"application/octet-stream", head + content, length)


def encode_tf_serving(images):
    """Encodes a request of TensorFlow Serving's REST."""
    rows = [{"b64": base64.b64encode(image).decode()} for image in images]
    body = json.dumps({"instances": rows}).encode()
    return _encode(b"/v1/models/model:predict", b"application/json", body)


def _encode(path, kind, body, more=b""):
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n" % (path, kind)
    return head + b"Content-Length: %d\r\n%s\r\n" % (len(body), more) + body


def texts_of(answer, protocol):
    """Returns the texts of an answer."""
    content = json.loads(answer)
    if protocol == "read":
        return [row["text"] for row in content["results"]]
    if protocol == "tf_serving":
        return [row["text"] for row in content["predictions"]]
    return next(own["data"] for own in content["outputs"] if own["name"] == "text")


PROTOCOLS = {"read": encode_read, "kserve": encode_kserve, "tf_serving": encode_tf_serving}


class Answers(NamedTuple):
    """What came back to all clients.

    Args:
        milliseconds: Of each request.
        seconds: From the first request to the last answer.
        core_seconds: Of the process that asked.
        errors: How often each error came.
    """

    milliseconds: list[float]
    seconds: float
    core_seconds: float
    errors: collections.Counter


def ask(port, requests, *, clients, protocol, seconds=MOST_SECONDS, count=None):
    """Lets clients ask, for some seconds or with so many requests.

    Args:
        port: Port of the server.
        requests: Pairs of the bytes of a request and the texts to expect; they are sent in turns.
        clients: Number of connections.
        protocol: Name of the protocol.
        seconds: After these, no request is sent. Defaults to a quarter of an hour.
        count: How many requests are sent. Defaults to no bound.

    Returns:
        `Answers`.
    """
    core, start = time.process_time(), time.perf_counter()
    sent = itertools.islice(itertools.cycle(requests), count)
    load = _Load(sent, protocol, start + seconds)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(load.run(port, clients))
    wall = time.perf_counter() - start
    return Answers(load.milliseconds, wall, time.process_time() - core, load.errors)


class _Load:
    """What all connections share."""

    def __init__(self, requests, protocol, deadline):
        self.requests, self.protocol, self.deadline = requests, protocol, deadline
        self.milliseconds, self.errors = [], collections.Counter()

    async def run(self, port, clients):
        self.open, self.is_done = clients, asyncio.Event()
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self.deadline - time.perf_counter() + ANSWER_SECONDS):
            for _ in range(clients):
                await loop.create_connection(lambda: _Connection(self), "127.0.0.1", port)
            await self.is_done.wait()

    def next(self):
        """Returns the next request and its texts, or None if there is none."""
        return next(self.requests, None) if time.perf_counter() < self.deadline else None

    def count(self, head, body, *, seconds, texts):
        self.milliseconds.append(seconds * 1000)
        if not head.startswith(b"HTTP/1.1 200"):
            self.errors[head[9:12].decode()] += 1
        elif len(self.milliseconds) % COMPARED == 0 and texts_of(body, self.protocol) != texts:
            self.errors["other texts"] += 1

    def close(self):
        self.open -= 1
        if not self.open:
            self.is_done.set()


class _Connection(asyncio.Protocol):
    """A client: it sends a request when it has the answer to the last."""

    def __init__(self, load):
        self.load, self.texts = load, None

    def connection_made(self, transport):
        self.transport = transport
        self.send()

    def send(self):
        pair = self.load.next()
        if pair is None:
            self.texts = None
            self.transport.close()
            return
        request, self.texts = pair
        self.received, self.start = b"", time.perf_counter()
        self.transport.write(request)

    def data_received(self, data):
        self.received += data
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = int(_LENGTH.search(self.received, 0, end)[1])
        if len(self.received) == end + 4 + length:
            took = time.perf_counter() - self.start
            head, body = self.received[:end], self.received[end + 4 :]
            self.load.count(head, body, seconds=took, texts=self.texts)
            self.send()

    def connection_lost(self, error):
        if self.texts is not None:
            self.load.errors["closed"] += 1
        self.load.close()


def stream(recognizer, images, seconds):
    """Returns how many images a second `stream` reads, and its milliseconds of a core for one."""
    end = time.perf_counter() + seconds

    def cycle():
        for image in itertools.cycle(images):
            if time.perf_counter() > end:
                return
            yield image

    start, core = time.perf_counter(), time.process_time()
    count = sum(1 for _ in recognizer.stream(cycle()))
    milliseconds = (time.process_time() - core) / count * 1000
    return count / (time.perf_counter() - start), milliseconds


@contextlib.contextmanager
def serving(model):
    """Yields the port of a server; it ends with the context."""
    code = "from crnn_keras.cli import main; raise SystemExit(main())"
    options = ["serve", model, "--name", "model", "--port", "0"]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            [sys.executable, "-c", code, *options], stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        line = process.stdout.readline()
        try:
            yield int(line.rpartition(":")[2])
        finally:
            process.terminate()


def metric(port, name):
    """Returns one of the server's measurements."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return next(float(own.split()[1]) for own in lines if own.startswith(f"{name} "))


def resident(port):
    """Returns the memory of the server as a text."""
    return f"{metric(port, 'process_resident_memory_bytes') / 1e6:.0f} MB"


def make_requests(images, texts, size, protocol):
    """Returns pairs of a request of so many images and their texts."""
    return [
        (PROTOCOLS[protocol](images[n : n + size]), texts[n : n + size])
        for n in range(0, len(images) - size + 1, size)
    ]


class Turn(NamedTuple):
    """What one load was in one round."""

    rate: float
    fraction: float
    milliseconds: list[float]
    cores: tuple[float, float, float]
    batch: float


def measure(port, recognizer, images, *, texts, options, asker):
    """Measures all loads in turns, and prints a row for each."""
    loads = [(size, max(options.in_flight // size, 1)) for size in options.sizes] + [(1, 1)]
    turns, bases = collections.defaultdict(list), []
    for _, protocol in itertools.product(range(options.rounds), options.protocols):
        base, base_core = stream(recognizer, images, options.seconds)
        bases.append(base)
        for size, clients in loads:
            before = [metric(port, name) for name in MEASURED]
            requests = make_requests(images, texts, size, protocol)
            asked = {"clients": clients, "protocol": protocol, "seconds": options.seconds}
            found = asker.submit(ask, port, requests, **asked).result()
            check(found)
            read = len(found.milliseconds) * size
            now = [metric(port, name) for name in MEASURED]
            core, batched, batches = np.subtract(now, before)
            cores = base_core, core / read * 1000, found.core_seconds / read * 1000
            rate = read / found.seconds
            turn = Turn(rate, rate / base, found.milliseconds, cores, batched / batches)
            turns[protocol, size, clients].append(turn)
    print(f"stream: {spread(bases, ',.0f')} images a second, n = {len(bases)}")
    print(
        "protocol    images  clients  images a second       of stream           p50 ms   p99 ms  "
    )
    for (protocol, size, clients), row in turns.items():
        rates, fractions, lists, cores, batches = zip(*row, strict=True)
        p50, p99 = np.percentile(list(itertools.chain(*lists)), [50, 99])
        core = ", ".join(f"{own:.2f}" for own in np.median(cores, axis=0))
        print(
            f"{protocol:10}  {size:6}  {clients:7}  {spread(rates, ',.0f'):20}  "
            f"{spread(fractions, '.0%'):18}  {p50:7.1f}  {p99:7.1f}  "
            f"{statistics.median(batches):5.1f}  {core}"
        )


def spread(values, form):
    """Returns the median of values, with the smallest and the largest, as a text."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def check(found):
    """Stops if an answer was wrong."""
    if found.errors:
        raise SystemExit(f"answers are wrong: {dict(found.errors)}")


def soak(port, requests, *, options, asker):
    """Sends many requests of one image, and prints what they took."""
    print(f"memory at the start: {resident(port)}", flush=True)
    parts = (options.requests // 10, options.requests - options.requests // 10)
    milliseconds, errors, seconds = [], collections.Counter(), 0.0
    asked = {"clients": options.clients, "protocol": options.protocols[0]}
    for part in parts:
        found = asker.submit(ask, port, requests, count=part, **asked).result()
        milliseconds += found.milliseconds
        errors += found.errors
        seconds += found.seconds
        print(f"memory after {len(milliseconds):,} requests: {resident(port)}", flush=True)
    p50, p99 = np.percentile(milliseconds, [50, 99])
    print(
        f"{len(milliseconds):,} requests of {options.clients} clients in {seconds:.0f} s, "
        f"{len(milliseconds) / seconds:,.0f} a second: p50 {p50:.1f} ms, p99 {p99:.1f} ms, largest "
        f"{max(milliseconds):.1f} ms, {errors.total()} errors {dict(errors) or ''}"
    )
    if errors:
        raise SystemExit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="words")
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=list(PROTOCOLS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--sizes", nargs="+", type=int, default=[1, 4, 16, 64])
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--clients", type=int, default=64)
    options = parser.parse_args()
    images, recognizer = draw_images(), OnnxRecognizer.load(options.model)
    texts = [own.text for own in recognizer.read(images)]
    size = statistics.mean(map(len, images))
    print(f"{len(images)} images of {size:,.0f} bytes, {count_cores()} cores", flush=True)
    spawn = multiprocessing.get_context("spawn")
    with serving(options.model) as port, ProcessPoolExecutor(1, mp_context=spawn) as asker:
        requests = make_requests(images, texts, 1, options.protocols[0])
        warm = {"clients": 8, "protocol": options.protocols[0], "count": WARM_UP}
        check(asker.submit(ask, port, requests, **warm).result())
        if options.requests:
            soak(port, requests, options=options, asker=asker)
            return
        before = resident(port)
        measure(port, recognizer, images, texts=texts, options=options, asker=asker)
        print(f"memory: {before} before, {resident(port)} after")


if __name__ == "__main__":
    main()

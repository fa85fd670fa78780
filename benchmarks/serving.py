"""`crnn-keras serve` under load, beside `OnnxRecognizer.stream` in the same run.

    python benchmarks/serving.py [--model words] [--rounds 5] [--seconds 10] [--requests 50000]
        [--protocol read]

A server is started on the loopback, with its log in a file, and clients of this machine ask it:
each has a connection that it keeps, sends a request, and sends the next when it has the answer.
They need a part of the cores, which counts against the server. `stream` reads the same images from
memory, in turns with the server. All answers must be 200, and one of fifty is compared with what
`stream` reads.

The columns: clients; images of a request; images a second, the median of the rounds with the
smallest and the largest in brackets; the same of what `stream` reads; milliseconds of a request, as
the median and the 99th percentile over all rounds; milliseconds of a core for an image, of `stream`
and of the server, which say most where other programs run. Then as many requests more as make
`--requests` in all, with the memory of the server (resident) before and after; `--minutes` ends
that earlier.
"""

import argparse
import base64
import contextlib
import itertools
import json
import os
import re
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import numpy as np

from crnn_keras import OnnxRecognizer
from crnn_keras.synth import bundled_fonts, read_words, render_many
from crnn_keras.utils.cores import count_cores

IMAGES = 512
# Clients, and images of a request.
LOADS = ((1, 1), (32, 1), (64, 4), (16, 16))
COMPARED = 50
BOUNDARY = b"benchmark-of-crnn-keras"


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


class Client(threading.Thread):
    """Sends requests one after the other until it is told to stop.

    Args:
        port: Port of the server.
        requests: Pairs of the bytes of a request and the texts to expect, in turns.
        protocol: Name of the protocol.
        may_send: Function that tells whether another request may be sent.
    """

    def __init__(self, port, requests, protocol, may_send):
        super().__init__(daemon=True)
        self.port, self.requests, self.protocol, self.may_send = port, requests, protocol, may_send
        self.seconds, self.wrong = [], []

    def run(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=120) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number, (request, texts) in enumerate(self.requests):
                if not self.may_send():
                    return
                start = time.perf_counter()
                connection.sendall(request)
                head, body = receive(connection)
                self.seconds.append(time.perf_counter() - start)
                if not head.startswith(b"HTTP/1.1 200"):
                    self.wrong.append(head[:40])
                elif number % COMPARED == 0 and texts_of(body, self.protocol) != texts:
                    self.wrong.append(b"other texts")


def receive(connection):
    """Receives the head and the body of an answer."""
    received = b""
    while (end := received.find(b"\r\n\r\n")) < 0:
        piece = connection.recv(65_536)
        if not piece:
            raise ConnectionError("the server has closed the connection")
        received += piece
    head, body = received[:end], received[end + 4 :]
    length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
    while len(body) < length:
        body += connection.recv(65_536)
    return head, body


def ask(port, requests, *, clients, protocol, may_send):
    """Lets clients ask; returns the seconds of each request, and those of all."""
    threads = []
    for number in range(clients):
        # Each begins with another request.
        own = itertools.cycle(
            requests[number % len(requests) :] + requests[: number % len(requests)]
        )
        threads.append(Client(port, own, protocol, may_send))
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - start
    if wrong := [own for thread in threads for own in thread.wrong]:
        raise SystemExit(f"{len(wrong)} answers are wrong, such as {wrong[0]!r}")
    return [own for thread in threads for own in thread.seconds], wall


def stream(recognizer, images, seconds):
    """Returns how many images a second `stream` reads, and its seconds of a core for one."""
    end = time.perf_counter() + seconds

    def cycle():
        for image in itertools.cycle(images):
            if time.perf_counter() > end:
                return
            yield image

    start, core = time.perf_counter(), time.process_time()
    count = sum(1 for _ in recognizer.stream(cycle()))
    return count / (time.perf_counter() - start), (time.process_time() - core) / count


@contextlib.contextmanager
def serving(model, log):
    """Yields the port of a server; it ends with the context."""
    code = "from crnn_keras.cli import main; raise SystemExit(main())"
    options = ["serve", model, "--name", "model", "--port", "0"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *options], stdout=subprocess.PIPE, stderr=log, text=True
    ) as process:
        line = process.stdout.readline()
        yield int(line.rpartition(":")[2])
        process.terminate()


def metric(port, name):
    """Returns one of the server's measurements."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return next(float(own.split()[1]) for own in lines if own.startswith(f"{name} "))


def resident(port):
    """Returns the megabytes of memory of the server."""
    return metric(port, "process_resident_memory_bytes") / 1e6


def make_requests(images, texts, size, protocol):
    """Returns pairs of a request of so many images and their texts."""
    return [
        (PROTOCOLS[protocol](images[n : n + size]), texts[n : n + size])
        for n in range(0, len(images) - size + 1, size)
    ]


def measure(port, recognizer, images, *, texts, options):
    """Prints a row for each load; returns how many requests were answered."""
    answered = 0
    print("clients  images  images a second       of stream           p50 ms   p99 ms  core ms")
    for clients, size in LOADS:
        requests = make_requests(images, texts, size, options.protocol)
        rates, fractions, seconds, cores = [], [], [], []
        for _ in range(options.rounds):
            base, core = stream(recognizer, images, options.seconds)
            before = metric(port, "process_cpu_seconds_total")
            end = time.perf_counter() + options.seconds
            found, wall = ask(
                port,
                requests,
                clients=clients,
                protocol=options.protocol,
                may_send=lambda end=end: time.perf_counter() < end,
            )
            used = metric(port, "process_cpu_seconds_total") - before
            seconds += found
            cores.append((core * 1000, used / len(found) / size * 1000))
            rates.append(len(found) * size / wall)
            fractions.append(rates[-1] / base)
        answered += len(seconds)
        rate = f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
        part = f"{statistics.median(fractions):.0%} ({min(fractions):.0%} to {max(fractions):.0%})"
        p50, p99 = np.percentile(seconds, [50, 99]) * 1000
        core = ", ".join(f"{own:.2f}" for own in np.median(cores, axis=0))
        row = f"{clients:7}  {size:6}  {rate:20}  {part:18}  {p50:7.1f}  {p99:7.1f}  {core}"
        print(row, flush=True)
    return answered


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="words")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--protocol", choices=PROTOCOLS, default="read")
    options = parser.parse_args()
    images, recognizer = draw_images(), OnnxRecognizer.load(options.model)
    texts = [own.text for own in recognizer.read(images)]
    size = statistics.mean(map(len, images))
    print(f"{len(images)} images of {size:,.0f} bytes, {count_cores()} cores, {options.protocol}")
    deadline = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryFile() as log, serving(options.model, log) as port:
        requests = make_requests(images, texts, 1, options.protocol)
        ask(port, requests, clients=8, protocol=options.protocol, may_send=_at_most(200))
        before = resident(port)
        answered = measure(port, recognizer, images, texts=texts, options=options)
        left = max(options.requests - answered, 0)
        may_send = _at_most(left, deadline)
        found, _ = ask(port, requests, clients=32, protocol=options.protocol, may_send=may_send)
        answered += len(found)
        print(f"memory: {before:.0f} MB, {resident(port):.0f} MB after {answered:,} requests")


def _at_most(count, deadline=float("inf")):
    """Returns a function that is true so many times, until a time."""
    left = itertools.count(count, -1)
    return lambda: next(left) > 0 and time.monotonic() < deadline


if __name__ == "__main__":
    main()

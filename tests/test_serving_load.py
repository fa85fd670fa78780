"""Many clients at once: batches, a full queue, a time that is up, an end with work in flight."""

import concurrent.futures
import contextlib
import signal
import socket
import threading
import time

import httpx
import pytest
import uvicorn
from served import Server, draw, serving

from crnn_keras import OnnxRecognizer
from crnn_keras.serving import make_app
from crnn_keras.serving.limits import Limits
from crnn_keras.serving.service import Service

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def images(words):
    return draw(words)


@pytest.fixture(scope="module")
def texts(images):
    return [own.text for own in OnnxRecognizer.load("words").read(images)]


def read(address, images, **options):
    files = [("image", ("a.png", own, "image/png")) for own in images]
    return httpx.post(f"{address}/read", files=files, timeout=60, **options)


def test_answers_of_many_clients_are_not_mixed_up(images, texts):
    with serving() as server, concurrent.futures.ThreadPoolExecutor(16) as pool:

        def ask(n):
            # One of three has a bad image before the good one, and one an option.
            sent = [b"no image", images[n % 60]] if n % 3 == 0 else [images[n % 60]]
            fields = {"allow": "abcdefghijklmnopqrstuvwxyz"} if n % 3 == 1 else {}
            return read(server.address, sent, data=fields).json()["results"][-1]["text"]

        found = list(pool.map(ask, range(240)))
        measured = httpx.get(f"{server.address}/metrics").text
    assert found == [texts[n % 60] for n in range(240)]
    batches = next(
        float(line.split()[1])
        for line in measured.splitlines()
        if line.startswith("crnn_batch_images_count")
    )
    # 320 images in fewer runs of the network.
    assert batches < 250


def test_a_full_queue_is_429_and_who_comes_again_is_answered(images):
    options = ("--max-queue", "16", "--batch-size", "2", "--threads", "1")
    with serving(*options) as server, concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: read(server.address, images[n : n + 8]), range(48)))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused and {answer.status_code for answer in answers} == {200, 429}
        for answer in refused:
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert "8 again" in answer.json()["error"]
        assert read(server.address, images[:8]).status_code == 200
        # A request that never fits is told so at once.
        assert read(server.address, images[:17]).status_code == 429


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_what_was_sent_is_answered_before_the_end(images, texts, kind):
    server = Server("--threads", "1", "--batch-size", "4")
    try:
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            waiting = [pool.submit(read, server.address, images[:60]) for _ in range(3)]
            # More than two of them: all three have arrived.
            _wait_for(server, "crnn_queue_images", 121)
            server.process.send_signal(kind)
            answers = [own.result() for own in waiting]
        for answer in answers:
            assert answer.status_code == 200
            assert [row["text"] for row in answer.json()["results"]] == texts[:60]
        assert server.process.wait(30) == 0
        with pytest.raises(httpx.TransportError):
            read(server.address, images[:1])
        assert "Finished server process" in server.log()
    finally:
        server.stop()
        server.remove()


def _wait_for(server, name, least):
    deadline = time.monotonic() + 20
    while True:
        lines = httpx.get(f"{server.address}/metrics").text.splitlines()
        value = next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))
        if value >= least:
            return
        assert time.monotonic() < deadline, f"{name} is {value}"


def test_a_connection_that_is_idle_does_not_hold_the_end_up(images):
    with (
        serving() as server,
        contextlib.closing(socket.create_connection(("127.0.0.1", server.port))),
        httpx.Client(base_url=server.address) as client,
    ):
        assert client.get("/v2").status_code == 200
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 10


def test_a_client_that_leaves_costs_one_batch_at_most(images):
    options = ("--threads", "1", "--batch-size", "1", "--wait", "0")
    with serving(*options) as server:
        with contextlib.suppress(httpx.TimeoutException):
            files = [("image", ("a.png", own, "image/png")) for own in images]
            httpx.post(f"{server.address}/read", files=files, timeout=0.05)
        # Others are answered, whether or not the images of before are read.
        assert read(server.address, images[:1]).status_code == 200


def test_memory_does_not_grow_with_requests(images):
    with serving("--log-level", "warning") as server:

        def ask(_):
            with httpx.Client(base_url=server.address, timeout=60) as client:
                for n in range(20):
                    files = [("image", ("a.png", own, "image/png")) for own in images[n : n + 4]]
                    assert client.post("/read", files=files).status_code == 200

        sizes = []
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for _ in range(3):
                list(pool.map(ask, range(4)))
                sizes.append(_resident(server))
        assert sizes[2] - sizes[0] < 30e6, sizes


def _resident(server):
    lines = httpx.get(f"{server.address}/metrics").text.splitlines()
    return next(float(own.split()[1]) for own in lines if own.startswith("process_resident"))


@contextlib.contextmanager
def in_a_thread(service):
    """Yields the port of a server in this process: without signals."""
    ready = threading.Event()
    app = make_app(service, when_ready=ready.set)
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert ready.wait(30)
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


def test_a_program_serves_in_a_thread(images, texts):
    service = Service(OnnxRecognizer.load("words", cores=1), "words", threads=1)
    with in_a_thread(service) as port:
        row = read(f"http://127.0.0.1:{port}", images[:1]).json()["results"][0]
    assert row["text"] == texts[0] and not service.is_ready


def test_a_time_that_is_up_is_said(images):
    recognizer = OnnxRecognizer.load("words", cores=1)
    limits = Limits(read_seconds=0.5, body_seconds=0.5)
    service = Service(recognizer, "words", limits, threads=1)
    decode = recognizer.decode

    def decode_slowly(*args, **options):
        time.sleep(1.5)
        return decode(*args, **options)

    with in_a_thread(service) as port:
        recognizer.decode = decode_slowly
        answer = read(f"http://127.0.0.1:{port}", images[:1])
        assert answer.status_code == 503 and "0.5 s" in answer.json()["error"]
        head = b"POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc"
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(head)
            assert connection.recv(1_000).startswith(b"HTTP/1.1 408")
        assert service.held_bytes == 0


def test_an_image_that_makes_the_server_fail_is_500_and_harms_no_other(images, texts):
    recognizer = OnnxRecognizer.load("words", cores=1)
    service = Service(recognizer, "words", threads=1, max_wait=0.5)
    decode = recognizer.decode

    def fail(logits, sources, **options):
        if "image 1" in sources:
            raise RuntimeError("a mistake of ours")
        return decode(logits, sources, **options)

    with in_a_thread(service) as port, concurrent.futures.ThreadPoolExecutor(2) as pool:
        recognizer.decode = fail
        asked = [images[:1], images[:2]]
        address = f"http://127.0.0.1:{port}"
        good, bad = pool.map(lambda own: read(address, own), asked)
    assert good.json()["results"][0]["text"] == texts[0]
    assert bad.status_code == 500 and "a mistake" not in bad.text

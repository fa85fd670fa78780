"""What strangers, other pages of a browser and broken clients can do to a server, and cannot."""

import contextlib
import io
import json
import os
import socket
import time

import httpx
import pytest
from PIL import Image
from served import draw, serving

TOKEN = "0123456789abcdef0123456789abcdef"
SMALL = (
    *("--max-images", "8", "--max-request-bytes", "200000", "--max-image-bytes", "100000"),
    *("--max-held-bytes", "300000", "--max-connections", "40"),
)


@pytest.fixture(scope="module")
def server():
    """A server with small limits."""
    with serving(*SMALL) as made:
        yield made


@pytest.fixture(scope="module")
def client(server):
    with httpx.Client(base_url=server.address, timeout=30) as made:
        yield made


@pytest.fixture(scope="module")
def image():
    return draw(["door"])[0]


def read(client, images, **options):
    files = [("image", ("a.png", own, "image/png")) for own in images]
    return client.post("/read", files=files, **options)


def send(server, content, *, seconds=30, close=True):
    """Sends bytes and returns all that comes back until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(content)
            if close:
                connection.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65_536):
                received += piece
        return received


# Who may ask


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "localhost@evil"]
)
def test_a_foreign_name_that_leads_here_is_refused(client, image, host):
    for answer in (
        client.get("/", headers={"Host": host}),
        client.get("/metrics", headers={"Host": host}),
        read(client, [image], headers={"Host": host}),
    ):
        assert answer.status_code == 403 and "--allow-host" in answer.json()["error"]


@pytest.mark.parametrize(
    "host", ["localhost:1", "LOCALHOST", "127.0.0.1", "[::1]:80", "localhost."]
)
def test_the_names_of_the_loopback_are_answered_on_any_port(client, host):
    # Of a container, the port outside may be another.
    assert client.get("/v2", headers={"Host": host}).status_code == 200


def test_a_request_has_one_host(server):
    assert send(server, b"GET /v2 HTTP/1.1\r\nConnection: close\r\n\r\n").startswith(
        b"HTTP/1.1 400"
    )
    two = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nConnection: close\r\n\r\n"
    assert send(server, two).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_a_form_of_another_page_is_refused(client, image, headers):
    answer = read(client, [image], headers=headers)
    assert answer.status_code == 403 and "another server" in answer.json()["error"]


def test_a_link_from_another_page_and_the_own_page_are_answered(server, client, image):
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=link).status_code == 200
    assert client.get("/v2", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    own = {"Origin": server.address, "Sec-Fetch-Site": "same-origin"}
    assert read(client, [image], headers=own).status_code == 200


def test_a_browser_is_not_told_that_others_may_ask(client):
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.request("OPTIONS", "/read", headers=headers)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.slow
def test_with_a_token_only_its_holders_are_answered(image, tmp_path):
    (tmp_path / "token.txt").write_text(TOKEN + "\n")
    with (
        serving("--token-file", str(tmp_path / "token.txt")) as server,
        httpx.Client(base_url=server.address, timeout=30) as client,
    ):
        for path in ("/", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready"):
            assert client.get(path).status_code == 200, path
        wrong = ("", TOKEN, f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}0", f"Basic {TOKEN}", "Bearer")
        for value in wrong:
            for answer in (
                client.get("/metrics", headers={"Authorization": value}),
                client.get("/v2/models/words", headers={"Authorization": value}),
                read(client, [image], headers={"Authorization": value}),
            ):
                assert answer.status_code == 401, value
                assert answer.headers["www-authenticate"] == "Bearer"
                assert TOKEN[:8] not in answer.text
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert read(client, [image], headers=right).json()["results"][0]["text"] == "door"
        assert client.get("/metrics", headers=right).status_code == 200
        assert TOKEN not in server.log()
        with open(f"/proc/{server.process.pid}/cmdline") as file:
            assert TOKEN not in file.read()


# Sizes


def test_too_many_images_are_refused(client, image):
    assert len(read(client, [image] * 8).json()["results"]) == 8
    answer = read(client, [image] * 9)
    assert answer.status_code == 413 and "9 images" in answer.json()["error"]
    answer = read(client, [b""] * 900)
    assert answer.status_code == 413 and "Expected at most 8" in answer.json()["error"]
    content = {"instances": [{"b64": ""}] * 9}
    assert client.post("/v1/models/words:predict", json=content).status_code == 413


def test_a_body_that_is_too_large_is_refused_before_it_is_there(server):
    head = b"POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"
    start = time.monotonic()
    answer = send(server, head + b"x" * 100, close=False)
    assert answer.startswith(b"HTTP/1.1 413") and b"200,000" in answer
    assert time.monotonic() - start < 10


def test_a_client_that_asks_first_need_not_send(server):
    head = b"POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n"
    answer = send(server, head + b"Expect: 100-continue\r\n\r\n", close=False)
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_body_without_a_length_is_counted(server, client):
    def pieces():
        for _ in range(1_000):
            yield b"x" * 1_000

    answer = client.post("/read", content=pieces())
    assert answer.status_code == 413
    assert "crnn_held_bytes 0.0" in client.get("/metrics").text


def test_an_image_that_is_too_large_does_not_spoil_the_others(client, image):
    answer = read(client, [image, b"\0" * 100_001, image])
    rows = answer.json()["results"]
    assert [row["text"] for row in rows] == ["door", None, "door"]
    assert "100,001 bytes" in rows[1]["error"]


def test_a_small_file_of_many_pixels_is_not_decoded(client, image, png_of_size, encode):
    bombs = [png_of_size(60_000, 60_000), png_of_size(2_001, 2_000)]
    bombs.append(encode(Image.new("1", (2_500, 2_500)), "PNG"))
    bombs.append(encode(Image.new("1", (30_000, 1_500)), "TIFF", compression="group4"))
    assert all(len(bomb) < 20_000 for bomb in bombs)
    before = resident(client)
    rows = read(client, [image, *bombs]).json()["results"]
    assert [row["text"] for row in rows] == ["door", None, None, None, None]
    assert all("pixels" in row["error"] for row in rows[1:])
    assert resident(client) - before < 50e6


def resident(client):
    lines = client.get("/metrics").text.splitlines()
    return next(float(own.split()[1]) for own in lines if own.startswith("process_resident"))


def test_a_packed_body_is_not_unpacked(client):
    answer = client.post("/read", content=b"x", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415


# Slow and broken clients


@pytest.mark.slow
def test_a_client_that_sends_its_headers_slowly_is_left(server):
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        with contextlib.suppress(ConnectionError):
            for byte in b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * 60:
                connection.sendall(bytes([byte]))
                time.sleep(0.3)
        with contextlib.suppress(ConnectionError):
            assert connection.recv(10) == b""
    assert 8 < time.monotonic() - start < 20


@pytest.mark.parametrize("head", [b"X: ", b"GET /", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_headers_without_an_end_are_cut_off(server, client, head):
    start, before = time.monotonic(), resident(client)
    answer = send(server, head + b"a" * 50_000_000, close=False)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))
    assert time.monotonic() - start < 9
    assert resident(client) - before < 20e6


def test_garbage_is_refused_and_the_next_client_is_answered(server, client):
    for content in (b"\0" * 1_000, os.urandom(5_000), b"GET\r\n\r\n", b"\x16\x03\x01\x02\0"):
        answer = send(server, content)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert client.get("/v2").status_code == 200


def test_a_client_that_leaves_within_its_body_costs_nothing(server, client):
    head = b"POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(head + b"x" * 1_000)
    deadline = time.monotonic() + 10
    while "crnn_held_bytes 0.0" not in client.get("/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_bodies_that_do_not_end_share_a_bound(server, client, image):
    head = b"POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 150000\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            stack.enter_context(contextlib.closing(connection))
            connection.sendall(head + b"x" * 70_000)
        # 300,000 bytes may be held: those have 280,000.
        deadline = time.monotonic() + 10
        while "crnn_held_bytes 280000.0" not in client.get("/metrics").text:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        answer = read(client, [b"x" * 90_000])
        assert answer.status_code == 429 and answer.headers["retry-after"] == "1"
        assert read(client, [image]).status_code == 200


def test_connections_are_bounded(server):
    with contextlib.ExitStack() as stack:
        for _ in range(45):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            stack.enter_context(contextlib.closing(connection))
        with httpx.Client(base_url=server.address, timeout=30) as client:
            assert client.get("/v2/health/live").status_code == 503
    with httpx.Client(base_url=server.address, timeout=30) as client:
        deadline = time.monotonic() + 10
        while client.get("/v2/health/live").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_two_requests_in_one_piece_are_both_answered(server):
    ask = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert send(server, ask + last, close=False).count(b"HTTP/1.1 200") == 2


def test_a_body_that_holds_a_request_is_not_one(server):
    inner = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for lengths in (
        b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n" % len(inner),
        b"Content-Length: %d\r\nContent-Length: 0\r\n" % len(inner),
    ):
        head = b"POST /read HTTP/1.1\r\nHost: localhost\r\n" + lengths + b"\r\n"
        answer = send(server, head + inner)
        assert answer.count(b"HTTP/1.1 ") == 1 and answer.startswith(b"HTTP/1.1 400")


def test_names_of_files_and_fields_cannot_write_into_the_log(server, client, image):
    name = 'a"\n{"level": "error", "event": "forged"}\x1b[31m.png'
    files = [("image", (name, io.BytesIO(image), "image/png"))]
    answer = client.post("/read", files=files)
    assert answer.status_code in (200, 400)
    client.get("/%0a%7b%22forged%22%7d")
    assert "forged" not in server.log() and "\x1b" not in server.log()
    assert all(json.loads(line) for line in server.log().splitlines())

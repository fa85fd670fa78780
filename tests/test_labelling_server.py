"""The page for labelling and its requests: what it serves, and whom it refuses."""

import concurrent.futures
import http.client
import io
import json
import os
import re
import socket
import threading
import urllib.error
import urllib.request

import pytest
from PIL import Image

from crnn_keras.labelling import LabelServer, LabelSession, LabelStore, list_images
from crnn_keras.utils.limits import MAX_LABEL_REQUEST_BYTES


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (60, 20), "white").save(tmp_path / name)
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path


@pytest.fixture
def served(folder):
    """A server of three images, without a reader; it ends with the test."""
    with LabelStore(folder / "labels.tsv") as store:
        session = LabelSession(store, list_images(folder, store.path).items, order="name")
        server = LabelServer(session, "<b>crops</b>")
        thread = threading.Thread(target=server.serve)
        thread.start()
        yield server
        server.stop()
        thread.join()


def ask(served, path, content=None, *, headers=None, body=None, method=None):
    """Sends a request; returns `(status, headers, body)`."""
    body = json.dumps(content).encode() if content is not None else body
    headers = ({"Content-Type": "application/json"} if body is not None else {}) | (headers or {})
    request = urllib.request.Request(served.address + path, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def error_of(answer):
    return json.loads(answer[2])["error"]


def test_the_page_is_complete_and_may_ask_nobody_else(served):
    status, headers, body = ask(served, "")
    page, policy = body.decode(), headers["Content-Security-Policy"]
    assert status == 200
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    (nonce,) = set(re.findall(r"'nonce-([\w-]+)'", policy))
    assert len(re.findall(f'nonce="{nonce}"', page)) == 3 and "@" not in nonce
    assert "unsafe" not in policy and "http:" not in policy
    assert not re.findall(r"""(?:src|href)=["'](?!data:,)|https?://|@import|url\(""", page)
    assert not re.search(r"\son\w+=|\sstyle=", page)
    # The name of a folder is text.
    assert "<b>crops" not in page and "\\u003cb>crops" in page
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert ask(served, "")[1]["Content-Security-Policy"] != policy


def test_it_listens_on_the_loopback_only(served):
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{22}/", served.address)


def test_images_are_served_by_their_index(served):
    status, headers, body = ask(served, "image/1")
    assert (status, headers["Content-Type"]) == (200, "image/png")
    assert Image.open(io.BytesIO(body)).size == (60, 20)


@pytest.mark.parametrize(
    "path",
    [
        *("image/3", "image/-1", "image/", "image/a.png", "image/999999999", "image/0/", "x"),
        *("image/..%2fsecret.txt", "image/../secret.txt", "../secret.txt", "secret.txt", "/etc"),
        "image/٣",
    ],
)
def test_no_path_leads_to_a_file(served, path):
    path = path.encode().decode("latin-1") if not path.isascii() else path
    try:
        status, _, body = ask(served, path)
    except (UnicodeEncodeError, http.client.InvalidURL):
        return
    assert status == 404 and b"secret" not in body


def test_an_image_that_is_gone_or_damaged_is_an_error_of_its_own(served, folder):
    (folder / "a.png").unlink()
    (folder / "b.png").write_bytes(b"no image")
    for index in (0, 1):
        answer = ask(served, f"image/{index}")
        assert answer[0] == 404 and "ab"[index] + ".png" in error_of(answer)
    assert ask(served, "image/2")[0] == 200


def test_a_decision_is_on_the_disk_when_it_is_answered(served, folder):
    state = json.loads(ask(served, "state?view=todo")[2])
    item = state["item"]
    assert (item["name"], item["text"], state["upcoming"]) == ("a.png", "", 1)
    content = {"index": 0, "action": "label", "text": " <i>\té ", "revision": 0}
    assert json.loads(ask(served, "decide", content)[2]) == {"text": "<i> é"}
    assert (folder / "labels.tsv").read_text() == "a.png\t<i> é\n"
    assert json.loads(ask(served, "state")[2])["counts"]["labelled"] == 1
    answer = ask(served, "decide", content)
    assert answer[0] == 409 and "<i> é" in error_of(answer)
    assert json.loads(ask(served, "undo", {})[2]) == {"index": 0, "text": "<i> é"}
    assert (folder / "labels.tsv").read_text() == ""


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        ({"index": 9, "action": "label", "text": "x"}, "9"),
        ({"index": "0", "action": "label", "text": "x"}, "0"),
        ({"action": "label", "text": "x"}, "None"),
        ({"index": -1, "action": "label", "text": "x"}, "-1"),
        ({"index": True, "action": "label", "text": "x"}, "True"),
        ({"index": 0, "action": "label", "text": "x", "revision": "0"}, "revision"),
        ({"index": 0, "action": "burn"}, "burn"),
        ({"index": 0, "action": ["label"]}, "label"),
        ({"index": 0, "action": "label"}, "empty"),
        ({"index": 0, "action": "label", "text": ["x"]}, "text"),
        ({"index": 0, "action": "label", "text": "a\0"}, "control character"),
        ({"index": 0, "action": "label", "text": "\ud800"}, "UTF-8"),
    ],
)
def test_what_is_no_decision_is_refused_by_name(served, folder, content, fact):
    answer = ask(served, "decide", content)
    assert answer[0] == 422 and fact in error_of(answer)
    assert not (folder / "labels.tsv").exists()


@pytest.mark.parametrize("query", ["view=x", "index=9", "after=9", "view=todo&index=-1", "a=b"])
def test_an_odd_query_is_refused_or_answered(served, query):
    assert ask(served, f"state?{query}")[0] in (200, 422)


def test_a_full_disk_is_said(served, folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    content = {"index": 0, "action": "label", "text": "one", "revision": 0}
    answer = ask(served, "decide", content)
    assert answer[0] == 507 and "Not saved" in error_of(answer) and "No space" in error_of(answer)
    monkeypatch.undo()
    assert ask(served, "decide", content)[0] == 200


# ---- who is refused ----------------------------------------------------------------------------

GOOD = {"index": 0, "action": "label", "text": "x"}


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "", "[::1]"])
@pytest.mark.parametrize("path", ["", "state", "image/0", "decide"])
def test_another_host_is_refused(served, folder, host, path):
    """A name that a stranger's page resolves to the loopback (DNS rebinding) gets nothing."""
    port = served.address.split(":")[2].split("/")[0]
    headers = {"Host": host.format(port=port)}
    answer = ask(served, path, GOOD if path == "decide" else None, headers=headers)
    assert answer[0] == 403 and b"127.0.0.1:" in answer[2]
    assert not (folder / "labels.tsv").exists()


def test_localhost_is_the_loopback_too(served):
    port = served.address.split(":")[2].split("/")[0]
    assert ask(served, "state", headers={"Host": f"localhost:{port}"})[0] == 200


@pytest.mark.parametrize("secret", ["", "x/", "A" * 22 + "/", "%00/", "x" * 5000 + "/"])
def test_without_the_secret_nothing_is_answered(served, secret):
    base = served.address.rsplit("/", 2)[0]
    for path in ("", "state", "image/0"):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"{base}/{secret}{path}", timeout=10)
        with error.value:
            assert error.value.code == 404
            assert "crnn-keras label" in json.loads(error.value.read())["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://127.0.0.1:{port}"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://localhost:{port}"}, 200),
    ],
)
def test_only_the_page_itself_may_change_something(served, folder, headers, status):
    port = served.address.split(":")[2].split("/")[0]
    headers = {name: value.format(port=port) for name, value in headers.items()}
    assert ask(served, "decide", GOOD, headers=headers)[0] == status
    assert (folder / "labels.tsv").exists() == (status == 200)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "TRACE"])
def test_other_methods_are_refused(served, method):
    assert ask(served, "state", method=method)[0] == 501


def test_a_get_changes_nothing(served, folder):
    for path in ("decide", "undo", "finish"):
        assert ask(served, path)[0] == 404
    assert ask(served, "state")[0] == 200


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Length": str(MAX_LABEL_REQUEST_BYTES + 1)}, b"", b"413"),
        ({"Content-Length": "9" * 30}, b"", b"411"),
        ({"Content-Length": "-1"}, b"", b"411"),
        ({}, b"", b"411"),
        ({"Transfer-Encoding": "chunked", "Content-Length": "2"}, b"{}", b"411"),
        ({"Content-Length": "2"}, b"[]", b"400"),
        ({"Content-Length": "3"}, b"{x}", b"400"),
        ({"Content-Length": "100000"}, b"[" * 100_000, b"400"),
        ({"Content-Length": "2"}, b"\xff\xfe", b"400"),
    ],
)
def test_a_body_is_bounded_and_an_object(served, headers, body, status):
    host, _, secret = served.address.removeprefix("http://").rstrip("/").partition("/")
    lines = [f"POST /{secret}/decide HTTP/1.1", f"Host: {host}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection(tuple(host.split(":")), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    # The connection was closed: what follows on it was not read as a request.
    assert answer.split(b" ")[1] == status and answer.count(b"HTTP/1.1") == 1


def test_a_stalled_request_does_not_keep_others_waiting(served):
    host, _, secret = served.address.removeprefix("http://").rstrip("/").partition("/")
    with socket.create_connection(tuple(host.split(":")), timeout=10) as stalled:
        stalled.sendall(f"POST /{secret}/decide HTTP/1.1\r\nHost: {host}\r\n".encode())
        assert ask(served, "state")[0] == 200


def test_many_requests_at_once(served, folder):
    def label(index):
        return ask(served, "decide", {"index": index, "action": "label", "text": f"t{index}"})[0]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(label, [0, 1, 2] * 5)) == {200}
        assert set(pool.map(lambda _: ask(served, "image/0")[0], range(20))) == {200}
    assert sorted((folder / "labels.tsv").read_text().split()) == sorted(
        ["a.png", "t0", "b.png", "t1", "c.png", "t2"]
    )


def test_a_port_that_is_taken_is_an_error(served):
    port = int(served.address.split(":")[2].split("/")[0])
    with pytest.raises(OSError):
        LabelServer(None, "x", port=port)


def test_the_page_ends_the_sitting(served):
    assert json.loads(ask(served, "finish", {})[2])["counts"]["total"] == 3
    with pytest.raises(OSError):  # refused, or reset
        while True:
            ask(served, "state")

"""The parts of the server by themselves: queue, limits, names of hosts, log."""

import io
import json
import logging
import threading
import time

import pytest

from crnn_keras.serving.batching import Batcher, ClosedError, FullError
from crnn_keras.serving.errors import RequestError
from crnn_keras.serving.form import parse_form
from crnn_keras.serving.guard import is_loopback, normalize_host
from crnn_keras.serving.images import ImageReader, Options
from crnn_keras.serving.limits import Limits
from crnn_keras.serving.logs import JsonFormatter

OPTIONS = {"max_batch": 4, "max_wait": 0.05, "max_queue": 100, "threads": 1}


@pytest.fixture
def make_batcher():
    """Function that makes a `Batcher`, which is closed with the test."""
    made = []

    def make(function, **options):
        made.append(Batcher(function, **{**OPTIONS, **options}))
        return made[-1]

    yield make
    for batcher in made:
        batcher.close()


def test_items_that_come_together_are_one_batch(make_batcher):
    sizes = []

    def double(items, key):
        sizes.append(len(items))
        return [2 * item for item in items]

    batcher = make_batcher(double)
    futures = [batcher.submit([n]) for n in range(4)]
    assert [future.result(5) for future in futures] == [[0], [2], [4], [6]]
    assert sizes == [4]
    assert batcher.submit(list(range(10))).result(5) == list(range(0, 20, 2))
    assert sizes == [4, 4, 4, 2]


def test_batches_that_come_while_one_is_finished_are_finished_together(make_batcher):
    sizes, has_begun, may_end = [], threading.Event(), threading.Event()

    def finish(items, key):
        sizes.append(len(items))
        has_begun.set()
        assert may_end.wait(10)
        return [f"{key}{item}" for item in items]

    def predict(items, key):
        if 7 in items and len(items) > 1:
            raise ValueError("a batch with 7")
        return [1 / (7 - item) and 10 * item for item in items]

    options = {"finish": finish, "threads": 2, "max_batch": 2, "max_wait": 0}
    batcher = make_batcher(predict, **options)
    first = batcher.submit([0], "a")
    assert has_begun.wait(10)
    others = [batcher.submit([n, n + 1], "b") for n in (2, 4, 6)]
    deadline = time.monotonic() + 10
    while len(batcher) and time.monotonic() < deadline:
        time.sleep(0.01)
    may_end.set()
    assert first.result(10) == ["a0"]
    texts = [text for future in others for text in future.result(10)]
    assert texts[:5] == ["b20", "b30", "b40", "b50", "b60"]
    assert isinstance(texts[5], ZeroDivisionError)
    assert sizes[0] == 1 and sum(sizes) == 6 and len(sizes) <= 3


def test_a_lone_item_waits_no_longer_than_it_must(make_batcher):
    batcher = make_batcher(lambda items, key: items, max_wait=0.2)
    start = time.monotonic()
    assert batcher.submit([1]).result(5) == [1]
    assert 0.15 < time.monotonic() - start < 2
    start = time.monotonic()
    assert batcher.submit([1, 2, 3, 4]).result(5) == [1, 2, 3, 4]
    assert time.monotonic() - start < 0.15


def test_only_items_of_one_key_are_in_a_call(make_batcher):
    calls = []

    def note(items, key):
        calls.append((items, key))
        return [key] * len(items)

    batcher = make_batcher(note)
    futures = [batcher.submit([n], "ab"[n % 2]) for n in range(4)]
    assert [future.result(5) for future in futures] == [["a"], ["b"], ["a"], ["b"]]
    assert sorted(calls, key=str) == [([0, 2], "a"), ([1, 3], "b")]


def test_an_item_that_fails_harms_no_other(make_batcher, caplog):
    def invert(items, key):
        return [1 / item for item in items]

    batcher = make_batcher(invert)
    caplog.set_level(logging.CRITICAL)
    futures = [batcher.submit([1, 0, 2]), batcher.submit([4])]
    first, second = (future.result(5) for future in futures)
    assert (first[0], first[2], second) == (1, 0.5, [0.25])
    assert isinstance(first[1], ZeroDivisionError)


def test_a_full_queue_takes_all_items_or_none(make_batcher):
    go = threading.Event()

    def wait(items, key):
        go.wait(10)
        return items

    batcher = make_batcher(wait, max_queue=6, max_batch=1, max_wait=0)
    first = batcher.submit([0])
    while len(batcher):
        time.sleep(0.001)
    rest = batcher.submit([1, 2, 3, 4])
    with pytest.raises(FullError) as error:
        batcher.submit([5, 6, 7])
    assert error.value.seconds == 1 and len(batcher) == 4
    last = batcher.submit([5, 6])
    go.set()
    assert [own.result(5) for own in (first, rest, last)] == [[0], [1, 2, 3, 4], [5, 6]]
    assert batcher.submit([]).result(0) == []


def test_what_was_cancelled_is_not_read(make_batcher):
    go, seen = threading.Event(), []

    def wait(items, key):
        go.wait(10)
        seen.extend(items)
        return items

    batcher = make_batcher(wait, max_batch=1, max_wait=0)
    first = batcher.submit([0])
    while len(batcher):
        time.sleep(0.001)
    second, third = batcher.submit([1, 2]), batcher.submit([3])
    assert second.cancel()
    go.set()
    assert first.result(5) == [0] and third.result(5) == [3]
    assert seen == [0, 3]


def test_what_waits_is_read_before_the_end():
    batcher = Batcher(lambda items, key: items, **{**OPTIONS, "max_wait": 5, "max_batch": 50})
    future = batcher.submit([1, 2, 3])
    start = time.monotonic()
    batcher.close()
    assert future.result(0) == [1, 2, 3] and time.monotonic() - start < 3
    with pytest.raises(ClosedError):
        batcher.submit([4])


def test_many_threads_get_their_own_results(make_batcher):
    batcher = make_batcher(
        lambda items, key: [(item, key) for item in items],
        threads=4,
        max_wait=0.001,
        max_queue=9999,
    )
    found = {}

    def ask(name):
        for n in range(50):
            items = [(name, n, place) for place in range(n % 7)]
            found[name, n] = batcher.submit(items, n % 3).result(20) == [(i, n % 3) for i in items]

    threads = [threading.Thread(target=ask, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 400 and all(found.values())


def test_a_filling_batch_is_taken_when_it_is_full_and_by_one_thread(make_batcher):
    sizes = []

    def note(items, key):
        sizes.append(len(items))
        return items

    batcher = make_batcher(note, threads=3, max_wait=5)
    start = time.monotonic()
    futures = [batcher.submit([n]) for n in range(8)]
    assert [future.result(5) for future in futures] == [[n] for n in range(8)]
    assert sizes == [4, 4] and time.monotonic() - start < 4


def part(content, disposition='form-data; name="image"; filename="a"'):
    head = f"--x\r\nContent-Disposition: {disposition}\r\nContent-Type: image/png\r\n\r\n"
    return head.encode() + content + b"\r\n"


def parse(body, content_type="multipart/form-data; boundary=x", **options):
    return parse_form(content_type, body, **{"fields": ["allow"], "most_files": 9} | options)


def test_a_form_keeps_every_byte_of_its_files():
    contents = [bytes(range(256)) * 300, b"", b"\r\n--", b"a--x"]
    text = part("ß".encode(), 'form-data; name="allow"')
    files, fields = parse(b"".join(map(part, contents)) + text + b"--x--\r\n")
    assert files == [("a", own) for own in contents] and fields == {"allow": "ß"}
    assert parse(b"".join(map(part, contents)), most_files=2)[0] == files[:2]


@pytest.mark.parametrize(
    ("body", "fact"),
    [
        (part(b"1")[:-8], "no file"),
        (b"--y" + part(b"1")[3:], "damaged"),
        (part(b"1", "form-data"), "no name"),
        (part(b"1", 'form-data; name="other"'), "other"),
        (2 * part(b"1", 'form-data; name="allow"'), "allow"),
        (part(b"1" * 2**15, 'form-data; name="allow"'), "16KB"),
    ],
)
def test_what_is_wrong_with_a_form_is_named(body, fact):
    with pytest.raises(RequestError, match=fact) as error:
        parse(body + b"--x--")
    assert error.value.status == 400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("images", 0),
        ("images", True),
        ("pixels", 10**9),
        ("image_bytes", 2**40),
        ("queue", 1.5),
        ("body_seconds", 0),
        ("read_seconds", float("nan")),
        ("held_bytes", "many"),
    ],
)
def test_a_limit_out_of_range_is_named(name, value):
    with pytest.raises(ValueError, match=name):
        Limits(**{name: value})


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("LocalHost:80", "localhost"),
        ("localhost.", "localhost"),
        ("[::1]:8000", "::1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("evil@localhost", "evil@localhost"),
        ("127.0.0.1.evil:1", "127.0.0.1.evil"),
        ("", ""),
    ],
)
def test_the_name_in_a_host_header(host, name):
    assert normalize_host(host) == name


def test_addresses_of_the_loopback():
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.com", "")))


def test_an_image_reads_the_same_in_any_company(words):
    from served import draw

    from crnn_keras import OnnxRecognizer

    recognizer = OnnxRecognizer.load("words", cores=1)
    reader, images = ImageReader(recognizer, Limits()), draw(words[:6])
    together = reader.read([*images, b"", b"x"], list("abcdefgh"), Options())
    alone = [reader.read([image], ["a"], Options())[0] for image in images]
    assert [own.prediction.text for own in together[:6]] == [own.prediction.text for own in alone]
    assert [own.kind for own in together] == ["read"] * 6 + ["unreadable"] * 2
    assert together[7].prediction.error.startswith("h: ")
    assert reader.read([], [], Options()) == []


def test_a_record_of_an_exception_has_its_place_but_not_its_message():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.Logger("crnn_keras.test")
    logger.addHandler(handler)
    try:
        raise ValueError("the text of an image")
    except ValueError:
        logger.exception("it failed", extra={"facts": {"status": 500}})
    record = json.loads(stream.getvalue())
    assert (record["event"], record["level"], record["status"]) == ("it failed", "error", 500)
    assert record["exception"] == "ValueError" and "test_serving_parts.py" in record["raised_at"][0]
    assert "the text" not in stream.getvalue()


def test_what_other_libraries_say_is_not_repeated():
    record = logging.LogRecord(
        "python_multipart", 30, "", 0, "got %r", ("a byte of a client",), None
    )
    line = json.loads(JsonFormatter().format(record))
    assert (line["event"], line["level"]) == ("a message of python_multipart", "warning")
    assert "byte" not in str(line)

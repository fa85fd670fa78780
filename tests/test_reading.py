"""Windows of pictures, threads and the order of what comes out, with a network of no weights."""

import itertools
import threading

import numpy as np
import pytest
from PIL import Image

from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas
from crnn_keras.reading import PictureReader, Reading, in_threads, list_pictures

DIGITS = CharDict.from_preset("digits")
KEEP = Canvas("keep", 32, (48, 96, 160))


class GrayReader(PictureReader):
    """Reads the first pixel of a canvas: its tens are the digit."""

    def __init__(self, canvas):
        super().__init__(DIGITS, canvas)
        self.batches = []

    def logits(self, canvases):
        self.batches.append(canvases.shape[:3])
        frames = canvases.shape[2] // 4
        digits = canvases[:, 0, 0, 0] // 10
        return np.repeat(np.eye(DIGITS.classes)[digits + 1][:, None] * 50, frames, axis=1)


def gray(value, size=(20, 30)):
    return np.full(size, 10 * value + 5, np.uint8)


def digits(count):
    return [position * 7 % 10 for position in range(count)]


@pytest.mark.parametrize("canvas", [Canvas(), KEEP], ids=["stretch", "keep"])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 9, 100])
def test_readings_come_in_the_order_of_the_pictures(canvas, count):
    sizes = itertools.cycle([(20, 30), (32, 150), (32, 900), (40, 60), (10, 30)])
    pictures = [gray(digit, size) for digit, size in zip(digits(count), sizes, strict=False)]
    reader = GrayReader(canvas)
    readings = reader.read(pictures, batch_size=4)
    assert [reading.text for reading in readings] == [str(digit) for digit in digits(count)]
    assert [reading.source for reading in readings] == [f"#{n}" for n in range(count)]
    assert all(1 <= batch[0] <= 4 for batch in reader.batches)
    assert sum(batch[0] for batch in reader.batches) == count


def test_bad_pictures_keep_their_places_in_every_window():
    pictures = [gray(digit) for digit in digits(40)]
    bad = {0: b"", 3: b"no picture", 17: np.zeros((0, 4), np.uint8), 39: "missing.png"}
    for position, picture in bad.items():
        pictures[position] = picture
    readings = GrayReader(Canvas()).read(pictures, batch_size=4)
    assert {n for n, reading in enumerate(readings) if reading.text is None} == set(bad)
    assert all(readings[n].error and readings[n].confidence == 0 for n in bad)
    assert readings[39].source == "missing.png" and "does not exist" in readings[39].error
    assert readings[38].text == str(digits(40)[38])


def test_only_bad_pictures():
    readings = GrayReader(KEEP).read([b""] * 30, batch_size=2)
    assert [reading.text for reading in readings] == [None] * 30


def test_a_stream_draws_only_a_few_windows_ahead_of_what_was_taken():
    drawn = itertools.count()
    endless = (gray(next(drawn) % 10) for _ in itertools.repeat(None))
    reader = GrayReader(Canvas())
    reader.threads = 2
    stream = reader.stream(endless, batch_size=4)
    taken = list(itertools.islice(stream, 100))
    stream.close()
    assert [reading.text for reading in taken] == [str(n % 10) for n in range(100)]
    # Two windows to begin with, five under way, and the one that 100 ends in.
    assert next(drawn) <= 100 + 8 * 4


def test_an_open_file_is_one_picture(tmp_path):
    Image.fromarray(gray(3)).save(tmp_path / "a.png")
    with open(tmp_path / "a.png", "rb") as file:
        assert [reading.text for reading in GrayReader(Canvas()).read(file)] == ["3"]


def test_a_folder_is_listed_by_name_without_its_folders(tmp_path):
    for name in ("b.png", "a.png", "B.png", "10.png", "9.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "c").mkdir()
    expected = [str(tmp_path / name) for name in ("10.png", "9.png", "B.png", "a.png", "b.png")]
    assert list(list_pictures(tmp_path)) == [(path, path) for path in expected]
    assert list(list_pictures(str(tmp_path))) == [(path, path) for path in expected]


def test_an_empty_folder_gives_no_readings(tmp_path):
    assert GrayReader(KEEP).read(tmp_path) == []


def test_an_error_of_the_network_reaches_the_caller():
    class Broken(GrayReader):
        def logits(self, canvases):
            return np.full((len(canvases), 25, DIGITS.classes), np.nan)

    for count in (1, 30):
        with pytest.raises(ValueError, match="not finite"):
            Broken(Canvas()).read([gray(1)] * count, batch_size=4)


def test_threads_work_at_the_same_time_and_results_come_in_order():
    # Each waits for the other: one thread alone would never pass.
    barrier = threading.Barrier(2, timeout=20)

    def double(number):
        barrier.wait()
        return 2 * number

    assert list(in_threads(double, ((n,) for n in range(8)), 2)) == [0, 2, 4, 6, 8, 10, 12, 14]


def test_an_error_in_a_thread_reaches_the_caller_after_what_came_before():
    results = in_threads(lambda n: 1 // (3 - n), ((n,) for n in range(10)), 2)
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_reading_says_nothing_that_was_not_read():
    assert Reading(None, 0.0, "#1", error="why").spans == ()

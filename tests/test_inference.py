"""Windows of images, threads and the order of what comes out, with a network of no weights."""

import itertools
import threading

import numpy as np
import pytest
from PIL import Image

from crnn_keras.char_dict import CharDict
from crnn_keras.evaluation.confidence import Calibration
from crnn_keras.images import Canvas
from crnn_keras.inference.base import BaseRecognizer, Prediction, in_threads, list_images
from crnn_keras.model.decoding import Lexicon, log_likelihoods, read_with_lexicon

DIGITS = CharDict.from_preset("digits")
KEEP = Canvas("keep", 32, (48, 96, 160))


class GrayReader(BaseRecognizer):
    """Reads the first pixel of a canvas: its tens are the digit."""

    def __init__(self, canvas, calibration=None, sureness=50):
        super().__init__(DIGITS, canvas, calibration)
        self.batches, self.sureness = [], sureness

    def logits(self, canvases):
        self.batches.append(canvases.shape[:3])
        frames = canvases.shape[2] // 4
        digits = canvases[:, 0, 0, 0] // 10
        rows = np.eye(DIGITS.num_classes)[digits + 1] * self.sureness
        return np.repeat(rows[:, None], frames, axis=1)


def gray(value, size=(20, 30)):
    return np.full(size, 10 * value + 5, np.uint8)


def digits(count):
    return [position * 7 % 10 for position in range(count)]


@pytest.mark.parametrize("canvas", [Canvas(), KEEP], ids=["stretch", "keep"])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 9, 100])
def test_readings_come_in_the_order_of_the_images(canvas, count):
    sizes = itertools.cycle([(20, 30), (32, 150), (32, 900), (40, 60), (10, 30)])
    images = [gray(digit, size) for digit, size in zip(digits(count), sizes, strict=False)]
    reader = GrayReader(canvas)
    readings = reader.read(images, batch_size=4)
    assert [reading.text for reading in readings] == [str(digit) for digit in digits(count)]
    assert [reading.source for reading in readings] == [f"#{n}" for n in range(count)]
    assert all(1 <= batch[0] <= 4 for batch in reader.batches)
    assert sum(batch[0] for batch in reader.batches) == count


def test_bad_images_keep_their_places_in_every_window():
    images = [gray(digit) for digit in digits(40)]
    bad = {0: b"", 3: b"no image", 17: np.zeros((0, 4), np.uint8), 39: "missing.png"}
    for position, image in bad.items():
        images[position] = image
    readings = GrayReader(Canvas()).read(images, batch_size=4)
    assert {n for n, reading in enumerate(readings) if reading.text is None} == set(bad)
    assert all(readings[n].error and readings[n].confidence == 0 for n in bad)
    assert readings[39].source == "missing.png" and "does not exist" in readings[39].error
    assert readings[38].text == str(digits(40)[38])


def test_only_bad_images():
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


def test_an_open_file_is_one_image(tmp_path):
    Image.fromarray(gray(3)).save(tmp_path / "a.png")
    with open(tmp_path / "a.png", "rb") as file:
        assert [reading.text for reading in GrayReader(Canvas()).read(file)] == ["3"]


def test_a_folder_is_listed_by_name_without_its_folders(tmp_path):
    for name in ("b.png", "a.png", "B.png", "10.png", "9.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "c").mkdir()
    expected = [str(tmp_path / name) for name in ("10.png", "9.png", "B.png", "a.png", "b.png")]
    assert list(list_images(tmp_path)) == [(path, path) for path in expected]
    assert list(list_images(str(tmp_path))) == [(path, path) for path in expected]


def test_an_empty_folder_gives_no_readings(tmp_path):
    assert GrayReader(KEEP).read(tmp_path) == []


def test_an_error_of_the_network_reaches_the_caller():
    class Broken(GrayReader):
        def logits(self, canvases):
            return np.full((len(canvases), 25, DIGITS.num_classes), np.nan)

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
    assert Prediction(None, 0.0, "#1", error="why").spans == ()
    assert Prediction(None, 0.0, "#1", error="why").raw_text is None


def test_without_a_calibration_both_confidences_are_the_networks():
    readings = GrayReader(Canvas(), sureness=8).read([gray(3)] * 3)
    logits = GrayReader(Canvas(), sureness=8).logits(np.full((1, 32, 100, 1), 35))
    expected = np.exp(log_likelihoods(logits[0], [DIGITS.encode("3")])[0])
    # More than the best path alone, of eleven classes one ahead by 8 in each of 25 frames.
    assert (1 + 10 * np.exp(-8)) ** -25 < expected < 1
    for reading in readings:
        assert reading.confidence == reading.raw_confidence == pytest.approx(expected, rel=1e-6)
        assert (reading.text, reading.raw_text, reading.choice) == ("3", "3", None)


@pytest.mark.parametrize("canvas", [Canvas(), KEEP], ids=["stretch", "keep"])
def test_the_calibration_turns_the_raw_confidence_into_a_chance(canvas):
    calibration = Calibration(0.5, -0.25)
    images = [gray(3), b"no image", gray(4, (32, 150))] * 9
    plain = GrayReader(canvas, None, 8).read(images, batch_size=4)
    readings = GrayReader(canvas, calibration, 8).read(images, batch_size=4)
    for reading, before in zip(readings, plain, strict=True):
        assert (reading.text, reading.error) == (before.text, before.error)
        assert reading.raw_confidence == before.raw_confidence
        if reading.error:
            assert reading.confidence == reading.raw_confidence == 0
        else:
            assert reading.confidence == calibration.apply(before.raw_confidence)
            assert abs(reading.confidence - reading.raw_confidence) > 0.01


@pytest.mark.parametrize("count", [1, 3, 100])
def test_one_lexicon_for_all_images(count):
    lexicon = Lexicon(["3", "12"], DIGITS)
    calibration = Calibration(0.7, 0.1)
    reader = GrayReader(Canvas(), calibration, sureness=2)
    images = [gray(digit) for digit in digits(count)]
    readings = reader.read(images, batch_size=4, lexicon=lexicon, delta=1)
    logits = reader.logits(np.stack([np.full((32, 100, 1), 10 * d + 5) for d in digits(count)]))
    chosen = read_with_lexicon(logits, [25] * count, lexicon, delta=1)
    assert [reading.choice for reading in readings] == chosen
    assert [reading.text for reading in readings] == [choice.text for choice in chosen]
    # A digit that is in neither word is one edit from "3" only.
    assert {reading.text for reading in readings} <= {"3", "12"}
    for digit, reading in zip(digits(count), readings, strict=True):
        assert (reading.raw_text, reading.error) == (str(digit), None)
        raw = np.exp(reading.choice.log_likelihood)
        assert reading.raw_confidence == pytest.approx(raw, rel=1e-12)
        assert reading.confidence == calibration.apply(reading.raw_confidence)
    assert reader.read(images[0])[0].choice is None


@pytest.mark.parametrize("of", [list, iter])
@pytest.mark.parametrize("count", [0, 1, 40])
def test_each_image_has_a_lexicon_of_its_own(of, count):
    images, lexicons, expected = [], [], []
    for position, digit in enumerate(digits(count)):
        # Every third without, every fifth no image.
        own = None if position % 3 == 0 else Lexicon([str((digit + 1) % 10)], DIGITS)
        broken = position % 5 == 4
        images.append(b"" if broken else gray(digit))
        lexicons.append(own)
        expected.append(None if broken else own.words[0] if own else str(digit))
    # One whose words are too far: the text without it stands.
    if count > 2:
        lexicons[2], expected[2] = Lexicon(["123"], DIGITS), str(digits(count)[2])
    readings = GrayReader(KEEP).read(images, 4, lexicon=of(lexicons), delta=1)
    assert [reading.text for reading in readings] == expected
    without = [reading.choice is None for reading in readings]
    assert without == [not (e and lexicon) for e, lexicon in zip(expected, lexicons, strict=True)]


def test_a_sure_text_has_a_confidence_of_no_more_than_1():
    # Its paths' probabilities are summed: rounding must not carry the sum past 1.
    for sureness in (30, 50, 400):
        reader = GrayReader(Canvas(), Calibration(0.5, 0.0), sureness)
        (reading,) = reader.read(gray(7), lexicon=Lexicon(["7"], DIGITS))
        assert 0.999 < reading.raw_confidence <= 1 and 0.999 < reading.confidence < 1


OTHERS = Lexicon(["12"], CharDict("12"))


@pytest.mark.parametrize("count", [2, 30])
@pytest.mark.parametrize(
    ("lexicon", "delta", "message"),
    [
        (OTHERS, 1, r"Lexicon\(1 words.*is no lexicon of this reader's CharDict\(10"),
        ([None, OTHERS], 1, "is no lexicon of this reader's"),
        (["12", "13"], 1, "'12' is no lexicon.*Expected Lexicon\\(words, reader.char_dict"),
        ([None], 1, "fewer lexicons than images"),
        ([None] * 31, 1, "more lexicons than images"),
        (Lexicon(["1"], DIGITS), -1, "Delta is -1"),
    ],
)
def test_lexicons_that_do_not_suit_are_refused(lexicon, delta, message, count):
    with pytest.raises(ValueError, match=message):
        GrayReader(Canvas()).read([gray(1)] * count, 4, lexicon, delta)

"""Images become predictions in order, by windows and threads; the network has no weights."""

import collections
import io
import itertools
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas
from crnn_keras.inference import BaseRecognizer, Prediction, iter_images, load_images
from crnn_keras.model.calibration import Calibration
from crnn_keras.model.decoding import (
    Constraint,
    LanguageModelSettings,
    Lexicon,
    Pattern,
    log_likelihoods,
    read_with_lexicon,
    train_language_model,
)

DIGITS = CharDict.from_preset("digits")
KEEP = Canvas("keep", 32, (48, 96, 160))


class GrayRecognizer(BaseRecognizer):
    """Reads the first pixel of a canvas: its tens are the digit."""

    def __init__(self, canvas, calibration=None, scale=50):
        super().__init__(DIGITS, canvas, calibration)
        self.batches, self.scale = [], scale

    def predict_logits(self, canvases):
        self.batches.append(canvases.shape[:3])
        frames = canvases.shape[2] // 4
        digits = canvases[:, 0, 0, 0] // 10
        rows = np.eye(DIGITS.num_classes)[digits + 1] * self.scale
        return np.repeat(rows[:, None], frames, axis=1)


def gray(value, size=(20, 30)):
    return np.full(size, 10 * value + 5, np.uint8)


def digits(count):
    return [position * 7 % 10 for position in range(count)]


@pytest.mark.parametrize("canvas", [Canvas(), KEEP], ids=["stretch", "keep"])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 9, 100])
def test_predictions_come_in_the_order_of_the_images(canvas, count):
    sizes = itertools.cycle([(20, 30), (32, 150), (32, 900), (40, 60), (10, 30)])
    images = [gray(digit, size) for digit, size in zip(digits(count), sizes, strict=False)]
    recognizer = GrayRecognizer(canvas)
    predictions = recognizer.read(images, batch_size=4)
    assert [p.text for p in predictions] == [str(digit) for digit in digits(count)]
    assert [p.source for p in predictions] == [f"#{n}" for n in range(count)]
    assert all(1 <= batch[0] <= 4 for batch in recognizer.batches)
    assert sum(batch[0] for batch in recognizer.batches) == count


def test_bad_images_keep_their_places_in_every_window():
    images = [gray(digit) for digit in digits(40)]
    bad = {0: b"", 3: b"no image", 17: np.zeros((0, 4), np.uint8), 39: "missing.png"}
    for position, image in bad.items():
        images[position] = image
    predictions = GrayRecognizer(Canvas()).read(images, batch_size=4)
    assert {n for n, prediction in enumerate(predictions) if prediction.text is None} == set(bad)
    assert all(predictions[n].error and predictions[n].confidence == 0 for n in bad)
    assert predictions[39].source == "missing.png" and "missing.png" in predictions[39].error
    assert predictions[38].text == str(digits(40)[38])


def test_only_bad_images():
    predictions = GrayRecognizer(KEEP).read([b""] * 30, batch_size=2)
    assert [p.text for p in predictions] == [None] * 30


def test_a_stream_draws_only_a_few_windows_ahead_of_what_was_taken():
    drawn = itertools.count()
    endless = (gray(next(drawn) % 10) for _ in itertools.repeat(None))
    recognizer = GrayRecognizer(Canvas())
    recognizer.threads = 2
    stream = recognizer.stream(endless, batch_size=4)
    taken = list(itertools.islice(stream, 100))
    stream.close()
    assert [p.text for p in taken] == [str(n % 10) for n in range(100)]
    # Two windows to begin with, five under way, and the one that contains image 100.
    assert next(drawn) <= 100 + 8 * 4


def test_an_open_file_is_one_image(tmp_path):
    Image.fromarray(gray(3)).save(tmp_path / "a.png")
    with open(tmp_path / "a.png", "rb") as file:
        assert [p.text for p in GrayRecognizer(Canvas()).read(file)] == ["3"]


def test_a_folder_is_listed_by_name_without_its_folders(tmp_path):
    for name in ("b.png", "a.png", "B.png", "10.png", "9.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "c").mkdir()
    expected = [str(tmp_path / name) for name in ("10.png", "9.png", "B.png", "a.png", "b.png")]
    assert list(iter_images(tmp_path)) == [(path, path) for path in expected]
    assert list(iter_images(str(tmp_path))) == [(path, path) for path in expected]


def test_an_empty_folder_gives_no_predictions(tmp_path):
    assert GrayRecognizer(KEEP).read(tmp_path) == []


def test_an_error_of_the_network_reaches_the_caller():
    class Broken(GrayRecognizer):
        def predict_logits(self, canvases):
            return np.full((len(canvases), 25, DIGITS.num_classes), np.nan)

    for count in (1, 30):
        with pytest.raises(ValueError, match="finite"):
            Broken(Canvas()).read([gray(1)] * count, batch_size=4)


def test_an_image_that_cannot_be_loaded_has_no_text_and_no_spans():
    assert Prediction(None, 0.0, "#1", error="why").spans == ()
    assert Prediction(None, 0.0, "#1", error="why").raw_text is None


def test_without_a_calibration_both_confidences_are_the_raw_one():
    predictions = GrayRecognizer(Canvas(), scale=8).read([gray(3)] * 3)
    logits = GrayRecognizer(Canvas(), scale=8).predict_logits(np.full((1, 32, 100, 1), 35))
    expected = np.exp(log_likelihoods(logits[0], [DIGITS.encode("3")])[0])
    # More than the best path alone, of eleven classes one ahead by 8 in each of 25 frames.
    assert (1 + 10 * np.exp(-8)) ** -25 < expected < 1
    for prediction in predictions:
        assert (
            prediction.confidence == prediction.raw_confidence == pytest.approx(expected, rel=1e-6)
        )
        assert (prediction.text, prediction.raw_text, prediction.choice) == ("3", "3", None)


@pytest.mark.parametrize("canvas", [Canvas(), KEEP], ids=["stretch", "keep"])
def test_the_calibration_turns_the_raw_confidence_into_a_chance(canvas):
    calibration = Calibration(0.5, -0.25)
    images = [gray(3), b"no image", gray(4, (32, 150))] * 9
    plain = GrayRecognizer(canvas, None, 8).read(images, batch_size=4)
    predictions = GrayRecognizer(canvas, calibration, 8).read(images, batch_size=4)
    for prediction, before in zip(predictions, plain, strict=True):
        assert (prediction.text, prediction.error) == (before.text, before.error)
        assert prediction.raw_confidence == before.raw_confidence
        if prediction.error:
            assert prediction.confidence == prediction.raw_confidence == 0
        else:
            assert prediction.confidence == calibration.apply(before.raw_confidence)
            assert abs(prediction.confidence - prediction.raw_confidence) > 0.01


@pytest.mark.parametrize("count", [1, 3, 100])
def test_one_lexicon_for_all_images(count):
    lexicon = Lexicon(["3", "12"], DIGITS)
    calibration = Calibration(0.7, 0.1)
    recognizer = GrayRecognizer(Canvas(), calibration, scale=2)
    images = [gray(digit) for digit in digits(count)]
    predictions = recognizer.read(images, batch_size=4, lexicon=lexicon, delta=1)
    logits = recognizer.predict_logits(
        np.stack([np.full((32, 100, 1), 10 * d + 5) for d in digits(count)])
    )
    chosen = read_with_lexicon(logits, lexicon, delta=1)
    assert [p.choice for p in predictions] == chosen
    assert [p.text for p in predictions] == [choice.text for choice in chosen]
    # A digit that is in neither word is one edit from "3" only.
    assert {p.text for p in predictions} <= {"3", "12"}
    for digit, prediction in zip(digits(count), predictions, strict=True):
        assert (prediction.raw_text, prediction.error) == (str(digit), None)
        raw = np.exp(prediction.choice.log_likelihood)
        assert prediction.raw_confidence == pytest.approx(raw, rel=1e-12)
        assert prediction.confidence == calibration.apply(prediction.raw_confidence)
    assert recognizer.read(images[0])[0].choice is None


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
    # One whose words are too far: the text of the best path is kept.
    if count > 2:
        lexicons[2], expected[2] = Lexicon(["123"], DIGITS), str(digits(count)[2])
    predictions = GrayRecognizer(KEEP).read(images, batch_size=4, lexicon=of(lexicons), delta=1)
    assert [p.text for p in predictions] == expected
    without = [prediction.choice is None for prediction in predictions]
    assert without == [not (e and lexicon) for e, lexicon in zip(expected, lexicons, strict=True)]


def test_a_confident_text_has_a_confidence_of_at_most_1():
    # Its paths' probabilities are summed: rounding must not carry the sum past 1.
    for scale in (30, 50, 400):
        recognizer = GrayRecognizer(Canvas(), Calibration(0.5, 0.0), scale)
        (prediction,) = recognizer.read(gray(7), lexicon=Lexicon(["7"], DIGITS))
        assert 0.999 < prediction.raw_confidence <= 1 and 0.999 < prediction.confidence < 1


OTHERS = Lexicon(["12"], CharDict("12"))


@pytest.mark.parametrize("count", [2, 30])
@pytest.mark.parametrize(
    ("lexicon", "delta", "message"),
    [
        (OTHERS, 1, r"Lexicon\(1 words.*CharDict\(10.*Lexicon\(words, recognizer\.char_dict\)"),
        ([None, OTHERS], 1, r"Lexicon\(1 words.*CharDict\(10"),
        (["12", "13"], 1, r"'12'.*Lexicon\(words, recognizer\.char_dict\)"),
        ([None], 1, "fewer lexicons"),
        ([None] * 31, 1, "more lexicons"),
        (Lexicon(["1"], DIGITS), -1, "-1"),
    ],
)
def test_lexicons_that_do_not_fit_are_refused(lexicon, delta, message, count):
    with pytest.raises(ValueError, match=message):
        recognizer = GrayRecognizer(Canvas())
        recognizer.read([gray(1)] * count, batch_size=4, lexicon=lexicon, delta=delta)


def test_the_three_steps_by_hand_are_what_read_does():
    images = [gray(3), b"no image", gray(4, (32, 150)), gray(5, (32, 150)), "missing.png"]
    lexicon = Lexicon(["3", "4"], DIGITS)
    recognizer = GrayRecognizer(KEEP, Calibration(0.5, -0.25), 8)
    expected = recognizer.read(images, lexicon=lexicon, delta=0)
    window = load_images(images, KEEP)
    assert window.sources == ["#0", "#1", "#2", "#3", "missing.png"]
    assert [error is None for error in window.errors] == [True, False, True, True, False]
    assert [canvas is None for canvas in window.canvases] == [False, True, False, False, True]
    found = {}
    for positions, canvases in window.batches():
        sources = [window.sources[position] for position in positions]
        logits = recognizer.predict_logits(canvases)
        options = {"placements": [window.placements[position] for position in positions]}
        options |= {"constraints": [Constraint(lexicon)] * len(positions), "delta": 0}
        predictions = recognizer.decode(logits, sources, **options)
        found |= dict(zip(positions, predictions, strict=True))
    assert found == {position: expected[position] for position in (0, 2, 3)}
    assert [expected[position].error for position in (1, 4)] == [window.errors[1], window.errors[4]]


def test_a_batch_holds_canvases_of_one_width_and_no_more_than_asked_for():
    window = load_images([gray(1, (32, width)) for width in (40, 90, 44, 48, 400)], KEEP)
    batches = [(positions, canvases.shape) for positions, canvases in window.batches(2)]
    assert batches == [
        ([0, 2], (2, 32, 48, 1)),
        ([3], (1, 32, 48, 1)),
        ([1], (1, 32, 96, 1)),
        ([4], (1, 32, 160, 1)),
    ]


def test_images_without_a_path_are_named_by_their_position():
    assert load_images([gray(1), "a.png", b""], Canvas(), start=64).sources == [
        "#64",
        "a.png",
        "#66",
    ]


def test_decoding_names_rows_by_their_position_and_refuses_a_foreign_lexicon():
    recognizer = GrayRecognizer(Canvas())
    logits = recognizer.predict_logits(np.full((2, 32, 100, 1), 35, np.uint8))
    assert [p.source for p in recognizer.decode(logits)] == ["#0", "#1"]
    with pytest.raises(ValueError, match=r"Lexicon\(1 words.*CharDict\(10"):
        recognizer.decode(logits, constraints=[Constraint(), Constraint(OTHERS)])
    with pytest.raises(ValueError, match=r"Pattern\('1\*'.*CharDict\(10"):
        recognizer.decode(logits, constraints=[Constraint(None, Pattern("1*", CharDict("12")))] * 2)


class Broken:
    """An image whose bytes cannot be had."""

    def __init__(self, error):
        self.error = error

    def read(self):
        raise self.error


class Text:
    """A file that was opened as text."""

    def read(self):
        return "no bytes"


def png():
    buffer = io.BytesIO()
    Image.fromarray(gray(3)).save(buffer, "PNG")
    return buffer.getvalue()


NO_IMAGES = {
    "None": None,
    "int": 3,
    "float": 3.5,
    "bool": True,
    "list": [],
    "nested": [gray(3), gray(4)],
    "tuple": (png(),),
    "dict": {"image": png()},
    "set": {"a.png"},
    "object": object(),
    "type": Canvas,
    "function": gray,
    "empty path": "",
    "NUL": "a\0.png",
    "surrogate": "\udc80.png",
    "long name": "a" * 300 + ".png",
    "long path": "a/" * 5000 + ".png",
    "folder": os.curdir,
    "text": Text(),
    "raises": Broken(RuntimeError("gone")),
    "raises KeyError": Broken(KeyError("gone")),
    "raises ZeroDivisionError": Broken(ZeroDivisionError()),
    "raises StopIteration": Broken(StopIteration()),
    "float array": np.zeros((20, 30)),
    "int array": np.zeros((20, 30), int),
    "bool array": np.zeros((20, 30), bool),
    "object array": np.array([["a.png", None], [1, 2]], object),
    "str array": np.array(["a.png", "b.png"]),
    "complex array": np.zeros((20, 30), complex),
    "0-d": np.array(3, np.uint8),
    "1-d": np.zeros(30, np.uint8),
    "4-d": np.zeros((1, 20, 30, 1), np.uint8),
    "two channels": np.zeros((20, 30, 2), np.uint8),
    "empty array": np.zeros((0, 30), np.uint8),
    "str scalar": np.str_("missing.png"),
    "int scalar": np.uint8(3),
    "bytes": b"no image",
    "bytearray": bytearray(b"no image"),
    "closed": io.BytesIO(),
}
NO_IMAGES["closed"].close()


@pytest.mark.parametrize("name", NO_IMAGES)
@pytest.mark.parametrize("of", [list, tuple, iter, collections.deque])
def test_what_is_no_image_has_an_error_at_its_place(name, of):
    images = [gray(1), NO_IMAGES[name], gray(2)]
    one, none, two = GrayRecognizer(Canvas()).read(of(images))
    assert (one.text, none.text, two.text) == ("1", None, "2")
    assert none.error and none.confidence == 0


def test_a_full_memory_is_not_taken_for_a_bad_image():
    with pytest.raises(MemoryError):
        GrayRecognizer(Canvas()).read([Broken(MemoryError())])


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview, np.bytes_])
def test_the_bytes_of_an_image_may_have_any_form(form):
    (alone,) = GrayRecognizer(Canvas()).read(form(png()))
    assert [p.text for p in GrayRecognizer(Canvas()).read([form(png())] * 2)] == ["3", "3"]
    assert (alone.text, alone.source) == ("3", "#0")


def test_a_path_may_have_any_form(tmp_path):
    class Own(os.PathLike):
        def __fspath__(self):
            return os.fsencode(tmp_path / "a.png")

    (tmp_path / "a.png").write_bytes(png())
    path = tmp_path / "a.png"
    for form in (path, str(path), np.str_(path), Own()):
        for images in (form, [form]):
            (prediction,) = GrayRecognizer(Canvas()).read(images)
            assert (prediction.text, prediction.source) == ("3", str(path))


@pytest.mark.parametrize(
    "of",
    [
        list,
        tuple,
        iter,
        collections.deque,
        lambda images: dict(enumerate(images)).values(),
        lambda images: (image for image in images),
        lambda images: map(lambda image: image, images),
        lambda images: np.array([*images, None], object)[:-1],
        lambda images: pd.Series(images, index=[7, 5]),
    ],
    ids=["list", "tuple", "iter", "deque", "values", "generator", "map", "array", "series"],
)
def test_images_may_come_in_anything_that_has_an_order(of, tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    for images in ([str(tmp_path / "a.png"), png()], [png(), "missing.png"]):
        expected = [p.text for p in GrayRecognizer(Canvas()).read(images)]
        assert [p.text for p in GrayRecognizer(Canvas()).read(of(images))] == expected


def test_an_array_of_names_is_a_list_of_images():
    predictions = GrayRecognizer(Canvas()).read(np.array(["a.png", "b.png"]))
    assert [p.source for p in predictions] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("images", "kind"),
    [
        ({"a.png", "b.png"}, "set"),
        (frozenset(["a.png"]), "frozenset"),
        ({"a.png": 1}, "dict"),
        ({"a.png": 1}.keys(), "dict_keys"),
        (None, "NoneType"),
        (3, "int"),
        (3.5, "float"),
        (True, "bool"),
        (object(), "object"),
        (gray, "function"),
        ("", "empty"),
    ],
)
@pytest.mark.parametrize("read", ["read", "stream", "load_images", "iter_images"])
def test_what_holds_no_images_is_refused_by_name(images, kind, read):
    recognizer = GrayRecognizer(Canvas())
    call = {
        "read": recognizer.read,
        "stream": recognizer.stream,
        "load_images": lambda images: load_images(images, Canvas()),
        "iter_images": iter_images,
    }[read]
    with pytest.raises(ValueError, match=kind):
        call(images)


@pytest.mark.parametrize("path", ["a" * 300, "a\0b", "\udc80", "a/" * 5000])
def test_a_path_that_no_file_can_have_is_one_bad_image(path):
    (prediction,) = GrayRecognizer(Canvas()).read(path)
    assert prediction.text is None and prediction.error and prediction.source == path


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("batch_size", [0, -1, 1.5, True, None, "4", float("nan"), float("inf"), [4]]),
        ("delta", [-1, 0.5, float("nan"), float("inf"), True, "1", [1]]),
        ("alternatives", [-1, 0.5, None, True, "1", [1], float("inf")]),
        ("language_model", ["words", True, 0, b"own", {}]),
        ("tta_views", [0, 2, 4, -1, 3.0, True, None, "3", float("nan")]),
    ],
)
@pytest.mark.parametrize("images", [[], [gray(1)], "no_such.png"], ids=["none", "one", "path"])
def test_wrong_numbers_are_refused_by_name_and_by_the_call(name, values, images):
    recognizer = GrayRecognizer(Canvas())
    for value in values:
        for call in (recognizer.read, recognizer.stream):
            with pytest.raises(ValueError, match=f"^{name} is "):
                call(images, **{name: value})
    assert not recognizer.batches


@pytest.mark.parametrize("value", [0, -1, 1.5, True, None, "4"])
def test_wrong_numbers_of_the_steps_are_refused_by_name(value):
    window = load_images([gray(1)], Canvas())
    with pytest.raises(ValueError, match="^batch_size is "):
        window.batches(value)
    if value != 0:
        with pytest.raises(ValueError, match="^start is "):
            load_images([gray(1)], Canvas(), start=value)
        with pytest.raises(ValueError, match="^start is "):
            iter_images([], start=value)
    if value is not None:
        with pytest.raises(ValueError, match="^cores is "):
            BaseRecognizer(DIGITS, Canvas(), cores=value)


def test_numbers_of_numpy_are_numbers():
    recognizer, images = GrayRecognizer(Canvas()), [gray(1)] * 3
    options = {"batch_size": np.int64(2), "delta": np.uint8(1)}
    assert recognizer.read(images, **options) == recognizer.read(images)


def test_what_does_not_belong_together_is_refused():
    recognizer = GrayRecognizer(Canvas())
    logits = recognizer.predict_logits(np.zeros((2, 32, 100, 1), np.uint8))
    wrong = {"sources": ["a"]}, {"constraints": [Constraint()] * 3}, {"placements": [None]}
    for options in (*wrong, {"sources": []}, {"constraints": []}):
        with pytest.raises(ValueError, match="2 images"):
            recognizer.decode(logits, **options)
    with pytest.raises(ValueError, match="^delta is "):
        recognizer.decode(logits, delta=-1)
    for lexicon in ({Lexicon(["1"], DIGITS)}, {"a": 1}, "12", 3):
        with pytest.raises(ValueError, match="lexicon"):
            recognizer.stream([gray(1)], lexicon=lexicon)


# ---- patterns, alternatives, language models --------------------------------------------------


class Undecided(GrayRecognizer):
    """Reads two digits, of which the first is unsure: as drawn, or one less by a little."""

    def __init__(self, calibration=None, language_model=None):
        BaseRecognizer.__init__(
            self, DIGITS, Canvas(), calibration, language_model=language_model, cores=2
        )

    def predict_logits(self, canvases):
        logits = np.zeros((len(canvases), 25, DIGITS.num_classes))
        logits[:, :, 0] = 12
        for row, digit in zip(logits, canvases[:, 0, 0, 0] // 10, strict=True):
            row[5, 0] = row[15, 0] = 0
            row[5, [digit + 1, digit]] = 8, 7.5
            row[15, 5] = 12
        return logits


def test_a_pattern_for_all_images_or_one_for_each():
    recognizer, images = Undecided(), [gray(digit) for digit in (3, 4, 5)]
    assert [p.text for p in recognizer.read(images)] == ["34", "44", "54"]
    predictions = recognizer.read(images, pattern="[24].")
    assert [p.text for p in predictions] == ["24", "44", "44"]
    compiled = Pattern("[24].", DIGITS)
    assert recognizer.read(images, pattern=compiled) == predictions
    assert recognizer.read(images, pattern=["[24].", compiled, "[24]."]) == predictions
    assert recognizer.read(images[0], pattern="2.")[0].confidence > 0.99
    own = recognizer.read(images, pattern=iter(["2.", None, r"\d{3}"]), batch_size=1)
    assert [p.text for p in own][:2] == ["24", "44"] and len(own[2].text) == 3
    assert own[1] == recognizer.read(images, batch_size=1)[1]


def test_allowed_characters_for_all_images_or_for_each():
    recognizer, images = Undecided(), [gray(digit) for digit in (3, 4, 5)]
    predictions = recognizer.read(images, allow="24")
    assert [p.text for p in predictions] == ["24", "44", "44"]
    assert recognizer.read(images, allow=["42", "24", "242"]) == predictions
    assert recognizer.read(images, pattern="[24]*") == predictions
    assert [p.text for p in recognizer.read(images, allow=[None, "4", None])] == ["34", "44", "54"]
    assert recognizer.read(images, allow="0123456789") == recognizer.read(images)


@pytest.mark.parametrize("count", [2, 100])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"allow": "1", "pattern": "1"}, r"allow \('1'\) and pattern \('1'\)"),
        ({"allow": "1x"}, "'x'.*CharDict"),
        ({"allow": ""}, "characters to allow"),
        ({"allow": [None, "x"]}, "'x'.*CharDict"),
        ({"pattern": "1x"}, "'x'"),
        ({"pattern": "(1"}, r"'\(1'"),
        ({"pattern": [None, "[x]"]}, r"\[x\]"),
        ({"pattern": Pattern("1", CharDict("12"))}, r"Pattern\('1'.*recognizer\.char_dict"),
        ({"pattern": [None, 3]}, "3 is not a pattern"),
        ({"pattern": 3}, "3 is not a pattern"),
        ({"pattern": {"1", "2"}}, "is not a pattern"),
        ({"pattern": [None]}, "fewer lexicons or patterns than images"),
        ({"pattern": [None] * 101}, "more lexicons or patterns than images"),
        ({"pattern": [None] * 2, "lexicon": [None]}, "more patterns than lexicons"),
    ],
)
def test_patterns_that_cannot_be_are_refused(options, message, count):
    with pytest.raises(ValueError, match=message):
        Undecided().read([gray(1)] * count, batch_size=4, **options)


def test_an_image_without_a_matching_text_has_an_error_and_the_others_are_read():
    images = [gray(3), b"", gray(5)]
    patterns = [r"\d{30}", None, None]
    long, broken, read = Undecided().read(images, pattern=patterns, alternatives=3)
    assert (long.text, long.confidence, long.raw_confidence) == (None, 0, 0)
    assert long.boxes == long.alternatives == long.spans == () and long.raw_text is None
    for word in ("#0", repr(r"\d{30}"), "30 frames", "25"):
        assert word in long.error
    assert broken.text is None and read.text == "54" and len(read.alternatives) == 3


@pytest.mark.parametrize("calibration", [None, Calibration(0.5, -0.25), Calibration(2.0, 3.0)])
@pytest.mark.parametrize("pattern", [None, "[1-4]."])
def test_alternatives_begin_with_the_text_and_share_what_it_leaves(calibration, pattern):
    recognizer, images = Undecided(calibration), [gray(3), gray(4)]
    predictions = recognizer.read(images, alternatives=5, pattern=pattern)
    plain = recognizer.read(images, pattern=pattern)
    for prediction, alone in zip(predictions, plain, strict=True):
        texts, chances = zip(*prediction.alternatives, strict=True)
        assert (texts[0], chances[0]) == (prediction.text, prediction.confidence)
        assert len(set(texts)) == 5 and list(chances) == sorted(chances, reverse=True)
        assert sum(chances) <= 1 and alone.text == prediction.text and alone.alternatives == ()
        assert alone.confidence == pytest.approx(prediction.confidence, abs=1e-6)
    assert [p.alternatives[1][0] for p in predictions] == ["24", "34"]


@pytest.fixture(scope="module")
def of_words():
    """Language model of three words."""
    return train_language_model(["cat", "cot", "cut"], CharDict("acotu"), order=3)


class Letters(BaseRecognizer):
    """Reads `c`, then `o` or a bit more likely `t`, then `t`."""

    def __init__(self, language_model=None):
        super().__init__(
            CharDict("acotu"), Canvas(), Calibration(1.5, 0.1), language_model=language_model
        )

    def predict_logits(self, canvases):
        logits = np.zeros((len(canvases), 25, 6))
        logits[:, :, 0] = 12
        logits[:, [3, 10, 20], 0] = 0
        logits[:, 3, 2], logits[:, 20, 4] = 12, 12
        logits[:, 10, [4, 3]] = 8, 7.5
        return logits


def test_the_language_model_of_a_recognizer_is_used_unless_another_one_is_passed(of_words):
    image, recognizer = gray(1), Letters(of_words)
    assert Letters().read(image)[0].text == "ctt"
    (prediction,) = recognizer.read(image)
    assert prediction.text == "cot" and 0.5 < prediction.raw_confidence < 1
    assert len(prediction.spans) == len(prediction.boxes) == 3
    assert [span[:2] for span in prediction.spans] == [(3, 3), (10, 10), (20, 20)]
    assert recognizer.read(image, language_model=None) == Letters().read(image)
    assert Letters().read(image, language_model=of_words) == [prediction]
    assert next(recognizer.stream(image)) == prediction
    logits = recognizer.predict_logits(np.zeros((1, 32, 100, 1), np.uint8))
    assert recognizer.decode(logits)[0].text == "cot"
    assert recognizer.decode(logits, language_model=None)[0].text == "ctt"
    # With a pattern both decide.
    assert recognizer.read(image, pattern="ca?u?t*")[0].text == "ctt"
    recognizer.language_model = of_words.with_settings(LanguageModelSettings(threshold=0.2))
    assert recognizer.read(image)[0].text == "ctt"


def test_many_images_with_a_language_model_and_patterns_read_as_each_alone(of_words):
    recognizer, images = Letters(of_words), [gray(1), b"", gray(2), gray(3)] * 20
    patterns = [None, "c.*", "ct?.", "c[^o].", "cut", "[^c].*", ".{25}"] * 12
    patterns = patterns[: len(images)]
    together = recognizer.read(images, pattern=patterns, alternatives=2, batch_size=8)
    for image, pattern, prediction in zip(images, patterns, together, strict=True):
        (alone,) = recognizer.read(image, pattern=pattern, alternatives=2)
        assert (alone.text, alone.spans) == (prediction.text, prediction.spans)
        assert alone.alternatives == prediction.alternatives
        assert bool(alone.error) == bool(prediction.error)

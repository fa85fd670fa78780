"""What becomes of a recognizer besides reading: saved, pickled, shared by threads, closed."""

import concurrent.futures
import doctest
import gc
import itertools
import pickle
import weakref

import numpy as np
import pytest

from crnn_keras import synth
from crnn_keras.inference import BaseRecognizer, OnnxRecognizer
from crnn_keras.inference.onnx_recognizer import SHIPPED
from crnn_keras.model.calibration import Calibration
from crnn_keras.model.decoding import Lexicon, train_language_model
from crnn_keras.utils.limits import MAX_METADATA_BYTES

WORDS = ["lantern", "mirror", "4711", "ocean", "door", "river", "42nd", "paper"]
THREADS, JOBS = 8, 48


@pytest.fixture(scope="module")
def images():
    font = synth.bundled_fonts()[0]
    return [synth.render_word(word, font, synth.Style.mild(), seed=1) for word in WORDS]


@pytest.fixture
def recognizer():
    with OnnxRecognizer.load("words") as recognizer:
        yield recognizer


def texts_of(recognizer, images, **options):
    return [prediction.text for prediction in recognizer.read(images, **options)]


# ---- save ------------------------------------------------------------------------------------


def test_an_unchanged_recognizer_saves_the_bytes_that_it_loaded(recognizer, tmp_path):
    recognizer.save(tmp_path / "new" / "copy.onnx")
    assert (tmp_path / "new" / "copy.onnx").read_bytes() == SHIPPED["words"].read_bytes()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["copy.onnx"]


def test_another_calibration_and_language_model_are_saved(recognizer, images, tmp_path):
    before = recognizer.read(images)
    recognizer.calibration = Calibration(0.5, -0.25)
    recognizer.language_model = train_language_model(WORDS, recognizer.char_dict, codes=0.0)
    recognizer.save(tmp_path / "other.onnx")
    loaded = OnnxRecognizer.load(tmp_path / "other.onnx")
    assert loaded.calibration == Calibration(0.5, -0.25)
    assert loaded.language_model.get_config() == recognizer.language_model.get_config()
    assert loaded.read(images) == recognizer.read(images) != before
    loaded.calibration = loaded.language_model = None
    loaded.save(tmp_path / "bare.onnx")
    bare = OnnxRecognizer.load(tmp_path / "bare.onnx")
    assert (bare.calibration, bare.language_model) == (None, None)
    raw = [prediction.raw_confidence for prediction in bare.read(images)]
    assert raw == [prediction.confidence for prediction in bare.read(images)]


def test_what_could_not_be_loaded_again_is_not_saved(recognizer, tmp_path, monkeypatch):
    monkeypatch.setattr("crnn_keras.inference.onnx_file.MAX_METADATA_BYTES", 10)
    recognizer.calibration = Calibration(0.5, -0.25)
    with pytest.raises(ValueError, match=r"metadata of [0-9,]+ bytes, over 10"):
        recognizer.save(tmp_path / "large.onnx")
    assert not list(tmp_path.iterdir()) and MAX_METADATA_BYTES > 10


@pytest.mark.parametrize("name", ["model", "model.keras", "model.onnx.zip"])
def test_a_name_of_another_format_is_refused(recognizer, tmp_path, name):
    with pytest.raises(ValueError, match=rf"{name} .*\.onnx"):
        recognizer.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


# ---- pickle and threads ----------------------------------------------------------------------


def test_a_pickled_recognizer_reads_the_same_with_its_own_calibration(recognizer, images):
    recognizer.calibration = Calibration(0.5, -0.25)
    expected = recognizer.read(images)
    again = pickle.loads(pickle.dumps(recognizer))  # noqa: S301
    assert again is not recognizer and again.read(images) == expected


def test_workers_of_loky_read_with_a_recognizer_that_they_are_given(recognizer, images):
    loky = pytest.importorskip("loky")
    with loky.ProcessPoolExecutor(1) as pool:
        found = pool.submit(texts_of, recognizer, images).result(timeout=120)
    assert found == texts_of(recognizer, images) == WORDS


@pytest.mark.parametrize("form", ["plain", "language model", "lexicon", "pattern"])
def test_eight_threads_get_what_one_gets(recognizer, images, form):
    recognizer.language_model = None
    options = {"batch_size": 3, "alternatives": 2}
    if form == "language model":
        recognizer.language_model = train_language_model(WORDS, recognizer.char_dict, codes=0.0)
    elif form == "lexicon":
        options["lexicon"] = Lexicon([*WORDS, "dock"], recognizer.char_dict)
    elif form == "pattern":
        options["pattern"] = r"\w{4,7}"
    slices = [images[job % 3 : 1 + job % len(images)] for job in range(JOBS)]
    expected = [recognizer.read(part, **options) for part in slices]
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        jobs = [pool.submit(recognizer.read, part, **options) for part in slices]
        found = [job.result() for job in jobs]
    assert list(map(len, found)) == list(map(len, expected)) and sum(map(len, found)) > 100
    chain = itertools.chain.from_iterable
    for alone, together in zip(chain(expected), chain(found), strict=True):
        assert together.text == alone.text
        assert together.confidence == pytest.approx(alone.confidence, abs=1e-5)


# ---- with and close --------------------------------------------------------------------------


def test_a_block_closes_what_it_read_with(images):
    with OnnxRecognizer.load("words") as recognizer:
        assert texts_of(recognizer, images[:1]) == WORDS[:1]
        sessions = [weakref.ref(session) for session in recognizer._sessions()]
        assert all(ref() is not None for ref in sessions)
    gc.collect()
    assert [ref() for ref in sessions] == [None] * 2
    # Once more is no error.
    recognizer.close()


@pytest.mark.parametrize(
    "use",
    [
        lambda r, _: r.read([]),
        lambda r, _: r.stream([]),
        lambda r, _: r.align([], "a"),
        lambda r, _: r.predict_logits(np.zeros((1, 32, 128, 1), np.uint8)),
        lambda r, folder: r.save(folder / "a.onnx"),
        lambda r, _: pickle.dumps(r),
        lambda r, _: r.__enter__(),
    ],
    ids=["read", "stream", "align", "predict_logits", "save", "pickle", "with"],
)
def test_a_closed_recognizer_says_so(recognizer, tmp_path, use):
    recognizer.close()
    with pytest.raises(ValueError, match="closed.*Load it again"):
        use(recognizer, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_stream_that_has_begun_is_read_to_its_end(images):
    recognizer = OnnxRecognizer.load("words", cores=2)
    stream = recognizer.stream(images * 3, batch_size=2)
    first = next(stream)
    recognizer.close()
    assert [first.text, *(prediction.text for prediction in stream)] == WORDS * 3


def test_the_examples_of_saving_and_closing_are_true(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner()
    for documented in (OnnxRecognizer.save, BaseRecognizer.close):
        for example in doctest.DocTestFinder().find(documented, documented.__name__, globs={}):
            runner.run(example)
    assert runner.summarize().attempted >= 8 and runner.summarize().failed == 0

"""`OnnxRecognizer` reads as `Recognizer` does, without Keras, and refuses foreign files."""

import json
import multiprocessing
import pickle
import subprocess
import sys

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from crnn_keras import synth  # noqa: E402
from crnn_keras.char_dict import CharDict  # noqa: E402
from crnn_keras.images import Canvas  # noqa: E402
from crnn_keras.inference import export_onnx, onnx_file  # noqa: E402
from crnn_keras.inference.metadata import make_metadata  # noqa: E402
from crnn_keras.inference.onnx_file import METADATA  # noqa: E402
from crnn_keras.inference.onnx_recognizer import OnnxRecognizer  # noqa: E402
from crnn_keras.model.calibration import Calibration  # noqa: E402
from crnn_keras.model.decoding import (  # noqa: E402
    LanguageModel,
    LanguageModelSettings,
    Lexicon,
    train_language_model,
)

DIGITS = CharDict.from_preset("digits")
GOOD = {
    "format": "crnn_keras.reader",
    "char_dict": DIGITS.get_config(),
    "canvas": Canvas().get_config(),
}


def foreign(
    metadata=GOOD,
    height=32,
    width=100,
    classes=11,
    channels=1,
    frames=25,
    in_type=TensorProto.UINT8,
):
    """Makes a small network of the given form that returns constant logits."""
    nodes = [
        helper.make_node("Shape", ["canvases"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["batch"]),
        helper.make_node("Concat", ["batch", "rest"], ["size"], axis=0),
        helper.make_node("Expand", ["row", "size"], ["logits"]),
    ]
    row = np.arange(classes, dtype=np.float32)[None, None]
    weights = {"first": np.array([0]), "rest": np.array([frames, classes]), "row": row}
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("canvases", in_type, ["b", height, width, channels])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", "f", classes])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    model.ir_version = 8
    if metadata is not None:
        entry = model.metadata_props.add()
        entry.key = METADATA
        entry.value = metadata if isinstance(metadata, str) else json.dumps(metadata)
    return model


def save(model, path):
    path.write_bytes(model.SerializeToString())
    return path


def test_a_file_of_the_right_form_reads(tmp_path):
    reader = OnnxRecognizer.load(save(foreign(), tmp_path / "a.onnx"))
    assert reader.canvas == Canvas() and reader.char_dict == DIGITS
    good, bad = np.zeros((9, 9), np.uint8), b"no image"
    assert [r.text for r in reader.read([good, bad] * 100)] == ["9", None] * 100
    assert reader.read([]) == []
    # As files written before there were calibrations.
    assert reader.calibration is None
    (prediction,) = reader.read(good)
    assert 0 < prediction.confidence == prediction.raw_confidence < 1


def test_the_calibration_in_the_metadata_is_applied(tmp_path):
    calibration = Calibration(0.5, -0.25)
    metadata = {**GOOD, "calibration": calibration.get_config()}
    plain = OnnxRecognizer.load(save(foreign(), tmp_path / "plain.onnx"))
    reader = OnnxRecognizer.load(save(foreign(metadata), tmp_path / "calibrated.onnx"))
    assert reader.calibration == calibration
    assert json.loads(make_metadata(reader)) == metadata
    assert json.loads(make_metadata(plain)) == GOOD
    good = np.zeros((9, 9), np.uint8)
    for before, prediction in zip(plain.read([good] * 200), reader.read([good] * 200), strict=True):
        assert prediction.raw_confidence == before.confidence
        assert prediction.confidence == calibration.apply(before.confidence)


def test_one_lexicon_for_all_images_or_one_for_each(tmp_path):
    reader = OnnxRecognizer.load(save(foreign(), tmp_path / "a.onnx"), cores=2)
    images = [np.zeros((9, 9), np.uint8)] * 200
    words = [str(index % 10) for index in range(200)]
    lexicons = [Lexicon([word], DIGITS) for word in words]
    predictions = reader.read(images, batch_size=4, lexicon=lexicons, delta=1)
    assert [p.text for p in predictions] == words
    assert {p.raw_text for p in predictions} == {"9"}
    predictions = reader.read(images, lexicon=Lexicon(["7", "8"], DIGITS), delta=1)
    assert {p.text for p in predictions} == {"8"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": None}, "metadata 'crnn_keras'"),
        ({"metadata": "{"}, "metadata .JSONDecodeError"),
        ({"metadata": "[]"}, "metadata .TypeError"),
        ({"metadata": {**GOOD, "format": "other"}}, "'other'.*'crnn_keras.reader'"),
        ({"metadata": {"format": "crnn_keras.reader"}}, "KeyError: 'char_dict'"),
        ({"metadata": {**GOOD, "char_dict": {"characters": "aa"}}}, "metadata"),
        ({"metadata": {**GOOD, "char_dict": None}}, "metadata"),
        ({"metadata": {**GOOD, "canvas": {"mode": "squeeze"}}}, "'squeeze'"),
        ({"metadata": {**GOOD, "canvas": {"size": 3}}}, "metadata .TypeError.*'size'"),
        ({"metadata": {**GOOD, "calibration": {"slope": 0, "offset": 0}}}, "slope.* 0.0"),
        ({"metadata": {**GOOD, "calibration": {"slope": 1}}}, "slope.*offset"),
        ({"metadata": {**GOOD, "calibration": 3}}, "metadata .*3"),
        ({"height": 48}, r"48, 100, 1\].*32, 100, 1\]"),
        ({"width": 104}, r"32, 104, 1\].*32, 100, 1\]"),
        ({"channels": 3}, r"32, 100, 3\].*32, 100, 1\]"),
        ({"classes": 12}, r"\[12\].*\[11\]"),
        ({"in_type": TensorProto.FLOAT}, r"tensor\(float\).*tensor\(uint8\)"),
    ],
)
def test_a_file_whose_shapes_do_not_fit_its_metadata_is_refused(tmp_path, change, message):
    with pytest.raises(ValueError, match=message) as caught:
        OnnxRecognizer.load(save(foreign(**change), tmp_path / "bad.onnx"))
    assert "bad.onnx" in str(caught.value)
    assert "crnn_keras.export_onnx" in str(caught.value)


def test_logits_of_an_unexpected_size_are_refused(tmp_path):
    reader = OnnxRecognizer.load(save(foreign(frames=24), tmp_path / "short.onnx"))
    with pytest.raises(ValueError, match=r"short\.onnx .*\(1, 24, 11\).*\(1, 25, 11\)"):
        reader.read(np.zeros((9, 9), np.uint8))


def test_a_network_that_fails_is_named(tmp_path):
    model = foreign()
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.array([-5, 11]), "rest"))
    reader = OnnxRecognizer.load(save(model, tmp_path / "fails.onnx"))
    with pytest.raises(ValueError, match=r"fails\.onnx"):
        reader.read(np.zeros((9, 9), np.uint8))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.onnx"):
        OnnxRecognizer.load(tmp_path / "none.onnx")


@pytest.mark.parametrize("content", [b"", b"no network", b"\x00\x00\x00\x00ORTM" + bytes(64)])
def test_a_file_of_another_format_is_refused(tmp_path, content):
    (tmp_path / "text.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=r"text\.onnx"):
        OnnxRecognizer.load(tmp_path / "text.onnx")


def test_a_truncated_file_is_refused(tmp_path):
    content = foreign().SerializeToString()
    for fraction in (0.3, 0.7, 0.95):
        (tmp_path / "cut.onnx").write_bytes(content[: int(fraction * len(content))])
        with pytest.raises(ValueError, match=r"cut\.onnx"):
            OnnxRecognizer.load(tmp_path / "cut.onnx")


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "MAX_MODEL_BYTES", 100)
    with pytest.raises(ValueError, match=r"large\.onnx .* bytes"):
        OnnxRecognizer.load(save(foreign(), tmp_path / "large.onnx"))


@pytest.mark.parametrize("place", ["weights.bin", "/etc/hostname", "*/_ORT_MEM_ADDR_/*"])
def test_weights_in_other_files_or_in_memory_are_refused(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(np.arange(11, dtype=np.float32).tobytes())
    model = foreign()
    weights = model.graph.initializer[2]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", place
    with pytest.raises(ValueError, match=r"far\.onnx .*weights"):
        OnnxRecognizer.load(save(model, tmp_path / "far.onnx"))


def test_operators_of_other_libraries_are_refused(tmp_path):
    model = foreign()
    model.graph.node[3].domain = "elsewhere"
    model.opset_import.append(helper.make_opsetid("elsewhere", 1))
    with pytest.raises(ValueError, match=r"odd\.onnx .*elsewhere"):
        OnnxRecognizer.load(save(model, tmp_path / "odd.onnx"))


WORDS = ["lantern", "mirror", "ocean", "river", "castle"]
WORDS += ["garden", "window", "bottle", "silver", "orange"]
# They ask for more than a reader would, so that they change the texts of clean images too.
STRONG = LanguageModelSettings(weight=4.0, length_bonus=4.0, threshold=1.0)


@pytest.fixture(scope="module")
def language_model():
    char_dict = CharDict.from_preset("alphanumeric36")
    return train_language_model(WORDS, char_dict, codes=0.0, settings=STRONG, source="ten words")


@pytest.fixture(scope="module")
def images():
    """Words of the language model with one wrong letter."""
    font, style = synth.bundled_fonts()[0], synth.Style.mild()
    wrong = [f"{word[:2]}q{word[3:]}" for word in WORDS]
    return [synth.render_word(word, font, style, seed=1, index=i) for i, word in enumerate(wrong)]


def facts(recognizer, images, **options):
    """Returns the texts, and the chances of all alternatives."""
    predictions = recognizer.read(images, alternatives=3, **options)
    chances = [[chance for _, chance in p.alternatives] for p in predictions]
    return [p.text for p in predictions], np.array(chances)


def assert_same(found, expected):
    assert found[0] == expected[0]
    assert np.abs(found[1] - expected[1]).max() < 1e-4


def _read_in_fork(queue):
    queue.put(facts(*_read_in_fork.arguments))


def test_both_recognizers_read_the_same_with_a_language_model(language_model, images, tmp_path):
    from crnn_keras.inference.recognizer import Recognizer

    keras_reader, onnx_reader = Recognizer.load("words"), OnnxRecognizer.load("words")
    keras_reader.language_model = onnx_reader.language_model = None
    plain = facts(keras_reader, images)
    assert_same(facts(onnx_reader, images), plain)
    keras_reader.language_model = onnx_reader.language_model = language_model
    expected = facts(onnx_reader, images)
    assert sum(a != b for a, b in zip(expected[0], plain[0], strict=True)) > 0
    assert_same(facts(keras_reader, images), expected)
    for options in ({"pattern": r"\w{6,7}"}, {"allow": "lantermiocvg"}):
        assert_same(facts(keras_reader, images, **options), facts(onnx_reader, images, **options))
    assert_same(facts(keras_reader, images, language_model=None), plain)

    keras_reader.save(tmp_path / "reader.keras")
    loaded = Recognizer.load(tmp_path / "reader.keras")
    assert loaded.language_model.get_config() == language_model.get_config()
    assert_same(facts(loaded, images), expected)
    for reader in (keras_reader, onnx_reader):
        again = pickle.loads(pickle.dumps(reader))  # noqa: S301
        assert again.language_model.get_config() == language_model.get_config()
    assert_same(facts(again, images), expected)


def test_a_language_model_in_the_metadata_is_used(language_model, tmp_path):
    # All digits are one symbol; the bonus makes the text longer.
    settings = LanguageModelSettings(0.1, 10.0, 1.0)
    ones = train_language_model(["111"], DIGITS, codes=0.0, settings=settings)
    path = save(foreign({**GOOD, "language_model": ones.get_config()}), tmp_path / "a.onnx")
    reader = OnnxRecognizer.load(path)
    assert reader.language_model.get_config() == ones.get_config()
    metadata = json.loads(make_metadata(reader))
    assert metadata["language_model"] == ones.get_config()
    image = np.zeros((9, 9), np.uint8)
    assert len(reader.read(image)[0].text) == 25
    assert reader.read(image, language_model=None)[0].text == "9"


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork"
)
def test_a_fork_reads_with_the_language_model_of_its_parent(language_model, images):
    reader = OnnxRecognizer.load("words")
    reader.language_model = language_model
    expected = facts(reader, images)
    context = multiprocessing.get_context("fork")
    _read_in_fork.arguments, queue = (reader, images), context.Queue()
    child = context.Process(target=_read_in_fork, args=(queue,))
    child.start()
    assert_same(queue.get(timeout=60), expected)
    child.join(60)
    assert child.exitcode == 0


@pytest.mark.slow
def test_an_exported_reader_has_its_language_model(language_model, images, tmp_path):
    from crnn_keras.inference.recognizer import Recognizer

    reader = Recognizer.load("words")
    reader.language_model = language_model
    reader.save(tmp_path / "reader.keras")
    export_onnx(tmp_path / "reader.keras", tmp_path / "reader.onnx")
    exported = OnnxRecognizer.load(tmp_path / "reader.onnx")
    assert isinstance(exported.language_model, LanguageModel)
    assert_same(facts(exported, images), facts(reader, images))


def test_neither_keras_nor_a_backend_is_imported(tmp_path):
    calibrated = {**GOOD, "calibration": Calibration(0.5, 0.0).get_config()}
    path = save(foreign(calibrated), tmp_path / "a.onnx")
    program = (
        "import sys; import numpy as np; from crnn_keras.inference import OnnxRecognizer\n"
        "recognizer = OnnxRecognizer.load(sys.argv[1])\n"
        "print(recognizer.read([np.zeros((9, 9), np.uint8)] * 70)[-1].text)\n"
        "heavy = {'keras', 'tensorflow', 'jax', 'torch', 'onnx', 'matplotlib', 'pandas', 'scipy'}\n"
        "print(sorted((heavy | {'rapidfuzz'}) & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(path)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stdout.split("\n")[:2]) == (0, ["9", "[]"]), result.stderr

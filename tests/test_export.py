"""Exports predict what `Recognizer` predicts: a SavedModel without Keras, ONNX on its runtime."""

import collections
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from keras import ops
from PIL import Image
from processes import children_of, is_running

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data import records
from crnn_keras.images import Canvas, to_canvas
from crnn_keras.inference.export import export_onnx, export_saved_model
from crnn_keras.inference.export.confidence import calibrate, text_probability
from crnn_keras.inference.recognizer import SHIPPED, Recognizer
from crnn_keras.model import decoding
from crnn_keras.model.calibration import Calibration
from crnn_keras.model.crnn import build_crnn
from crnn_keras.model.decoding.best_path import best_path
from crnn_keras.model.decoding.ngrams import train_language_model
from crnn_keras.model.saving import save_model
from crnn_keras.utils.locks import LockedError, lock

pytestmark = pytest.mark.slow

COUNT = 200
CALIBRATION = Calibration(0.5, 1.0)

# Runs where neither Keras nor crnn_keras can be imported.
CLIENT = """
import json, pathlib, resource, sys, time
for name in ("keras", "crnn_keras", "PIL"):
    sys.modules[name] = None
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
read = model.signatures["serving_default"]
folder = pathlib.Path(sys.argv[2])
images = [path.read_bytes() for path in sorted(folder.iterdir())]
answer = read(image_bytes=tf.constant(images))
one = read(image_bytes=tf.constant(images[:1]))
none = read(image_bytes=tf.constant([], tf.string))
bad = {path.name: path.read_bytes() for path in sorted((folder.parent / "bad").iterdir())}
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
mixed = read(image_bytes=tf.constant([images[0], *bad.values(), images[1]]))
seconds = time.monotonic() - start
megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
alone = [read(image_bytes=tf.constant([image])) for image in bad.values()]
print(json.dumps({
    "texts": [text.decode() for text in answer["text"].numpy()],
    "confidences": answer["confidence"].numpy().tolist(),
    "errors": [error.decode() for error in answer["error"].numpy()],
    "one": one["text"].numpy()[0].decode(),
    "none": [none[name].shape.as_list() for name in ("text", "confidence", "error")],
    "names": list(bad),
    "mixed": [mixed["text"].numpy().astype(str).tolist(), mixed["confidence"].numpy().tolist()],
    "mixed_errors": [error.decode() for error in mixed["error"].numpy()],
    "alone": [one["error"].numpy()[0].decode() for one in alone],
    "seconds": seconds,
    "megabytes": megabytes,
}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, encode, png_of_size, jpeg_of_scans):
    """Images of rendered words in jpeg, png and bmp, and some that are none."""
    top = tmp_path_factory.mktemp("export")
    (top / "images").mkdir()
    words = synth.WordTexts(synth.read_words(), seed=99)
    texts = [words.text(index) for index in range(COUNT)]
    fonts = synth.bundled_fonts()
    for index, text in enumerate(texts):
        font = fonts[index % len(fonts)]
        suffix = ("jpg", "png", "bmp")[index % 3]
        image = synth.render_word(text, font, seed=99, index=index)
        image.save(top / "images" / f"{index:03d}.{suffix}")
    (top / "bad").mkdir()
    png, jpeg, bmp = (
        (top / "images" / name).read_bytes() for name in ("001.png", "000.jpg", "002.bmp")
    )
    flipped = bytearray(png)
    flipped[len(png) // 2] ^= 1
    bad = {
        "text": b"no image",
        "gif": encode(Image.new("L", (40, 20)), "GIF"),
        "empty": b"",
        "cut png": png[: len(png) // 2],
        "cut jpeg": jpeg[: len(jpeg) // 2],
        "cut bmp": bmp[: len(bmp) // 2],
        "jpeg without its end": jpeg[:-20],
        "start of a png": png[:20],
        "start of a jpeg": jpeg[:3],
        "flipped png": bytes(flipped),
        "bomb": png_of_size(40_000, 40_000),
        # All its pixels are there, in 48 kB.
        "49 megapixels": encode(Image.new("L", (7000, 7000)), "PNG"),
        "scans": jpeg_of_scans(2000),
    }
    for name, content in bad.items():
        (top / "bad" / name).write_bytes(content)
    return top


def ask(saved_model, folder):
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", CLIENT, str(saved_model), str(folder / "images")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout)


def test_a_saved_model_predicts_what_the_recognizer_predicts_on_200_images(
    folder, tmp_path, caplog
):
    recognizer = Recognizer.load("words")
    recognizer.calibration = CALIBRATION
    recognizer.language_model = train_language_model(["exit"], recognizer.char_dict)
    save_model(recognizer.model, tmp_path / "words.keras")
    saved_model = export_saved_model(tmp_path / "words.keras", tmp_path / "reader", version=3)
    (line,) = caplog.messages
    assert "words.keras" in line and "language_model=None" in line
    assert saved_model == tmp_path / "reader" / "3"
    assert (saved_model / "saved_model.pb").is_file()
    assert [path.name for path in (tmp_path / "reader").iterdir()] == ["3"]

    answer = ask(saved_model, folder)
    predictions = recognizer.read(folder / "images", language_model=None)
    assert answer["texts"] == [p.text for p in predictions]
    confidences = [p.confidence for p in predictions]
    np.testing.assert_allclose(answer["confidences"], confidences, rtol=1e-3, atol=1e-6)
    raw = [p.raw_confidence for p in predictions]
    assert np.abs(np.subtract(confidences, raw)).max() > 0.1
    assert len(set(answer["texts"])) > COUNT / 2
    assert answer["one"] == answer["texts"][0]
    assert answer["none"] == [[0]] * 3
    assert set(answer["errors"]) == {""}
    _check_each_has_its_own_error(answer)


def _check_each_has_its_own_error(answer):
    texts, confidences = answer["mixed"]
    assert [texts[0], texts[-1]] == answer["texts"][:2]
    np.testing.assert_allclose([confidences[0], confidences[-1]], answer["confidences"][:2], 1e-3)
    assert [answer["mixed_errors"][0], answer["mixed_errors"][-1]] == ["", ""]
    assert set(texts[1:-1]) == {""} and set(confidences[1:-1]) == {0}
    assert answer["mixed_errors"][1:-1] == answer["alone"]
    errors = dict(zip(answer["names"], answer["alone"], strict=True))
    for name in ("text", "gif", "empty"):
        assert "jpeg, png or bmp" in errors.pop(name)
    assert "4,000,000 pixels" in errors["bomb"] and "40000 x 40000" in errors.pop("bomb")
    assert "7000 x 7000" in errors.pop("49 megapixels")
    assert "scans" in errors.pop("scans")
    errors.pop("start of a png")  # its size is that of no image
    assert len(errors) == 6
    assert all("damaged or truncated" in error for error in errors.values()), errors
    assert answer["seconds"] < 5 and answer["megabytes"] < 400


def test_keeps_aspect_and_unicode(folder, tmp_path):
    canvas = Canvas("keep", 32, (48, 96, 160))
    model = build_crnn(CharDict("省京沪川0123456789"), canvas, seed=5)
    kernel = model.get_layer("logits").kernel
    kernel.assign(np.random.default_rng(0).normal(0, 3, kernel.shape))
    save_model(model, tmp_path / "keep.keras")
    answer = ask(export_saved_model(tmp_path / "keep.keras", tmp_path / "keep"), folder)
    assert answer["none"] == [[0]] * 3
    _check_each_has_its_own_error(answer)
    predictions = Recognizer.load(tmp_path / "keep.keras").read(folder / "images")
    assert answer["texts"] == [p.text for p in predictions]
    confidences = [p.confidence for p in predictions]
    np.testing.assert_allclose(answer["confidences"], confidences, rtol=1e-3, atol=1e-6)
    assert any(character in "省京沪川" for text in answer["texts"] for character in text)


@pytest.mark.parametrize(
    "calibration", [Calibration(), CALIBRATION, Calibration(0.001, 3.0), Calibration(40.0, -9.0)]
)
def test_calibration_by_keras_operations_is_that_by_numpy(calibration):
    near_one = 1 - np.arange(50) * 2.0**-24
    parts = [np.linspace(0, 1, 1001), np.geomspace(1e-30, 1), near_one]
    confidences = np.concatenate(parts)
    found = ops.convert_to_numpy(calibrate(ops.convert_to_tensor(confidences), calibration))
    np.testing.assert_allclose(found, calibration.apply(confidences), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("scale", "frames"), [(0.5, 1), (2.0, 7), (9.0, 25), (60.0, 12)])
def test_probabilities_by_keras_operations_are_those_by_numpy(scale, frames):
    char_dict = CharDict("abc")
    logits = np.random.default_rng(frames).normal(0, scale, (30, frames, 4)).astype(np.float32)
    # Texts without a character, with one, and with equal neighbours.
    logits[0, :, 0] += 1e3
    logits[1, :, 1] += 1e3
    logits[2, ::2, 2] += 1e3
    logits[2, 1::2, 0] += 1e3
    ids = [found.ids for found in best_path(logits, char_dict)]
    padded = np.array([[*own, *[0] * (frames - len(own))] for own in ids])
    found = ops.convert_to_numpy(text_probability(logits, padded))
    expected = decoding.likelihoods(logits, ids)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert expected[:3] == pytest.approx(1) and len({len(i) for i in ids}) >= min(frames, 4)


# Runs with a process of an export that writes two files instead; it is killed at each moment.
KILLED = """
import os, pathlib, signal, sys
from crnn_keras.inference.export import saved_model

def fake(kind, model_path, temporary, max_pixels):
    for name in ("a", "b"):
        (temporary / name).write_text(content)

saved_model.export_in_process = fake
top = pathlib.Path(sys.argv[1])
content = "old"
saved_model.export_saved_model("words", top)
EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "ctypes.dlsym"}
for moment in range(1, 200):
    content = str(moment)
    child = os.fork()
    if not child:
        left = iter(range(moment - 1))
        def hook(event, arguments):
            if event in EVENTS and next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)
        saved_model.export_saved_model("words", top)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    found = [path.read_text() for path in sorted((top / "1").iterdir())]
    # What TensorFlow Serving takes for versions.
    versions = [path.name for path in top.iterdir() if path.name.isdecimal()]
    print(os.WIFSIGNALED(status), *found, *versions)
    if not os.WIFSIGNALED(status):
        break
"""


def test_a_version_is_old_or_new_wherever_its_export_is_killed(tmp_path):
    # In a process of its own: threads of this one would not survive its forks.
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path / "reader")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert len(rows) > 10 and rows[-1][0] == "False"
    for number, (_, first, second, *versions) in enumerate(rows, start=1):
        assert first == second and first in ("old", *map(str, range(1, number + 1)))
        assert versions == ["1"]
    assert len({row[1] for row in rows}) > 1 and rows[-1][1] == str(len(rows))
    assert os.listdir(tmp_path / "reader") == ["1"]


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="processes are in /proc")
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("name", ["export_onnx", "export_saved_model"])
def test_an_export_that_is_stopped_ends_its_process_at_once(tmp_path, end, name):
    code = f"from crnn_keras import {name} as export; export('words', {str(tmp_path / 'out')!r})"
    # Ctrl-C in a shell ends a process of the background only if that one asks for it.
    code = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {code}"
    started = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not (worker := children_of(started.pid)):
            assert started.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1.0)  # it imports Keras and TensorFlow
        started.send_signal(end)
        started.wait(10)
    finally:
        started.kill()
        started.wait()
    deadline = time.monotonic() + 3
    while any(is_running(own) for own in worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    out = tmp_path / "out"
    assert not out.is_file() and not (out / "1").exists()


@pytest.mark.parametrize(
    ("export", "target"), [(export_saved_model, "out/1"), (export_onnx, "out")]
)
def test_two_exports_of_one_target_exclude_each_other(tmp_path, monkeypatch, export, target):
    for module in ("saved_model", "onnx"):
        monkeypatch.setattr(
            f"crnn_keras.inference.export.{module}.export_in_process", lambda *_: pytest.fail()
        )
    message = f"{tmp_path / target}: .* process {os.getpid()} "
    with lock(tmp_path / target, "the export"), pytest.raises(LockedError, match=message):
        export("words", tmp_path / "out")
    assert not (tmp_path / target).exists()


@pytest.mark.parametrize(
    "options",
    [{"version": -1}, {"version": 1.5}, {"version": "1"}, {"version": True}, {"max_pixels": 0}]
    + [{"max_pixels": value} for value in (-1, 1e6, None, 10**9)],
)
def test_a_wrong_argument_of_an_export_is_refused_by_name(tmp_path, options):
    (name,) = options
    with pytest.raises(ValueError, match=rf"{name} is .*Expected a whole number"):
        export_saved_model("words", tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("export", [export_saved_model, export_onnx])
def test_a_missing_model_is_refused(tmp_path, export):
    with pytest.raises(ValueError, match=r"none\.keras"):
        export(tmp_path / "none.keras", tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def onnx_files(tmp_path_factory):
    """Function that exports a model to ONNX once; it returns the path, the recognizer, the file."""
    onnx = pytest.importorskip("onnx")
    from crnn_keras.inference.onnx_recognizer import OnnxRecognizer

    made = {}

    def exported(preset, canvas):
        if (preset, canvas) in made:
            return made[preset, canvas]
        folder = tmp_path_factory.mktemp("onnx")
        if preset == "words":
            path = SHIPPED["words"]
        else:
            path = folder / "reader.keras"
            model = build_crnn(CharDict("省京沪川0123456789"), canvas, preset, seed=5)
            kernel = model.get_layer("logits").kernel
            kernel.assign(np.random.default_rng(0).normal(0, 3, kernel.shape))
            model.calibration = CALIBRATION
            save_model(model, path)
        assert export_onnx(path, folder / "reader.onnx") < 1e-4
        assert [p.suffix for p in folder.iterdir() if p != path] == [".onnx"]
        network = onnx.load(folder / "reader.onnx")
        made[preset, canvas] = path, OnnxRecognizer.load(folder / "reader.onnx"), network
        return made[preset, canvas]

    return exported


KEEP = Canvas("keep", 32, (48, 96, 160))
WORDS = Canvas("stretch", 32, (128,))


@pytest.mark.parametrize(("preset", "canvas"), [("words", WORDS), ("small", KEEP)])
def test_onnx_reads_as_the_recognizer_on_200_images(folder, onnx_files, preset, canvas):
    path, exported, _ = onnx_files(preset, canvas)
    recognizer = Recognizer.load(path)
    assert exported.char_dict == recognizer.char_dict and exported.canvas == recognizer.canvas
    assert exported.calibration == recognizer.calibration
    ours, theirs = (r.read(folder / "images") for r in (exported, recognizer))
    assert [p.text for p in ours] == [p.text for p in theirs]
    assert [p.source for p in ours] == [p.source for p in theirs]
    confidences = [[p.confidence for p in predictions] for predictions in (ours, theirs)]
    np.testing.assert_allclose(*confidences, rtol=1e-3, atol=1e-6)
    # Random weights read similar texts, but not all the same.
    assert len({p.text for p in ours}) > COUNT / 4
    for image in sorted((folder / "images").iterdir())[:20]:
        batch = to_canvas(image, canvas)[None].repeat(3, axis=0)
        np.testing.assert_allclose(
            exported.predict_logits(batch), recognizer.predict_logits(batch), atol=1e-4
        )


def test_onnx_names_bad_images_as_the_recognizer(folder, onnx_files):
    path, exported, _ = onnx_files("words", WORDS)
    served = ("gif", "49 megapixels")  # bad for a SavedModel only
    bad = [path for path in sorted((folder / "bad").iterdir()) if path.name not in served]
    ours, theirs = (reader.read(bad) for reader in (exported, Recognizer.load(path)))
    assert ours == theirs
    assert all(p.error for p in ours)


@pytest.mark.parametrize(
    ("preset", "canvas", "layers", "convolutions"),
    [("words", WORDS, 1, 10), ("small", KEEP, 1, 7), ("paper", KEEP, 2, 7)],
)
def test_each_bilstm_is_folded_into_lstm_nodes(onnx_files, preset, canvas, layers, convolutions):
    _, _, network = onnx_files(preset, canvas)
    kinds = collections.Counter(node.op_type for node in network.graph.node)
    assert not {"Loop", "Scan", "If", "BatchNormalization"} & set(kinds)
    directions = 0
    for node in network.graph.node:
        if node.op_type == "LSTM":
            named = [a.s for a in node.attribute if a.name == "direction"]
            directions += 2 if named == [b"bidirectional"] else 1
    assert directions == 2 * layers
    assert kinds["Conv"] == convolutions


def test_a_reader_in_mixed_precision_is_exported_in_float32(tmp_path):
    pytest.importorskip("onnx")
    model = build_crnn(CharDict.from_preset("digits"), precision="mixed_bfloat16")
    save_model(model, tmp_path / "mixed.keras")
    assert export_onnx(tmp_path / "mixed.keras", tmp_path / "plain.onnx") < 1e-4


@pytest.mark.parametrize(
    ("weights", "apart", "share", "same"), [("float16", 0.1, 0.55, 59), ("int8", 1.0, 0.3, 57)]
)
def test_rounded_weights_make_a_smaller_file_and_the_same_predictions(
    tmp_path, onnx_files, weights, apart, share, same
):
    from crnn_keras.inference.onnx_recognizer import OnnxRecognizer

    path, _, network = onnx_files("words", WORDS)
    recognizer = Recognizer.load(path)
    # Off the grid on which the shipped reader's weights lie.
    rng = np.random.default_rng(4)
    for weight in recognizer.model.weights:
        weight.assign(weight.numpy() * rng.uniform(0.98, 1.02, weight.shape))
    # Its size is the same whatever the type of the weights.
    recognizer.language_model = None
    metadata = sum(len(entry.value) for entry in network.metadata_props)
    save_model(recognizer.model, tmp_path / "words.keras")
    file = tmp_path / "rounded.onnx"
    assert 1e-4 < export_onnx(tmp_path / "words.keras", file, weights=weights) < apart
    assert file.stat().st_size < share * (len(network.SerializeToString()) - metadata)
    fonts = synth.bundled_fonts()
    images = [synth.render_word(f"word{n}", fonts[n % 20], seed=3, index=n) for n in range(60)]
    pairs = zip(OnnxRecognizer.load(file).read(images), recognizer.read(images), strict=True)
    assert sum(here.text == there.text for here, there in pairs) >= same


def test_eight_bits_by_hand():
    pytest.importorskip("onnx")
    from crnn_keras.inference.export import onnx_graph

    # The first unit's 1.27 is 127 steps of 0.01, the second unit's 32 is 64 steps of 0.5.
    values = np.array([[1.27, -0.5, 0.03], [32.0, -0.5, 1.5], [0, 0, 0]], np.float32)
    rounded, scales = onnx_graph.quantize_per_channel(values, (0,))
    assert rounded.tolist() == [[127, -50, 3], [64, -1, 3], [0, 0, 0]]
    np.testing.assert_allclose(scales, [[0.01], [0.5], [1 / 64]], rtol=1e-6)


@pytest.mark.parametrize("axes", [(0,), (-1,), (0, 1)])
def test_weights_that_lie_on_a_grid_are_kept_exactly(axes):
    pytest.importorskip("onnx")
    from crnn_keras.inference.export import onnx_graph

    rng = np.random.default_rng(1)
    grid = np.exp2(rng.integers(-9, -3, (3, 5, 1) if len(axes) == 2 else (3, 1, 1)))
    grid = np.swapaxes(grid, 0, 2) if axes == (-1,) else grid
    # Like the kernel of a convolution after its batch norm is folded in.
    scale = grid * rng.uniform(0.3, 3, grid.shape)
    values = (rng.integers(-63, 64, (3, 5, 3)) * scale).astype(np.float32)
    rounded, scales = onnx_graph.quantize_per_channel(values, axes)
    np.testing.assert_allclose(rounded * scales, values, rtol=1e-6)


@pytest.mark.parametrize(
    ("reader", "apart"),
    [("words", 1e-3), ("words-large", 1e-3), ("ascii", 0.1), ("lines", 1e-3)],
)
def test_the_shipped_files_hold_the_same_reader(folder, reader, apart):
    pytest.importorskip("onnxruntime")
    from crnn_keras.inference.onnx_recognizer import OnnxRecognizer

    recognizer = Recognizer.load(reader)
    paths = sorted((folder / "images").iterdir())[:32]
    canvases = [to_canvas(path, recognizer.canvas) for path in paths]
    # Those of one width make a batch.
    width = max(canvas.shape[1] for canvas in canvases)
    canvases = np.stack([canvas for canvas in canvases if canvas.shape[1] == width])
    exported = OnnxRecognizer.load(reader).predict_logits(canvases)
    np.testing.assert_allclose(exported, recognizer.predict_logits(canvases), rtol=0, atol=apart)


def test_weights_of_an_unknown_type_are_refused(tmp_path):
    with pytest.raises(ValueError, match="'int4'.*float32.*float16.*int8"):
        export_onnx("words", tmp_path / "words.onnx", weights="int4")


def test_onnx_names_its_input_its_output_and_the_sizes_that_vary(onnx_files):
    for preset, canvas, width in (("words", WORDS, 128), ("small", KEEP, "width")):
        _, _, network = onnx_files(preset, canvas)
        ends = {
            value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
            for value in (*network.graph.input, *network.graph.output)
        }
        classes = 37 if preset == "words" else 15
        assert ends["canvases"] == ["batch", 32, width, 1]
        assert ends["logits"] == ["batch", "frames", classes]


def test_records_store_what_tensorflow_can_decode(tmp_path):
    # webp is read by Pillow only: it is stored as png.
    font = synth.bundled_fonts()[0]
    image = synth.render_word("webp", font, seed=1)
    image.save(tmp_path / "word.webp", lossless=True)
    record = records.make_record((tmp_path / "word.webp").read_bytes(), "webp", "word.webp")
    assert record.encoded.startswith(b"\x89PNG")

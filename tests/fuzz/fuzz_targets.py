"""What is fuzzed: for each kind of file, how damaged ones are drawn and how one is read.

A reader of a file may refuse it by a ValueError (`ImageError`, `RecordError` and `IsolatedError`
are such), or read it. Everything else is a finding: any other exception, a crash, a wrong result.
"""

import functools
import io
import json
import pathlib
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import fuzz_mutations as mutations
import keras
import numpy as np
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data import build, records
from crnn_keras.data.issues import Issue
from crnn_keras.data.labels import LAYOUTS, read_samples
from crnn_keras.data.labels.sample import Sample
from crnn_keras.images import Canvas, ImageError, make_canvas, to_canvas
from crnn_keras.inference import OnnxRecognizer, Recognizer
from crnn_keras.inference.shipped import shipped_files
from crnn_keras.training.run_state import Progress, RunState


@dataclass(frozen=True)
class Target:
    """One kind of file.

    Args:
        inputs: Function without arguments that returns a Hypothesis strategy of the file's bytes.
        read: Function `(content, folder)` that reads a file; the folder is empty.
        cost: How many times longer one input takes than the quickest ones do.
    """

    inputs: Callable[[], st.SearchStrategy]
    read: Callable[[bytes, pathlib.Path], object]
    cost: int = 1


def _word(mode="RGB", size=(60, 24)):
    image = Image.new("RGBA", size, (250, 250, 250, 255))
    ImageDraw.Draw(image).text((4, 4), "word", fill=(20, 40, 60, 200))
    return image.convert(mode)


def _encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


# Images.


@functools.cache
def _image_seeds():
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        _encoded(_word(), "JPEG", exif=exif, quality=60),
        _encoded(_word("L"), "JPEG", progressive=True),
        _encoded(_word("CMYK"), "JPEG"),
        _encoded(_word("RGBA"), "PNG", exif=exif),
        _encoded(_word("P"), "PNG", transparency=3),
        _encoded(_word("1"), "PNG"),
        _encoded(Image.fromarray(np.asarray(_word("L")).astype(np.uint16) * 257), "PNG"),
        _encoded(_word("P"), "GIF"),
        _encoded(_word("RGB"), "BMP"),
        _encoded(_word("P"), "BMP"),
        _encoded(_word("1"), "BMP"),
        _encoded(_word("RGBA"), "WEBP"),
        _encoded(_word("RGB"), "TIFF", compression="tiff_lzw"),
        _encoded(_word("F"), "TIFF"),
    ]


_CANVASES = (Canvas(), make_canvas("keep", 216))


def _read_image(content, folder):
    for canvas in _CANVASES:
        made = to_canvas(content, canvas)
        assert made.dtype == np.uint8 and made.shape[0::2] == (32, 1)
        assert made.shape[1] in canvas.widths


@functools.cache
def _tensorflow_canvas():
    import tensorflow as tf

    from crnn_keras.images import tf_ops

    signature = [tf.TensorSpec((), tf.string)]
    return tf.function(lambda encoded: tf_ops.to_canvas(encoded, Canvas()), signature)


def _serve_image(content, folder):
    """Reads an image by TensorFlow: what both read must be the same pixels."""
    import tensorflow as tf

    try:
        served = _tensorflow_canvas()(content).numpy()
    except tf.errors.OpError as error:
        raise ValueError(str(error)) from None
    try:
        expected = to_canvas(content, Canvas())
    except ImageError as error:
        raise ValueError(str(error)) from None
    np.testing.assert_array_equal(served, expected)


# Label files.

_LABELS = {
    "sample_txt": "a.png one\nb/c.png two words\n",
    "tsv": 'a.png\tone\nb/c.png\ttwo words\nd.png\t"\n',
    "csv": 'image,text\na.png,one\nb/c.png,"two, ""words"""\n',
    "jsonl": '{"image": "a.png", "text": "one"}\n{"image": "b.png", "text": "é"}\n',
    "icdar": 'a.png, "one"\nb.png, "two, words"\n',
    "paddleocr": 'a.png\tone\n["b.png", "c.png"]\ttwo\n',
    "synth90k": "./1/2/3_one_0.jpg 0\n./1/2/4_two_1.jpg 1\n",
    "doctr": '{"a.png": "one", "b/c.png": "two words"}',
    "label_studio": '[{"id": 1, "data": {"ocr": "a.png"}, "annotations": [{"result": [{"type": '
    '"textarea", "value": {"text": ["one"]}}]}]}, {"image": "b.png", "text": "two"}]',
    "svt": "<tagset><image><imageName>a.png</imageName><lex>ONE,TWO</lex><taggedRectangles>"
    '<taggedRectangle x="1" y="2" width="9" height="8"><tag>ONE</tag></taggedRectangle>'
    "</taggedRectangles></image></tagset>",
    "iam": "# words.txt\na01-000u-00-00 ok 154 408 768 27 51 AT A\n"
    "a01-000u-00-01 err 154 507 766 213 48 NN MOVE\n",
    "auto": "a.png one\nb.png two\n",
}
_NAMES = {
    "doctr": "labels.json",
    "label_studio": "label_studio.json",
    "svt": "test.xml",
    "iam": "words.txt",
    "synth90k": "annotation.txt",
}


def _label_inputs(layout):
    text = _LABELS[layout]
    encodings = ("utf-8", "utf-8-sig", "utf-16", "gb18030")
    seeds = [text.encode(encoding) for encoding in encodings] + [(text * 20).encode()]
    damaged = mutations.damaged_bytes(seeds, [line.encode() for line in text.splitlines()])
    if layout in ("doctr", "label_studio"):
        return damaged | mutations.damaged_json([json.loads(text)])
    return damaged


def _read_labels(content, folder, *, layout):
    path = folder / _NAMES.get(layout, "labels.txt")
    path.write_bytes(content)
    if layout == "synth90k":
        (folder / "lexicon.txt").write_text("one\ntwo\n")
    found = read_samples(path, layout=layout)
    for sample in found.samples:
        assert isinstance(sample, Sample) and sample.text and len(sample.text.splitlines()) == 1
        assert pathlib.Path(sample.image).is_relative_to(folder)
    assert all(isinstance(issue, Issue) and issue.reason for issue in found.issues)
    found.summary().encode()


# Binary label sources.


@functools.cache
def _mat_seeds():
    import scipy.io

    dtype = [("ImgName", object), ("GroundTruth", object), ("smallLexi", object)]
    entries = np.zeros((1, 2), dtype)
    for index, word in enumerate(("ONE", "TWO")):
        entries[0, index] = (f"test/{index}.png", word, np.array([word, "X"], object))
    seeds = []
    for compressed in (False, True):
        buffer = io.BytesIO()
        scipy.io.savemat(buffer, {"testdata": entries}, do_compression=compressed)
        seeds.append(buffer.getvalue())
    return seeds


def _read_mat(content, folder):
    path = folder / "testdata.mat"
    path.write_bytes(content)
    read_samples(path)


@functools.cache
def _lmdb_seeds():
    import lmdb

    with tempfile.TemporaryDirectory() as folder:
        with (
            lmdb.open(folder, map_size=1 << 20) as environment,
            environment.begin(write=True) as txn,
        ):
            txn.put(b"num-samples", b"6")
            for index in range(1, 7):
                txn.put(b"image-%09d" % index, _image_seeds()[index] * (1 + 3 * (index == 2)))
                txn.put(b"label-%09d" % index, b"word")
        content = pathlib.Path(folder, "data.mdb").read_bytes()
    return [content.rstrip(b"\0") + bytes(-len(content.rstrip(b"\0")) % 4096)]


def _read_lmdb(content, folder):
    (folder / "data.mdb").write_bytes(content)
    for sample in read_samples(folder).samples:
        to_canvas(sample, Canvas())


@functools.cache
def _tar_seeds():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for index in range(3):
            for suffix, content in ((".png", _encoded(_word(), "PNG")), (".txt", b"word")):
                member = tarfile.TarInfo(f"{index:06d}{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return [buffer.getvalue()]


def _read_tar(content, folder):
    path = folder / "shard.tar"
    path.write_bytes(content)
    _read_all(path)


@functools.cache
def _parquet_seeds():
    import pyarrow
    import pyarrow.parquet

    images = [{"bytes": _encoded(_word(), "PNG"), "path": f"{n}.png"} for n in range(3)]
    table = pyarrow.table({"image": images, "text": ["one", "two", "three"]})
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer)
    return [buffer.getvalue()]


def _read_parquet(content, folder):
    path = folder / "train.parquet"
    path.write_bytes(content)
    _read_all(path)


def _read_all(path):
    for sample in read_samples(path).samples:
        to_canvas(sample, Canvas())


# Sets of records, specifications and recipes.


def _specification():
    recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:2]), seed=5)
    source = build.RenderedSource(recipe, rows=6, per_shard=3)
    return build.Specification(source, CharDict.from_preset("alphanumeric36"), Canvas())


@functools.cache
def _record_set():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "set")
        build.prepare(_specification(), path, processes=1)
        return {entry.name: entry.read_bytes() for entry in path.iterdir()}


def _read_records(content, folder, *, name):
    for own, sound in _record_set().items():
        (folder / own).write_bytes(content if own == name else sound)
    opened = records.open_records(folder)
    texts = [record.text for record in opened]
    assert len(texts) == len(opened)


def _read_json_file(content, folder, *, load):
    path = folder / "file.json"
    path.write_bytes(content)
    load(path)


# Dictionaries.


def _dictionary_inputs():
    config = CharDict("ab省", normalization="nfc").get_config()
    lines = [b"a\nb\nc\n", "省\n市\n".encode("gb18030"), b'{"0": "97", "1": "98"}']
    return mutations.damaged_json([config, {"0": "97", "1": "98"}]) | mutations.damaged_bytes(lines)


def _read_dictionary(content, folder):
    for name in ("dict.json", "dict.txt"):
        path = folder / name
        path.write_bytes(content)
        refusals = 0
        for load in (CharDict.load, CharDict.from_file, CharDict.from_old_json):
            try:
                _check_dictionary(load(path))
            except ValueError:
                refusals += 1
    if refusals == 3:
        raise ValueError("no way to read it")


def _check_dictionary(char_dict):
    assert char_dict.num_classes == len(char_dict) + 1
    ids = list(range(1, min(len(char_dict), 50) + 1))
    assert isinstance(char_dict.decode(ids), str)


# Readers and states.


@functools.cache
def _reader_seeds(suffix):
    return [shipped_files(suffix)["ascii"].read_bytes()]


def _read_keras(content, folder):
    path = folder / "model.keras"
    path.write_bytes(content)
    _check_recognizer(Recognizer.load(path))


def _read_onnx(content, folder):
    _check_recognizer(OnnxRecognizer(content, cores=1))


def _check_recognizer(recognizer):
    (prediction,) = recognizer.read(_encoded(_word(), "PNG"))
    assert isinstance(prediction.text, str) and 0 <= prediction.confidence <= 1


_SETTINGS = {"epochs": 2, "learning_rate": 0.5}


def _variables():
    return [
        keras.Variable(np.arange(6, dtype=np.float32).reshape(2, 3), name="kernel"),
        keras.Variable(np.array(7), dtype="int32", name="step"),
    ]


@functools.cache
def _state_files():
    with tempfile.TemporaryDirectory() as folder:
        state = RunState(folder, _SETTINGS)
        state.save(_variables(), Progress(3, 1.5, [{"epoch": 1, "loss": 0.5}]))
        (made,) = state.folder.glob("[0-9]*")
        return {entry.name: entry.read_bytes() for entry in made.iterdir()}


def _read_state(content, folder, *, name):
    made = folder / "state" / "000001"
    made.mkdir(parents=True)
    for own, sound in _state_files().items():
        (made / own).write_bytes(content if own == name else sound)
    variables = _variables()
    progress = RunState(folder, _SETTINGS).load(variables)
    # A damaged state is refused; one that is read is the one that was saved.
    assert progress == Progress(3, 1.5, [{"epoch": 1, "loss": 0.5}])
    assert int(variables[1].numpy()) == 7


def _bytes_of(seeds):
    return lambda: mutations.damaged_bytes(seeds())


TARGETS = {
    "image": Target(_bytes_of(_image_seeds), _read_image),
    "served image": Target(_bytes_of(_image_seeds), _serve_image),
    "labels.mat": Target(_bytes_of(_mat_seeds), _read_mat, cost=100),
    "LMDB": Target(_bytes_of(_lmdb_seeds), _read_lmdb, cost=100),
    "dictionary": Target(_dictionary_inputs, _read_dictionary),
    "recipe": Target(
        lambda: mutations.damaged_json([_specification().source.recipe.get_config()]),
        functools.partial(_read_json_file, load=synth.Recipe.load),
    ),
    "specification": Target(
        lambda: mutations.damaged_json([_specification().get_config()]),
        functools.partial(_read_json_file, load=build.Specification.load),
    ),
    "model.keras": Target(
        lambda: mutations.damaged_archive(_reader_seeds(".keras"), ["config.json"]),
        _read_keras,
        cost=100,
    ),
    "model.onnx": Target(_bytes_of(lambda: _reader_seeds(".onnx")), _read_onnx, cost=20),
}
if "webdataset" in LAYOUTS:
    TARGETS["webdataset"] = Target(_bytes_of(_tar_seeds), _read_tar)
if "parquet" in LAYOUTS:
    TARGETS["parquet"] = Target(_bytes_of(_parquet_seeds), _read_parquet, cost=50)
for _layout in _LABELS:
    if _layout in (*LAYOUTS, "auto"):
        TARGETS[f"labels {_layout}"] = Target(
            functools.partial(_label_inputs, _layout),
            functools.partial(_read_labels, layout=_layout),
        )
for _name in ("set.json", "00000.tfrecord"):
    TARGETS[f"records {_name}"] = Target(
        functools.partial(
            lambda name: (
                mutations.damaged_bytes([_record_set()[name]])
                | (
                    mutations.damaged_json([json.loads(_record_set()[name])])
                    if name.endswith(".json")
                    else st.nothing()
                )
            ),
            _name,
        ),
        functools.partial(_read_records, name=_name),
    )
TARGETS["state state.json"] = Target(
    lambda: (
        mutations.damaged_json([json.loads(_state_files()["state.json"])])
        | mutations.damaged_bytes([_state_files()["state.json"]])
    ),
    functools.partial(_read_state, name="state.json"),
)
TARGETS["state variables.npz"] = Target(
    lambda: mutations.damaged_archive([_state_files()["variables.npz"]]),
    functools.partial(_read_state, name="variables.npz"),
)


def read(target, content):
    """Reads one input in a new folder; returns `"read"` or `"refused"`."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fuzz_"))
    try:
        target.read(content, folder)
    except ValueError:
        return "refused"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return "read"

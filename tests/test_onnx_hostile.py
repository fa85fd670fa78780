"""An ONNX file of a stranger is refused by name, at once, or costs at most its bounds."""

import json
import multiprocessing
import pickle
import resource
import time

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from crnn_keras.char_dict import CharDict  # noqa: E402
from crnn_keras.images import Canvas  # noqa: E402
from crnn_keras.inference.onnx_file import METADATA, read_onnx  # noqa: E402
from crnn_keras.inference.onnx_recognizer import SHIPPED, OnnxRecognizer  # noqa: E402
from crnn_keras.model import sizes  # noqa: E402
from crnn_keras.model.calibration import Calibration  # noqa: E402
from crnn_keras.model.decoding import LanguageModel, train_language_model  # noqa: E402

DIGITS = CharDict.from_preset("digits")
GOOD = {
    "format": "crnn_keras.reader",
    "char_dict": DIGITS.get_config(),
    "canvas": Canvas().get_config(),
}
IMAGE = np.zeros((9, 9), np.uint8)
GOOD_NODES = (
    helper.make_node("Shape", ["canvases"], ["shape"]),
    helper.make_node("Gather", ["shape", "first"], ["batch"]),
    helper.make_node("Concat", ["batch", "rest"], ["size"], axis=0),
    helper.make_node("Expand", ["row", "size"], ["logits"]),
)
GOOD_WEIGHTS = {
    "first": np.array([0]),
    "rest": np.array([25, 11]),
    "row": np.arange(11, dtype=np.float32)[None, None],
}


def model(*nodes, metadata=GOOD, **weights):
    """Makes a file that reads "9", whatever the image, with more operators before its own."""
    graph = helper.make_graph(
        [*nodes, *GOOD_NODES],
        "small",
        [helper.make_tensor_value_info("canvases", TensorProto.UINT8, ["b", 32, 100, 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", "f", 11])],
        [numpy_helper.from_array(v, n) for n, v in {**GOOD_WEIGHTS, **weights}.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    made.ir_version = 8
    entry = made.metadata_props.add()
    entry.key, entry.value = METADATA, json.dumps(metadata)
    return made


def load(made):
    return OnnxRecognizer(made.SerializeToString(), "odd.onnx")


def texts(recognizer, images):
    return [prediction.text for prediction in recognizer.read(images)]


def subgraph(*nodes):
    empty = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])
    return helper.make_graph(list(nodes), "sub", [], [empty])


def test_the_file_that_the_others_are_made_from_reads():
    assert texts(load(model()), [IMAGE] * 3) == ["9"] * 3


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Loop", ["n", "yes"], ["x"], body=subgraph()),
        helper.make_node("If", ["yes"], ["x"], then_branch=subgraph(), else_branch=subgraph()),
        helper.make_node("Scan", ["row"], ["x"], body=subgraph(), num_scan_inputs=1),
        helper.make_node("SequenceMap", ["row"], ["x"], body=subgraph()),
        helper.make_node("Constant", [], ["x"], value=numpy_helper.from_array(np.ones(3))),
        helper.make_node("ConstantOfShape", ["rest"], ["x"]),
        helper.make_node("RandomUniform", [], ["x"], shape=[10**6, 10**6]),
        helper.make_node("Tile", ["row", "rest"], ["x"]),
        helper.make_node("Range", ["a", "b", "c"], ["x"]),
        helper.make_node("Relu", ["row"], ["x"], domain="com.microsoft"),
        helper.make_node("Shape", ["row"], ["x"], start=1),
        helper.make_node("Cast", ["row"], ["x"], to=TensorProto.STRING),
        helper.make_node("Cast", ["row"], ["x"]),
        helper.make_node("MaxPool", ["row"], ["x", "where"], kernel_shape=[2, 2]),
        helper.make_node("Add", ["row", "missing"], ["x"]),
        helper.make_node("Add", ["row"], ["x"]),
        helper.make_node("Relu", ["row"], ["row"]),
        helper.make_node("Gather", ["rest", "rest"], ["x"]),
    ],
    ids=lambda node: f"{node.domain}{node.op_type}",
)
def test_an_operator_that_no_export_has_is_refused_by_name(node):
    with pytest.raises(ValueError, match=r"odd\.onnx .*export_onnx") as caught:
        load(model(node))
    assert node.op_type in str(caught.value) or "name" in str(caught.value)


def test_parts_that_are_no_network_are_refused():
    inner = helper.make_function(
        "own", "Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])], []
    )
    with_function = model()
    with_function.functions.append(inner)
    trained = model()
    trained.training_info.add().algorithm.CopyFrom(subgraph())
    sparse = model()
    sparse.graph.sparse_initializer.add().dims.append(10**9)
    typed = model()
    typed.graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = 1
    for made in (with_function, trained, sparse, typed):
        with pytest.raises(ValueError, match=r"odd\.onnx .*export_onnx"):
            load(made)


@pytest.mark.parametrize("version", [0, 1, 12, 18, 99])
def test_another_version_of_the_operators_is_refused(version):
    made = model()
    made.opset_import[0].version = version
    with pytest.raises(ValueError, match=rf"odd\.onnx .*{version}\b.*from 13 to 17"):
        load(made)


def damaged_weights(change):
    made = model()
    change(made.graph.initializer[2])
    return made


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: weights.dims.__setitem__(0, 10**12),
        lambda weights: weights.dims.__setitem__(0, -1),
        lambda weights: setattr(weights, "data_type", TensorProto.STRING),
        lambda weights: setattr(weights, "data_type", TensorProto.DOUBLE),
        lambda weights: weights.ClearField("raw_data"),
        lambda weights: weights.float_data.extend([1.0] * 11),
        lambda weights: setattr(weights, "data_location", TensorProto.EXTERNAL),
        lambda weights: setattr(weights, "name", "rest"),
    ],
)
def test_weights_that_are_not_what_they_say_are_refused(change):
    with pytest.raises(ValueError, match=r"odd\.onnx .*export_onnx"):
        load(damaged_weights(change))


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def large(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


# Small files that make a small image into a large tensor: each by another operator.
VAST = {
    "Expand": model(node("Expand", "row vast", "x"), vast=np.array([10**5, 10**5, 11])),
    "Expand by what is computed": model(
        node("Mul", "many many", "vast"),
        node("Expand", "row vast", "x"),
        many=np.array([2**14, 2**14, 1]),
    ),
    "Add of a row and a column": model(
        node("Add", "column line", "x"), column=large(60_000, 1), line=large(1, 60_000)
    ),
    "Mul of three axes": model(
        node("Mul", "a b", "ab"),
        node("Mul", "ab c", "x"),
        **{name: large(*np.roll([2000, 1, 1], n)) for n, name in enumerate("abc")},
    ),
    "MatMul": model(
        node("MatMul", "column line", "x"), column=large(60_000, 1), line=large(1, 60_000)
    ),
    "Concat, again and again": model(
        *(node("Concat", f"x{n} x{n} x{n} x{n}", f"x{n + 1}", axis=0) for n in range(20)),
        x0=large(1, 4),
    ),
    "Gather": model(
        node("Gather", "line which", "x", axis=1),
        line=large(20_000, 1),
        which=np.zeros(60_000, np.int64),
    ),
    "Conv with filters": model(
        node("Conv", "image kernel", "x", pads=[2000] * 4),
        image=large(1, 1, 8, 8),
        kernel=large(64, 1, 1, 1),
    ),
    "MaxPool over padding": model(
        node("MaxPool", "image", "x", kernel_shape=[2, 2], pads=[30_000] * 4),
        image=large(1, 1, 8, 8),
    ),
    "LSTM": model(
        node("Expand", "line vast", "frames"),
        node("LSTM", "frames w r", "x", hidden_size=1),
        line=large(1, 1, 1),
        vast=np.array([10**5, 10**5, 1]),
        w=large(1, 4, 1),
        r=large(1, 4, 1),
    ),
    "products, of little memory": model(
        node("MatMul", "wide tall", "x0"),
        *(node("MatMul", f"x{n} square", f"x{n + 1}") for n in range(400)),
        wide=large(1000, 1),
        tall=large(1, 1000),
        square=large(1000, 1000),
    ),
    "a square of the batch": model(
        node("Concat", "batch0 batch0", "twice", axis=0),
        node("Expand", "line twice", "x"),
        **{"batch0": np.array([2**15]), "line": large(1)},
    ),
}


@pytest.mark.parametrize("name", VAST)
def test_a_file_that_would_compute_too_much_is_refused_before_it_runs(name):
    content = VAST[name].SerializeToString()
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(ValueError, match=r"odd\.onnx would compute [0-9,]{9,} (numbers|products)"):
        OnnxRecognizer(content, "odd.onnx")
    assert time.process_time() - start < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_what_grows_faster_than_the_batch_is_refused_when_the_batch_comes():
    # The batch to the power of four: nothing for one image, 10^10 numbers for 400.
    made = model(
        node("Concat", "b b b b", "powers", axis=0),
        node("Expand", "line powers", "x"),
        node("Shape", "canvases", "s"),
        line=large(1),
    )
    made.graph.node.insert(0, node("Gather", "s first", "b"))
    made.graph.node.insert(0, made.graph.node.pop(3))
    recognizer = load(made)
    assert texts(recognizer, [IMAGE]) == ["9"]
    canvases = np.zeros((400, 32, 100, 1), np.uint8)
    with pytest.raises(ValueError, match=r"odd\.onnx would compute 25,[0-9,]+ numbers of 400"):
        recognizer.predict_logits(canvases)


def test_numbers_that_would_differ_in_32_bits_are_not_trusted():
    # 65536 * 65537 is 65536 in 32 bits, and a negative size would be taken for a failure.
    made = model(
        node("Cast", "many", "narrow", to=TensorProto.INT32),
        node("Mul", "narrow more", "product"),
        node("Cast", "product", "vast", to=TensorProto.INT64),
        node("Expand", "line vast", "x"),
        many=np.array([2**16, 2**16]),
        more=np.array([2**16 + 1, -(2**16)], np.int32),
        line=large(1),
    )
    with pytest.raises(ValueError, match=r"odd\.onnx .*Expand.*not known"):
        load(made)


def test_canvases_too_large_for_many_are_read_in_smaller_batches(monkeypatch):
    cost = load(model())._cost
    monkeypatch.setattr(sizes, "MAX_MODEL_VALUES", 3 * cost.values)
    recognizer = load(model())
    seen, run = [], recognizer._run
    monkeypatch.setattr(recognizer, "_run", lambda *a: seen.append(len(a[1])) or run(*a))
    assert texts(recognizer, [IMAGE] * 10) == ["9"] * 10
    assert sorted(seen) == [1, 3, 3, 3]


@pytest.mark.parametrize("word", ["location", "a location b", "external_data"])
def test_a_word_of_onnx_in_names_and_characters_is_only_a_word(word):
    characters = "".join(dict.fromkeys(word + "0123456789"))
    char_dict = CharDict(characters)
    size = char_dict.num_classes
    made = model(metadata={**GOOD, "char_dict": char_dict.get_config(), "note": word})
    made.graph.doc_string = made.graph.node[0].name = made.producer_name = word
    made.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.array([25, size]), "rest"))
    row = np.arange(size, dtype=np.float32)[None, None]
    made.graph.initializer[2].CopyFrom(numpy_helper.from_array(row, "row"))
    made.graph.output[0].type.tensor_type.shape.dim[2].dim_value = size
    entry = made.metadata_props.add()
    entry.key, entry.value = "location", word
    assert word.encode() in made.SerializeToString()
    assert texts(load(made), [IMAGE]) == [characters[-1]]


def with_metadata(text):
    made = model()
    made.metadata_props[0].value = text
    return made


CANVAS = GOOD["canvas"]
LANGUAGE_MODEL = train_language_model(["12", "121"], DIGITS, order=2, codes=0.0).get_config()


@pytest.mark.parametrize(
    "metadata",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        json.dumps(GOOD)[:-1] + ', "more": ' + "[" * 5000 + "]" * 5000 + "}",
        "1" * 10_000,
        "null",
        '"text"',
        "NaN",
        *(
            json.dumps({**GOOD, **change})
            for change in (
                {"canvas": {**CANVAS, "height": 32.0}},
                {"canvas": {**CANVAS, "height": "32"}},
                {"canvas": {**CANVAS, "height": True}},
                {"canvas": {**CANVAS, "height": 1_600_000}},
                {"canvas": {**CANVAS, "height": None}},
                {"canvas": {**CANVAS, "widths": 100}},
                {"canvas": {**CANVAS, "widths": [100.0]}},
                {"canvas": {**CANVAS, "widths": ["100"]}},
                {"canvas": {**CANVAS, "widths": [10**9]}},
                {"canvas": {**CANVAS, "widths": []}},
                {"canvas": {**CANVAS, "mode": ["stretch"]}},
                {"canvas": []},
                {"canvas": None},
                {"char_dict": "0123456789"},
                {"char_dict": {**GOOD["char_dict"], "characters": ["01", *"23456789"]}},
                {"char_dict": {**GOOD["char_dict"], "characters": None}},
                {"char_dict": {**GOOD["char_dict"], "fold_case": "false"}},
                {"char_dict": {**GOOD["char_dict"], "fold_case": 1}},
                {"char_dict": {**GOOD["char_dict"], "normalization": ["nfc"]}},
                {"calibration": {"slope": float("nan"), "offset": 0}},
                {"calibration": {"slope": "1", "offset": 0}},
                {"calibration": {"slope": True, "offset": 0}},
                {"calibration": {"slope": 1e400, "offset": 0}},
                {"calibration": {"slope": [1], "offset": 0}},
                {"calibration": [1, 0]},
                {"language_model": []},
                {"language_model": "words"},
                {"language_model": {"ngrams": "AAAA"}},
                {"language_model": {**LANGUAGE_MODEL, "ngrams": LANGUAGE_MODEL["ngrams"][:-8]}},
                {"language_model": {**LANGUAGE_MODEL, "characters": ["0", "0"]}},
                {"language_model": {**LANGUAGE_MODEL, "order": 10**9}},
                {"language_model": {**LANGUAGE_MODEL, "settings": {"threshold": 2}}},
                {"language_model": {**LANGUAGE_MODEL, "module": "os"}},
                {"format": ["crnn_keras.reader"]},
            )
        ),
    ],
    ids=lambda text: text[:20] if len(text) > 400 else text[-120:],
)
def test_metadata_of_other_types_or_depth_is_refused(metadata):
    with pytest.raises(ValueError, match=r"odd\.onnx .*metadata"):
        load(with_metadata(metadata))


def test_metadata_twice_or_of_another_encoding_is_refused():
    twice = model()
    twice.metadata_props.append(twice.metadata_props[0])
    with pytest.raises(ValueError, match=r"odd\.onnx .*twice"):
        load(twice)
    for text in (b"0123456789", b"logits", b"Expand", b"small", b"\x12\x01b"):
        assert text in model().SerializeToString()
        content = model().SerializeToString().replace(text, text[:-1] + b"\xff")
        with pytest.raises(ValueError, match=r"odd\.onnx .*damaged"):
            OnnxRecognizer(content, "odd.onnx")


def test_bytes_behind_or_within_a_file_do_not_reach_the_runtime():
    content = SHIPPED["words"].read_bytes()
    assert read_onnx(content).content == content
    # A second graph is merged into the first by every reader of protobuf: its Loop is seen.
    other = model(helper.make_node("Loop", ["n", "yes"], ["x"], body=subgraph()))
    with pytest.raises(ValueError, match=r"odd\.onnx .*Loop"):
        OnnxRecognizer(content + other.SerializeToString(), "odd.onnx")
    # Field 99 of 3 bytes.
    with pytest.raises(ValueError, match=r"odd\.onnx .*parts"):
        OnnxRecognizer(content + b"\x9a\x06\x03abc", "odd.onnx")


def test_damaged_files_give_a_named_error_or_read():
    content = SHIPPED["words"].read_bytes()
    random = np.random.default_rng(0)
    outcomes = set()
    for _ in range(40):
        damaged = bytearray(content)
        for place in random.integers(0, len(content), 8):
            # Most of the file are weights; its ends hold the graph and the metadata.
            place = place % 5000 if random.random() < 0.5 else -1 - place % 20_000
            damaged[place] = random.integers(256)
        try:
            OnnxRecognizer(bytes(damaged), "odd.onnx").read(IMAGE)
            outcomes.add("read")
        except ValueError as error:
            outcomes.add("named" if "odd.onnx" in str(error) else str(error))
    assert outcomes <= {"read", "named", *(o for o in outcomes if "not finite" in o)}
    assert "named" in outcomes


def _texts_of(recognizer):
    return texts(recognizer, [IMAGE] * 300)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("cores", [1, 4])
def test_a_recognizer_is_used_by_other_processes(method, cores):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {method}")
    recognizer = load(model())
    recognizer = OnnxRecognizer(recognizer._network.content, "odd.onnx", cores=cores)
    recognizer.calibration = Calibration(0.5, 0.25)
    assert _texts_of(recognizer) == ["9"] * 300
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map_async(_texts_of, [recognizer] * 2).get(60) == [["9"] * 300] * 2


def _read_forked(queue):
    queue.put(_texts_of(_read_forked.recognizer))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork"
)
def test_a_fork_reads_with_the_recognizer_of_its_parent():
    recognizer = OnnxRecognizer(model().SerializeToString(), "odd.onnx", cores=4)
    context = multiprocessing.get_context("fork")
    for _ in range(3):
        assert _texts_of(recognizer) == ["9"] * 300
        _read_forked.recognizer, queue = recognizer, context.Queue()
        child = context.Process(target=_read_forked, args=(queue,))
        child.start()
        assert queue.get(timeout=60) == ["9"] * 300
        child.join(60)
        assert child.exitcode == 0
    assert _texts_of(recognizer) == ["9"] * 300


def test_a_pickled_recognizer_keeps_what_it_was():
    recognizer = OnnxRecognizer(model().SerializeToString(), "odd.onnx", cores=3)
    recognizer.calibration = Calibration(0.5, 0.25)
    recognizer.language_model = LanguageModel.from_config(LANGUAGE_MODEL)
    again = pickle.loads(pickle.dumps(recognizer))  # noqa: S301
    assert again.language_model.get_config() == LANGUAGE_MODEL
    assert (again.calibration, again.threads, again.char_dict, again.canvas) == (
        Calibration(0.5, 0.25),
        recognizer.threads,
        DIGITS,
        Canvas(),
    )
    assert again.read([IMAGE]) == recognizer.read([IMAGE])


@pytest.mark.parametrize("cores", [0, -1, 1.5, True, "2"])
def test_numbers_of_cores_that_make_no_sense_are_refused(cores):
    with pytest.raises(ValueError, match="cores is "):
        OnnxRecognizer.load("words", cores=cores)


@pytest.mark.parametrize("path", ["a" * 300 + ".onnx", "a\0b.onnx", "", ".", "/", None, 3, b""])
def test_paths_that_name_no_file_are_refused(path):
    with pytest.raises(ValueError, match="export_onnx"):
        OnnxRecognizer.load(path)


def test_canvases_of_another_form_are_refused():
    recognizer = load(model())
    good = np.zeros((2, 32, 100, 1), np.uint8)
    assert recognizer.predict_logits(good).shape == (2, 25, 11)
    for bad in (good[:0], good[0], good[:, :16], good[:, :, :96], good.astype(np.float32), [[1]]):
        with pytest.raises(ValueError, match=r"canvases .*32, width, 1"):
            recognizer.predict_logits(bad)

"""A `.keras` file of a stranger is refused by name, at once, and takes no memory."""

import base64
import io
import json
import resource
import subprocess
import sys
import time
import zipfile
import zlib

import h5py
import numpy as np
import pytest

from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas
from crnn_keras.inference.keras_file import check_keras_file
from crnn_keras.inference.recognizer import SHIPPED, Recognizer
from crnn_keras.model.architectures import ARCHITECTURES
from crnn_keras.model.crnn import CRNN, build_crnn
from crnn_keras.model.decoding import train_language_model
from crnn_keras.model.saving import save_model
from crnn_keras.model.sizes import check_architecture, measure_architecture

DIGITS = CharDict.from_preset("digits")
CUSTOM = {
    "filters": [8, 12, 16],
    "kernel_sizes": [3, [5, 3], 1],
    "strides": [[1, 1], [2, 1], [1, 1]],
    "pool_sizes": [[3, 2], [1, 2], [2, 1]],
    "residuals": [0, 2, 1],
    "batch_norm": [True, False, True],
    "frame_kernel_width": 4,
    "frame_batch_norm": False,
    "lstm_units": [8, 12],
    "dropout": 0.0,
}


@pytest.fixture(scope="module")
def members():
    """The three members of a shipped file by their names."""
    with zipfile.ZipFile(SHIPPED["words"]) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def write(tmp_path, members):
    """Function `(**changes)` that writes a file with other members; None leaves one out."""

    def written(method=zipfile.ZIP_STORED, more=(), **changes):
        path = tmp_path / "odd.keras"
        names = {"config": "config.json", "metadata": "metadata.json"}
        names["weights"] = "model.weights.h5"
        contents = {**members, **{names[name]: content for name, content in changes.items()}}
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in [*contents.items(), *more]:
                if content is not None:
                    archive.writestr(name, content)
        return path

    return written


@pytest.fixture
def write_config(write, members):
    """Function `(change)` that writes a file whose config a function has changed."""

    def written(change):
        config = json.loads(members["config.json"])
        change(config)
        return write(config=json.dumps(config))

    return written


@pytest.fixture
def write_weights(write, members):
    """Function `(change)` that writes a file whose HDF5 a function has changed."""

    def written(change):
        content = io.BytesIO(members["model.weights.h5"])
        with h5py.File(content, "r+") as file:
            change(file)
        return write(weights=content.getvalue())

    return written


def assert_refused(path, match=""):
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(ValueError, match=rf"odd\.keras .*{match}") as caught:
        Recognizer.load(path)
    assert "Recognizer.save" in str(caught.value)
    assert time.process_time() - start < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


def test_the_file_that_the_others_are_made_from_loads(write, write_config, write_weights):
    for path in (write(), write_config(lambda config: None), write_weights(lambda file: None)):
        assert Recognizer.load(path).char_dict == CharDict.from_preset("alphanumeric36")
    assert Recognizer.load(write(zipfile.ZIP_DEFLATED)).canvas == Canvas(widths=(128,))


# The archive.


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_archives_of_other_methods_are_refused(write, method):
    assert_refused(write(method), f"method {method}")


def test_a_damaged_member_is_refused(write, members):
    path = write(zipfile.ZIP_DEFLATED)
    content = path.read_bytes()
    start = content.index(b"model.weights.h5") + 100
    for damage in (b"\xff" * 50, b"\0" * 5000):
        path.write_bytes(content[:start] + damage + content[start + len(damage) :])
        assert_refused(path, "damaged")
    # Encrypted; of a later version of zip.
    for old, new in (
        (b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"),
        (b"PK\1\2\x14\3\x14", b"PK\1\2\x14\3\xff"),
    ):
        assert old in content
        path.write_bytes(content.replace(old, new))
        assert_refused(path)


def test_other_members_are_refused(write):
    for more in (
        [("../evil.py", b"")],
        [("assets/", b"")],
        [("/etc/passwd", b"")],
        [(f"n{index}", b"") for index in range(3000)],
    ):
        assert_refused(write(more=more))
    assert_refused(write(weights=None), "model.weights.h5")
    assert_refused(write(config=None), "config.json")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(write, members):
    assert_refused(write(more=[("config.json", members["config.json"])]), "config.json")


def test_an_archive_of_a_million_names_is_refused_by_its_list(tmp_path):
    path = tmp_path / "odd.keras"
    entry = b"PK\1\2" + b"\0" * 24 + b"\1\0" + b"\0" * 16 + b"n"
    directory = entry * 500_000
    end = b"PK\5\6\0\0\0\0\xff\xff\xff\xff" + len(directory).to_bytes(4, "little") + b"\0" * 6
    path.write_bytes(directory + end)
    assert_refused(path, "[0-9,]{9,} bytes")


def test_members_that_unpack_to_too_much_are_refused(write):
    assert_refused(write(zipfile.ZIP_DEFLATED, config=b" " * 2**23), "config.json, over")
    assert_refused(write(zipfile.ZIP_DEFLATED, metadata=b" " * 2**23), "metadata.json, over")


def test_a_sparse_file_that_is_too_large_is_refused(tmp_path):
    path = tmp_path / "odd.keras"
    with open(path, "wb") as file:
        file.truncate(2**40)
    assert_refused(path, "bytes, over")


# The config.


@pytest.mark.parametrize(
    "config",
    ["[" * 100_000, '{"config":' * 50_000, "1" * 10_000, "null", "[]", "{}", "", "\xff", '"CRNN"'],
)
def test_a_config_that_is_none_is_refused(write, config):
    assert_refused(write(config=config.encode("latin-1")))


def changes(name, *values):
    return [(name, value) for value in values]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *changes("filters", [10**6] * 5, [0] * 5, [16.0] * 5, ["16"] * 5, 16, None, [], [True] * 5),
        *changes("kernel_sizes", [10**5] * 5, [[3]] * 5, [[3, 3, 3]] * 5, [-3] * 5, [3] * 4),
        *changes("strides", [2] * 5, [[2, 0]] * 5, [["2", 2]] * 5, [[1, 1]] * 5, "22222"),
        *changes("pool_sizes", [[1]] * 5, [[0, 1]] * 5, [[10**9, 1]] * 5, None),
        *changes("residuals", [-1] * 5, [27] * 5, [10**9] * 5, [0.5] * 5, [True] * 5),
        *changes("batch_norm", [1] * 5, ["yes"] * 5, True, [None] * 5),
        *changes("frame_kernel_width", 0, 10**9, 3.0, "3", None, [3]),
        *changes("frame_batch_norm", 1, "true", None),
        *changes("lstm_units", [], [10**6], [0], ["192"], 192, [1] * 10**5),
        *changes("padding", "valid", "Same", 1, None, ["same"]),
        *changes("dropout", -0.1, 1.5, "0.1", None, float("nan"), True),
        *changes("seed", -1, 2**40, 1.5, "1", None, [1]),
        *changes("precision", "float64", 32, None, {"module": "os"}),
        *changes("name", 3, None, ["crnn"], "a/b"),
        *changes("calibration", [], 1, {"slope": 1}, {"slope": float("nan"), "offset": 0}),
        *changes("language_model", [], 1, "words", {}, {"ngrams": ""}, {"ngrams": 3}),
        *changes("char_dict", None, "abc", [], {"characters": "aa", "fold_case": False}),
        *changes("char_dict", {"characters": ["ab"], "fold_case": False}, {"fold_case": True}),
        *changes("canvas", None, [], {"height": 32.5}, {"height": 16 * 10**5}, {"widths": [2**40]}),
        *changes("canvas", {"mode": 3}, {"widths": 128}, {"height": "32"}, {"size": 3}),
        *changes("canvas", {"height": 512, "widths": [8192], "mode": "keep", "more": 1}),
        *changes("trainable", True),
        *changes("dtype", {"class_name": "Lambda", "config": {}}),
        *changes("preset", "deep"),
    ],
)
def test_arguments_of_other_types_or_sizes_are_refused(write_config, name, value):
    assert_refused(write_config(lambda config: config["config"].__setitem__(name, value)))


# A megabyte that unpacks to a gigabyte.
BOMB = base64.b64encode(zlib.compress(bytes(2**30), 1)[: 2**20]).decode()


@pytest.mark.parametrize(
    "change",
    [
        {"ngrams": "no base64!"},
        {"ngrams": base64.b64encode(b"not packed").decode()},
        {"ngrams": base64.b64encode(zlib.compress(bytes(7))).decode()},
        {"ngrams": BOMB},
        {"characters": ["a", "a"]},
        {"characters": 3},
        {"order": 10**9},
        {"order": 1},
        {"source": 3},
        {"settings": {"weight": float("nan")}},
        {"settings": {"more": 1}},
        {"settings": []},
        {"more": 1},
    ],
    ids=lambda change: str(change)[:40],
)
def test_a_damaged_language_model_is_refused(write_config, change):
    model = train_language_model(["door", "floor"], CharDict("dflor"), order=3, source="two words")
    good, bad = model.get_config(), {**model.get_config(), **change}
    assert (
        Recognizer.load(
            write_config(lambda config: config["config"].__setitem__("language_model", good))
        ).language_model.source
        == "two words"
    )
    path = write_config(lambda config: config["config"].__setitem__("language_model", bad))
    assert_refused(path, "language model is damaged")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("class_name", "Functional"),
        ("class_name", "__lambda__"),
        ("class_name", ["CRNN"]),
        ("registered_name", "os>system"),
        ("registered_name", None),
        ("build_config", {"input_shape": [10**9, "x"]}),
        ("build_config", {"input_shape": 3}),
        ("build_config", [1]),
        ("config", []),
        ("config", {}),
        ("config", None),
        ("shared_object_id", 1),
    ],
)
def test_a_config_of_another_program_is_refused(write_config, name, value):
    assert_refused(write_config(lambda config: config.__setitem__(name, value)))


# The weights.

KERNEL = "layers/dense/vars/0"


def replace(**options):
    def change(file):
        shape = options.pop("shape", file[KERNEL].shape)
        del file[KERNEL]
        file.create_dataset(KERNEL, shape, **{"dtype": "float32", **options})

    return change


def link(target):
    def change(file):
        del file[KERNEL]
        file[KERNEL] = target

    return change


def move(file):
    file["layers/dense/vars/2"] = np.zeros(37, np.float32)


def loop(file):
    file["layers/again"] = file["layers"]


def virtual(file):
    layout = h5py.VirtualLayout((384, 37), "float32")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (384, 37))
    del file[KERNEL]
    file.create_virtual_dataset(KERNEL, layout)


def text(file):
    del file[KERNEL]
    file[KERNEL] = np.full((384, 37), "text", h5py.string_dtype())


def many(file):
    for index in range(12_000):
        file.create_group(f"layers/dense/{index}")


@pytest.mark.parametrize(
    "change",
    [
        replace(shape=(700_000_000,), chunks=(10_000_000,), compression="gzip"),
        replace(shape=(2**40, 37), chunks=(64, 37)),
        replace(chunks=(384, 37), compression="lzf"),
        replace(chunks=(384, 37), scaleoffset=2),
        replace(shape=(2**40,), maxshape=(None,), chunks=(2**20,)),
        replace(shape=(37, 384)),
        replace(shape=(384, 38)),
        replace(dtype="S8"),
        replace(dtype=np.dtype([("a", "f4"), ("b", "i4")])),
        replace(external=[("/etc/passwd", 0, 384 * 37 * 4)]),
        link(h5py.ExternalLink("/etc/passwd", "/x")),
        link(h5py.SoftLink("/layers/dense/vars/1")),
        link(h5py.SoftLink("/nowhere")),
        move,
        loop,
        virtual,
        text,
        many,
        lambda file: file.pop("layers"),
        lambda file: file.create_dataset("other", (2**40,), "f4", chunks=(2**20,)),
        lambda file: file.create_dataset("optimizer/vars/0", (2**40,), "f4", chunks=(2**20,)),
    ],
)
def test_weights_of_other_shapes_or_kinds_are_refused(write_weights, change):
    assert_refused(write_weights(change))


@pytest.mark.parametrize(
    "content", [b"", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + b"\xff" * 99]
)
def test_weights_that_are_no_hdf5_are_refused(write, content):
    assert_refused(write(weights=content))


def test_damaged_weights_give_a_named_error_or_load(write, members):
    # 10,000 such files were read without a crash; here are a few.
    content, random, outcomes = members["model.weights.h5"], np.random.default_rng(0), set()
    for _ in range(25):
        damaged = bytearray(content)
        for place in random.integers(0, 9000, 6):
            damaged[place] = random.integers(256)
        try:
            check_keras_file(
                write(weights=bytes(damaged)),
                class_name="CRNN",
                registered_name="crnn_keras>CRNN",
            )
            outcomes.add("valid")
        except ValueError:
            outcomes.add("refused")
    assert "refused" in outcomes


# What a process may take, which no test of this process could tell after one that took more.


@pytest.mark.slow
def test_hostile_files_take_little_memory_and_time(tmp_path, write_weights, write_config):
    bomb = replace(shape=(700_000_000,), chunks=(10_000_000,), compression="gzip")
    high = {"mode": "stretch", "height": 1_600_000, "widths": [100]}
    paths = [
        write_weights(bomb).rename(tmp_path / "bomb.keras"),
        write_config(lambda config: config["config"].__setitem__("canvas", high)),
    ]
    program = (
        "import re, sys\n"
        "from crnn_keras import Recognizer\n"
        "for path in sys.argv[1:]:\n"
        "    try: Recognizer.load(path)\n"
        "    except ValueError as error: print('refused')\n"
        # Not ru_maxrss: it begins with what the process of the tests has.
        "status = open('/proc/self/status').read()\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+) kB', status)[1]) < 1_500_000)\n"
    )
    command = [sys.executable, "-c", program, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["refused", "refused", "True"], done.stderr


# What readers of this project take.


@pytest.mark.parametrize("name", [*ARCHITECTURES, "custom"])
def test_the_number_of_weights_is_known_before_a_layer_is_built(name):
    canvas = Canvas("keep", 48, (64, 96))
    architecture = check_architecture(ARCHITECTURES.get(name, CUSTOM))
    cost = measure_architecture(architecture, canvas, DIGITS.num_classes)
    model = CRNN(DIGITS, canvas, **architecture)
    assert cost.weights == model.count_params()
    assert cost.values > 0 and cost.operations > cost.weights


@pytest.mark.slow
def test_a_model_that_was_compiled_and_trained_loads(tmp_path):
    from crnn_keras.model.ctc import CTCLoss

    model = build_crnn(DIGITS)
    model.compile("adam", CTCLoss())
    canvases, labels = np.zeros((2, 32, 100, 1), np.uint8), np.ones((2, 3), np.int32)
    model.fit(canvases, labels, verbose=0)
    model.save(tmp_path / "compiled.keras")
    loaded = Recognizer.load(tmp_path / "compiled.keras")
    for before, after in zip(model.get_weights(), loaded.model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_network_that_is_too_large_is_refused_before_it_is_built():
    start = time.process_time()
    for change, what in (
        ({"lstm_units": [20_000]}, "weights"),
        ({"filters": [2000, *CUSTOM["filters"][1:]]}, "numbers"),
    ):
        canvas = Canvas("keep", 512, (8192,))
        with pytest.raises(ValueError, match=f"would .*[0-9,]{{9,}} {what}"):
            CRNN(DIGITS, canvas, **{**CUSTOM, **change})
    assert time.process_time() - start < 2


@pytest.mark.parametrize("path", ["a" * 300 + ".keras", "a\0b.keras", "", ".", None, 3, b"x"])
def test_paths_that_name_no_file_are_refused(path):
    with pytest.raises(ValueError, match=r"Recognizer\.save"):
        Recognizer.load(path)


def test_a_saved_reader_has_no_more_than_is_checked(tmp_path):
    save_model(build_crnn(DIGITS), tmp_path / "a.keras")
    check_keras_file(tmp_path / "a.keras", class_name="CRNN", registered_name="crnn_keras>CRNN")

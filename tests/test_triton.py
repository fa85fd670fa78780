r"""The model repository for NVIDIA Triton: its files, and the real server that reads with it.

The server comes with `nvidia-pytriton`. Its Python backend is built for NumPy 1 and ends at a text
with NumPy 2, so it is in an environment of its own, which CRNN_KERAS_TRITON names:

    python -m venv triton
    triton/bin/pip install nvidia-pytriton charset-normalizer filelock lazy-loader onnxruntime \
        pillow python-bidi rapidfuzz
    CRNN_KERAS_TRITON=triton python -m pytest tests/test_triton.py
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

import numpy as np
import pytest

from crnn_keras import OnnxRecognizer, synth
from crnn_keras.cli import main
from crnn_keras.inference.export import export_triton
from crnn_keras.inference.shipped import shipped_files

ROOT = pathlib.Path(__file__).parent.parent
SECONDS_TO_START = 60


def test_the_repository_has_the_layout_of_triton(tmp_path, capsys):
    assert main(["export", "words", str(tmp_path / "reader"), "--format", "triton"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "reader" / "1")
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert files >= {"reader/config.pbtxt", "reader/1/model.py", "reader/1/model.onnx"}
    config = (tmp_path / "reader" / "config.pbtxt").read_text()
    assert 'name: "reader"' in config and 'backend: "python"' in config
    assert config.count("{") == config.count("}") and config.count("[") == config.count("]")
    onnx = (tmp_path / "reader" / "1" / "model.onnx").read_bytes()
    assert onnx == shipped_files(".onnx")["words"].read_bytes()
    compile((tmp_path / "reader" / "1" / "model.py").read_text(), "model.py", "exec")


def test_versions_stand_side_by_side(tmp_path):
    export_triton("words", tmp_path / "reader")
    assert (
        export_triton(shipped_files(".onnx")["ascii"], tmp_path / "reader", version=7).name == "7"
    )
    versions = {path.parent.name for path in tmp_path.rglob("model.onnx")}
    assert versions == {"1", "7"}


@pytest.mark.parametrize("name", ["a b", "ä", ".hidden", 'x"'])
def test_a_name_that_triton_does_not_take_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="letters of ASCII"):
        export_triton("words", tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_is_no_model_leaves_nothing(tmp_path):
    (tmp_path / "text.onnx").write_text("no model")
    for path in ("text.onnx", "missing.onnx"):
        with pytest.raises(ValueError, match=path):
            export_triton(tmp_path / path, tmp_path / "repository" / "reader")
    assert not list((tmp_path / "repository").rglob("*.*"))


@pytest.fixture(scope="module")
def environment():
    """Folder of the environment that holds `tritonserver`."""
    named = os.environ.get("CRNN_KERAS_TRITON")
    if not named:
        pytest.skip("CRNN_KERAS_TRITON is not set: it names an environment with nvidia-pytriton")
    if not list(pathlib.Path(named).glob("lib/*/site-packages/pytriton/tritonserver/bin/*")):
        pytest.skip(f"CRNN_KERAS_TRITON={named} holds no tritonserver of nvidia-pytriton")
    return pathlib.Path(named).absolute()


@pytest.fixture(scope="module")
def address(environment, tmp_path_factory):
    """Address of a Triton that serves `words`."""
    folder = tmp_path_factory.mktemp("triton")
    export_triton("words", folder / "repository" / "words")
    (packages,) = environment.glob("lib/*/site-packages")
    version = packages.parent.name.removeprefix("python")
    server = packages / "pytriton" / "tritonserver"
    # Triton starts the program beside the backend's library: that of this Python.
    shutil.copytree(server / "backends" / "python", folder / "backends" / "python")
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    shutil.copy(stub, folder / "backends" / "python")
    # It looks at no PYTHONPATH. This stands for `pip install --no-deps crnn_keras` there.
    utils = folder / "backends" / "python" / "triton_python_backend_utils.py"
    utils.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{utils.read_text()}")
    # Otherwise the program takes the library of the system's Python and our standard library.
    # Those of the wheel are found from its own place only.
    ask = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"
    libraries = subprocess.check_output([environment / "bin" / "python", "-c", ask], text=True)
    libraries = ":".join([libraries.strip(), *map(str, packages.glob("*pytriton.libs"))])
    # Its packages are those of the first Python on the path.
    path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {
        "model-repository": folder / "repository",
        "backend-directory": folder / "backends",
        "http-address": "127.0.0.1",
        "http-port": port,
        "allow-grpc": "false",
        "allow-metrics": "false",
        "exit-timeout-secs": 5,
    }
    log = folder / "log.txt"
    with open(log, "w") as file:
        process = subprocess.Popen(
            [server / "bin" / "tritonserver", *(f"--{k}={v}" for k, v in options.items())],
            env=os.environ | {"LD_LIBRARY_PATH": libraries, "PATH": path},
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(port, process, log)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(port, process, log):
    triton = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed")
    end = time.monotonic() + SECONDS_TO_START
    client = triton.InferenceServerClient(f"127.0.0.1:{port}")
    while time.monotonic() < end and process.poll() is None:
        try:
            if client.is_server_ready():
                return
        except OSError:
            pass
        time.sleep(0.2)
    pytest.fail(f"tritonserver is not ready:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def drawn(words):
    """Encoded images of twenty words."""
    font = next(font for font in synth.bundled_fonts() if font.endswith("DejaVuSans.ttf"))
    return [bytes(image) for image in synth.render_many(words[:20], [font], seed=3)]


def ask(address, images):
    """Asks a Triton to read images; returns its outputs by name."""
    import tritonclient.http as triton

    array = np.array([[image] for image in images], np.object_)
    tensor = triton.InferInput("image_bytes", array.shape, "BYTES")
    tensor.set_data_from_numpy(array)
    result = triton.InferenceServerClient(address).infer("words", [tensor])
    return {name: result.as_numpy(name)[:, 0] for name in ("text", "confidence", "error")}


@pytest.mark.slow
def test_triton_describes_the_model_as_our_server_does(address):
    import tritonclient.http as triton

    metadata = triton.InferenceServerClient(address).get_model_metadata("words")
    assert metadata["versions"] == ["1"]
    described = {
        own["name"]: (own["datatype"], own["shape"])
        for own in [*metadata["inputs"], *metadata["outputs"]]
    }
    assert described == {
        "image_bytes": ("BYTES", [-1, 1]),
        "text": ("BYTES", [-1, 1]),
        "confidence": ("FP32", [-1, 1]),
        "error": ("BYTES", [-1, 1]),
    }


@pytest.mark.slow
def test_triton_reads_what_the_recognizer_reads(address, drawn):
    expected = OnnxRecognizer.load("words").read(drawn)
    found = ask(address, drawn)
    assert [text.decode() for text in found["text"]] == [own.text for own in expected]
    confidences = [own.confidence for own in expected]
    np.testing.assert_allclose(found["confidence"], confidences, atol=1e-5)
    assert not any(found["error"])
    assert len(set(found["text"])) > 10


@pytest.mark.slow
def test_a_damaged_image_harms_no_other(address, drawn, png_of_size):
    images = [drawn[0], b"no image", drawn[1][:200], png_of_size(4_000, 4_000), drawn[2]]
    found, alone = ask(address, images), ask(address, [drawn[0], drawn[2]])
    assert [*found["text"][[0, 4]]] == [*alone["text"]]
    assert [*found["text"][1:4]] == [b"", b"", b""] and not found["confidence"][1:4].any()
    assert [bool(error) for error in found["error"]] == [False, True, True, True, False]
    assert re.match(rb"image 3: .*4000 x 4000", found["error"][3])


@pytest.mark.slow
def test_requests_of_many_clients_are_not_mixed_up(address, drawn):
    expected = [own.text for own in OnnxRecognizer.load("words").read(drawn)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: ask(address, [drawn[n % 20]]), range(40)))
    assert [own["text"][0].decode() for own in answers] == expected * 2

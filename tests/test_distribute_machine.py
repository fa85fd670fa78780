"""What a training runs on, what is advised for it, and how processes are started."""

import os
import re
import sys
from types import SimpleNamespace

import keras
import pytest

from crnn_keras.images import Canvas
from crnn_keras.model.crnn import build_crnn
from crnn_keras.training import distribute
from crnn_keras.training.distribute import Accelerator, Machine, machine, recommend
from crnn_keras.training.distribute.__main__ import main
from crnn_keras.training.distribute.launch import environment
from crnn_keras.utils.backend import tensorflow_for_input

GIB = 2**30
V100 = Accelerator("GPU", "Tesla V100-SXM2-16GB", 16 * GIB, (7, 0))
T4 = Accelerator("GPU", "Tesla T4", 15 * GIB, (7, 5))
A100 = Accelerator("GPU", "NVIDIA A100-SXM4-40GB", 40 * GIB, (8, 0))
P100 = Accelerator("GPU", "Tesla P100-PCIE-16GB", 16 * GIB, (6, 0))
RTX3050 = Accelerator("GPU", "NVIDIA GeForce RTX 3050", 4 * GIB, (8, 6))
MI250 = Accelerator("GPU", "AMD Instinct MI250X", 64 * GIB)
UNSAID = Accelerator("GPU", "NVIDIA A100-SXM4-40GB", None, (8, 0))
TPU = Accelerator("TPU", "TPU v4", 32 * GIB)


def a_machine(*accelerators, cores=8, memory=32 * GIB):
    return Machine("jax", "0.10.2", "a processor", cores, memory, accelerators)


@pytest.mark.parametrize(
    ("here", "preset", "batch_size", "precision", "why"),
    [
        (a_machine(cores=1, memory=2 * GIB), "small", 64, "float32", "CPU"),
        (a_machine(cores=2), "small", 64, "float32", "CPU"),
        (a_machine(cores=64), "paper", 64, "float32", "CPU"),
        (a_machine(cores=2, memory=GIB), "paper", 32, "float32", "CPU"),
        (a_machine(memory=None), "paper", 64, "float32", "CPU"),
        (a_machine(P100), "paper", 256, "float32", "before compute capability 7.0"),
        (a_machine(V100), "paper", 256, "mixed_float16", "float16"),
        (a_machine(T4), "small", 256, "mixed_float16", "float16"),
        (a_machine(A100), "paper", 256, "mixed_bfloat16", "bfloat16"),
        (a_machine(RTX3050), "paper", 128, "mixed_bfloat16", "into 4 GiB"),
        (a_machine(RTX3050), "small", 256, "mixed_bfloat16", "busy"),
        (a_machine(RTX3050), "path/to/model.keras", 128, "mixed_bfloat16", "into 4 GiB"),
        (a_machine(A100, RTX3050), "paper", 128, "mixed_bfloat16", "into 4 GiB"),
        (a_machine(A100, T4), "paper", 256, "mixed_float16", "float16"),
        (a_machine(MI250), "paper", 256, "float32", "not known"),
        (a_machine(UNSAID), "paper", 256, "mixed_bfloat16", "memory is not known.*128"),
        (a_machine(TPU), "paper", 256, "mixed_bfloat16", "TPU"),
    ],
)
def test_advice_follows_the_machine(here, preset, batch_size, precision, why):
    advice = recommend(here, preset)
    assert (advice.batch_size, advice.precision) == (batch_size, precision)
    assert re.search(why, advice.why)


@pytest.mark.parametrize(
    ("width", "batch_size"), [(100, 128), (400, 32), (20_000, 1), (2_000_000, 1)]
)
def test_advice_counts_the_pixels_of_long_lines(width, batch_size):
    assert recommend(a_machine(RTX3050), "paper", Canvas(widths=(width,))).batch_size == batch_size


def test_advice_and_machine_are_said_in_a_line():
    here = Machine("tensorflow", "2.21.0", "AMD EPYC", 1, 23 * GIB)
    said = f"Keras {keras.__version__} on tensorflow 2.21.0: 1 core of AMD EPYC"
    assert str(here) == f"{said}, 23 GiB of memory; no GPU"
    gpu = "GPU Tesla T4 (15 GiB, compute capability 7.5)"
    assert str(a_machine(T4, MI250)).endswith(f"; {gpu}; GPU AMD Instinct MI250X (64 GiB)")
    assert str(UNSAID) == "GPU NVIDIA A100-SXM4-40GB (compute capability 8.0)"
    assert str(recommend(a_machine(T4))).startswith("batch_size = 256, precision = 'mixed_float16'")


def test_machine_at_hand_is_told():
    here = distribute.detect_hardware()
    assert here.backend == keras.backend.backend()
    assert here.cores >= 1
    assert here.memory is None or here.memory > 2**28
    assert here.version.count(".") >= 2
    assert here.processor


def device(platform, kind, memory=None, **facts):
    """As JAX shows a device."""
    return SimpleNamespace(
        platform=platform, device_kind=kind, memory_stats=lambda: memory, **facts
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([device("cpu", "cpu")], []),
        (
            [device("gpu", "Tesla T4", {"bytes_limit": 11 * GIB}, compute_capability="7.5")],
            [Accelerator("GPU", "Tesla T4", 11 * GIB, (7, 5))],
        ),
        (
            [device("gpu", "MI250X", {"bytes_limit": GIB}, compute_capability="gfx90a")],
            [Accelerator("GPU", "MI250X", GIB)],
        ),
        ([device("tpu", "TPU v4")], [Accelerator("TPU", "TPU v4")]),
    ],
)
def test_accelerators_of_jax(given, expected):
    assert machine.from_jax(given) == expected


def test_accelerators_of_torch():
    facts = [
        SimpleNamespace(name="Tesla T4", total_memory=15 * GIB, major=7, minor=5),
        SimpleNamespace(
            name="MI250X", total_memory=GIB, major=9, minor=0, gcnArchName="gfx90a:sramecc+"
        ),
    ]
    cuda = SimpleNamespace(device_count=lambda: 2, get_device_properties=facts.__getitem__)
    assert machine.from_torch(cuda) == [T4, Accelerator("GPU", "MI250X", GIB)]


def test_accelerators_of_tensorflow():
    gpus = [SimpleNamespace(name="/physical_device:GPU:0"), SimpleNamespace(name="unknown")]
    details = {
        gpus[0].name: {"device_name": "Tesla T4", "compute_capability": (7, 5)},
        gpus[1].name: {},
    }
    config = SimpleNamespace(
        get_visible_devices=lambda kind: gpus if kind == "GPU" else [],
        experimental=SimpleNamespace(get_device_details=lambda gpu: details[gpu.name]),
    )
    expected = [Accelerator("GPU", "Tesla T4", None, (7, 5)), Accelerator("GPU", "unknown")]
    assert machine.from_tensorflow(config) == expected


@pytest.mark.parametrize(
    ("backend", "hidden"), [("jax", [[]]), ("torch", [[]]), ("tensorflow", [])]
)
def test_input_is_kept_off_the_gpu_of_another_backend(monkeypatch, backend, hidden):
    import tensorflow as tf

    calls = []
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    monkeypatch.setattr(
        tf.config, "set_visible_devices", lambda devices, kind: calls.append((devices, kind))
    )
    assert tensorflow_for_input() is tf
    assert calls == [(devices, "GPU") for devices in hidden]


@pytest.mark.parametrize("preset", ["small", "paper"])
def test_lstms_are_such_as_cudnn_takes(char_dict, preset):
    """cuDNN's conditions, as Keras' `cudnn_ok` and `lstm` of each backend state them."""
    model = build_crnn(char_dict, Canvas("keep", 32, (64, 128)), preset)
    for layer in model.layers:
        assert not isinstance(layer, keras.layers.Masking)
        assert not getattr(layer, "mask_zero", False)
        calls = [node.arguments.kwargs for node in layer._inbound_nodes]
        assert all(call.get("mask") is None for call in calls)
    both = [layer for layer in model.layers if isinstance(layer, keras.layers.Bidirectional)]
    assert both
    for lstm in (lstm for layer in both for lstm in (layer.forward_layer, layer.backward_layer)):
        assert isinstance(lstm, keras.layers.LSTM)
        assert lstm.activation is keras.activations.tanh
        assert lstm.recurrent_activation is keras.activations.sigmoid
        assert (lstm.unroll, lstm.use_bias, lstm.use_cudnn) == (False, True, "auto")
        assert (lstm.dropout, lstm.recurrent_dropout, lstm.stateful) == (0, 0, False)


def variables(**given):
    return {f"KERAS_DISTRIBUTION_{name.upper()}": value for name, value in given.items()}


@pytest.mark.parametrize(
    ("arguments", "gpus", "expected"),
    [
        (
            (1, 2, 2, 0, "127.0.0.1:7"),
            None,
            {
                **variables(job_addresses="127.0.0.1:7", num_processes="2", process_id="1"),
                "KERAS_BACKEND": "jax",
                "JAX_COORDINATOR_BIND_ADDRESS": "127.0.0.1:7",
                "CUDA_VISIBLE_DEVICES": None,
            },
        ),
        (
            (0, 2, 4, 2, "10.0.0.1:7"),
            "0,1,2,3",
            {
                **variables(job_addresses="10.0.0.1:7", num_processes="4", process_id="2"),
                "JAX_COORDINATOR_BIND_ADDRESS": None,
                "CUDA_VISIBLE_DEVICES": "0,1",
            },
        ),
        ((1, 2, 4, 2, "10.0.0.1:7"), "0,1,2,3", {"CUDA_VISIBLE_DEVICES": "2,3"}),
        ((1, 2, 2, 0, "127.0.0.1:7"), "", {"CUDA_VISIBLE_DEVICES": ""}),
    ],
)
def test_each_process_is_told_its_place(monkeypatch, arguments, gpus, expected):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if gpus is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    made = environment(*arguments)
    assert {name: made.get(name) for name in expected} == expected


def test_gpus_that_cannot_be_shared_equally_are_refused(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    with pytest.raises(ValueError, match="3 GPUs .* 2 processes. One process can use all"):
        environment(0, 2, 2, 0, "127.0.0.1:7")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--here", "0"], "at least one"),
        (["--here", "2", "--processes", "4", "--first", "3"], "Processes 3 to 4 of 4"),
        (["--here", "1", "--processes", "2"], "need a coordinator: the address and port"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(options, message, capsys):
    with pytest.raises(SystemExit):
        main([*options, "script.py"])
    assert message in capsys.readouterr().err


@pytest.fixture
def script(tmp_path):
    def write(text):
        (tmp_path / "script.py").write_text("import os, sys, time\nrank = " + RANK + "\n" + text)
        return str(tmp_path / "script.py")

    return write


RANK = "int(os.environ['KERAS_DISTRIBUTION_PROCESS_ID'])"


def test_launched_processes_get_the_arguments_and_only_the_first_prints(script, capfd):
    assert main(["--here", "2", script("print('rank', rank, sys.argv[1:])"), "--epochs", "4"]) == 0
    assert capfd.readouterr().out == "rank 0 ['--epochs', '4']\n"


@pytest.mark.parametrize(("ending", "code"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", 137)])
def test_a_process_that_fails_ends_the_others(script, ending, code):
    # The others would wait for it without end.
    assert main(["--here", "2", script(f"time.sleep(600) if rank == 0 else {ending}")]) == code


@pytest.mark.skipif(sys.platform != "linux", reason="cores are asked of Linux")
def test_cores_are_those_this_process_may_use():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert distribute.detect_hardware().cores == 1
    finally:
        os.sched_setaffinity(0, allowed)

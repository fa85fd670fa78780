"""The machine that a training runs on, what is recommended for it, and how processes start."""

import os
import re
import sys
from types import SimpleNamespace

import keras
import pytest

from crnn_keras.images import Canvas
from crnn_keras.model.architectures import ARCHITECTURES
from crnn_keras.model.crnn import build_crnn
from crnn_keras.training import distribute
from crnn_keras.training.distribute import Accelerator, Machine, machine, recommend
from crnn_keras.training.distribute.advice import STEP_BYTES
from crnn_keras.training.distribute.launch import launch, make_environment

GIB = 2**30
V100 = Accelerator("GPU", "Tesla V100-SXM2-16GB", memory=16 * GIB, capability=(7, 0))
T4 = Accelerator("GPU", "Tesla T4", memory=15 * GIB, capability=(7, 5))
A100 = Accelerator("GPU", "NVIDIA A100-SXM4-40GB", memory=40 * GIB, capability=(8, 0))
H100 = Accelerator("GPU", "NVIDIA H100 80GB HBM3", memory=80 * GIB, capability=(9, 0))
P100 = Accelerator("GPU", "Tesla P100-PCIE-16GB", memory=16 * GIB, capability=(6, 0))
RTX3050 = Accelerator("GPU", "NVIDIA GeForce RTX 3050", memory=4 * GIB, capability=(8, 6))
MI250 = Accelerator("GPU", "AMD Instinct MI250X", memory=64 * GIB)
UNKNOWN_MEMORY = Accelerator("GPU", "NVIDIA A100-SXM4-40GB", capability=(8, 0))
TPU = Accelerator("TPU", "TPU v4", memory=32 * GIB)


def a_machine(*accelerators, backend="jax", cores=8, memory=32 * GIB):
    return Machine(
        backend=backend,
        version="0.10.2",
        processor="a processor",
        cores=cores,
        memory=memory,
        accelerators=accelerators,
    )


@pytest.mark.parametrize(
    ("here", "architecture", "batch_size", "reason"),
    [
        (a_machine(cores=1, memory=2 * GIB), "small", 64, "CPU"),
        (a_machine(cores=2), "small", 64, "CPU"),
        (a_machine(cores=64), "paper", 64, "CPU"),
        (a_machine(cores=2, memory=GIB), "paper", 16, "CPU"),
        (a_machine(memory=None), "paper", 64, "CPU"),
        (a_machine(P100), "paper", 256, "more keep a large GPU busier"),
        (a_machine(RTX3050), "paper", 64, "into 4 GiB"),
        (a_machine(RTX3050), "small", 256, "busier"),
        (a_machine(RTX3050), "path/to/model.keras", 64, "into 4 GiB"),
        (a_machine(RTX3050), "mobile", 256, "busier"),
        (a_machine(RTX3050), "large", 128, "into 4 GiB"),
        (a_machine(A100, RTX3050), "paper", 64, "into 4 GiB"),
        (a_machine(UNKNOWN_MEMORY), "paper", 256, "memory is not known.*128"),
    ],
)
def test_recommendation_follows_the_memory(here, architecture, batch_size, reason):
    advice = recommend(here, architecture=architecture)
    assert advice.batch_size == batch_size
    assert re.search(reason, advice.reason)


@pytest.mark.parametrize(
    ("here", "reason"),
    [
        (a_machine(), "16 bits are several times slower"),
        (a_machine(H100, backend="torch"), "on an H100 mixed_bfloat16 was slower"),
        (a_machine(H100, H100, backend="torch"), "on an H100 mixed_bfloat16 was slower"),
        (a_machine(H100, backend="jax"), "not run on a GPU with JAX since it failed"),
        (a_machine(H100, backend="tensorflow"), "nothing was run on a GPU with TensorFlow"),
        (a_machine(TPU), "nothing was run on a TPU"),
        *(
            (a_machine(*gpus, backend=backend), "not run on such a GPU")
            for gpus in ([P100], [V100], [T4], [A100], [RTX3050], [MI250], [H100, A100])
            for backend in ("torch", "jax")
        ),
    ],
)
def test_no_precision_is_recommended_that_was_not_faster_on_such_a_device(here, reason):
    advice = recommend(here)
    assert advice.precision == "float32"
    assert re.search(reason, advice.reason)


def test_every_architecture_has_its_memory():
    assert STEP_BYTES.keys() == ARCHITECTURES.keys()
    assert max(STEP_BYTES.values()) == STEP_BYTES["paper"]


@pytest.mark.parametrize(("width", "batch_size"), [(100, 64), (400, 16), (8_192, 1)])
def test_recommendation_counts_the_pixels_of_long_lines(width, batch_size):
    canvas = Canvas(widths=(width,))
    advice = recommend(a_machine(RTX3050), architecture="paper", canvas=canvas)
    assert advice.batch_size == batch_size


def test_recommendation_and_machine_are_a_line_of_text_each():
    here = Machine(
        backend="tensorflow",
        version="2.21.0",
        processor="AMD EPYC",
        cores=1,
        memory=23 * GIB,
    )
    programs = f"Keras {keras.__version__} on tensorflow 2.21.0"
    assert str(here) == f"{programs}: 1 core of AMD EPYC, 23 GiB of memory; no GPU"
    gpu = "GPU Tesla T4 (15 GiB, compute capability 7.5)"
    assert str(a_machine(T4, MI250)).endswith(f"; {gpu}; GPU AMD Instinct MI250X (64 GiB)")
    assert str(UNKNOWN_MEMORY) == "GPU NVIDIA A100-SXM4-40GB (compute capability 8.0)"
    assert str(recommend(a_machine(T4))).startswith("batch_size = 256, precision = 'float32'")


def test_machine_at_hand_is_detected():
    here = distribute.detect_hardware()
    assert here.backend == keras.backend.backend()
    assert here.cores >= 1
    assert here.memory is None or here.memory > 2**28
    assert here.version.count(".") >= 2
    assert here.processor


def device(platform, kind, memory=None, **facts):
    """A device as JAX describes it."""
    return SimpleNamespace(
        platform=platform, device_kind=kind, memory_stats=lambda: memory, **facts
    )


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ([device("cpu", "cpu")], []),
        (
            [device("gpu", "Tesla T4", {"bytes_limit": 11 * GIB}, compute_capability="7.5")],
            [Accelerator("GPU", "Tesla T4", memory=11 * GIB, capability=(7, 5))],
        ),
        (
            [device("gpu", "MI250X", {"bytes_limit": GIB}, compute_capability="gfx90a")],
            [Accelerator("GPU", "MI250X", memory=GIB)],
        ),
        ([device("tpu", "TPU v4")], [Accelerator("TPU", "TPU v4")]),
    ],
)
def test_accelerators_of_jax(devices, expected):
    assert machine.find_jax_accelerators(devices) == expected


def test_accelerators_of_torch():
    properties = [
        SimpleNamespace(name="Tesla T4", total_memory=15 * GIB, major=7, minor=5),
        SimpleNamespace(
            name="MI250X", total_memory=GIB, major=9, minor=0, gcnArchName="gfx90a:sramecc+"
        ),
    ]
    cuda = SimpleNamespace(device_count=lambda: 2, get_device_properties=properties.__getitem__)
    assert machine.find_torch_gpus(cuda) == [T4, Accelerator("GPU", "MI250X", memory=GIB)]


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
    expected = [Accelerator("GPU", "Tesla T4", capability=(7, 5)), Accelerator("GPU", "unknown")]
    assert machine.find_tensorflow_gpus(config) == expected


@pytest.mark.parametrize("architecture", ["small", "paper"])
def test_lstms_are_such_as_cudnn_takes(char_dict, architecture):
    """cuDNN's conditions, as Keras' `cudnn_ok` and `lstm` of each backend state them."""
    model = build_crnn(char_dict, Canvas("keep", 32, (64, 128)), architecture)
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


def variables(**values):
    return {f"KERAS_DISTRIBUTION_{name.upper()}": value for name, value in values.items()}


def ranks(local_processes, total_processes, first_rank, coordinator="127.0.0.1:7"):
    return {
        "local_processes": local_processes,
        "total_processes": total_processes,
        "first_rank": first_rank,
        "coordinator": coordinator,
    }


@pytest.mark.parametrize(
    ("local_rank", "options", "gpus", "expected"),
    [
        (
            1,
            ranks(2, 2, 0),
            None,
            {
                **variables(job_addresses="127.0.0.1:7", num_processes="2", process_id="1"),
                "KERAS_BACKEND": "jax",
                "JAX_COORDINATOR_BIND_ADDRESS": "127.0.0.1:7",
                "CUDA_VISIBLE_DEVICES": None,
            },
        ),
        (
            0,
            ranks(2, 4, 2, "10.0.0.1:7"),
            "0,1,2,3",
            {
                **variables(job_addresses="10.0.0.1:7", num_processes="4", process_id="2"),
                "JAX_COORDINATOR_BIND_ADDRESS": None,
                "CUDA_VISIBLE_DEVICES": "0,1",
            },
        ),
        (1, ranks(2, 4, 2, "10.0.0.1:7"), "0,1,2,3", {"CUDA_VISIBLE_DEVICES": "2,3"}),
        (1, ranks(2, 2, 0), "", {"CUDA_VISIBLE_DEVICES": ""}),
    ],
)
def test_each_process_gets_its_rank_and_its_gpus(monkeypatch, local_rank, options, gpus, expected):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if gpus is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    environment = make_environment(local_rank, **options)
    assert {name: environment.get(name) for name in expected} == expected


def test_gpus_that_cannot_be_divided_equally_are_refused(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    with pytest.raises(ValueError, match="3 GPUs .* 2 processes"):
        make_environment(0, **ranks(2, 2, 0))


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        ({"local_processes": 0}, "^local_processes is 0.* at least 1"),
        ({"local_processes": 10**30}, "^local_processes is 10{30}"),
        ({"first_rank": -1}, "^first_rank is -1"),
        ({"total_processes": 2.0}, "^total_processes is 2.0"),
        ({"local_processes": 2, "total_processes": 4, "first_rank": 3}, "3 to 4 of 4"),
        ({"local_processes": 1, "total_processes": 2}, "1 of 2 .* coordinator: .*:1234"),
    ],
)
def test_ranks_that_do_not_fit_are_refused(options, facts):
    with pytest.raises(ValueError, match=facts):
        launch(["script.py"], **options)


@pytest.mark.parametrize("options", [{"total_processes": 4}, {}])
def test_torch_on_several_hosts_is_refused(monkeypatch, options):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(ValueError, match="torch .* KERAS_BACKEND=jax"):
        launch(["script.py"], coordinator="10.0.0.1:1234", **options)


@pytest.fixture
def script(tmp_path):
    def write(text):
        (tmp_path / "script.py").write_text("import os, sys, time\nrank = " + RANK + "\n" + text)
        return str(tmp_path / "script.py")

    return write


RANK = "int(os.environ['KERAS_DISTRIBUTION_PROCESS_ID'])"


def test_launched_processes_get_the_arguments_and_only_the_first_prints(script, capfd):
    command = [script("print('rank', rank, sys.argv[1:])"), "--epochs", "4"]
    assert launch(command, local_processes=2) == 0
    assert capfd.readouterr().out == "rank 0 ['--epochs', '4']\n"


@pytest.mark.parametrize(("ending", "code"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", 137)])
def test_a_process_that_fails_ends_the_others(script, ending, code):
    # The others would wait for it without end.
    assert launch([script(f"time.sleep(600) if rank == 0 else {ending}")]) == code


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the cores")
def test_cores_are_those_this_process_may_use():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert distribute.detect_hardware().cores == 1
    finally:
        os.sched_setaffinity(0, allowed)

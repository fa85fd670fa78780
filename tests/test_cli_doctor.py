"""`crnn-keras doctor`: what works is said to, and what is broken breaks nothing else."""

import importlib.metadata
import json
import os
import pathlib
import re
import sys
import tomllib

import pytest

from crnn_keras import cli
from crnn_keras.cli import doctor
from crnn_keras.cli.main import make_parser
from crnn_keras.utils import machine
from crnn_keras.utils.machine import NvidiaGPU, find_memory, find_nvidia_gpus, find_processor

ROOT = pathlib.Path(__file__).parent.parent
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
# Those that gather others, and those of developers.
OTHERS = {"all", "keras", "browser", "readers", "release", "site", "test"}
RTX5090 = NvidiaGPU("NVIDIA GeForce RTX 5090", 32607, (12, 0), "575.57")
H100 = NvidiaGPU("NVIDIA H100 80GB HBM3", 81559, (9, 0), "575.57")
BACKENDS = ("tensorflow", "jax", "torch")

posix = pytest.mark.skipif(os.name != "posix", reason="programs are scripts of a shell")


@pytest.fixture
def backends(tmp_path, monkeypatch):
    """Function that makes backends of given sources, which `import` finds before real ones.

    Others are as if they were not installed.
    """
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)

    def make(**sources):
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.setattr(doctor, "BACKENDS", tuple(sources))

    return make


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Function that makes the `nvidia-smi` of this machine: a script of a shell."""

    def make(script):
        (tmp_path / "bin").mkdir()
        path = tmp_path / "bin" / "nvidia-smi"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")

    return make


def by_name(checks):
    return {check.name: check for check in checks}


def test_it_reads_a_word_and_lists_versions_disk_and_extras(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "_check_backends", lambda *_: [])
    monkeypatch.setattr(doctor, "find_nvidia_gpus", lambda: [])
    assert cli.main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    checks = {check["name"]: check for check in found["checks"]}
    assert {check["state"] for check in checks.values()} == {"ok"}
    assert "'exit'" in checks["reading"]["found"]
    assert "Chinese can be drawn" in checks["fonts"]["found"]
    assert str(tmp_path) in checks["disk"]["found"] and "GiB free" in checks["disk"]["found"]
    assert found["versions"]["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["versions"]["onnxruntime"] == importlib.metadata.version("onnxruntime")
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["what", "state", "found"]
    assert any(line.split()[:2] == ["reading", "ok"] for line in lines)


def test_a_machine_that_cannot_read_is_ended_with_1(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_check_backends", lambda *_: [])
    monkeypatch.setattr(doctor, "_check_fonts", lambda: doctor.Check("fonts", doctor.OK, ""))
    monkeypatch.setattr(doctor, "_check_reading", lambda: doctor.Check("reading", "broken", "no"))
    assert cli.main(["doctor"]) == 1
    assert "reading" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("raise ImportError('libcuda.so.1: cannot open')", "libcuda.so.1"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "signal 11"),
        ("import time; time.sleep(60)", "did not answer within 2 s"),
        ("raise SystemExit(3)", "code 3"),
    ],
    ids=["error", "crash", "hangs", "exits"],
)
def test_a_broken_backend_is_named_and_harms_nothing(backends, monkeypatch, source, found):
    backends(tensorflow=source)
    monkeypatch.setattr(doctor, "_SECONDS", 2 if "sleep" in source else 60)
    with doctor.concurrent.futures.ThreadPoolExecutor(2) as pool:
        checks = by_name(doctor._check_backends([], pool))
    assert checks["Keras"].state == checks["tensorflow"].state == "broken"
    assert found in checks["tensorflow"].found
    assert "pip uninstall tensorflow" in checks["tensorflow"].advice


@pytest.mark.slow
def test_a_backend_that_starts_is_described_beside_a_broken_one(backends, monkeypatch):
    pytest.importorskip("torch")
    backends(tensorflow="raise ImportError('broken here')")
    monkeypatch.setattr(doctor, "BACKENDS", ("tensorflow", "torch"))
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with doctor.concurrent.futures.ThreadPoolExecutor(2) as pool:
        checks = by_name(doctor._check_backends([], pool))
    assert checks["Keras"].state == checks["torch"].state == "ok"
    assert checks["Keras"].found.endswith("on torch")
    assert checks["torch"].found.startswith(importlib.metadata.version("torch"))
    assert checks["tensorflow"].state == "broken" and "broken here" in checks["tensorflow"].found


# ---- GPUs ------------------------------------------------------------------------------------


@posix
def test_the_gpus_of_nvidia_smi_are_listed(smi):
    smi(
        "echo 'NVIDIA GeForce RTX 5090, 32607, 12.0, 575.57'\n"
        "echo 'NVIDIA H100 80GB HBM3, 81559, 9.0, 575.57'\n"
        "echo 'A card, of old, [N/A], [N/A], 390.1'"
    )
    assert find_nvidia_gpus() == [RTX5090, H100, NvidiaGPU("A card, of old", None, None, "390.1")]
    assert [gpu.runs_tensorflow for gpu in find_nvidia_gpus()] == [False, True, True]
    assert str(RTX5090) == "NVIDIA GeForce RTX 5090, 32 GiB, compute capability 12.0, driver 575.57"


@posix
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'NVIDIA-SMI has failed: no driver'; exit 9", "no driver"),
        ("exec sleep 60", "did not answer within 1 s"),
    ],
)
def test_a_driver_that_fails_or_hangs_is_named(smi, script, message):
    smi(script)
    with pytest.raises(OSError, match=message):
        find_nvidia_gpus(seconds=1)
    if "sleep" not in script:
        gpus, (check,) = doctor._check_gpus()
        assert (gpus, check.state) == ([], "broken") and message in check.found


def test_a_machine_without_nvidia_smi_has_no_such_gpu(monkeypatch):
    monkeypatch.setattr(machine.shutil, "which", lambda _: None)
    assert find_nvidia_gpus() == []


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("gpu", [RTX5090, H100], ids=["RTX 5090", "H100"])
@pytest.mark.parametrize("devices", [[], ["GPU"]], ids=["unseen", "seen"])
def test_cards_that_tensorflow_cannot_use_are_steered_to_torch_or_jax(backend, gpu, devices):
    answer = {"backend": backend, "version": "1.0", "devices": devices, "keras": "3"}
    check = doctor._describe_backend(answer, [gpu])
    if backend == "tensorflow" and gpu is RTX5090:
        assert check.state == "note" and "KERAS_BACKEND=torch" in check.advice
    elif devices:
        assert (check.state, check.advice) == ("ok", "")
    else:
        assert check.state == "note" and "to use the GPU" in check.advice


def test_such_a_card_is_a_note_of_its_own(monkeypatch):
    monkeypatch.setattr(doctor, "find_nvidia_gpus", lambda: [RTX5090, H100])
    _, (first, second) = doctor._check_gpus()
    assert (first.state, second.state) == ("note", "ok")
    assert "crnn_keras[torch]" in first.advice and "jax" in first.advice


def test_processor_and_memory_are_those_of_this_machine():
    assert find_processor()
    memory = find_memory()
    assert memory is None or 2**28 < memory < 2**46


# ---- extras ----------------------------------------------------------------------------------


def test_every_extra_for_users_is_listed_with_what_it_is_for():
    assert set(EXTRAS) - OTHERS <= set(doctor.EXTRAS)
    (commands,) = (a for a in make_parser()._actions if a.choices and not a.option_strings)
    for enables in doctor.EXTRAS.values():
        assert re.split(r"[:, ]", enables)[0] in {*commands.choices, "the"}, enables


def test_what_is_missing_of_an_extra_is_named_with_its_command(monkeypatch):
    lines = [
        "numpy>=2.1,<3",
        'crnn_keras[keras]; extra == "train"',
        'No.Such_backend<3,>=2; extra == "train"',
        "numpy>=2; extra == 'keras'",
        'no-such-model>=3; extra == "keras"',
        'no-such-loop; sys_platform != "win32" and extra == "serve"',
        'numpy; extra == "serve"',
        'no-such-tool; extra == "test"',
    ]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: lines)
    train, serve = doctor.find_extras()
    assert (train.name, train.missing) == ("train", ("No.Such_backend", "no-such-model"))
    assert train.install == "pip install 'crnn_keras[train]'" and "fine-tune" in train.enables
    assert (serve.name, serve.missing) == ("serve", ())


def test_a_package_that_is_not_installed_has_no_list_of_extras(monkeypatch):
    def requires(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    assert doctor.find_extras() == []


def test_without_fonts_of_the_extra_the_command_is_named(monkeypatch):
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda _: None)
    check = doctor._check_fonts()
    assert check.state == "missing" and "crnn_keras[data]" in check.advice
    (keras,) = doctor._check_backends([], None)
    assert keras.state == "missing" and "crnn_keras[train]" in keras.advice

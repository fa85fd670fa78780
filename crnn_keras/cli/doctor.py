"""`crnn-keras doctor`: what of crnn_keras works on this machine, and what to install."""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time

from crnn_keras import __version__
from crnn_keras.cli.common import DONE, SOME_UNUSABLE, add_command, format_table
from crnn_keras.utils.backend import BACKENDS
from crnn_keras.utils.cores import count_cores
from crnn_keras.utils.log import printable
from crnn_keras.utils.machine import (
    NvidiaGPU,
    find_memory,
    find_nvidia_gpus,
    find_processor,
    find_version,
    find_versions,
)

OK, NOTE, MISSING, BROKEN = "ok", "note", "missing", "broken"
# Of one check in its process. TensorFlow may take a minute to start on a busy machine.
_SECONDS = 180
_WORD = "exit"
_MARK = "crnn-keras doctor: "
# The last lines of a process that failed.
_SHOWN_LINES, _SHOWN = 3, 300
# What each extra is for. Those of developers, and those that only gather others, are left out.
EXTRAS = {
    "data": "check, prepare: labelled sets and rendered words",
    "train": "train, fine-tune, evaluate and .keras files, on TensorFlow",
    "torch": "the same on torch; KERAS_BACKEND=torch",
    "jax": "the same on JAX; KERAS_BACKEND=jax",
    "notebooks": "walkthrough, with train, torch or jax: the notebooks, in JupyterLab too",
    "export": "export: ONNX, OpenVINO, LiteRT",
    "serve": "serve: a model over HTTP",
    "beam": "prepare --specification on Apache Beam",
    "parquet": "check, prepare: labels in parquet files",
    "tensorboard": "train --tensorboard: curves of a training",
}
_GPU_PACKAGES = {
    "tensorflow": "pip install 'tensorflow[and-cuda]'",
    "torch": "the torch of pytorch.org for your CUDA",
    "jax": "pip install 'jax[cuda13]', or cuda12 for older drivers",
}
_OTHER_BACKENDS = (
    "TensorFlow's wheels fail on it (compute capability 12, RTX 50): use torch or JAX. "
    "pip install 'crnn_keras[torch]' and set KERAS_BACKEND=torch, or the same with jax"
)


@dataclasses.dataclass(frozen=True)
class Check:
    """What was found of one thing.

    Args:
        name: What was looked at.
        state: `"ok"`, `"note"`, `"missing"` or `"broken"`.
        found: A few words.
        advice: What to do. Defaults to `""`: nothing.
    """

    name: str
    state: str
    found: str
    advice: str = ""


@dataclasses.dataclass(frozen=True)
class Extra:
    """An extra of crnn_keras.

    Args:
        name: Its name.
        enables: What it is for.
        missing: The packages of it that are not installed.
    """

    name: str
    enables: str
    missing: tuple[str, ...]

    @property
    def install(self) -> str:
        """Returns the command that installs it."""
        return f"pip install 'crnn_keras[{self.name}]'"


class _ChildError(Exception):
    """Why a check in its own process gave no answer."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "doctor",
        help="check what works on this machine, and what to install",
        description="Reads a word, starts each backend of Keras that is installed, and looks for "
        "GPUs, fonts, memory and disk. Each backend is started in a process of its own, so a "
        "broken one is named and harms nothing. Then it lists what is not installed, with the "
        "commands that need it. Exit code 1: an image cannot be read, or something that is "
        "installed is broken.",
        example="crnn-keras doctor\ncrnn-keras doctor --json",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    checks = make_checks()
    extras = find_extras()
    if options.json:
        listed = [{**dataclasses.asdict(extra), "install": extra.install} for extra in extras]
        content = {
            "versions": find_versions(),
            "checks": list(map(dataclasses.asdict, checks)),
            "extras": listed,
        }
        print(json.dumps(content, indent=1))
    else:
        rows = [(check.name, check.state, check.found) for check in checks]
        print(format_table([("what", "state", "found"), *rows]))
        for check in checks:
            if check.advice:
                print(printable(f"{check.name}: {check.advice}"))
        _print_extras(extras)
    return SOME_UNUSABLE if any(check.state == BROKEN for check in checks) else DONE


def _print_extras(extras):
    if not extras:
        return
    rows = [
        (extra.name, *(("missing", extra.install) if extra.missing else ("installed", "")))
        for extra in extras
    ]
    enabled = [(*row, extra.enables) for row, extra in zip(rows, extras, strict=True)]
    print(f"\n{format_table([('extra', 'state', 'install', 'for'), *enabled])}")


def make_checks() -> list[Check]:
    """Looks at everything, at as much at once as there are cores.

    Returns:
        List of `Check`s.
    """
    with concurrent.futures.ThreadPoolExecutor(max(count_cores(), 1)) as pool:
        reading = pool.submit(_check_reading)
        fonts = pool.submit(_check_fonts)
        gpus, gpu_checks = _check_gpus()
        backends = _check_backends(gpus, pool)
        machine = [_check_versions(), _check_machine(), _check_disk()]
        return [*machine, reading.result(), *backends, *gpu_checks, fonts.result()]


def find_extras() -> list[Extra]:
    """Lists the extras of the installed crnn_keras, with what is missing of each.

    Returns:
        List of `Extra`s; empty where crnn_keras is not installed, but only on the path.
    """
    try:
        requirements = importlib.metadata.requires("crnn_keras") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    packages: dict[str, list[str]] = {}
    for line in requirements:
        # Those of some systems only have a marker more, and are not asked for.
        found = re.fullmatch(r"([^;]+);\s*extra\s*==\s*['\"]([^'\"]+)['\"]\s*", line)
        if found:
            packages.setdefault(found[2], []).append(found[1])
    return [
        Extra(name, enables, tuple(sorted(_find_missing(name, packages))))
        for name, enables in EXTRAS.items()
        if name in packages
    ]


def _find_missing(extra, packages):
    """Returns the packages of an extra, and of the extras in it, that are not installed."""
    missing = set()
    for line in packages.get(extra, ()):
        name, extras = re.match(r"\s*([\w.-]+)\s*(?:\[([^]]*)\])?", line).groups()
        if re.sub(r"[-_.]+", "-", name).lower() == "crnn-keras":
            inner = (part.strip() for part in (extras or "").split(","))
            missing.update(*(_find_missing(part, packages) for part in inner))
        elif find_version(name) is None:
            missing.add(name)
    return missing


def _check_versions():
    _, *others = find_versions().items()
    found = [f"{name} {version}" for name, version in others]
    return Check("crnn_keras", OK, ", ".join([__version__, *found, platform.platform(terse=True)]))


def _check_machine():
    memory = find_memory()
    cores = count_cores()
    facts = [find_processor() or "a processor", f"{cores} core{'s' if cores > 1 else ''}"]
    facts += [f"{memory / 2**30:.1f} GiB of memory"] if memory else []
    return Check("machine", OK, ", ".join(facts))


def _check_disk():
    folder = os.getcwd()
    free = f"{shutil.disk_usage(folder).free / 2**30:.1f} GiB free in {folder}"
    if os.access(folder, os.W_OK):
        return Check("disk", OK, free)
    advice = "runs write data/ and reports/ into the working folder: choose one of yours"
    return Check("disk", NOTE, f"{free}, which cannot be written to", advice)


# ---- checks in processes of their own ------------------------------------------------------------


def _check_reading():
    try:
        answer = _call_in_child("read_a_word")
    except _ChildError as error:
        advice = "install again: pip install --force-reinstall --no-cache-dir crnn_keras"
        return Check("reading", BROKEN, str(error), advice)
    found = f"{answer['text']!r} in {answer['seconds']:.1f} s on ONNX Runtime {answer['runtime']}"
    if answer["text"] == _WORD:
        return Check("reading", OK, found)
    return Check("reading", BROKEN, f"{found}, expected {_WORD!r}", "please report it as an issue")


def _check_fonts():
    if (
        importlib.util.find_spec("fontTools") is None
        or importlib.util.find_spec("matplotlib") is None
    ):
        advice = "to render words: pip install 'crnn_keras[data]'"
        return Check("fonts", MISSING, "not looked for: the fonts come with an extra", advice)
    try:
        answer = _call_in_child("count_fonts")
    except _ChildError as error:
        return Check("fonts", BROKEN, str(error))
    chinese = "can" if answer["chinese"] else "cannot"
    found = (
        f"{answer['bundled']} bundled, {answer['system']} of the system; Chinese {chinese} be drawn"
    )
    if answer["chinese"]:
        return Check("fonts", OK, found)
    return Check("fonts", BROKEN, found, "install again: the package brings two Chinese fonts")


def _check_gpus():
    """Returns the GPUs of NVIDIA, and the checks of them."""
    try:
        gpus = find_nvidia_gpus()
    except OSError as error:
        return [], [Check("GPU", BROKEN, str(error), "look at the driver; reading needs no GPU")]
    if not gpus:
        return [], [Check("GPU", OK, "none of NVIDIA; reading and training need none")]
    return gpus, [
        Check("GPU", OK, str(gpu))
        if gpu.runs_tensorflow
        else Check("GPU", NOTE, str(gpu), _OTHER_BACKENDS)
        for gpu in gpus
    ]


def _check_backends(gpus, pool):
    """Checks Keras, with the backend that it takes by itself, and the other installed backends."""
    installed = [name for name in BACKENDS if importlib.util.find_spec(name) is not None]
    if importlib.util.find_spec("keras") is None:
        advice = "to train, and for .keras files: pip install 'crnn_keras[train]'"
        return [
            Check("Keras", MISSING, "not installed; shipped models are read without it", advice)
        ]
    try:
        chosen = _call_in_child("start_backend")
    except _ChildError as error:
        chosen = None
        checks = [Check("Keras", BROKEN, str(error), "set KERAS_BACKEND to a backend that is ok")]
    else:
        checks = [Check("Keras", OK, f"{chosen['keras']} on {chosen['backend']}")]
    others = [name for name in installed if chosen is None or name != chosen["backend"]]
    answers = {name: pool.submit(_call_in_child, "start_backend", name) for name in others}
    for name in installed:
        try:
            answer = answers[name].result() if name in answers else chosen
        except _ChildError as error:
            advice = f"install it again, or remove it: pip uninstall {name}"
            checks.append(Check(name, BROKEN, str(error), advice))
        else:
            checks.append(_describe_backend(answer, gpus))
    return checks


def _describe_backend(answer: dict, gpus: list[NvidiaGPU]) -> Check:
    name, devices = answer["backend"], answer["devices"]
    found = f"{answer['version']}; {'; '.join(devices) or 'no GPU'}"
    if name == "tensorflow" and not all(gpu.runs_tensorflow for gpu in gpus):
        return Check(name, NOTE, found, _OTHER_BACKENDS)
    if gpus and not devices:
        return Check(name, NOTE, found, f"to use the GPU: {_GPU_PACKAGES[name]} (docs/gpu.md)")
    return Check(name, OK, found)


def _call_in_child(task: str, backend: str | None = None) -> dict:
    """Runs a function of this module in a process of its own, and returns what it returns."""
    program = f"from crnn_keras.cli import doctor; doctor.answer({task!r})"
    # A check needs little memory of a GPU that others may use.
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    environment |= {"KERAS_BACKEND": backend} if backend else {}
    process = subprocess.Popen(
        # -P: a file of the working folder may have the name of a module.
        [sys.executable, "-P", "-c", program],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        output, errors = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        # Not waited for: what hangs in a driver cannot be killed.
        process.kill()
        raise _ChildError(
            f"did not answer within {_SECONDS:g} s: it hangs, or the machine is busy"
        ) from None
    answers = [line for line in output.splitlines() if line.startswith(_MARK)]
    if process.returncode or not answers:
        raise _ChildError(_explain(process.returncode, errors))
    return json.loads(answers[-1].removeprefix(_MARK))


def _explain(code: int, errors: str) -> str:
    """Describes the end of a process: by its own line, or by the last ones of what crashed."""
    lines = errors.splitlines()[-1 if code == 1 else -_SHOWN_LINES :]
    text = " ".join(" ".join(lines).split())[-_SHOWN:]
    if code < 0:
        return f"ended by signal {-code}: {text or 'without a word'}"
    return text or f"ended with code {code}"


def answer(task: str) -> None:
    """Prints what a check found, for the process that started this one.

    Args:
        task: Name of the check: `"read_a_word"`, `"count_fonts"` or `"start_backend"`.
    """
    try:
        found = _TASKS[task]()
    except Exception as error:  # One line instead of a traceback.
        sys.exit(" ".join(f"{type(error).__name__}: {error}".split()))
    print(f"\n{_MARK}{json.dumps(found)}")


def _read_a_word():
    started = time.perf_counter()
    import onnxruntime
    from PIL import Image, ImageDraw, ImageFont

    from crnn_keras.inference.onnx_recognizer import OnnxRecognizer

    # Pillow's own font: nothing else need be installed.
    image = Image.new("L", (120, 48), 255)
    ImageDraw.Draw(image).text((16, 4), _WORD, 0, ImageFont.load_default(32))
    with OnnxRecognizer.load("words", cores=1) as recognizer:
        (prediction,) = recognizer.read(image)
    seconds = time.perf_counter() - started
    return {"text": prediction.text, "seconds": seconds, "runtime": onnxruntime.__version__}


def _count_fonts():
    import warnings

    from crnn_keras.synth import fonts

    with warnings.catch_warnings():
        # Fonts of the system that cannot be read are skipped, and are no matter of ours.
        warnings.simplefilter("ignore")
        system = fonts.find_fonts()
    chinese = fonts.bundled_chinese_fonts()
    drawn = [fonts.load_font(path, 32).getbbox("汉字") for path in chinese]
    return {
        "bundled": len(fonts.bundled_fonts()) + len(chinese),
        "system": len(system),
        "chinese": any(box[2] > box[0] for box in drawn),
    }


def _start_backend():
    from crnn_keras.utils.backend import check_backend, import_keras

    import_keras()
    check_backend()
    import keras

    from crnn_keras.training.distribute.machine import detect_hardware

    machine = detect_hardware()
    return {
        "keras": keras.__version__,
        "backend": machine.backend,
        "version": machine.version,
        "devices": list(map(str, machine.accelerators)),
    }


_TASKS = {
    "read_a_word": _read_a_word,
    "count_fonts": _count_fonts,
    "start_backend": _start_backend,
}

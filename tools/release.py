"""Makes what is uploaded for a release, and tries it as a user gets it. It uploads nothing.

    python tools/release.py                       # all steps, in this order
    python tools/release.py --only build read     # some of them; `read` takes the wheel of before
    python tools/release.py --only torch --pin torch==2.13.0
    python tools/release.py --only sizes          # megabytes and packages of each extra

| step | what it does | environment |
|---|---|---|
| build | sdist and wheel of the commit, complete and with a description that an index can show | |
| read | reads, labels, and names the extra of what is missing | `crnn_keras`, under 260 MB |
| serve | serves a reader and asks it | `crnn_keras[serve]` |
| torch | prepares, trains and reads without TensorFlow | `crnn_keras[torch]` |
| notebooks | runs notebooks 00 to 05 on little data | `crnn_keras[notebooks,train]` |
| sizes | prints the table of the extras; only where it is asked for | one after the other |

Each step has environments of its own, in a temporary folder that is removed at its end; the last
ones need up to 3 GB. They get the newest packages that fit, as a user does, or with
`--pinned` those of constraints.txt, and nothing else: no pip, no setuptools. `--installer uv` does
that in a tenth of the time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
import venv
from collections.abc import Callable, Iterator, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[1]
BASE_MEGABYTES = 260
# What the base environment must not bring.
HEAVY = {"tensorflow", "keras", "torch", "jax", "jupyterlab", "ipython", "scipy", "pandas"}
HEAVY |= {"matplotlib", "h5py", "opencv-python-headless"}
# What setuptools adds to the files of the commit.
GENERATED = re.compile(r"PKG-INFO|setup\.cfg|crnn_keras\.egg-info/.*")
# What users install; what developers do is left out, and `keras`, which lacks a backend.
SIZED = ["", "data", "train", "torch", "jax", "notebooks", "export", "serve", "beam", "all"]
# Of the walkthrough: it shows that the wheel is whole, not how well it reads.
SMALL = {"words": 300, "epochs": 1, "steps_per_epoch": 2}
_STARTS = 5
# A first start compiles; on a busy machine it was seen to take 82 s.
_ADDRESS_SECONDS = 300


class ReleaseError(Exception):
    """What must be mended before a release."""


class Environment:
    """A virtual environment that holds the wheel, and an empty folder to work in.

    Args:
        folder: An empty folder.
        requirement: What is installed.
        installer: `"pip"` or `"uv"`.
        options: Further options of the installer.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        requirement: str,
        *,
        installer: str,
        options: Sequence[str],
    ):
        self.folder, self.work = folder / "venv", folder / "work"
        self.work.mkdir()
        venv.create(self.folder)
        python = str(self.folder / "bin" / "python")
        command = {
            "pip": [sys.executable, "-m", "pip", "--python", python, "install"],
            "uv": ["uv", "pip", "install", "--python", python],
        }
        _lines([*command[installer], "--quiet", *options, requirement])

    @property
    def environment(self) -> dict[str, str]:
        """Returns the variables of its processes: nothing of this repository or its Keras."""
        own = {"PYTHONPATH", "PYTHONHOME", "KERAS_BACKEND", "KERAS_HOME"}
        kept = {name: value for name, value in os.environ.items() if name not in own}
        programs = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return kept | {"PATH": programs, "KERAS_HOME": str(self.work / ".keras")}

    def start(self, program: str, *arguments: object, **options: object) -> subprocess.Popen:
        """Starts a program of the environment in its folder of work."""
        command = [self.folder / "bin" / program, *map(str, arguments)]
        options = {"cwd": self.work, "text": True, "env": self.environment} | options
        return subprocess.Popen(command, **options)

    def run(self, program: str, *arguments: object, code: int = 0) -> str:
        """Runs a program to its end.

        Args:
            program: Its name.
            *arguments: Its arguments.
            code: The exit code that it must have. Defaults to 0.

        Returns:
            What it printed.

        Raises:
            ReleaseError: It ended with another code.
        """
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = self.start(program, *arguments, **pipes)
        printed, _ = process.communicate()
        words = " ".join(map(str, (program, *arguments)))
        check(
            process.returncode == code,
            f"{words} ended with {process.returncode}, expected {code}:\n{printed[-3000:]}",
        )
        return printed

    def packages(self) -> dict[str, str]:
        """Returns `name: version` of what is installed."""
        code = "import importlib.metadata as m, json\n"
        code += "print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
        return json.loads(self.run("python", "-P", "-c", code))

    def megabytes(self) -> tuple[float, float]:
        """Returns what the installed files take on the disk, in MB of 2 ** 20 bytes.

        Returns:
            Pair: the files themselves, and what Python has compiled of them. pip compiles all of
            it at once, uv nothing.
        """
        (site,) = self.folder.glob("lib/python*/site-packages")
        bytes_of = {True: 0, False: 0}
        for path in site.rglob("*"):
            bytes_of[path.suffix == ".pyc"] += path.lstat().st_blocks * 512
        return bytes_of[False] / 2**20, bytes_of[True] / 2**20

    def describe(self) -> None:
        """Prints how large the environment is."""
        size, compiled = self.megabytes()
        count = len(self.packages())
        print(f"  {count} packages, {size:,.0f} MB and {compiled:,.0f} MB compiled", flush=True)

    @contextlib.contextmanager
    def serving(self, *arguments: object) -> Iterator[str]:
        """Yields the address of a server of `crnn-keras` while it runs.

        Args:
            *arguments: Arguments of `crnn-keras`. It prints its address.

        Raises:
            ReleaseError: It ended before it printed one.
        """
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = self.start("crnn-keras", *arguments, **pipes)
        timer = time.monotonic() + _ADDRESS_SECONDS
        printed = ""
        try:
            while not (found := re.search(r"http://[\w.]+:\d+\S*", printed)):
                line = process.stdout.readline()
                printed += line
                is_over = not line or time.monotonic() > timer
                check(not is_over, f"{arguments} printed no address:\n{printed}")
            yield found[0].rstrip("/.,\"'")
        finally:
            process.terminate()
            try:
                process.communicate(timeout=_ADDRESS_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise ReleaseError(f"{arguments} does not end at SIGTERM") from None


def check(is_right: bool, message: str) -> None:
    """Raises a ReleaseError unless something is right."""
    if not is_right:
        raise ReleaseError(message)


def build(dist: pathlib.Path, make: Callable) -> None:
    """Builds sdist and wheel of the commit that is checked out, not of what is not committed."""
    git = ["git", "-C", str(ROOT)]
    (commit,) = _lines([*git, "rev-parse", "HEAD"])
    if changed := _lines([*git, "status", "--porcelain"]):
        print(f"  not committed, so not in the release: {len(changed)} files", flush=True)
    for path in dist.glob("crnn_keras-*"):
        path.unlink()
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run([*git, "archive", commit], check=True, capture_output=True)
        subprocess.run(["tar", "-x", "-C", folder], check=True, input=archive.stdout)
        _lines([sys.executable, "-m", "build", "--outdir", str(dist), folder])
    _lines([sys.executable, "-m", "twine", "check", "--strict", *map(str, _built(dist))])
    wheel, sdist = _built(dist)
    with tarfile.open(sdist) as opened:
        names = {m.name.partition("/")[2] for m in opened.getmembers() if m.isfile()}
    names = {name for name in names if not GENERATED.fullmatch(name)}
    committed = set(_lines([*git, "ls-tree", "-r", "--name-only", commit]))
    check(names == committed, f"{sdist.name} differs from git: {sorted(names ^ committed)}")
    print(f"  {sdist.name}: the {len(names)} files of commit {commit[:7]}", flush=True)


def read(dist: pathlib.Path, make: Callable) -> None:
    """Reads in the smallest environment."""
    with make("") as environment:
        environment.describe()
        packages = environment.packages()
        check(not HEAVY & packages.keys(), f"base brings {sorted(HEAVY & packages.keys())}")
        size = sum(environment.megabytes())
        check(size < BASE_MEGABYTES, f"base has {size:.0f} MB, at most {BASE_MEGABYTES} allowed")
        for path in ("exit.png", "market.jpg"):
            shutil.copy(ROOT / "examples" / path, environment.work)
        (environment.work / "list.txt").write_text("exit\nexist\nmarket\n")
        _check_texts(environment, "read", "exit.png", "market.jpg")
        _check_texts(environment, "read", ".", "--lexicon", "list.txt")
        _check_texts(environment, "read", ".", "--pattern", "[a-z]+", "--tta-views", "3")
        code = "from crnn_keras import Recognizer; print(Recognizer.load('words').read('exit.png'))"
        check("'exit'" in environment.run("python", "-c", code), "Recognizer reads something else")
        with environment.serving("label", ".", "--no-browser") as address:
            check(b"<html" in _get(address), "crnn-keras label shows no page")
        missing = {
            "data": ("check", "list.txt"),
            "train": ("train", "--run", "mine"),
            "serve": ("serve", "words"),
            "notebooks,train": ("walkthrough",),
        }
        for extra, command in missing.items():
            printed = environment.run("crnn-keras", *command, code=2)
            named = f"pip install 'crnn_keras[{extra}]'" in printed
            check(named and "Traceback" not in printed, f"crnn-keras {command[0]}: {printed}")
        for command in (("--help",), ("read", "exit.png")):
            seconds = [_seconds(environment, command) for _ in range(_STARTS)]
            shown = f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
            print(f"  crnn-keras {' '.join(command)}: {shown}, n = {_STARTS}", flush=True)


def serve(dist: pathlib.Path, make: Callable) -> None:
    """Serves a reader to a client."""
    with make("serve") as environment:
        environment.describe()
        with environment.serving("serve", "words", "--port", "0") as address:
            answer = _get(f"{address}/v2/models/words")
            check(b'"name":"words"' in answer.replace(b" ", b""), f"crnn-keras serve: {answer}")


def torch(dist: pathlib.Path, make: Callable) -> None:
    """Trains on torch, which nothing but the installation chooses."""
    with make("torch") as environment:
        environment.describe()
        check("tensorflow" not in environment.packages(), "the extra torch brings TensorFlow")
        environment.run("crnn-keras", "prepare", "--run", "mine", "--words", "300")
        environment.run(
            "crnn-keras", "train", "--run", "mine", "--epochs", "1", "--steps-per-epoch", "2"
        )
        shutil.copy(ROOT / "examples" / "exit.png", environment.work)
        model = environment.work / "data" / "mine" / "train" / "model.keras"
        printed = environment.run("crnn-keras", "read", "exit.png", "--model", model)
        check("exit.png" in printed, f"crnn-keras read --model: {printed}")


def notebooks(dist: pathlib.Path, make: Callable) -> None:
    """Runs notebooks of the wheel in an empty folder."""
    with make("notebooks,train") as environment:
        environment.describe()
        (site,) = environment.folder.glob("lib/python*/site-packages")
        installed = sorted(site.glob("crnn_keras/**/*.ipynb"))
        own = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
        check([path.name for path in installed] == own, f"the wheel holds {installed}")
        numbers = ["0", "1", "2", "4", "5"]
        small = [word for name, value in SMALL.items() for word in ("-p", name, value)]
        environment.run("crnn-keras", "walkthrough", "--run", "mine", "--only", *numbers, *small)
        reports = environment.work / "reports" / "mine"
        results = json.loads((reports / "results.json").read_text(encoding="utf-8"))
        steps = results["04_train"]["steps"]
        check(steps == SMALL["steps_per_epoch"], f"notebook 04 trained for {steps} steps")
        page = (reports / "index.html").read_text(encoding="utf-8")
        absent = [name for name in results if name not in page]
        check(len(results) == len(numbers) and not absent, f"{reports} has {sorted(results)}")
        changed = [path for path in site.rglob("reports") if path.is_dir()]
        check(not changed, f"the run wrote to {changed}")


def sizes(dist: pathlib.Path, make: Callable) -> None:
    """Prints how large the environment of each extra is."""
    print("| extra | packages | MB | MB compiled |\n|---|---|---|---|", flush=True)
    for extra in SIZED:
        with make(extra) as environment:
            cells = [len(environment.packages()), *environment.megabytes()]
        print("|", extra or "none", *(f"| {cell:,.0f}" for cell in cells), "|", flush=True)


STEPS = {step.__name__: step for step in (build, read, serve, torch, notebooks, sizes)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the steps, and says what to upload.

    Args:
        arguments: Words of the command line. Defaults to those of the process.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=STEPS,
        default=[name for name in STEPS if name != "sizes"],
        metavar="STEP",
        help="(all but sizes)",
    )
    parser.add_argument(
        "--dist", type=pathlib.Path, default=ROOT / "dist", help="folder of the built (dist)"
    )
    parser.add_argument("--pinned", action="store_true", help="install the pins of constraints.txt")
    parser.add_argument(
        "--pin",
        nargs="+",
        default=[],
        metavar="REQUIREMENT",
        help="version of what an extra brings: torch==2.13.0, where its build for CPUs is at hand",
    )
    parser.add_argument(
        "--installer", choices=("pip", "uv"), default="pip", help="what installs (%(default)s)"
    )
    options = parser.parse_args(arguments)
    dist = options.dist.resolve()
    pinned = ["-c", str(ROOT / "constraints.txt")] if options.pinned else []

    @contextlib.contextmanager
    def make(extras: str) -> Iterator[Environment]:
        wheel, _ = _built(dist)
        requirement = f"crnn_keras[{extras}] @ {wheel.as_uri()}"
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            pins = folder / "pins.txt"
            pins.write_text("\n".join(options.pin))
            yield Environment(
                folder,
                requirement,
                installer=options.installer,
                options=[*pinned, "-c", str(pins)],
            )

    try:
        for name in options.only:
            print(f"== {name}", flush=True)
            started = time.monotonic()
            STEPS[name](dist, make)
            print(f"  done in {time.monotonic() - started:.0f} s", flush=True)
        print("== to upload, once it is tagged: python -m twine upload FILES")
        for path in _built(dist):
            print(f"  {path} ({path.stat().st_size / 2**20:.1f} MB)")
    except ReleaseError as error:
        sys.exit(f"release: {error}")


def _built(dist: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    found = [sorted(dist.glob(f"crnn_keras-*{end}")) for end in (".whl", ".tar.gz")]
    check([len(paths) for paths in found] == [1, 1], f"{dist}: expected a wheel and an sdist")
    return found[0][0], found[1][0]


def _lines(command: Sequence[str]) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True)
    check(done.returncode == 0, f"{command}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout.splitlines()


def _check_texts(environment: Environment, *command: str) -> None:
    printed = environment.run("crnn-keras", *command)
    lines = dict(line.split()[:2] for line in printed.splitlines() if "%" in line)
    texts = {os.path.basename(name): text for name, text in lines.items()}
    check(texts == {"exit.png": "exit", "market.jpg": "market"}, f"{command}: {printed}")


def _seconds(environment: Environment, command: Sequence[str]) -> float:
    started = time.perf_counter()
    environment.run("crnn-keras", *command)
    return time.perf_counter() - started


def _get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=_ADDRESS_SECONDS) as answer:
        return answer.read()


if __name__ == "__main__":
    main()

"""Makes what is uploaded for a release, and tries it as a user gets it. It uploads nothing.

    python tools/release.py                       # all steps, in this order
    python tools/release.py --only build read     # some of them; `read` takes the wheel of before
    python tools/release.py --only torch --with torch==2.13.0

| step | what it does | environment |
|---|---|---|
| build | sdist and wheel of the commit, complete and with a description that an index can show | |
| read | reads, labels, and names the extra of what is missing | `crnn_keras`, under 260 MB |
| serve | serves a reader and asks it | `crnn_keras[serve]` |
| torch | prepares, trains and reads without TensorFlow | `crnn_keras[torch]` |
| notebooks | runs notebooks 00 and 01 in an empty folder | `crnn_keras[notebooks,train]` |

Each step has an environment of its own, in a temporary folder that is removed at its end; the last
two need up to 3 GB. They get the newest packages that fit, as a user does, or with `--pinned` those
of constraints.txt.
"""

from __future__ import annotations

import argparse
import contextlib
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
_STARTS = 5
_ADDRESS_SECONDS = 60


class ReleaseError(Exception):
    """What must be mended before a release."""


class Environment:
    """A virtual environment that holds the wheel, and an empty folder to work in.

    Args:
        folder: An empty folder.
        requirements: What pip installs.
        options: Further options of pip.
    """

    def __init__(
        self, folder: pathlib.Path, requirements: Sequence[str], *, options: Sequence[str]
    ):
        self.folder, self.work = folder / "venv", folder / "work"
        self.work.mkdir()
        venv.create(self.folder, with_pip=True)
        pip = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        self.run("python", *pip, *options, *requirements)

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
        """Returns `name: version` of what is installed, without pip and setuptools."""
        lines = self.run("python", "-m", "pip", "list", "--format=freeze").splitlines()
        found = (line.split("==") for line in lines if "==" in line)
        return {n.lower(): v for n, v in found if n not in ("pip", "setuptools")}

    def megabytes(self) -> float:
        """Returns the size of what is installed on the disk, in MB of 2 ** 20 bytes."""
        (site,) = self.folder.glob("lib/python*/site-packages")
        without = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
        files = [
            path.lstat()
            for path in site.rglob("*")
            if not path.relative_to(site).parts[0].startswith(without)
        ]
        return sum(file.st_blocks * 512 for file in files) / 2**20

    def describe(self) -> None:
        """Prints how large the environment is."""
        print(f"  {self.megabytes():,.0f} MB, {len(self.packages())} packages", flush=True)

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
        size = environment.megabytes()
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
        environment.run("crnn-keras", "walkthrough", "--run", "mine", "--only", "0", "1")
        page = environment.work / "reports" / "mine" / "index.html"
        check("00_read_a_word" in page.read_text(encoding="utf-8"), f"{page} is not of the run")
        changed = [path for path in site.rglob("reports") if path.is_dir()]
        check(not changed, f"the run wrote to {changed}")


STEPS = {step.__name__: step for step in (build, read, serve, torch, notebooks)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the steps, and says what to upload.

    Args:
        arguments: Words of the command line. Defaults to those of the process.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="+", choices=STEPS, default=list(STEPS), metavar="STEP", help="(all)"
    )
    parser.add_argument(
        "--dist", type=pathlib.Path, default=ROOT / "dist", help="folder of the built (dist)"
    )
    parser.add_argument("--pinned", action="store_true", help="install the pins of constraints.txt")
    parser.add_argument(
        "--with",
        nargs="+",
        default=[],
        dest="also",
        metavar="REQUIREMENT",
        help="to install beside the wheel, such as torch==2.13.0",
    )
    options = parser.parse_args(arguments)
    dist = options.dist.resolve()
    pip_options = ["-c", str(ROOT / "constraints.txt")] if options.pinned else []

    @contextlib.contextmanager
    def make(extras: str) -> Iterator[Environment]:
        wheel, _ = _built(dist)
        requirement = f"crnn_keras[{extras}] @ {wheel.as_uri()}"
        with tempfile.TemporaryDirectory() as folder:
            wanted = [requirement, *options.also]
            yield Environment(pathlib.Path(folder), wanted, options=pip_options)

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

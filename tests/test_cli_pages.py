"""docs/cli.md is what the parsers of `crnn-keras` say, whatever the terminal."""

import argparse
import re

import pytest

from crnn_keras.cli.main import make_parser
from tools import cli_pages

PAGE = cli_pages.PAGE.read_text(encoding="utf-8")
COMMANDS = next(
    action.choices
    for action in make_parser()._actions
    if isinstance(action, argparse._SubParsersAction)
)


def section_of(command):
    return PAGE.split(f"\n## crnn-keras {command}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("columns", ["20", "200"])
def test_the_page_is_what_the_parsers_say(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert cli_pages.make_page() == PAGE, "run: python tools/cli_pages.py"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_a_section_with_an_example_and_every_option(command):
    section = section_of(command)
    example = re.search(r"```bash\n(.*?)\n```", section, re.DOTALL)[1]
    assert f"crnn-keras {command}" in example
    options = [name for action in COMMANDS[command]._actions for name in action.option_strings]
    for option in set(options) - {"-h", "--help"}:
        assert re.search(rf"^\|.*`{option}[` ].*\|.+\|$", section, re.MULTILINE), option
    assert f"](#crnn-keras-{command}) |" in PAGE


def test_the_page_is_compared_without_being_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli_pages, "PAGE", tmp_path / "cli.md")
    assert cli_pages.main(["--check"]) == 1
    assert "python tools/cli_pages.py" in capsys.readouterr().err
    assert not (tmp_path / "cli.md").exists()
    assert cli_pages.main([]) == 0 == cli_pages.main(["--check"])
    assert (tmp_path / "cli.md").read_text(encoding="utf-8") == PAGE


def test_nothing_but_the_command_starts_what_a_user_may_start():
    package = cli_pages.ROOT / "crnn_keras"
    started = [path for path in package.rglob("*.py") if "__main__" in path.read_text()]
    # The process in which `crnn-keras export` runs TensorFlow.
    assert started == [package / "inference" / "export" / "worker.py"]
    assert not list(package.rglob("__main__.py"))
    for path in [*cli_pages.ROOT.glob("*.md"), *(cli_pages.ROOT / "docs").glob("*.md")]:
        # They tell what was called otherwise before.
        if path.name not in ("CHANGELOG.md", "training_log.md"):
            assert "-m crnn_keras" not in path.read_text(encoding="utf-8"), path


def test_signs_of_markdown_are_text():
    row = cli_pages._row(
        argparse.Namespace(
            option_strings=["-a", "--all"],
            nargs=None,
            metavar="A|B",
            required=True,
            help="'x/**/*' of\n <run> | %(default)s",
            default=3,
        ),
        argparse.ArgumentParser("p"),
    )
    assert row == r"| `-a`, `--all A\|B` | 'x/\*\*/\*' of &lt;run> \| 3; needed |"

"""Writes docs/cli.md, the page of the command `crnn-keras`, from its parsers.

    python tools/cli_pages.py           # writes docs/cli.md
    python tools/cli_pages.py --check   # exit status 1 if docs/cli.md is out of date

The words are those of `crnn-keras COMMAND --help`. The help itself is not copied: its lines break
elsewhere on other versions of Python. `tests/test_cli_pages.py` holds the committed page against
the parsers.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "cli.md"
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from crnn_keras.cli.main import make_parser  # noqa: E402

_TOP = """\
# The command `crnn-keras`

{description}

This page is made from the help of the commands by `python tools/cli_pages.py`: `crnn-keras read
--help` says the same of the version that you have. In parentheses stands what holds where an option
is not given.

| command | |
|---|---|
{commands}

```text
{epilog}
```

| option of all | |
|---|---|
{options}
"""

_SECTION = """
## {prog}

{description}

```bash
{example}
```
"""


def make_page() -> str:
    """Returns the page of all commands, in Markdown."""
    parser = make_parser()
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    lines = [
        f"| [`{c.dest}`](#crnn-keras-{c.dest}) | {_prose(c.help)} |"
        for c in commands._choices_actions
    ]
    options = [_row(action, parser) for action in parser._actions if action is not commands]
    epilog, _, _ = parser.epilog.partition("\n\nexample:")
    parts = [
        _TOP.format(
            description=_prose(parser.description),
            commands="\n".join(lines),
            epilog=epilog,
            options="\n".join(options),
        )
    ]
    parts += [_make_section(command) for command in commands.choices.values()]
    return "".join(parts)


def _make_section(parser: argparse.ArgumentParser) -> str:
    example = parser.epilog.removeprefix("example:\n")
    section = _SECTION.format(
        prog=parser.prog,
        description=_prose(parser.description),
        example="\n".join(line.removeprefix("  ") for line in example.splitlines()),
    )
    return section + "".join(_make_tables(parser))


def _make_tables(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yields a table for each group of arguments: those without a title first, as in the help."""
    plain = [action for group in parser._action_groups[:2] for action in group._group_actions]
    yield _make_table("argument", plain, parser)
    for group in parser._action_groups[2:]:
        if group._group_actions:
            note = (
                f"\n{group.title.capitalize()}, {group.description}:\n" if group.description else ""
            )
            yield note + _make_table(group.title, group._group_actions, parser)


def _make_table(title, actions, parser):
    rows = [_row(action, parser) for action in actions if action.dest != "help"]
    return f"\n| {title} | |\n|---|---|\n" + "\n".join(rows) + "\n" if rows else ""


def _row(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    text = (action.help or "") % {**vars(action), "prog": parser.prog}
    needed = ["needed"] if action.option_strings and action.required else []
    others = [
        f"not with `{other.option_strings[-1]}`"
        for group in parser._mutually_exclusive_groups
        for other in group._group_actions
        if action in group._group_actions and other is not action
    ]
    return f"| {_name(action)} | {_prose('; '.join([text, *needed, *others]))} |"


def _name(action: argparse.Action) -> str:
    """Returns how an argument is written, such as "`-p`, `--parameters NAME VALUE`"."""
    if not action.option_strings:
        return _code(_values(action))
    *short, last = action.option_strings
    value = "" if action.nargs == 0 else f" {_values(action)}"
    return ", ".join([*map(_code, short), _code(last + value)])


def _values(action: argparse.Action) -> str:
    name = action.metavar
    if name is None and action.choices is not None:
        name = "{" + ",".join(map(str, action.choices)) + "}"
    elif name is None:
        name = action.dest.upper() if action.option_strings else action.dest
    if isinstance(name, tuple):
        return " ".join(name)
    forms = {"?": "[{0}]", "*": "[{0} ...]", "+": "{0} [{0} ...]", argparse.REMAINDER: "..."}
    return forms.get(action.nargs, "{0}").format(name)


def _prose(text: str) -> str:
    """Returns a text in one line, without the signs that Markdown would take for its own."""
    return " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*").replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def main(arguments: list[str] | None = None) -> int:
    """Writes the page, or compares it; returns the exit status."""
    parser = argparse.ArgumentParser(description="Writes docs/cli.md from the parsers.")
    parser.add_argument("--check", action="store_true", help="compare the page, write nothing")
    page = make_page()
    if not parser.parse_args(arguments).check:
        PAGE.write_text(page, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
        print("docs/cli.md is out of date. Run: python tools/cli_pages.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

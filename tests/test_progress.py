"""Progress: bars that vanish where a person watches, a plain line a minute elsewhere."""

import os
import pty
import subprocess
import sys
import termios

import nbformat
import pytest
from nbclient import NotebookClient

from crnn_keras.utils.progress import HEADLESS, ProgressLine, format_duration, progress

SCRIPT = """
import time
from crnn_keras.utils.progress import ProgressLine, progress
with ProgressLine(3, "read <all>", seconds={seconds}) as line:
    for done in (1, 2, 3):
        time.sleep(0.2)
        line.step(done, "loss 0.5")
print(sum(progress([1, 2, 3], "adding")))
"""


def run(script, **environment):
    command = [sys.executable, "-c", script]
    kept = {name: value for name, value in os.environ.items() if name != HEADLESS}
    return subprocess.run(command, env=kept | environment, capture_output=True, text=True)


def test_a_pipe_gets_lines_on_stderr():
    done = run(SCRIPT.format(seconds=0.1))
    assert done.stdout == "6\n"
    lines = done.stderr.splitlines()
    assert lines[0] == "read <all>: 1 of 3, 0 s, loss 0.5"
    assert len(lines) == 3 and "3 of 3" in lines[2]


def test_short_work_prints_no_line():
    done = run(SCRIPT.format(seconds=60))
    assert (done.stdout, done.stderr) == ("6\n", "")


@pytest.mark.parametrize("headless", ["", "1"])
def test_a_terminal_gets_a_bar_that_vanishes(headless):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (24, 80))
    environment = os.environ | {HEADLESS: headless}
    command = [sys.executable, "-c", SCRIPT.format(seconds=60)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=theirs)
    os.write(theirs, b"end")
    shown = os.read(ours, 100_000).decode().removesuffix("end")
    os.close(theirs)
    os.close(ours)
    assert done.stdout == b"6\n"
    if headless:
        assert shown == ""
    else:
        assert "loss 0.5" in shown and "\n" not in shown
        assert shown.rpartition("\r")[2].strip() == ""


@pytest.mark.parametrize(
    ("headless", "seconds", "expected"),
    [("", 60, []), ("1", 60, []), ("1", 0.1, ["read <all>: 1 of 3, 0 s, loss 0.5"])],
    ids=["watched", "headless", "headless and long"],
)
def test_a_notebook_keeps_no_bar(tmp_path, monkeypatch, headless, seconds, expected):
    monkeypatch.setenv(HEADLESS, headless)
    cell = nbformat.v4.new_code_cell(SCRIPT.format(seconds=seconds))
    book = nbformat.v4.new_notebook(cells=[cell])
    NotebookClient(book, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    *outputs, last = cell.outputs
    assert last["text"] == "6\n"
    shown = [
        output["text"] if "text" in output else output["data"]["text/html"] for output in outputs
    ]
    assert "".join(shown).splitlines()[:1] == expected


def test_the_bar_of_a_notebook_escapes_its_label(monkeypatch):
    shown = []

    class Handle:
        def update(self, content):
            shown.append(content.data)

    def display(content, display_id):
        shown.append(content.data)
        return Handle()

    monkeypatch.delenv(HEADLESS, raising=False)
    monkeypatch.setattr("crnn_keras.utils.progress.in_kernel", lambda: True)
    monkeypatch.setattr("IPython.display.display", display)
    with ProgressLine(2, "a < b") as line:
        line.mininterval = 0
        line.step(1, "c > d")
    assert "a &lt; b" in shown[0] and "0 / 2" in shown[0]
    assert "value='1' max='2'" in shown[1] and "c &gt; d" in shown[1]
    assert shown[-1] == ""


def test_progress_gives_the_items():
    assert list(progress("abc", "spelling")) == ["a", "b", "c"]
    assert list(progress([], "nothing")) == []


# === Time left ===


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (45.2, "45 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (200.4, "3 min 20 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h"),
        (3900, "1 h 5 min"),
        (180_000, "50 h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds, text):
    assert format_duration(seconds) == text


def test_a_line_tells_the_time_left_from_five_seconds_on(capsys, monkeypatch):
    monkeypatch.setenv(HEADLESS, "1")
    with ProgressLine(10, "reading", seconds=0) as line:
        clock = iter([line.start_t + 4.0] * 3 + [line.start_t + 6.0] * 100)
        monkeypatch.setattr(line, "_time", lambda: next(clock))
        for done in (1, 2, 3):
            line.step(done, "loss 0.5")
        line.step(5, left="9 min left")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "reading: 1 of 10, 4 s, loss 0.5"
    assert "reading: 3 of 10, 6 s, loss 0.5, 14 s left" in lines
    assert lines[-1] == "reading: 5 of 10, 6 s, 9 min left"


def test_the_bar_of_a_terminal_tells_the_time_left():
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (24, 100))
    script = (
        "import crnn_keras.utils.progress as p\np.BASIS_SECONDS = 0.3\n" + SCRIPT.split("\n", 1)[1]
    )
    command = [sys.executable, "-c", "import time\n" + script.format(seconds=60)]
    environment = {name: value for name, value in os.environ.items() if name != HEADLESS}
    subprocess.run(command, env=environment, stderr=theirs, stdout=subprocess.DEVNULL, check=True)
    shown = os.read(ours, 100_000).decode()
    os.close(theirs)
    os.close(ours)
    assert "1/3" not in shown and "2 / 3, 00:00, 0 s left, loss 0.5" in shown

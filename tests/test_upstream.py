"""What is ready to be sent to Keras: its form, and that it does what its README says."""

import ast
import json
import pathlib
import re
import subprocess
import sys

import backends
import numpy as np
import pytest

FOLDER = pathlib.Path(__file__).parent.parent / "docs/upstream"
EXAMPLE = FOLDER / "captcha_ocr.py"
SOURCE = EXAMPLE.read_text(encoding="utf-8")
ISSUE = FOLDER / "ctc_21876_test.py"
PASS_TODAY = {"test_labels_padded_with_blank", "test_ops_with_true_lengths"}
FAIL_TODAY = {
    "test_evaluate_with_masking",
    "test_frames_masked",
    "test_labels_padded_with_minus_one",
}


def imported(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


def test_the_example_has_the_header_of_keras_io():
    header = ast.parse(SOURCE).body[0].value.value.strip().splitlines()
    fields = dict(line.split(": ", 1) for line in header)
    assert list(fields) == [
        "Title",
        "Author",
        "Date created",
        "Last modified",
        "Description",
        "Accelerator",
    ]
    for name in ("Date created", "Last modified"):
        assert re.fullmatch(r"\d{4}/\d{2}/\d{2}", fields[name])
    assert fields["Accelerator"] in ("None", "GPU", "TPU")


def test_the_example_has_the_cells_of_keras_io():
    """The converter of keras.io finds a text between two lines of three quotation marks."""
    texts = [node for node in ast.parse(SOURCE).body if isinstance(node, ast.Expr)]
    texts = [node.value for node in texts if isinstance(node.value, ast.Constant)]
    lines = SOURCE.splitlines()
    marks = [index for index, line in enumerate(lines, 1) if '"""' in line]
    assert marks == [line for text in texts for line in (text.lineno, text.end_lineno)]
    assert {lines[mark - 1] for mark in marks} == {'"""'}
    headings = re.findall(r"^## (.+)$", SOURCE, re.MULTILINE)
    assert headings[:2] == ["Introduction", "Setup"]
    assert len(lines) < 200


def test_the_example_asks_for_no_backend():
    assert set(imported(SOURCE)) == {"keras", "numpy", "pathlib", "PIL"}
    assert "KERAS_BACKEND" not in SOURCE
    assert set(imported(ISSUE.read_text(encoding="utf-8"))) == {"keras", "numpy"}


def test_the_issue_has_the_lines_of_keras():
    assert max(map(len, ISSUE.read_text(encoding="utf-8").splitlines())) <= 80


@pytest.mark.slow
def test_the_example_runs_and_counts_no_padding(tmp_path):
    backends.skip_unless_installed("torch")
    done = subprocess.run(
        [sys.executable, pathlib.Path(__file__).with_name("upstream_worker.py"), EXAMPLE],
        env=backends.environment_of("torch"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    *shown, last = done.stdout.splitlines()
    assert len([line for line in shown if re.fullmatch(r"[2-8b-y]{3,5} -> \w*", line)]) == 4
    results = json.loads(last)
    assert results["settings"] == 1
    np.testing.assert_allclose(results["loss"], results["loss_without_padding"], rtol=1e-5)
    np.testing.assert_allclose(results["loss"], results["loss_of_other_padding"], rtol=1e-5)
    read = [[label for label in row if label != -1] for row in results["decoded"]]
    assert read == [[1, 1], [2, 1]]
    assert results["metric"] == 0.5
    assert results["shape"] == [4, 116, 32, 1]
    characters = "2345678bcdefgmnpwxy"
    for text, width, row in zip(results["texts"], results["widths"], results["batch"], strict=True):
        assert row[0] == -(-width // 4)
        assert "".join(characters[label - 1] for label in row[1:] if label) == text


@pytest.mark.slow
def test_the_issue_is_still_one():
    """If this fails after an update of Keras, issue 21876 has moved: see the README there."""
    backends.skip_unless_installed("jax")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "--tb=short", ISSUE]
    done = subprocess.run(
        command, env=backends.environment_of("jax"), capture_output=True, text=True, timeout=600
    )
    outcomes = re.findall(r"^(PASSED|FAILED) .*::(\w+)", done.stdout, re.MULTILINE)
    assert {name for outcome, name in outcomes if outcome == "PASSED"} == PASS_TODAY
    assert {name for outcome, name in outcomes if outcome == "FAILED"} == FAIL_TODAY
    # What the README says that the failing tests print.
    assert "3.964" in done.stdout
    assert done.stdout.count("Incompatible shapes for broadcasting") >= 2

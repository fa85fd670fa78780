"""Exercises: solutions are right, usual mistakes get a hint, and no hint gives the answer away."""

import ast
import collections
import contextlib
import doctest
import functools
import importlib
import io
import itertools
import json
import math
import pkgutil
import random
import re
import unicodedata
import zlib

import nbformat
import numpy as np
import pytest

from crnn_keras import CharDict, check_splits, make_canvas, read_splits, render_word
from crnn_keras.notebook import exercises
from crnn_keras.notebook.exercises import chinese as hints, questions
from crnn_keras.notebook.exercises.questions import EMPTY
from crnn_keras.synth import bundled_fonts
from tools import chinese, classroom

NOTEBOOKS = {
    path.stem: nbformat.read(path, as_version=4)
    for path in sorted(classroom.NOTEBOOKS.glob("*.ipynb"))
}
MODULES = {
    module.name: importlib.import_module(f"{exercises.__name__}.{module.name}")
    for module in pkgutil.iter_modules(exercises.__path__)
    if module.name.startswith("lesson_")
}
QUESTIONS = [
    (name, question)
    for name, module in MODULES.items()
    for question in sorted(vars(module))
    if re.fullmatch(r"q\d+", question)
]
# What a solution may use besides what its own cell defines.
IMPORTED = ("collections", "crnn_keras.notebook.exercises", "crnn_keras.notebook.exercises.chinese")
IMPORTED += ("itertools", "math", "numpy", "unicodedata", "zlib")


def cells_with(tag, notebook):
    return [cell for cell in notebook.cells if classroom.has_tag(cell, tag)]


WITH_EXERCISES = [name for name, book in NOTEBOOKS.items() if cells_with("exercise", book)]


def exercises_of(notebook):
    """Pairs of a question and its exercise."""
    pairs = itertools.pairwise(notebook.cells)
    return [pair for pair in pairs if classroom.has_tag(pair[1], "exercise")]


def printed_by(cell):
    return "".join(output.get("text", "") for output in cell.outputs)


def names_of(notebook):
    """What the cells of a notebook make that need no backend: a solution may use it."""
    names = {}
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for node in itertools.chain(*(ast.parse(cell.source).body for cell in cells)):
        modules = [getattr(node, "module", None)] if isinstance(node, ast.ImportFrom) else []
        modules += [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if modules and all(module in IMPORTED for module in modules):
            exec(ast.unparse(node), names)
    for cell in cells:
        is_plain = not classroom.has_tag(cell, "solution") and "import " not in cell.source
        # A cell that needs what is not imported here needs a backend.
        with contextlib.suppress(NameError), contextlib.redirect_stdout(io.StringIO()):
            exec(cell.source if is_plain else "", names)
    return names


def test_the_example_of_a_question_prints_what_it_says():
    results = doctest.testmod(questions)
    assert (results.failed, results.attempted) == (0, 4)
    results = doctest.testmod(hints)
    assert (results.failed, results.attempted) == (0, 1)


def test_every_question_is_asked_once():
    asked = []
    for name in WITH_EXERCISES:
        book = NOTEBOOKS[name]
        (module,) = re.findall(r"exercises import (\w+) as check", str(book.cells))
        asked += [(module, classroom.find_check(cell)) for cell in cells_with("exercise", book)]
    assert sorted(asked) == sorted(QUESTIONS)


@pytest.mark.parametrize("name", WITH_EXERCISES)
def test_an_exercise_has_a_question_a_hole_and_a_folded_solution(name):
    book = NOTEBOOKS[name]
    classroom.check_exercises(book, name)
    assert 3 <= len(cells_with("exercise", book)) <= 5
    for cell in cells_with("solution", book):
        assert cell.metadata.tags == ["solution", "hide-cell"]
        assert cell.metadata.jupyter == {"source_hidden": True, "outputs_hidden": True}
    assert all(printed_by(cell).strip() == EMPTY for cell in cells_with("exercise", book))
    for number, (above, cell) in enumerate(exercises_of(book), start=1):
        assert above.source.startswith(f"**Exercise {number}.**"), cell.source
        assert classroom.find_check(cell) == f"q{number}"


@pytest.mark.parametrize("name", WITH_EXERCISES)
def test_the_solutions_of_the_teachers_copy_are_right(name, capsys):
    teacher = classroom.make_teacher_copy(NOTEBOOKS[name])
    names, solutions = names_of(teacher), cells_with("solution", teacher)
    assert len(solutions) == len(cells_with("exercise", NOTEBOOKS[name]))
    assert not cells_with("exercise", teacher) and "..." not in str([c.source for c in solutions])
    for cell in solutions:
        exec(cell.source, dict(names))
        line = capsys.readouterr().out
        assert line.startswith("Right: ") and line.count("\n") == 1, cell.source
        assert printed_by(cell) == line and set(cell.metadata) == {"tags"}


@pytest.mark.parametrize("name", WITH_EXERCISES)
def test_the_students_copy_holds_no_solution(name):
    student = classroom.make_student_copy(NOTEBOOKS[name])
    text = nbformat.writes(student, ensure_ascii=True)
    assert not cells_with("solution", student) and len(cells_with("exercise", student)) > 2
    assert all(not c.outputs and c.execution_count is None for c in cells_with("exercise", student))
    others = [c.source for c in NOTEBOOKS[name].cells if not classroom.has_tag(c, "solution")]
    for cell in cells_with("solution", NOTEBOOKS[name]):
        own = set(cell.source.splitlines()) - {*"\n".join(others).splitlines()}
        assert own and not any(json.dumps(line)[1:-1] in text for line in own)
    assert "Right: " not in text


def to_text(path):
    return "".join(k for k, _ in itertools.groupby(path)).replace("_", "")


def table_of(p, states, add):
    """The forward recursion with another addition."""
    table = np.zeros((len(p), len(states)))
    table[0, :2] = p[0, states[:2]]
    for t, s in itertools.product(range(1, len(p)), range(len(states))):
        jumps = s > 1 and states[s] != 0 and states[s] != states[s - 2]
        table[t, s] = p[t, states[s]] * add(table[t - 1, max(s - 1 - jumps, 0) : s + 1])
    return table


def only(texts, matches, factor):
    return {text: p * factor for text, p in texts.items() if matches(text)}


def step_of(weights, largest, change=np.round):
    step = np.abs(weights).max() / largest
    return change(weights / step).astype(int).astype("int8"), step


def normal(form):
    return functools.partial(unicodedata.normalize, form)


def unknown(texts, known, change):
    return collections.Counter(c for c in change("".join(texts)) if c not in known)


def rank(readings):
    """Places of the readings without an error, the most doubtful first."""
    rows = ((confidence, i) for i, (_, confidence, error) in enumerate(readings) if error is None)
    return [place for _, place in sorted(rows)]


def fall(t):
    """The learning rate of lesson 04 behind its warm-up."""
    return 0.003 * (1 + math.cos(math.pi * (t - 50) / 950)) / 2


# Lesson, question, answer, what the hint must speak of.
WRONG = [
    ("lesson_00", "q1", 980, "right ones"),
    ("lesson_00", "q1", 0.02, "one text"),
    ("lesson_00", "q1", 5, "one of them"),
    ("lesson_00", "q2", 40 * 95, "no character"),
    ("lesson_00", "q2", 160 * 96, "Four pixels"),
    ("lesson_00", "q2", 32 * 160, "pixels"),
    ("lesson_00", "q3", 100 / 300 * 32 // 1, "before it"),
    ("lesson_00", "q3", 100 // 4, "of the photograph"),
    ("lesson_00", "q3", 100 * 128 // 300, "in pixels"),
    ("lesson_01", "q1", "col", "before you merged"),
    ("lesson_01", "q1", "ccoool", "one letter"),
    ("lesson_01", "q1", "c_o_ol_", "One step"),
    ("lesson_01", "q1", 4, "int"),
    ("lesson_01", "q2", lambda path: path.replace("_", ""), "too long"),
    ("lesson_01", "q2", lambda path: to_text(path.replace("_", "")), "order"),
    ("lesson_01", "q2", lambda path: "".join(sorted({*path} - {"_"})), "neighbours"),
    ("lesson_01", "q2", lambda path: path[0], "too short"),
    ("lesson_01", "q2", lambda path: list(to_text(path)), "Join"),
    ("lesson_01", "q2", lambda path: 1 / 0, "ZeroDivisionError"),
    ("lesson_01", "q2", "to_text", "without parentheses"),
    ("lesson_01", "q3", 9, "letters"),
    ("lesson_01", "q3", "12", "quotes"),
    ("lesson_01", "q4", 70, "frame fewer"),
    ("lesson_01", "q4", 3**7, "all paths"),
    ("lesson_01", "q5", 37, "blank"),
    ("lesson_01", "q5", np.zeros((2, 3)), r"\(2, 3\)"),
    ("lesson_02", "q1", lambda name: "train", "No name"),
    ("lesson_02", "q1", lambda name: ("test", "train")[zlib.crc32(name.encode()) % 2], "tenth"),
    ("lesson_02", "q1", lambda name: random.choices(("test", "train"), (1, 9))[0], "asked again"),
    ("lesson_02", "q1", lambda name: "train" if hash(name) % 10 else "test", "each process"),
    ("lesson_02", "q1", lambda name: "test" if name[-5] == "0" else "train", "alike"),
    ("lesson_02", "q1", lambda name: zlib.crc32(name.encode()) % 10 == 0, "bool"),
    ("lesson_02", "q1", lambda name: "Test", "another text"),
    ("lesson_02", "q1", lambda name: zlib.crc32(name) % 10, "TypeError"),
    ("lesson_02", "q2", [2, 5, 6, 8], "frames"),
    ("lesson_02", "q2", [2, 3, 5, 6, 8, 10], "case"),
    ("lesson_02", "q2", [2, 5, 6, 8, 9, 10], "warning"),
    ("lesson_02", "q2", [0], "first is 1"),
    ("lesson_02", "q2", [2, 5, 6, 7, 8, 10], "as frames"),
    ("lesson_02", "q2", 5, "list"),
    ("lesson_02", "q3", 0.88, "measured"),
    ("lesson_02", "q3", 0.88 - 0.2, "How many new"),
    ("lesson_02", "q3", 0.88 * 0.8, "counts"),
    ("lesson_02", "q4", 1 - 3 * 0.1, "multiply"),
    ("lesson_02", "q4", 1 - 0.9**3, "at least one"),
    ("lesson_02", "q4", 0.1**3, "all three"),
    ("lesson_02", "q5", 40, "blank"),
    ("lesson_02", "q5", 13, "frames"),
    ("lesson_02", "q5", 4 * 19, "different letters"),
    ("lesson_03", "q1", 9, "stride"),
    ("lesson_03", "q1", 45, "multiplied"),
    ("lesson_03", "q1", 16, "first pixel"),
    ("lesson_03", "q2", 0.04, "others"),
    ("lesson_03", "q2", -math.log(0.104), "loss"),
    ("lesson_03", "q3", [3, 5, 7], "equal letters"),
    ("lesson_03", "q3", [4, 8], "even"),
    ("lesson_03", "q3", "37", "list"),
    ("lesson_03", "q4", lambda p, states: table_of(p, states, np.max), "whole table"),
    ("lesson_03", "q4", lambda p, states: table_of(p, states, np.sum)[-1, -2:].sum(), "still add"),
    ("lesson_03", "q4", lambda p, states: table_of(p, states, np.max)[-1, -2:].sum(), "In the end"),
    ("lesson_03", "q4", lambda p: 0.5, "TypeError"),
    ("lesson_03", "q5", 1 / 3, "other way"),
    ("lesson_03", "q5", 2 / 3, "posterior"),
    ("lesson_03b", "q1", 0.402, "lost"),
    ("lesson_03b", "q1", 0.162, "end in a blank"),
    ("lesson_03b", "q1", 0.342, "empty prefix"),
    ("lesson_03b", "q2", "a", "added up"),
    ("lesson_03b", "q2", "at", "0.090"),
    ("lesson_03b", "q2", "a_a", "Which text"),
    ("lesson_03b", "q3", 1.2, "smaller"),
    ("lesson_03b", "q3", math.log(0.234 / 0.402), "longer"),
    ("lesson_03b", "q3", 0.6, "cancels"),
    ("lesson_03b", "q4", ["tea", "ten"], "One is missing"),
    ("lesson_03b", "q4", ["tea", "ten", "eat"], "order of the letters"),
    ("lesson_03b", "q4", ["tes"], "none of the ten"),
    ("lesson_03b", "q4", "tea", "list"),
    ("lesson_03b", "q5", lambda texts, matches: texts, "do not match"),
    ("lesson_03b", "q5", lambda texts, matches: only(texts, matches, 1.0), "sum to 0.45"),
    ("lesson_03b", "q5", lambda texts, matches: [*texts], "dict"),
    ("lesson_03b", "q5", lambda texts, matches: only(texts, matches, 0.45), "smaller"),
    ("lesson_03c", "q1", 12 * math.log(11), "one path"),
    ("lesson_03c", "q1", 12 * math.log(11) - math.log(math.comb(12, 3)), "blanks"),
    ("lesson_03c", "q1", 12 * math.log(10) - math.log(math.comb(15, 6)), "blank is a class"),
    ("lesson_03c", "q2", "24", "one off"),
    ("lesson_03c", "q2", "35", "between"),
    ("lesson_03c", "q2", 929949, "meant as the blank"),
    ("lesson_03c", "q3", 1.0, "first softmax"),
    ("lesson_03c", "q3", math.e / (math.e + 37), "included"),
    ("lesson_03c", "q4", len, "between equal"),
    ("lesson_03c", "q4", lambda text: 2 * len(text) + 1, "states"),
    ("lesson_03c", "q4", lambda text: max(2 * len(text) - 1, 0), "alone"),
    ("lesson_03c", "q5", 0.88, "by heart"),
    ("lesson_03c", "q5", 136 / 200, "left"),
    ("lesson_04", "q1", 588, "one epoch"),
    ("lesson_04", "q1", 4 * 37_600 / 64, "Round up before"),
    ("lesson_04", "q1", 4 * (37_600 // 64), "left over"),
    ("lesson_04", "q2", lambda t: 0.003, "too large"),
    ("lesson_04", "q2", lambda t: fall(t), "in the warm-up"),
    ("lesson_04", "q2", lambda t: 0.003 * math.cos(math.pi * (t - 50) / 950), "one half"),
    ("lesson_04", "q2", lambda t: 2 * fall(t), "twice"),
    ("lesson_04", "q2", lambda t: 0.003 * (1 + math.cos(math.pi * t / 1000)) / 2, "largest one"),
    ("lesson_04", "q2", lambda t: 0.003 if t == 50 else fall(50 + 0.95 * t), "not at step 0"),
    ("lesson_04", "q2", lambda t: [fall(t)], "no number"),
    ("lesson_04", "q3", 1 / 3, "equally useful"),
    ("lesson_04", "q3", 2 / 3, "one \\*a\\*"),
    ("lesson_04", "q3", 0.2724, "P itself"),
    ("lesson_04", "q4", 10**-0.5, "base 10"),
    ("lesson_04", "q4", math.exp(0.5), "negative"),
    ("lesson_04", "q4", 1 - math.exp(-0.5), "other texts"),
    ("lesson_05", "q1", (0 + 1 / 6 + 2 / 4) / 3, "mean over the words"),
    ("lesson_05", "q1", 3 / 14, "those of the labels"),
    ("lesson_05", "q1", 2 / 3, "words that are wrong"),
    ("lesson_05", "q2", 1.0, "usual interval"),
    ("lesson_05", "q2", 50 / 50 - 0.05, "how often"),
    ("lesson_05", "q2", 0.5, "cancels"),
    ("lesson_05", "q3", 4 * 1600, "half as wide"),
    ("lesson_05", "q3", 400, "wider"),
    ("lesson_05", "q4", 1 - 13 * 0.04, "multiply"),
    ("lesson_05", "q4", 0.96, "one character"),
    ("lesson_05b", "q1", 0.15, "How many of all"),
    ("lesson_05b", "q1", 8 / 40 * (6 / 8 - 0.9), "direction"),
    ("lesson_05b", "q2", 0.8 / 2, "log-odds"),
    ("lesson_05b", "q2", 0.8**0.5, "odds"),
    ("lesson_05b", "q2", 2.0, "2 to 1"),
    ("lesson_05b", "q3", 0.86, "lower one"),
    ("lesson_05b", "q3", 0.88, "accuracy"),
    ("lesson_05b", "q3", 0.82, "0.143"),
    ("lesson_05b", "q4", 100, "all texts"),
    ("lesson_05b", "q4", 1000, "to a person"),
    ("lesson_06", "q1", ((3, 480, 640, 3), "uint8"), "decodes"),
    ("lesson_06", "q1", ((None,), "string"), "How many"),
    ("lesson_06", "q1", ((3, 480, 640), "string"), "one element"),
    ("lesson_06", "q1", (3, "string"), "tuple"),
    ("lesson_06", "q1", ((1,), "string"), "Each image"),
    ("lesson_06", "q1", ((3,), "bytes"), "Python's name"),
    ("lesson_06", "q2", [64], "different"),
    ("lesson_06", "q2", [64, 24], "missing"),
    ("lesson_06", "q2", [16], "number of batches"),
    ("lesson_06", "q2", 64, "list"),
    ("lesson_06", "q3", lambda a, b: sum(x == y for x, y in zip(a, b, strict=False)), "left out"),
    ("lesson_06", "q3", lambda a, b: sum(x != y for x, y in zip(a, b, strict=True)), "differ"),
    ("lesson_06", "q3", lambda a, b: len({*a} & {*b}), "different images"),
    ("lesson_06", "q3", lambda a, b: np.mean(np.array(a) == b), "number"),
    ("lesson_06", "q3", lambda a, b: sum(a[i] == b[i] for i in range(len(a))), "IndexError"),
    ("lesson_06", "q4", lambda w: step_of(w, 127, np.trunc), "cuts"),
    ("lesson_06", "q4", lambda w: (w / step_of(w, 127)[1], step_of(w, 127)[1]), "float64"),
    ("lesson_06", "q4", lambda w: step_of(w, 128), "sign"),
    ("lesson_06", "q4", lambda w: step_of(w, 100), "too wide"),
    ("lesson_06", "q4", lambda w: step_of(w, 127)[0], "two results"),
    ("lesson_06", "q5", 193, "wrong before"),
    ("lesson_06", "q5", 195, "worst"),
    ("lesson_06", "q5", 198, "may be wrong"),
    ("lesson_07", "q1", 0.5, "Multiply"),
    ("lesson_07", "q1", 1 - 0.9**5, "with an unknown"),
    ("lesson_07", "q2", lambda texts, known: unknown(texts, known, str), "normalize"),
    ("lesson_07", "q2", lambda texts, known: unknown(texts, known, normal("NFKC")), "NFKC"),
    ("lesson_07", "q2", lambda texts, known: dict.fromkeys({*texts[0]} - {*known}, 1), "counts"),
    ("lesson_07", "q2", lambda texts, known: {*texts[0]} - {*known}, "dict"),
    ("lesson_07", "q2", lambda texts, known: unknown(texts, "", normal("NFC")), "the set has"),
    ("lesson_07", "q3", 8, "equal ones"),
    ("lesson_07", "q3", 9, "more than one pair"),
    ("lesson_07", "q3", 16, "narrowest"),
    ("lesson_07", "q4", 3755 * 385, "no character"),
    ("lesson_07", "q4", 3756 * 384, "bias"),
    ("lesson_08", "q1", 200 * 50 / 60, "without replay"),
    ("lesson_08", "q1", 6000, "all together"),
    ("lesson_08", "q2", math.comb(16, 12) / 2**16, "exactly"),
    ("lesson_08", "q2", 0.0768, "as well"),
    ("lesson_08", "q2", 0.04, "accuracy"),
    ("lesson_08", "q3", lambda rows, n: np.argsort([c for _, c, _ in rows])[:n], "opened"),
    ("lesson_08", "q3", lambda rows, n: rank(rows)[::-1][:n], "surest"),
    ("lesson_08", "q3", lambda rows, n: [i for i in rank(rows) if rows[i][0]][:n], "nothing"),
    ("lesson_08", "q3", lambda rows, n: sorted(rank(rows)[:n]), "first"),
    ("lesson_08", "q3", lambda rows, n: rank(rows), "chooses 5"),
    ("lesson_08", "q3", lambda rows, n: [rows[i] for i in rank(rows)], "places"),
    ("lesson_08", "q4", 750, "all the points"),
    ("lesson_08", "q4", 200, "already"),
]
# What a hint must not say, for questions whose answer is a number or a word.
ANSWERS = {
    ("lesson_00", "q1"): "20",
    ("lesson_00", "q2"): "3840",
    ("lesson_00", "q3"): "11",
    ("lesson_01", "q1"): "cool",
    ("lesson_01", "q3"): "12",
    ("lesson_01", "q4"): "126",
    ("lesson_01", "q5"): "38",
    ("lesson_02", "q2"): "2, 5, 6, 8, 10",
    ("lesson_02", "q3"): "0.85",
    ("lesson_02", "q4"): "0.729",
    ("lesson_02", "q5"): "52",
    ("lesson_03", "q1"): "17",
    ("lesson_03", "q2"): "0.104",
    ("lesson_03", "q3"): "3, 7",
    ("lesson_03", "q5"): "-0.33",
    ("lesson_03b", "q1"): "0.258",
    ("lesson_03b", "q3"): "0.54",
    ("lesson_03c", "q1"): "20.26",
    ("lesson_03c", "q2"): "305",
    ("lesson_03c", "q3"): "0.07",
    ("lesson_03c", "q5"): "0.85",
    ("lesson_04", "q1"): "2352",
    ("lesson_04", "q3"): "0.582",
    ("lesson_04", "q4"): "0.607",
    ("lesson_05", "q1"): "0.23",
    ("lesson_05", "q2"): "0.929",
    ("lesson_05", "q3"): "25600",
    ("lesson_05", "q4"): "0.588",
    ("lesson_05b", "q1"): "0.03",
    ("lesson_05b", "q2"): "0.67",
    ("lesson_05b", "q3"): "0.7",
    ("lesson_05b", "q4"): "90",
    ("lesson_06", "q5"): "191",
    ("lesson_07", "q1"): "0.59",
    ("lesson_07", "q3"): "10",
    ("lesson_07", "q4"): "1446060",
    ("lesson_08", "q1"): "100",
    ("lesson_08", "q2"): "0.038",
    ("lesson_08", "q4"): "150",
}


@pytest.mark.parametrize(("lesson", "name", "answer", "fact"), WRONG)
def test_a_usual_mistake_gets_its_hint_and_not_the_answer(lesson, name, answer, fact, capsys):
    vars(MODULES[lesson])[name](answer)
    line = capsys.readouterr().out
    assert line.startswith("Not yet: ") and re.search(fact, line) and line.count("\n") == 1
    expected = ANSWERS.get((lesson, name))
    assert expected is None or not re.search(rf"(?<!\w){re.escape(expected)}(?!\w)", line)


@pytest.mark.parametrize(("lesson", "name"), sorted(ANSWERS))
def test_no_number_but_the_right_one_is_right_and_no_hint_tells_it(lesson, name, capsys):
    check, expected = vars(MODULES[lesson])[name], ANSWERS[lesson, name]
    for answer in [*range(-3, 130), *np.arange(-3, 3, 0.02), -1 / 3]:
        check(answer)
        line = capsys.readouterr().out
        if line.startswith("Right: "):
            assert abs(answer - float(expected)) < 0.01
        else:
            assert not re.search(rf"(?<!\w){re.escape(expected)}(?!\w)", line), answer


def test_the_lines_that_lesson_02_asks_for_are_those_that_the_check_skips(tmp_path):
    (question,) = [
        cell.source for cell in NOTEBOOKS["02_prepare_data"].cells if "| `f.png`" in cell.source
    ]
    rows = re.findall(r"^\| (\d+) \| `(\w\.png)`.*? \| (.*?) ?\|$", question, re.M)
    assert [int(line) for line, _, _ in rows] == [*range(1, 11)]
    same = render_word("market", bundled_fonts()[0])
    for index, (_, name, text) in enumerate(rows):
        is_same = "as `a.png`" in question.split(f"`{name}`")[1].split("|")[0]
        word = (
            same
            if is_same or name == "a.png"
            else render_word(text or "exit", bundled_fonts()[0], index=index)
        )
        if name != "f.png":
            word.save(tmp_path / name)
    lines = "".join(f"{name}\t{text}\n" for _, name, text in rows)
    (tmp_path / "labels.tsv").write_text(lines)
    found, splits = read_splits(tmp_path / "labels.tsv", {"train": 1}, seed=0)
    letters, canvas = CharDict.from_preset("alphanumeric36"), make_canvas("stretch", 100)
    checked = check_splits(splits, letters, canvas, issues=found.issues)
    skipped = sorted(int(issue.where.rpartition(" ")[2]) for issue in checked.skipped)
    assert str(skipped).strip("[]") == ANSWERS["lesson_02", "q2"]


class Broken:
    """An answer that raises at whatever is done to it."""

    def _fail(self, *_):
        raise RuntimeError

    __eq__ = __hash__ = __repr__ = __str__ = __len__ = __iter__ = __bool__ = _fail
    __float__ = __int__ = __index__ = __array__ = __getitem__ = __contains__ = __call__ = _fail


def say_nothing(*arguments):
    return ...


HOSTILE = [None, ..., "", "x", b"x", -1, 0, 10**400, 1e308, math.nan, math.inf, 3j, True]
HOSTILE += [[], [[]], {}, {1: 2}, set(), object(), len, type, say_nothing, np.zeros((0, 3))]
HOSTILE += [np.array("a"), np.array([None]), np.float32("nan"), Broken(), Broken]
HOSTILE += [lambda *a: Broken(), lambda *a: [], lambda *a: 1j, lambda *a: np.zeros(3), lambda: 1]
HOSTILE += [lambda *a: exit(), itertools.count(), {"a", 1}, [None], ["a"], [[1, 2], [3]]]


@pytest.mark.parametrize(("lesson", "name"), QUESTIONS)
def test_no_answer_makes_a_question_raise(lesson, name, capsys):
    for answer in HOSTILE:
        assert vars(MODULES[lesson])[name](answer) is None
        line = capsys.readouterr().out
        assert (line.startswith("Not yet: ") or line == f"{EMPTY}\n") and line.count("\n") == 1
    vars(MODULES[lesson])[name](...)
    assert capsys.readouterr().out == f"{EMPTY}\n"


CATALOGUES = sorted(path.stem for path in hints.CATALOGUES.glob("*.json"))
TRANSLATED = [name for name in CATALOGUES if name in MODULES]
# What is the same in both languages: code, words that are read, names of Python and of CTC.
SAME = r"`[^`]*`|\*[^*]*\*|'[^']*'|True|False|softmax|\b(?:b|\dL|\w+Error)\b"
SAME = re.compile(rf"{SAME}|\b(?:bool|int|str|(?:nd)?array|[A-Z]{{2,}})\b")


def test_every_message_of_a_translated_lesson_has_its_chinese():
    assert {"questions", "lesson_01", "lesson_03"} <= {*CATALOGUES}
    assert [issue for name in CATALOGUES for issue in chinese.find_missing_hints(name)] == []
    for name in CATALOGUES:
        for english, text in hints.read_catalogue(name).items():
            assert re.search("[\u4e00-\u9fff]", text), text
            assert not re.search(r"[\u4e00-\u9fff][,;:?!]", SAME.sub("", text)), text
            assert chinese.list_spans(english) == chinese.list_spans(text)


@pytest.mark.parametrize(
    ("lesson", "name", "answer"),
    [(lesson, name, answer) for lesson, name, answer, _ in WRONG if lesson in TRANSLATED],
)
def test_a_usual_mistake_gets_a_chinese_hint_and_not_the_answer(lesson, name, answer, capsys):
    vars(getattr(hints, lesson))[name](answer)
    line = capsys.readouterr().out
    assert line.startswith("还不对：") and line.count("\n") == 1
    assert not re.search("[A-Za-z]{2,}", SAME.sub("", line)), line
    expected = ANSWERS.get((lesson, name))
    assert expected is None or not re.search(rf"(?<!\w){re.escape(expected)}(?!\w)", line)


@pytest.mark.parametrize("lesson", TRANSLATED)
def test_the_solutions_of_a_chinese_lesson_are_right_in_chinese(lesson, capsys):
    (name,) = [n for n in WITH_EXERCISES if f"import {lesson} as check" in str(NOTEBOOKS[n])]
    if name not in chinese.list_translated():
        pytest.skip(f"notebook {name} has no Chinese yet")
    teacher = classroom.make_teacher_copy(chinese.translate(name))
    names = names_of(teacher)
    for cell in cells_with("solution", teacher):
        exec(cell.source, dict(names))
        line = capsys.readouterr().out
        assert line.startswith("正确：") and line == printed_by(cell), cell.source


@pytest.mark.parametrize("answer", HOSTILE, ids=lambda answer: type(answer).__name__)
def test_no_answer_makes_a_chinese_question_raise(answer, capsys):
    hints.lesson_01.q2(answer)
    assert re.match("还不对：|请先填好", capsys.readouterr().out)


def test_what_has_no_chinese_is_printed_in_english(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(hints, "CATALOGUES", tmp_path)
    hints._prepare.cache_clear()
    try:
        chinese_lesson, english_lesson = hints.lesson_01, MODULES["lesson_01"]
        for answer in ("col", "cool", 4, ...):
            chinese_lesson.q1(answer)
            printed = capsys.readouterr().out
            english_lesson.q1(answer)
            assert printed == capsys.readouterr().out
    finally:
        hints._prepare.cache_clear()
    with pytest.raises(ImportError):
        importlib.import_module(hints.__name__ + ".lesson_99")


def test_a_catalogue_is_begun_and_told_what_it_lacks(tmp_path):
    # What a question gives to a learner's function, or shows as an example, is no message.
    assert not {"café ", '["eat", "at"]'} & {*sum(map(chinese.list_messages, MODULES), [])}
    chinese.new_catalogue("lesson_05", tmp_path)
    content = json.loads((tmp_path / "lesson_05.json").read_text())
    assert "That is the word accuracy." in content and {*content.values()} == {""}
    assert len(chinese.find_missing_hints("lesson_05", tmp_path)) == len(content) > 10
    content |= {"That is the word accuracy.": "这是整词准确率。", "No more.": "没有了。"}
    (tmp_path / "lesson_05.json").write_text(json.dumps(content))
    issues = "\n".join(chinese.find_missing_hints("lesson_05", tmp_path))
    assert "'That is the word accuracy.'" not in issues and "'No more.'" in issues
    chinese.new_catalogue("lesson_05", tmp_path)
    kept = json.loads((tmp_path / "lesson_05.json").read_text())
    assert kept["That is the word accuracy."] == "这是整词准确率。" and "No more." not in kept


def master(*cells):
    """A notebook of cells, each a pair of source and tags; without tags it is text."""
    made = [
        nbformat.v4.new_code_cell(source, metadata={"tags": tags.split()})
        if tags
        else nbformat.v4.new_markdown_cell(source)
        for source, tags in cells
    ]
    return nbformat.v4.new_notebook(cells=made)


ASKED, EMPTY_CELL = ("How many?", ""), ("answer = ...\ncheck.q1(answer)", "exercise")
SOLVED = ("answer = 4\ncheck.q1(answer)", "solution hide-cell")


@pytest.mark.parametrize(
    ("cells", "fact"),
    [
        ([ASKED, EMPTY_CELL], "no solution"),
        ([ASKED, EMPTY_CELL, ASKED, SOLVED], "no solution"),
        ([ASKED, ("answer = ...", "exercise"), SOLVED], "check"),
        ([ASKED, EMPTY_CELL, ("answer = 4\ncheck.q2(answer)", "solution")], r"check\.q1"),
        ([ASKED, ("answer = 4\ncheck.q1(answer)", "exercise"), SOLVED], "hole"),
        ([EMPTY_CELL, SOLVED], "question"),
        ([ASKED, SOLVED], "without an exercise"),
    ],
)
def test_an_incomplete_exercise_is_refused_and_named(tmp_path, cells, fact):
    (tmp_path / "masters").mkdir()
    nbformat.write(master(*cells), tmp_path / "masters" / "09_a.ipynb")
    with pytest.raises(ValueError, match=rf"09_a\.ipynb, cell \d: .*{fact}"):
        classroom.write_class(tmp_path / "class", tmp_path / "masters")
    assert not (tmp_path / "class").exists()


def test_the_class_gets_all_notebooks_and_what_lies_beside_them(tmp_path, capsys):
    classroom.write_class(tmp_path)
    beside = {p.name for p in classroom.NOTEBOOKS.iterdir() if p.is_file() and p.name[0] != "."}
    for reader in ("student", "teacher"):
        assert {path.name for path in (tmp_path / reader).iterdir()} == beside
    assert f"{len(QUESTIONS)} exercises" in capsys.readouterr().out
    makefile = (classroom.ROOT / "Makefile").read_text()
    assert re.search(r"^class: .*\n\t\$\(PY\) tools/classroom\.py", makefile, re.MULTILINE)

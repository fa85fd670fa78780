"""The table beside other engines: who runs, what is added, what is printed."""

import csv
import json
import pathlib
import subprocess
import sys

import pytest

from benchmarks import engines, lines, readers
from crnn_keras import synth
from crnn_keras.evaluation import plots
from crnn_keras.inference.onnx_recognizer import SHIPPED

ROOT = pathlib.Path(__file__).parent.parent
WORDS = ["oak", "ash", "elm", "lime"]
ONNX = readers.Reader("`words.onnx`", "Apache-2.0", "onnx", ("words", "yes"))


@pytest.fixture
def data(tmp_path):
    """A folder with a small `svt_test`."""
    folder = tmp_path / "data" / "svt_test"
    folder.mkdir(parents=True)
    font = synth.bundled_fonts()[0]
    for index, word in enumerate(WORDS):
        image = synth.render_word(word, font, synth.Style.mild(), seed=1, index=index)
        image.save(folder / f"{index}.png")
    lines = [f"{index}.png\t{word}" for index, word in enumerate(WORDS)]
    (folder / "labels.tsv").write_text("\n".join(lines))
    return folder.parent


def run(monkeypatch, data, *arguments):
    """Runs the benchmark on its own csv files; returns their rows."""
    paths = [data / "accuracy.csv", data / "speed.csv"]
    given = ["readers.py", *map(str, arguments), "--environments", str(data)]
    given += ["--accuracy", str(paths[0]), "--speed", str(paths[1])]
    monkeypatch.setattr(sys, "argv", given)
    monkeypatch.setattr(readers, "shipped_readers", lambda: (ONNX,))
    readers.main()
    return [readers.read_rows(path) for path in paths]


def test_a_reader_is_measured_and_another_engine_is_named(monkeypatch, data, capsys):
    accuracy, speed = run(
        monkeypatch, data, data, "--readers", "onnx", "PP-OCRv4", "--sets", "svt_test"
    )
    (row,) = accuracy
    assert (row["reader"], row["images"], row["correct"]) == ("`words.onnx`", "4", "4")
    assert int(row["bytes"]) == SHIPPED["words"].stat().st_size
    printed = capsys.readouterr().out
    assert "PP-OCRv4 mobile: skipped, there is no" in printed
    assert "100.0 (51.0 to 100.0), n = 4" in printed
    assert "iiit5k_test: skipped, it is not in" in printed and not speed


class Fake:
    """An engine of no process, which reads the first image wrongly."""

    facts = {"weights": "0" * 64, "bytes": 7, "software": "fake 1"}
    row, close = readers.Engine.row, readers.Engine.close
    asked: list[int] = []

    def __init__(self, reader, python):
        self.reader = reader
        self.process = subprocess.Popen(["true"], stdin=subprocess.PIPE)

    def read(self, paths, *, alone=True):
        self.asked.append(len(paths))
        texts = [WORDS[int(pathlib.Path(path).stem)] for path in paths]
        seconds = [0.002] * len(paths) if alone else [0.006]
        return {"texts": ["", *texts[1:]], "confidences": [0.5] * len(paths), "seconds": seconds}


def test_the_same_weights_are_not_measured_again(monkeypatch, data):
    monkeypatch.setattr(readers, "Engine", Fake)
    monkeypatch.setattr(Fake, "asked", [])
    options = (data, "--readers", "onnx", "--sets", "svt_test", "--only", "accuracy")
    for most, images in ((3, 3), (4, 4), (2, 4), (9, 4)):
        (row,), speed = run(monkeypatch, data, *options, "--most", most)
        assert (row["images"], row["correct"]) == (str(images), str(images - 1)) and not speed
    assert Fake.asked == [3, 4]
    monkeypatch.setattr(Fake, "facts", Fake.facts | {"weights": "1" * 64})
    (row,), _ = run(monkeypatch, data, *options)
    assert row["weights"] == "1" * 12 and Fake.asked == [3, 4, 4]


def test_milliseconds_are_of_rounds_in_turn(monkeypatch, data):
    monkeypatch.setattr(readers, "Engine", Fake)
    (data / "svt_test").rename(data / "iiit5k_test")
    options = (data, "--readers", "onnx", "psm 8", "--only", "speed")
    _, rows = run(monkeypatch, data, *options, "--rounds", "2", "--singles", "3")
    assert [row["reader"] for row in rows] == ["`words.onnx`", "Tesseract 5, `--psm 8`"] * 2
    assert [row["round"] for row in rows] == ["0", "0", "1", "1"]
    assert {row["milliseconds"] for row in rows} == {"2.000"}


def test_an_engine_answers_what_it_reads_of_files_and_what_it_cannot_read(data):
    paths = [str(data / "svt_test" / "0.png"), str(data / "none.png")]
    requests = [{"paths": paths, "alone": alone} for alone in (True, False)]
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "engines.py"), "onnx", "words", "no"],
        input="".join(json.dumps(request) + "\n" for request in requests),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    facts, alone, together = map(json.loads, done.stdout.splitlines())
    assert facts["software"].startswith("onnxruntime ") and len(facts["weights"]) == 64
    assert alone["texts"] == together["texts"] == ["oak", ""]
    assert [len(answer["seconds"]) for answer in (alone, together)] == [2, 1]
    assert alone["confidences"][0] > 0.5 and alone["confidences"][1] == 0


def test_an_image_that_an_engine_refuses_counts_as_empty():
    read = engines.one_by_one(lambda path: (path, 1.0) if path else 1 / 0)
    assert read(["a", ""]) == [("a", 1.0), ("", 0.0)]


def test_tesseract_gives_each_image_of_its_list_its_words(tmp_path, monkeypatch):
    lines = ["level\tpage_num\t" + "\t".join("x" * 8) + "\tconf\ttext"]
    for page, confidence, text in ((1, 96.5, "to"), (1, 40, "day"), (3, 80, "oak")):
        lines.append(f"5\t{page}\t" + "\t".join("0" * 8) + f"\t{confidence}\t{text}")
    answers = {"--version": "tesseract 5.3.0\n", "tsv": "\n".join(lines) + "\n"}

    def answer(command, **_):
        return subprocess.CompletedProcess(command, 0, stdout=answers[command[-1]])

    (tmp_path / "eng.traineddata").write_bytes(b"weights")
    monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))
    monkeypatch.setattr(engines.subprocess, "run", answer)
    read, facts = engines.load_tesseract("8")
    assert (facts["bytes"], facts["software"]) == (7, "tesseract 5.3.0")
    assert read(["a.png", "b.png", "c.png"]) == [("to day", 0.4), ("", 0.0), ("oak", 0.8)]


def test_the_page_has_the_table_of_the_committed_rows():
    page = readers.PAGE.read_text(encoding="utf-8")
    rows = readers.read_rows(readers.ACCURACY), readers.read_rows(readers.SPEED)
    assert f"{readers._BEGIN}{readers.table(*rows)}{readers._END}" in page
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs").glob("readers_*.csv")}
    assert sizes and sum(sizes.values()) < 100_000


def test_the_committed_rows_are_of_the_shipped_files():
    measured = {
        row["weights"]
        for row in readers.read_rows(readers.ACCURACY)
        if row["reader"].startswith(tuple(f"`{name}." for name in SHIPPED))
    }
    folder = ROOT / "crnn_keras" / "readers"
    files = [*folder.glob("*.onnx"), *folder.glob("*.keras")]
    assert measured <= {engines.describe(path)["weights"][:12] for path in files}


def test_a_table_is_written_between_its_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{readers._BEGIN}old\n{readers._END}after\n")
    readers.write_table(page, "new\n")
    assert page.read_text() == f"before\n{readers._BEGIN}new\n{readers._END}after\n"


def test_the_rows_of_a_table_worked_by_hand(monkeypatch):
    monkeypatch.setattr(readers, "shipped_readers", lambda: (ONNX,))
    row = {
        "reader": "`words.onnx`",
        "software": "onnxruntime 1",
        "weights": "0",
        "bytes": "1436692",
    }
    accuracy = row | {"set": "svt_test", "images": "647", "correct": "558", "ece": "0.0399"}
    speed = row | {"set": "iiit5k_test", "images": "100", "cores": "2", "machine": "Xeon"}
    times = [speed | {"round": str(i), "milliseconds": f"{i + 1}", "load": "0.5"} for i in range(3)]
    table = readers.table([accuracy], times)
    cells = "| – | – | 86.2 (83.4 to 88.7) | 4.0 | – | – | 2.00 (1.00 to 3.00) | 1.4 | Apache-2.0 |"
    assert f"| `words.onnx` {cells}" in table
    assert "3 rounds of 100 images of IIIT5K on 2 cores of Xeon; load average 0.5 to 0.5" in (
        " ".join(table.split())
    )


def test_the_figure_names_every_reader_with_its_accuracy(tmp_path):
    point = {"own": True, "milliseconds": [1.0, 2.0, 4.0], "correct": 884, "tested": 1000}
    other = {"own": False, "milliseconds": [13.0], "correct": 917, "tested": 1000}
    figure = plots.accuracy_and_time([point | {"name": "words"}, other | {"name": "PP-OCRv4"}])
    figure.canvas.draw()
    texts = {text.get_text() for text in figure.findobj(lambda item: hasattr(item, "get_text"))}
    assert {"words: 88.4", "PP-OCRv4: 91.7"} <= texts


def test_every_engine_of_a_row_is_known_and_has_its_environment():
    assert {reader.engine for reader in (*readers.OTHERS, ONNX)} <= set(engines.ENGINES)
    assert {reader.environment for reader in readers.OTHERS} - {""} == set(readers.REQUIREMENTS)


def test_rows_survive_a_csv(tmp_path):
    rows = [dict.fromkeys(readers.ACCURACY_COLUMNS, "1") | {"reader": "`a`, no model"}]
    readers.write_rows(tmp_path / "a.csv", readers.ACCURACY_COLUMNS, rows)
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == rows


def test_lines_are_compared_with_their_spaces(monkeypatch, data, capsys):
    monkeypatch.setattr(lines, "READERS", (ONNX, readers.OTHERS[0]))
    labels = data / "svt_test" / "labels.tsv"
    labels.write_text(labels.read_text().replace("oak", "o ak"))
    arguments = [str(data / "svt_test"), "--environments", str(data)]
    arguments += ["--table", str(data / "lines.csv")]
    monkeypatch.setattr(sys, "argv", ["lines.py", *arguments])
    for _ in range(2):
        lines.main()
        # The second time, nothing is measured again.
        (row,) = readers.read_rows(data / "lines.csv")
    counts = [row[name] for name in ("images", "correct", "without_spaces", "spaces")]
    assert counts == ["4", "3", "4", "3"]
    assert float(row["cer"]) == pytest.approx(1 / 14, abs=1e-4)
    assert "| svt_test, n = 4 | `words.onnx` | 7.14 |" in capsys.readouterr().out

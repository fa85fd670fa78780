"""The command `crnn-keras language-model`, and `read` with what it writes."""

import dataclasses
import inspect
import json
import pathlib
import re
import shutil

import pytest

from crnn_keras import cli
from crnn_keras.char_dict import CharDict
from crnn_keras.inference import OnnxRecognizer
from crnn_keras.model.decoding import LanguageModel, LanguageModelSettings, train_language_model

ROOT = pathlib.Path(__file__).parent.parent
DONE, UNUSABLE = 0, 2
WORDS = ["door", "floor", "window", "wall"]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Function that runs a command line in a folder with texts: `(exit code, stdout, stderr)`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("\n".join(WORDS) + "\n\n")
    (tmp_path / "counts.tsv").write_text("".join(f"{w}\t{n}.5\n" for n, w in enumerate(WORDS)))

    def run(*words):
        capsys.readouterr()
        code = cli.main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run


def write(run, *words, output="x.npz"):
    """Runs the command and returns the model with the lines that it printed."""
    code, printed, errors = run("language-model", *words, "--output", output)
    assert (code, errors) == (DONE, "")
    return LanguageModel.load(output), dict(line.split(": ", 1) for line in printed.splitlines())


def refused(run, *words):
    code, output, errors = run("language-model", *words)
    assert (code, output) == (UNUSABLE, "") and len(errors.splitlines()) == 1
    return errors.removeprefix("crnn-keras: error: ")


def expected(texts, char_dict, **options):
    return train_language_model(texts, CharDict.from_preset(char_dict), **options).get_config()


def test_a_line_is_a_text(run):
    model, printed = write(run, "words.txt")
    assert model.get_config() == expected(WORDS, "alphanumeric36")
    assert printed["texts"] == "4" and printed["left out"] == "0"
    assert printed["n-grams"] == f"{len(model):,}"
    assert printed["x.npz"] == f"{pathlib.Path('x.npz').stat().st_size:,} bytes"


def test_lines_with_a_tab_and_a_number_have_frequencies(run):
    model, _ = write(run, "counts.tsv")
    frequencies = {word: index + 0.5 for index, word in enumerate(WORDS)}
    assert model.get_config() == expected(frequencies, "alphanumeric36")
    both, printed = write(run, "counts.tsv", "words.txt")
    frequencies = {word: value + 1 for word, value in frequencies.items()}
    assert both.get_config() == expected(frequencies, "alphanumeric36") and printed["texts"] == "4"


def test_all_options_reach_the_model(run):
    options = {"order": 3, "max_ngrams": 40, "codes": 0.3}
    settings = {"weight": 0.5, "length_bonus": -1.5, "threshold": 0.25}
    words = ["--characters", "ascii", "--source", "four words, CC0"]
    for name, value in (options | settings).items():
        words += [f"--{name.replace('_', '-')}", value]
    model, _ = write(run, "words.txt", *words)
    assert model.settings == LanguageModelSettings(**settings)
    options |= {"settings": model.settings, "source": "four words, CC0"}
    assert model.get_config() == expected(WORDS, "ascii", **options)


def test_the_help_tells_the_defaults_of_the_library(capsys):
    with pytest.raises(SystemExit):
        cli.main(["language-model", "--help"])
    shown = dict(re.findall(r"--([a-z-]+) NUMBER .*\(([\d.]+)\)", capsys.readouterr().out))
    defaults = inspect.signature(train_language_model).parameters
    expected = {name: defaults[name].default for name in ("order", "max_ngrams", "codes")}
    expected |= dataclasses.asdict(LanguageModelSettings())
    assert shown == {name.replace("_", "-"): str(value) for name, value in expected.items()}


def test_lines_are_split_into_words_where_the_reader_has_no_space(run, tmp_path):
    (tmp_path / "lines.txt").write_text("door  floor\n window\twall\n")
    (tmp_path / "counted.tsv").write_text("door floor\t2\nwindow\t3\n")
    model, _ = write(run, "lines.txt")
    assert model.get_config() == expected(WORDS, "alphanumeric36")
    model, _ = write(run, "counted.tsv")
    counted = {"door": 2.0, "floor": 2.0, "window": 3.0}
    assert model.get_config() == expected(counted, "alphanumeric36")
    CharDict("acdefilnorw ").save("spaced.json")
    model, printed = write(run, "counted.tsv", "--characters", "spaced.json")
    assert " " in model.characters and printed["texts"] == "2"


def test_texts_that_the_reader_cannot_write_are_counted_and_named(run, tmp_path):
    (tmp_path / "odd.txt").write_text("door\nnaïve\nnaïve\na-b\nDOOR\n\x1b[2J\n", encoding="utf-8")
    _, printed = write(run, "odd.txt")
    assert printed["texts"] == "2" and printed["left out"].startswith("3")
    assert "\x1b" not in printed["left out"]
    (tmp_path / "none.txt").write_text("naïve\n", encoding="utf-8")
    assert "none of 1" in refused(run, "none.txt", "--output", "y.npz")
    assert not (tmp_path / "y.npz").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [("door\t3\nfloor\n", "line 2 is 'floor'"), ("door\t3\n\nfloor\tmany\n", "line 3")],
)
def test_a_line_without_its_frequency_is_named(run, tmp_path, content, message):
    (tmp_path / "bad.tsv").write_text(content)
    error = refused(run, "bad.tsv", "--output", "x.npz")
    assert "bad.tsv" in error and message in error


@pytest.mark.parametrize("number", ["0", "-1", "nan", "inf"])
def test_a_frequency_that_makes_no_sense_is_refused(run, tmp_path, number):
    (tmp_path / "bad.tsv").write_text(f"door\t{number}\n")
    assert "frequency of 'door'" in refused(run, "bad.tsv", "--output", "x.npz")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["words.txt", "--output", "x.bin"], "x.bin"),
        (["words.txt", "--output", "x.keras", "--characters", "ascii"], "--model"),
        (["words.txt", "--output", "x.keras", "--model", "mine.onnx"], "mine.onnx"),
        (["words.txt", "--output", "x.npz", "--model", "no_such.onnx"], "no_such.onnx"),
        (["words.txt", "--output", "x.npz", "--characters", "no_such"], "no_such"),
        (["no_such.txt", "--output", "x.npz"], "no_such.txt"),
        (["words.txt", "--output", "words.txt/x.npz"], "words.txt"),
        (["words.txt", "--output", "x.npz", "--weight", "1e9"], "weight is 1000000000.0"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(run, words, message):
    assert message in refused(run, *words)


def texts_of(run, *words):
    code, output, _ = run("read", "exit.png", "--jsonl", "-", *words)
    assert code == DONE
    row = json.loads(output)
    return row["text"], row["raw_confidence"]


def test_read_takes_the_file_instead_of_the_reader_s_own(run, tmp_path):
    shutil.copy(ROOT / "examples" / "exit.png", tmp_path)
    # The bonus makes texts longer.
    options = ["--weight", "0.01", "--length-bonus", "10", "--threshold", "1"]
    model, _ = write(run, "words.txt", *options)
    reader = OnnxRecognizer.load("words")
    for words, language_model in (
        (["--language-model", "x.npz"], model),
        (["--no-language-model"], None),
        ([], reader.language_model),
    ):
        (prediction,) = reader.read("exit.png", language_model=language_model)
        expected = prediction.text, round(prediction.raw_confidence, 6)
        assert texts_of(run, *words) == expected
    assert len(texts_of(run, "--language-model", "x.npz")[0]) > 4


def test_the_reader_is_saved_with_it(run, tmp_path):
    from crnn_keras.inference.recognizer import Recognizer

    code, printed, _ = run("language-model", "words.txt", "--output", "mine.keras")
    assert code == DONE and printed.splitlines()[-1].startswith("mine.keras: ")
    model = Recognizer.load("mine.keras").language_model
    assert model.get_config() == expected(WORDS, "alphanumeric36")
    # It is replaced by the next one.
    options = ["--model", "mine.keras", "--output", "other.keras", "--source", "counts"]
    assert run("language-model", "counts.tsv", *options)[0] == DONE
    assert Recognizer.load("other.keras").language_model.source == "counts"

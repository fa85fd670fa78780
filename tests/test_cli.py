"""The command `crnn-keras`: its tables, files, messages and exit codes."""

import csv
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from crnn_keras import cli
from crnn_keras.cli.main import make_parser

ROOT = pathlib.Path(__file__).parent.parent
FIXTURES = ROOT / "tests" / "fixtures"
COMMANDS = (
    "read",
    "label",
    "check",
    "fine-tune",
    "prepare",
    "train",
    "evaluate",
    "runs",
    "export",
    "language-model",
    "serve",
    "walkthrough",
    "launch",
    "doctor",
)
SCRIPT = pathlib.Path(sys.executable).with_name("crnn-keras")
DONE, SOME_UNUSABLE, UNUSABLE, INTERRUPTED = 0, 1, 2, 130


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Working folder with the two crops of `examples/`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crops").mkdir()
    for name in ("exit.png", "market.jpg"):
        shutil.copy(ROOT / "examples" / name, tmp_path / "crops")
    return tmp_path


@pytest.fixture(scope="session")
def labelled(tmp_path_factory):
    """Folder of 200 labelled images and their `labels.tsv`."""
    folder = tmp_path_factory.mktemp("labelled")
    with zipfile.ZipFile(FIXTURES / "rendered_words.zip") as archive:
        archive.extractall(folder)
    names = sorted(path.name for path in folder.iterdir())
    texts = json.loads((FIXTURES / "readings.json").read_text())["labels"]
    rows = zip(names, texts, strict=True)
    (folder / "labels.tsv").write_text("".join(f"{name}\t{text}\n" for name, text in rows))
    return folder


@pytest.fixture
def run(capsys):
    """Function that runs a command line in this process: `(exit code, stdout, stderr)`."""

    def run(*words):
        capsys.readouterr()
        code = cli.main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run


def refused(run, *words):
    """What stderr says about a command line that does nothing: one line, after its mark."""
    code, output, errors = run(*words)
    assert (code, output) == (UNUSABLE, "")
    assert len(errors.splitlines()) == 1
    mark, found, message = errors.partition("crnn-keras: error: ")
    assert (mark, found) == ("", "crnn-keras: error: ")
    return message


# ---- help, errors, exit codes ----------------------------------------------------------------


def test_the_main_help_lists_the_commands_and_the_exit_codes(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for word in (*COMMANDS, "stdout", "stderr", "example:"):
        assert word in text
    listed = set(map(int, re.findall(r"^  (\d+)  ", text, re.MULTILINE)))
    assert listed == {DONE, SOME_UNUSABLE, UNUSABLE, INTERRUPTED}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_a_help_with_an_example_that_parses(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    text = capsys.readouterr().out
    examples = re.findall(rf"^  (?:.*\| )?crnn-keras {command}(.*)$", text, re.MULTILINE)
    assert examples
    for line in examples:
        make_parser().parse_args([command, *line.replace("'", "").split()])
    assert max(map(len, text.splitlines())) <= 110


def test_the_commands_of_the_parser_are_those_that_are_tested():
    (commands,) = (a for a in make_parser()._actions if a.choices and not a.option_strings)
    assert set(commands.choices) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_that_a_command_does_not_have_is_refused(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--no-such-option", "1"])
    assert ended.value.code == UNUSABLE
    *_, line = capsys.readouterr().err.splitlines()
    assert "error:" in line and ("--no-such-option" in line or "are required" in line)


@pytest.mark.parametrize("words", [[], ["reed"], ["read"], ["train", "--epochs", "x"]])
def test_a_wrong_command_line_is_refused(words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == UNUSABLE
    assert "usage: crnn-keras" in capsys.readouterr().err


def test_a_traceback_is_shown_on_request(folder):
    words = ["--show-traceback", "read", "crops", "--model", "no_such.onnx"]
    with pytest.raises(ValueError, match="no_such.onnx"):
        cli.main(words)


def test_ctrl_c_ends_with_the_code_of_a_shell(run, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("crnn_keras.cli.read.find_images", interrupt)
    code, _, errors = run("read", "x.png")
    assert code == INTERRUPTED and "Traceback" not in errors


@pytest.mark.parametrize("command", ["prepare", "train", "evaluate", "walkthrough"])
def test_a_run_is_refused_by_its_name_before_anything_is_written(run, folder, command):
    assert "'../x'" in refused(run, command, "--run", "../x")
    assert sorted(path.name for path in folder.iterdir()) == ["crops"]
    assert not (folder.parent / "x").exists()


# ---- read ------------------------------------------------------------------------------------


def test_read_prints_a_table(run, folder):
    code, output, errors = run("read", "crops/exit.png", "crops/market.jpg")
    header, *rows = [line.split() for line in output.splitlines()]
    assert (code, errors) == (DONE, "")
    assert header == ["file", "text", "confidence"]
    assert [row[:2] for row in rows] == [["crops/exit.png", "exit"], ["crops/market.jpg", "market"]]
    assert all(float(row[2].rstrip("%")) > 90 for row in rows)


@pytest.mark.parametrize("images", [["crops"], ["crops/*"], ["**/*.png", "**/*.jpg"]])
def test_read_takes_folders_and_patterns(run, folder, images):
    (folder / "crops" / "notes.txt").write_text("no image")
    (folder / "crops" / "below").mkdir()
    code, output, _ = run("read", *images, "--jsonl", "-")
    files = [json.loads(line)["file"] for line in output.splitlines()]
    assert [pathlib.Path(file).name for file in files if file.endswith("g")] == [
        "exit.png",
        "market.jpg",
    ]


def test_a_file_is_taken_by_its_name_even_if_that_is_a_pattern(run, folder):
    shutil.copy("crops/exit.png", "[1].png")
    code, output, _ = run("read", "[1].png")
    assert code == DONE and output.splitlines()[1].split()[:2] == ["[1].png", "exit"]


def test_read_writes_csv(run, folder):
    (folder / "broken.png").write_bytes(b"no image")
    code, output, errors = run("read", "crops", "broken.png", "--csv", "texts.csv")
    assert (code, output) == (SOME_UNUSABLE, "")
    rows = list(csv.DictReader((folder / "texts.csv").open(encoding="utf-8", newline="")))
    assert [row["text"] for row in rows] == ["exit", "market", ""]
    assert [bool(row["error"]) for row in rows] == [False, False, True]
    assert 0.9 < float(rows[0]["confidence"]) <= 1
    assert "broken.png" in errors and "1 of 3" in errors


def test_read_writes_json_lines(run, folder):
    code, output, _ = run("read", "crops/exit.png", "--jsonl", "-")
    row = json.loads(output)
    assert code == DONE
    assert (row["file"], row["text"], row["error"]) == ("crops/exit.png", "exit", None)
    assert 0 < row["raw_confidence"] <= 1 and len(row["spans"]) == 4


def test_a_written_file_is_the_earlier_one_until_it_is_complete(run, folder, monkeypatch):
    (folder / "texts.csv").write_text("earlier")

    def fail(*_, **__):
        yield from ()
        raise OSError("the disk is gone")

    monkeypatch.setattr("crnn_keras.inference.base.BaseRecognizer.stream", fail)
    assert "the disk is gone" in refused(run, "read", "crops", "--csv", "texts.csv")
    assert (folder / "texts.csv").read_text() == "earlier"


def test_unreadable_images_are_rows_and_the_others_are_read(run, folder):
    (folder / "crops" / "bad.png").write_bytes(b"no image")
    code, output, errors = run("read", "crops", "missing.png")
    assert code == SOME_UNUSABLE
    rows = [line.split() for line in output.splitlines()[1:]]
    assert [row[0] for row in rows] == [
        "crops/bad.png",
        "crops/exit.png",
        "crops/market.jpg",
        "missing.png",
    ]
    assert [len(row) for row in rows] == [1, 3, 3, 1]
    lines = errors.splitlines()
    assert [line.split()[0] for line in lines] == ["crops/bad.png", "missing.png", "2"]


@pytest.mark.parametrize(
    ("images", "reasons"),
    [
        (["missing.png"], ["missing.png does not exist"]),
        (["*.tif", "missing/"], ["no file is like *.tif", "missing/ does not exist"]),
        (["empty"], ["the folder empty holds none"]),
    ],
)
def test_no_image_at_all_is_an_error(run, folder, images, reasons):
    (folder / "empty").mkdir()
    message = refused(run, "read", *images)
    assert all(reason in message for reason in reasons)


@pytest.mark.parametrize(
    ("listed", "files"),
    [
        ("crops/exit.png\ncrops/market.jpg\n", ["crops/exit.png", "crops/market.jpg"]),
        ("crops\r\n\r\n", ["crops/exit.png", "crops/market.jpg"]),
        ("crops/*.png", ["crops/exit.png"]),
        ("a name  .png\nnone.png", ["a name  .png", "none.png"]),
    ],
)
def test_read_takes_a_list_on_stdin(folder, listed, files):
    shutil.copy("crops/exit.png", "a name  .png")
    (folder / "list.txt").write_bytes(listed.encode())
    done = shell("crnn-keras read - --jsonl - < list.txt")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["file"] for row in rows] == files
    assert done.returncode == (SOME_UNUSABLE if "none.png" in files else DONE)


def test_a_list_on_stdin_stands_among_other_images(folder):
    done = shell("printf '%b' 'crops/caf\\0351.png\\n' | crnn-keras read crops/market.jpg - crops")
    assert done.returncode == SOME_UNUSABLE
    first, second, *rest = [line.split()[:2] for line in done.stdout.decode().splitlines()[1:]]
    assert first == ["crops/market.jpg", "market"] and second == [r"crops/caf\udce9.png"]
    assert [row[1] for row in rest] == ["exit", "market"]


@pytest.mark.parametrize("stdin", ["< /dev/null", "<&-"])
def test_an_empty_list_is_an_error(folder, stdin):
    done = shell(f"crnn-keras read - {stdin}")
    assert done.returncode == UNUSABLE and done.stdout == b""
    assert b"there is no image: the list on stdin" in done.stderr


def test_read_lists_only_what_is_sure_enough(run, folder):
    code, output, errors = run("read", "crops", "--min-confidence", "1")
    assert code == DONE and len(output.splitlines()) == 1
    assert "2 of 2" in errors and "below 1" in errors


def test_read_with_a_lexicon(run, folder):
    (folder / "words.txt").write_text("Exits\nMarkets\n\n")
    options = ["--lexicon", "words.txt", "--delta", "1", "--jsonl", "-"]
    _, output, _ = run("read", "crops", *options)
    rows = [json.loads(line) for line in output.splitlines()]
    assert [row["text"] for row in rows] == ["exits", "markets"]
    assert [row["raw_text"] for row in rows] == ["exit", "market"]


def test_an_empty_lexicon_and_a_delta_without_one_are_refused(run, folder):
    (folder / "words.txt").write_text("\n")
    assert "words.txt" in refused(run, "read", "crops", "--lexicon", "words.txt")
    assert "--lexicon" in refused(run, "read", "crops", "--delta", "1")


def rows_of(run, *words):
    code, output, errors = run("read", "crops", "--jsonl", "-", *words)
    assert (code, errors) == (DONE, "")
    return [json.loads(line) for line in output.splitlines()]


def test_read_with_a_pattern_or_allowed_characters(run, folder):
    rows = rows_of(run, "--pattern", r"\w{4}|m\w{4}t")
    assert [row["text"] for row in rows] == ["exit", "market"]
    exit_row, market = rows_of(run, "--pattern", "[a-z]{5}")
    assert len(exit_row["text"]) == len(market["text"]) == 5
    assert set(rows_of(run, "--allow", "exmark")[0]["text"]) <= set("exmark")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--pattern", "(a", "'(a'"),
        ("--pattern", "é", "'é'"),
        ("--pattern", "", "empty text only"),
        ("--allow", "aé", "'é'"),
        ("--allow", "", "characters to allow"),
        ("--language-model", "none.npz", "none.npz"),
    ],
)
def test_a_pattern_that_cannot_be_is_refused_in_one_line(run, folder, option, value, message):
    assert message in refused(run, "read", "crops", option, value)


@pytest.mark.parametrize(
    "options",
    [
        ["--allow", "a", "--pattern", "a"],
        ["--language-model", "a.npz", "--no-language-model"],
    ],
)
def test_options_that_exclude_each_other_are_refused(folder, capsys, options):
    with pytest.raises(SystemExit) as ended:
        cli.main(["read", "crops", *options])
    assert ended.value.code == UNUSABLE
    assert "not allowed with" in capsys.readouterr().err


def test_a_pattern_that_fits_no_image_is_an_error_of_each_image(run, folder):
    code, output, errors = run("read", "crops", "--pattern", "a{99}", "--csv", "-")
    assert code == SOME_UNUSABLE and "2 of 2" in errors
    rows = list(csv.DictReader(output.splitlines()))
    assert [row["text"] for row in rows] == ["", ""]
    assert all("'a{99}'" in row["error"] for row in rows)


def test_alternatives_and_boxes_are_columns_only_where_they_are_asked_for(run, folder):
    for row in rows_of(run):
        assert not {"alternatives", "boxes"} & row.keys()
    for row in rows_of(run, "--alternatives", "3", "--boxes"):
        texts, chances = zip(*row["alternatives"], strict=True)
        assert len(texts) == 3 and (texts[0], chances[0]) == (row["text"], row["confidence"])
        assert list(chances) == sorted(chances, reverse=True)
        assert "".join(box["character"] for box in row["boxes"]) == row["text"]
        edges = [(box["left"], box["right"]) for box in row["boxes"]]
        assert edges == sorted(edges) and all(left < right for left, right in edges)
        assert all(0 < box["probability"] <= 1 and box["top"] == 0 for box in row["boxes"])


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], []),
        (["--alternatives", "2"], ["alternatives"]),
        (["--boxes"], ["boxes"]),
        (["--boxes", "--alternatives", "2"], ["alternatives", "boxes"]),
    ],
)
def test_alternatives_and_boxes_are_json_in_csv(run, folder, options, names):
    (folder / "crops" / "bad.png").write_bytes(b"no image")
    _, output, _ = run("read", "crops", "--csv", "-", *options)
    bad, *rows = csv.DictReader(output.splitlines())
    assert list(bad) == ["file", "text", "confidence", "error", *names]
    assert [json.loads(bad[name]) for name in names] == [[] for _ in names]
    for row in rows:
        if "alternatives" in names:
            ((text, chance), _) = json.loads(row["alternatives"])
            assert text == row["text"] and f"{chance:.4f}" == row["confidence"]
        if "boxes" in names:
            boxes = json.loads(row["boxes"])
            assert [box["character"] for box in boxes] == list(row["text"])


@pytest.mark.parametrize("option", [["--boxes"], ["--alternatives", "2"]])
def test_what_is_not_in_the_table_is_not_asked_for_without_a_file(run, folder, option):
    assert option[0] in refused(run, "read", "crops", *option)


def test_read_with_test_time_views_gives_texts_too(run, folder):
    code, output, _ = run("read", "crops", "--tta-views", "3", "--csv", "-")
    assert code == DONE and [row[1] for row in csv.reader(output.splitlines())][1:] == [
        "exit",
        "market",
    ]


@pytest.mark.parametrize("model", ["no_such", "no_such.onnx", "no_such.keras"])
def test_an_unknown_model_is_refused_by_name(run, folder, model):
    assert model in refused(run, "read", "crops", "--model", model)


def test_a_damaged_model_is_refused_in_one_line(run, folder):
    (folder / "bad.onnx").write_bytes(b"no model")
    assert "bad.onnx" in refused(run, "read", "crops", "--model", "bad.onnx")


def test_a_keras_file_reads_the_same(run, folder):
    shutil.copy(ROOT / "crnn_keras" / "readers" / "words.keras", "mine.keras")
    code, output, _ = run("read", "crops", "--model", "mine.keras", "--csv", "-")
    assert code == DONE
    assert [row[1] for row in csv.reader(output.splitlines())][1:] == ["exit", "market"]


def run_script(*words, code=DONE, **options):
    done = subprocess.run([SCRIPT, *words], capture_output=True, text=True, **options)
    assert done.returncode == code, done.stderr
    return done


def test_the_script_reads_without_keras(folder):
    run_script("--version")
    code = "import sys; from crnn_keras.cli import main; main(['read', 'crops'])\n"
    code += "print(*(m for m in ('keras', 'tensorflow', 'pandas') if m in sys.modules), sep='!')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "" and done.stderr == ""


def test_whoever_closes_stdout_early_sees_no_traceback(folder):
    command = f"'{SCRIPT}' read {'crops ' * 500} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["file", "text", "confidence"] and "Traceback" not in done.stderr


# ---- streams and machines of any kind ---------------------------------------------------------


def shell(command, **variables):
    """Runs a line of a shell, with other variables of the environment."""
    own = ("LANG", "PYTHONUNBUFFERED")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    return subprocess.run(
        command.replace("crnn-keras", f"'{SCRIPT}'", 1),
        shell=True,
        capture_output=True,
        env=environment | {"CUDA_VISIBLE_DEVICES": ""} | variables,
    )


ENCODINGS = [{"PYTHONIOENCODING": name} for name in ("ascii", "cp1252")]
ENCODINGS += [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"LC_ALL": "C"}]


@pytest.mark.parametrize("variables", ENCODINGS, ids=str)
def test_every_row_is_printed_whatever_the_encoding_of_stdout(folder, variables):
    (folder / "crops" / "exit.png").rename(folder / "crops" / "文字é.png")
    (folder / "crops" / "坏.png").write_bytes(b"no image")
    for option in ("", "--csv -", "--jsonl -"):
        done = shell(f"crnn-keras read crops {option}", **variables)
        assert done.returncode == SOME_UNUSABLE and b"Traceback" not in done.stderr
        lines = done.stdout.strip().split(b"\n")
        assert len(lines) == 4 - ("jsonl" in option)
        if "jsonl" in option:
            files = [pathlib.Path(row["file"]).name for row in map(json.loads, lines)]
            # Where names of files are no UTF-8, their bytes are kept.
            files = {name.encode("utf-8", "surrogateescape").decode() for name in files}
            assert files == {"文字é.png", "坏.png", "market.jpg"}


def test_labels_of_any_script_are_checked_in_ascii(folder, labelled):
    rows = (labelled / "labels.tsv").read_text() + "缺.png\t市场\n"
    (folder / "标签.tsv").write_text(rows, encoding="utf-8")
    command = f"crnn-keras check 标签.tsv --images-folder '{labelled}'"
    done = shell(command, PYTHONIOENCODING="ascii")
    assert done.returncode == SOME_UNUSABLE and b"Traceback" not in done.stderr
    assert b"missing file" in done.stdout and (folder / "data_check.html").is_file()


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_a_closed_stream_gets_nothing_and_no_file_gets_its_text(folder, streams):
    done = shell(f"crnn-keras read crops --csv out.csv {streams}")
    assert (done.returncode, done.stdout, done.stderr) == (DONE, b"", b"")
    texts = [row[1] for row in csv.reader((folder / "out.csv").read_text().splitlines())]
    assert texts == ["text", "exit", "market"]


def test_a_full_disk_behind_stdout_is_an_error_of_one_line(folder):
    done = shell("crnn-keras read crops > /dev/full")
    assert done.returncode == UNUSABLE and len(done.stderr.splitlines()) == 1
    assert shell("crnn-keras read missing.png 2> /dev/full").returncode == UNUSABLE


@pytest.mark.parametrize("words", ["--help", "read --help", "read crops --csv -"])
def test_a_reader_that_has_read_enough_ends_the_command(folder, words):
    for variables in ({}, {"PYTHONUNBUFFERED": "1"}):
        done = shell(f"crnn-keras {words} | true", **variables)
        assert (done.returncode, done.stderr) == (DONE, b"")


def test_names_cannot_command_the_terminal(run, folder, labelled):
    name = "a\x1b[31m\nb\u202e.png"
    shutil.copy(folder / "crops" / "exit.png", folder / name)
    (folder / "c\x1b]0;x\x07.png").write_bytes(b"no image")
    code, output, errors = run("read", ".")
    assert code == SOME_UNUSABLE and len(output.splitlines()) == 3
    assert r"a\x1b[31m\nb\u202e.png" in output and r"c\x1b]0;x\x07.png" in errors
    rows = (labelled / "labels.tsv").read_text()
    (labelled / "bad.tsv").write_text(f"{rows}../\x1b[2J.png\tx\n1.jpg\t\x1b[2J\n")
    _, checked, said = run("check", labelled / "bad.tsv")
    message = refused(run, "read", "no\x1b[2J.png")
    for text in (output, errors, checked, said, message):
        assert "\x1b" not in text and "\u202e" not in text


def test_a_name_that_is_no_unicode_is_read_and_written(run, folder):
    name = os.fsencode(folder / "crops" / "bad") + b"\xff.png"
    os.rename(folder / "crops" / "exit.png", name)
    assert run("read", "crops", "--csv", "out.csv")[0] == DONE
    assert r"bad\udcff.png,exit" in (folder / "out.csv").read_text()
    assert r"bad\udcff.png" in run("read", "crops")[1]


def test_what_cannot_be_written_is_named(run, folder, labelled):
    (folder / "taken").write_text("a file, no folder")
    assert "taken" in refused(run, "read", "crops", "--csv", "taken/out.csv")
    code, output, errors = run("check", labelled / "labels.tsv", "--page", "taken/page.html")
    assert code == UNUSABLE and "taken" in errors.splitlines()[-1]
    # The tables of the check are there all the same.
    assert re.search(r"train +\d+", output)


def test_without_a_home_images_are_read(folder):
    done = shell("crnn-keras read crops", HOME="/proc/none", XDG_CACHE_HOME="/proc/none")
    assert done.returncode == DONE and b"exit" in done.stdout


NUMBERS = [
    ("read", "x.png", "--batch-size", "0"),
    ("read", "x.png", "--batch-size", "1.5"),
    ("read", "x.png", "--min-confidence", "2"),
    ("read", "x.png", "--min-confidence", "nan"),
    ("read", "x.png", "--tta-views", "2"),
    ("read", "x.png", "--delta", "-1"),
    ("read", "x.png", "--alternatives", "-1"),
    ("read", "x.png", "--alternatives", "1.5"),
    ("check", "x.tsv", "--validation-split", "1.1"),
    ("check", "x.tsv", "--seed", "-1"),
    ("check", "x.tsv", "--canvas-width", "0"),
    ("prepare", "--words", "-1"),
    ("prepare", "--words", "0"),
    ("prepare", "--processes", "0"),
    ("prepare", "x.tsv", "--test-split", "-0.1"),
    ("train", "--epochs", "0"),
    ("train", "--epochs", "many"),
    ("train", "--steps-per-epoch", "-1"),
    ("train", "--batch-size", "-64"),
    ("train", "--learning-rate", "0"),
    ("train", "--learning-rate", "inf"),
    ("train", "--augment", "1.5"),
    ("train", "--seed", "-1"),
    ("evaluate", "--tta-views", "4"),
    ("export", "words", "x", "--version", "0"),
    ("language-model", "x.txt", "--output", "x.npz", "--order", "0"),
    ("language-model", "x.txt", "--output", "x.npz", "--max-ngrams", "1.5"),
    ("language-model", "x.txt", "--output", "x.npz", "--codes", "1"),
    ("language-model", "x.txt", "--output", "x.npz", "--weight", "-1"),
    ("language-model", "x.txt", "--output", "x.npz", "--length-bonus", "nan"),
    ("language-model", "x.txt", "--output", "x.npz", "--threshold", "2"),
    ("launch", "--local-processes", "0", "x.py"),
    ("launch", "--first-rank", "-1", "x.py"),
]


@pytest.mark.parametrize("words", NUMBERS, ids=" ".join)
def test_a_number_that_makes_no_sense_is_refused_by_its_option(folder, capsys, words):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == UNUSABLE
    pairs = [pair for pair in itertools.pairwise(words) if pair[0].startswith("--")]
    option, value = next(pair for pair in pairs if pair[0] != "--output")
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {option}:" in line and value in line
    assert sorted(path.name for path in folder.iterdir()) == ["crops"]


def test_splits_that_leave_nothing_to_train_on_are_refused(run, folder):
    message = refused(run, "prepare", "--validation-split", "0.6", "--test-split", "0.4")
    assert "--validation-split 0.6" in message and "--test-split 0.4" in message


# ---- check -----------------------------------------------------------------------------------


def test_check_prints_its_tables_and_writes_a_page(run, folder, labelled):
    code, output, errors = run("check", labelled / "labels.tsv", "--page", "page/check.html")
    assert code == DONE
    assert re.search(r"train +\d+", output) and "labels.tsv" in errors
    assert (folder / "page" / "check.html").is_file()


def test_check_ends_with_1_where_rows_cannot_be_used(run, folder, labelled):
    rows = (labelled / "labels.tsv").read_text() + "missing.jpg\tgone\n"
    (folder / "labels.tsv").write_text(rows)
    code, output, _ = run("check", "labels.tsv", "--images-folder", labelled)
    assert code == SOME_UNUSABLE and "missing file" in output
    assert (folder / "data_check.html").is_file()


def test_check_refuses_labels_that_are_not_there(run, folder):
    assert "no_such.tsv" in refused(run, "check", "no_such.tsv")


# ---- prepare, train, evaluate, export ----------------------------------------------------------


def test_prepare_writes_records_of_labels(run, folder, labelled):
    code, output, _ = run("prepare", labelled / "labels.tsv", "--run", "mine")
    assert code == DONE
    sizes = dict(re.findall(r"(\w+): (\d+) records", output))
    assert sum(map(int, sizes.values())) == 200
    for name in ("train", "validation", "test"):
        assert (folder / "data" / "mine" / "records" / name / "set.json").is_file()
    assert (folder / "data" / "mine" / "char_dict.json").is_file()
    assert (folder / "reports" / "mine" / "data_check.html").is_file()
    assert run("prepare", labelled / "labels.tsv", "--run", "mine")[1] == output


def test_prepare_lists_an_lmdb_but_does_not_copy_it(run, folder):
    from crnn_keras import Recipe, open_records
    from crnn_keras.data import lmdb_folder
    from crnn_keras.synth import Style, bundled_fonts

    renderer = Recipe(fonts=bundled_fonts(), style=Style.plain()).open()
    samples = [renderer.sample(index) for index in range(30)]
    lmdb_folder.write_lmdb(folder / "train_lmdb", samples[:20])
    lmdb_folder.write_lmdb(folder / "test_lmdb", samples[20:])
    options = ["--test-labels", "test_lmdb", "--validation-split", "0.3", "--run", "mine"]
    code, output, _ = run("prepare", "train_lmdb", *options)
    assert code == DONE
    sizes = {name: int(size) for name, size in re.findall(r"(\w+): (\d+) records", output)}
    assert sizes["train"] + sizes["validation"] == 20 and sizes["test"] == 10
    records = folder / "data" / "mine" / "records" / "test"
    assert not list(records.glob("*.tfrecord"))
    assert [r.encoded for r in open_records(records)] == [image for image, _ in samples[20:]]


def test_prepare_renders_words(run, folder):
    code, output, _ = run("prepare", "--words", "60", "--seed", "3")
    assert code == DONE and "train: 48 records" in output
    content = json.loads((folder / "data/mine/char_dict.json").read_text())
    assert "a" in json.dumps(content)


def test_prepare_writes_the_set_of_a_specification(run, folder, labelled):
    from crnn_keras import Canvas, CharDict, Recipe, synth
    from crnn_keras.data.build import RenderedSource, Specification

    source = RenderedSource(Recipe(fonts=tuple(synth.bundled_fonts())), 12)
    char_dict = CharDict.from_preset("alphanumeric36")
    Specification(source, char_dict, Canvas()).save("train.json")
    code, output, _ = run("prepare", "--specification", "train.json", "--folder", "train")
    assert code == DONE and "12 records in 1 shards" in output
    assert (folder / "train" / "set.json").is_file()


def test_options_of_a_specification_are_refused_without_it(run, folder):
    assert "--specification" in refused(run, "prepare", "--folder", "x")
    assert "--folder" in refused(run, "prepare", "--specification", "x.json")
    assert "x.json" in refused(run, "prepare", "--specification", "x.json", "--folder", "y")


def test_training_without_records_is_refused_by_their_folder(run, folder):
    assert "data/mine/records" in refused(run, "train")


def test_evaluate_measures_a_shipped_model(run, folder, labelled):
    words = ["evaluate", labelled / "labels.tsv", "--model", "words", "--json"]
    code, output, _ = run(*words, "--protocol", "alphanumeric")
    summary = json.loads(output)
    assert code == DONE and summary["images"] == 200
    assert summary["word_accuracy"] > 0.7 and 0 < summary["cer"] < 0.2
    assert "word accuracy" in run("evaluate", labelled / "labels.tsv", "--model", "words")[1]


def test_evaluate_names_the_rows_that_it_skips(run, folder, labelled):
    content = (labelled / "labels.tsv").read_text()
    (labelled / "some.tsv").write_text(content + "images/none.png\t\n")
    words = ["evaluate", labelled / "some.tsv", "--model", "words", "--json"]
    code, output, errors = run(*words)
    assert code == SOME_UNUSABLE and json.loads(output)["images"] == 200
    assert "some.tsv, line 201" in errors and "1 skipped" in errors


def test_evaluate_without_a_trained_model_is_refused(run, folder):
    assert "data/mine/train/model.keras" in refused(run, "evaluate")


def test_a_training_that_can_teach_nothing_says_so_with_numbers():
    from crnn_keras.training.start import find_short_training

    said = find_short_training("small", 60, steps=4, batch=64)
    assert "60 images in 4 steps of 64" in said and "crnn-keras fine-tune" in said
    assert find_short_training("deep", 5000, steps=400, batch=64)
    # The walkthrough, 900 captchas in 1,800 steps of 32 (99 % correct), and fine-tuning.
    assert not find_short_training("small", 37_600, steps=2352, batch=64)
    assert not find_short_training("small", 900, steps=1800, batch=32)
    assert not find_short_training("words", 60, steps=25, batch=64)


@pytest.mark.slow
def test_labels_become_a_trained_measured_and_exported_model(run, folder, labelled):
    labels = labelled / "labels.tsv"
    run("prepare", labels, "--characters", "alphanumeric36", "--canvas-width", "128")
    words = ["train", "--start", "words", "--epochs", "1", "--batch-size", "16"]
    pytest.importorskip("tensorboard")
    options = ["--learning-rate", "0.0001", "--patience", "3", "--tensorboard"]
    code, output, errors = run(*words, *options)
    assert code == DONE
    header, row, model, curves = [line.split() for line in output.splitlines()]
    assert header[0] == "epoch" and float(row[header.index("word_accuracy")]) > 0.5
    assert model == ["model:", "data/mine/train/model.keras"]
    assert curves == ["curves:", "tensorboard", "--logdir", "reports/mine/tensorboard"]
    assert list((folder / "reports/mine/tensorboard").glob("events.*"))

    code, output, _ = run("evaluate", "--json")
    assert code == DONE and json.loads(output)["word_accuracy"] > 0.5
    (row,) = json.loads(run("runs", "--json")[1])
    assert (row["run"], row["records"], row["epochs"], row["planned"]) == ("mine", "own", 1, 1)
    assert row["test"] == json.loads(output)["word_accuracy"] and row["test_images"] > 0
    assert row["model"] == "data/mine/train/model.keras" and not row["measured"]

    code, output, _ = run("export", model[1], "mine.onnx")
    assert code == DONE and "mine.onnx" in output
    assert "exit" in run("read", "crops/exit.png", "--model", "mine.onnx")[1]


@pytest.mark.slow
def test_export_writes_a_saved_model(run, folder):
    code, output, _ = run("export", "words", "serving", "--format", "saved_model", "--version", "3")
    assert code == DONE and (folder / output.strip() / "saved_model.pb").is_file()


@pytest.mark.slow
def test_export_refuses_what_is_not_a_model(run, folder):
    (folder / "bad.keras").write_bytes(b"no model")
    assert "bad.keras" in refused(run, "export", "bad.keras", "x.onnx")


# ---- walkthrough and launch ------------------------------------------------------------------


def test_walkthrough_refuses_unknown_notebooks_and_parameters(run, folder):
    assert "99" in refused(run, "walkthrough", "--only", "99")
    message = refused(run, "walkthrough", "-p", "epoch", "5")
    assert "epoch." in message and "epochs" in message and "canvas_width" in message
    assert "epochs" in refused(run, "walkthrough", "-p", "epochs", "many")
    assert not (folder / "reports").exists()


PARAMETERS = "epochs: 3\nclean: true\ntext: '2015'\nlearning_rate: 0.01\n"


def test_parameters_are_given_in_the_forms_of_papermill(run, folder, monkeypatch):
    """As `papermill -f FILE -y YAML -p NAME VALUE`: what is nearer to the hand counts more."""
    passed = []

    def run_notebooks(name, parameters, only, *, notebooks):
        passed.append(parameters)
        return folder

    monkeypatch.setattr("crnn_keras.notebook.walkthrough.run_notebooks", run_notebooks)
    monkeypatch.setattr("crnn_keras.notebook.walkthrough.result_table", lambda _: [])
    (folder / "a.yaml").write_text(PARAMETERS)
    (folder / "b.json").write_text('{"epochs": 4, "words": [1, 2]}')
    words = ["-p", "text", "x", "-y", "{epochs: 5, clean: false}", "-f", "a.yaml", "-f", "b.json"]
    assert run("walkthrough", *words, "-p", "text", "y")[0] == DONE
    expected = {"epochs": 5, "clean": False, "text": "y", "learning_rate": 0.01, "words": [1, 2]}
    assert passed == [expected]
    run("walkthrough", "--parameters", "epochs", "2", "--parameters_yaml", "")
    assert passed[1] == {"epochs": "2"}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("-y", "epochs: [", "-y 'epochs: ['"),
        ("-y", "- 1", "list"),
        ("-y", "1: 2", "names"),
        ("-f", "bad.yaml", "bad.yaml"),
        ("-f", "none.yaml", "none.yaml"),
        ("-y", "epoch: 5", "epochs"),
    ],
)
def test_parameters_that_are_none_are_refused(run, folder, option, value, message):
    (folder / "bad.yaml").write_text("a: b: c")
    assert message in refused(run, "walkthrough", option, value)
    assert not (folder / "reports").exists()


@pytest.mark.notebooks
def test_walkthrough_runs_a_notebook_and_prints_where_its_page_is(run, folder):
    code, output, errors = run(
        "walkthrough", "--run", "lesson", "--only", "1", "-p", "text", "2015"
    )
    assert code == DONE
    assert output.split() == ["page", "reports/lesson/index.html"]
    assert "01_characters.ipynb" in errors
    results = json.loads((folder / "reports/lesson/results.json").read_text())
    assert results["01_characters"]["text"] == "2015"


@pytest.mark.slow
def test_launch_starts_a_script_in_each_process(folder):
    (folder / "script.py").write_text(
        "import os, pathlib, sys\n"
        "pathlib.Path(f'{os.getpid()}.out').write_text(' '.join(sys.argv[1:]))\n"
    )
    run_script("launch", "--local-processes", "2", "script.py", "--epochs", "4", cwd=folder)
    written = [path.read_text() for path in folder.glob("*.out")]
    assert written == ["--epochs 4"] * 2


@pytest.mark.slow
def test_launch_passes_on_the_exit_code_of_a_script(folder):
    (folder / "script.py").write_text("raise SystemExit(7)\n")
    run_script("launch", "--local-processes", "1", "script.py", code=7, cwd=folder)


def test_launch_refuses_numbers_that_do_not_fit(run, folder):
    assert "3" in refused(run, "launch", "--local-processes", "2", "--first-rank", "3", "script.py")


def test_check_names_the_bad_rows_of_a_set_that_is_too_small_to_split(run, folder):
    (folder / "few.csv").write_text('word.png,Hello, world\nword.png,word\nword.png,"\n')
    code, out, _ = run("check", "few.csv", "--characters", "labels")
    assert code == SOME_UNUSABLE
    rows = [line.split() for line in out.splitlines()]
    counts = {" ".join(row[1:3]): row for row in rows if row[:1] in (["error"], ["warning"])}
    assert counts["too many"][3:5] == ["columns", "1"]
    assert counts["quotation mark"][3:5] == ["missing", "1"]
    assert counts["empty split"][3] == "3"  # the third row names a file that is missing

"""`crnn-keras label`: options, errors, files, and how it goes on where it was."""

import json
import pathlib
import shutil
import signal
import subprocess
import sys
import urllib.request

import pytest

from crnn_keras import OnnxRecognizer, cli
from crnn_keras.data.labels import read_samples
from crnn_keras.labelling import LabelServer

ROOT = pathlib.Path(__file__).parent.parent
DONE, SOME_UNUSABLE, UNUSABLE = 0, 1, 2


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Working folder with the two crops of `examples/`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crops").mkdir()
    for name in ("exit.png", "market.jpg"):
        shutil.copy(ROOT / "examples" / name, tmp_path / "crops")
    return tmp_path


@pytest.fixture
def run(capsys, monkeypatch):
    """Function that runs a command line; instead of the page, `sit` decides in the session."""

    def run(*words, sit=lambda session: None):
        def serve(server):
            session = server._server.session
            session.join()
            sit(session)
            server._server.server_close()

        monkeypatch.setattr(LabelServer, "serve", serve)
        capsys.readouterr()
        code = cli.main(["label", "--no-browser", *map(str, words)])
        return code, *capsys.readouterr()

    return run


def index_of(session, name):
    return next(i for i, item in enumerate(session.items) if item.name == name)


def label_all(session):
    for index in range(len(session.items)):
        text = session.show("todo", index=index)["item"]["text"]
        session.decide(index, "label", text=text)


def texts(path, **options):
    return {pathlib.Path(s.image).name: s.text for s in read_samples(path, **options).samples}


def test_readings_are_accepted_and_the_next_sitting_goes_on(run, folder):
    def sit(session):
        item = session.show("todo", index=index_of(session, "exit.png"))["item"]
        assert item["text"] == "exit" and item["confidence"] > 0.9
        session.decide(item["index"], "label", text="Exit")

    code, output, errors = run("crops", sit=sit)
    first, last = output.splitlines()
    assert code == DONE and first.startswith("Label crops at http://127.0.0.1:")
    assert last.startswith(f"{folder.resolve()}/crops/labels.tsv: 1 labelled, 1 left")
    assert (folder / "crops/labels.tsv").read_text() == "exit.png\tExit\n"
    code, output, errors = run("crops", sit=label_all)
    assert "1 labelled, 1 left; it goes on" in errors and ": 2 labelled" in output
    assert texts(folder / "crops") == {"exit.png": "Exit", "market.jpg": "market"}


def test_images_that_cannot_be_used_are_named_and_the_code_says_so(run, folder):
    (folder / "crops/bad.png").write_bytes(b"no image")
    (folder / "crops/a\tb.png").write_bytes(b"")
    code, output, errors = run("crops")
    assert code == SOME_UNUSABLE
    assert "1 cannot be opened" in output and "2 left" in output
    assert "bad.png: " in errors and r"a\tb.png" in errors and "1 cannot be labelled" in errors


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (["absent"], "absent"),
        (["empty"], "empty"),
        (["crops", "--model", "absent.onnx"], "absent.onnx"),
        (["crops", "--model", "none", "--accept-above", "0.9"], "--model none"),
        (["labels.tsv", "--accept-above", "0.9"], "--accept-above"),
        (["labels.tsv", "--output", "labels.tsv"], "labels.tsv"),
        ([".", "--layout", "tsv", "--output", "labels.tsv"], "labels.tsv"),
        (["odd.tsv", "--text-column", "x", "--image-column", "y"], "odd.tsv"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(run, folder, words, fact):
    (folder / "empty").mkdir()
    (folder / "labels.tsv").write_text("crops/exit.png\texit\n")
    (folder / "odd.tsv").write_text("a\tb\nc\td\n")
    before = sorted(folder.rglob("*"))
    code, output, errors = run(*words)
    assert (code, output) == (UNUSABLE, "")
    assert len(errors.splitlines()) == 1 and fact in errors
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    "words", [["--port", "65536"], ["--port", "-1"], ["--accept-above", "1.1"], ["--format", "x"]]
)
def test_wrong_options_are_refused(folder, words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["label", "crops", *words])
    assert ended.value.code == UNUSABLE and words[0] in capsys.readouterr().err


def test_pseudo_labels_are_counted_marked_and_apart(run, folder):
    code, output, _ = run("crops", "--accept-above", "0.9")
    assert code == DONE and "0 labelled, 2 pseudo-labelled" in output
    pseudo = folder / "crops/labels.pseudo.tsv"
    assert texts(pseudo) == {"exit.png": "exit", "market.jpg": "market"}
    assert str(pseudo.resolve()) in output and not (folder / "crops/labels.tsv").exists()
    code, output, errors = run("crops")
    assert "2 pseudo-labelled" in errors
    pseudo.unlink()
    assert "pseudo-label" not in "".join(run("crops")[1:])


def test_a_reader_without_calibration_makes_no_pseudo_labels(run, folder, monkeypatch):
    load = OnnxRecognizer.load

    def load_plain(path):
        recognizer = load(path)
        recognizer.calibration = None
        return recognizer

    monkeypatch.setattr(OnnxRecognizer, "load", load_plain)
    code, _, errors = run("crops", "--accept-above", "0.9")
    assert code == UNUSABLE and "words has no calibration" in errors
    assert "crnn_keras.calibrate" in errors and "docs/guide.md" in errors
    assert not list((folder / "crops").glob("labels*"))


def test_without_a_model_the_fields_are_empty_and_the_order_is_by_name(run, folder):
    def sit(session):
        item = session.show("todo")["item"]
        assert (item["name"], item["text"], item["reading"]) == ("exit.png", "", None)

    assert run("crops", "--model", "none", sit=sit)[0] == DONE


@pytest.mark.parametrize(
    ("layout", "name"),
    [("pairs", ""), ("paddleocr", "rec_gt.txt"), ("label_studio", "label_studio.json")],
)
def test_labels_in_other_layouts(run, folder, layout, name):
    assert run("crops", "--format", layout)[0] == DONE
    assert sorted(p.name for p in (folder / "crops").iterdir()) == ["exit.png", "market.jpg"]
    assert run("crops", "--format", layout, sit=label_all)[0] == DONE
    found = texts(folder / "crops" / name, layout=layout)
    assert found == {"exit.png": "exit", "market.jpg": "market"}


def test_texts_of_others_beside_the_images_are_not_overwritten(run, folder):
    (folder / "crops/exit.gt.txt").write_text("theirs")
    code, _, errors = run("crops", "--format", "pairs", sit=label_all)
    assert code == UNUSABLE and "exit.gt.txt" in errors and "--layout pairs" in errors
    assert (folder / "crops/exit.gt.txt").read_text() == "theirs"
    assert "--layout pairs" in run("crops")[2]


def test_labels_elsewhere_are_named_from_the_images(run, folder):
    _, _, errors = run("crops", "--output", "out/mine.tsv", sit=label_all)
    assert "--images-folder crops" in errors
    found = texts(folder / "out/mine.tsv", images_folder=folder / "crops")
    assert found == {"exit.png": "exit", "market.jpg": "market"}
    run("crops", "--output", "mine.tsv", sit=label_all)
    assert [s.text for s in read_samples(folder / "mine.tsv").samples] == ["exit", "market"]


def test_labels_that_are_checked(run, folder):
    theirs = folder / "crops/theirs.tsv"
    theirs.write_text("exit.png\texist\nmarket.jpg\tMarket\n")

    def sit(session):
        first = session.show("todo")["item"]
        assert (first["name"], first["text"], first["reading"]) == ("exit.png", "exist", "exit")
        session.decide(first["index"], "label", text="exit")

    _, output, _ = run(theirs, sit=sit)
    assert "1 labelled, 1 left" in output
    assert texts(folder / "crops/theirs.checked.tsv") == {
        "exit.png": "exit",
        "market.jpg": "Market",
    }
    assert texts(theirs)["exit.png"] == "exist"
    _, _, errors = run(theirs)
    assert "1 labelled, 1 left; it goes on" in errors


def test_pairs_that_are_checked(run, folder):
    (folder / "crops/exit.gt.txt").write_text("exist")
    code, output, errors = run("crops", "--layout", "pairs", sit=label_all)
    assert code == SOME_UNUSABLE and "market.jpg" in errors
    assert texts(folder / "crops/labels.checked.tsv") == {"exit.png": "exist"}

    def mend(session):
        session.decide(0, "label", text="exit")

    run("crops", "--layout", "pairs", "--format", "pairs", sit=mend)
    assert (folder / "crops/exit.gt.txt").read_text() == "exit\n"


# ---- as a program ------------------------------------------------------------------------------


def start(*words):
    command = [
        sys.executable,
        "-c",
        "import sys; from crnn_keras.cli import main; sys.exit(main())",
    ]
    process = subprocess.Popen(
        [*command, "label", "crops", "--no-browser", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline().rpartition(" at ")[2].strip()


def ask(address, path, content=None):
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(address + path, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_it_ends_the_labels_are_there(folder, sign):
    process, address = start("--model", "none", "--format", "paddleocr")
    ask(address, "decide", {"index": 0, "action": "label", "text": "one"})
    process.send_signal(sign)
    output, errors = process.communicate(timeout=30)
    assert (folder / "crops/labels.tsv").read_text() == "exit.png\tone\n"
    if sign != signal.SIGKILL:
        assert process.returncode == DONE and ": 1 labelled, 1 left" in output
        assert (folder / "crops/rec_gt.txt").read_text() == "exit.png\tone\n"
        assert not list((folder / "crops").glob(".*"))


def test_a_second_program_is_told_who_labels_and_the_page_can_end_the_first(folder, run):
    process, address = start("--model", "none")
    code, output, errors = run("crops", "--model", "none")
    assert (code, output) == (UNUSABLE, "") and f"process {process.pid}" in errors
    assert ask(address, "finish", {})["counts"]["todo"] == 2
    assert process.wait(30) == DONE
    process.communicate()

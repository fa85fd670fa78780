"""The notebooks run in order on small data, every cell twice; lessons give their outputs exactly.

One walkthrough with small parameters executes each notebook once; the outputs of cells tagged
`nbval-check-output` are compared with the committed ones. `nbval` compares every output of the
lessons, which are exact. Notebook 02 runs once more, with labels, which it then writes.
"""

import copy
import json
import logging
import os
import pathlib
import re
import subprocess
import sys

import nbclient
import nbformat
import papermill
import PIL.Image
import pytest

from crnn_keras import cli
from crnn_keras.notebook import walkthrough
from crnn_keras.utils.progress import HEADLESS
from tools import open_anywhere

ROOT = pathlib.Path(__file__).parent.parent
LESSONS = ["01_characters", "03_model_and_ctc", "03b_decoding"]
RUNS = ["00_read_a_word", "02_prepare_data", "03c_when_ctc_fails", "04_train", "05_evaluate"]
RUNS += ["05b_confidence", "06_export_and_serve", "07_chinese", "08_teach_it_your_images"]
TRAINING = ["03c_when_ctc_fails", "08_teach_it_your_images"]
SMALL = {
    "words": 1200,
    "validation_split": 0.05,
    # Enough test images for the calibration in notebook 05b.
    "test_split": 0.2,
    "epochs": 2,
    "steps_per_epoch": 6,
    "images": 20,
    "lines": 400,
    "steps": 2,
    "round_images": 12,
    "curve_images": "8",
    "fresh_steps": 2,
}

pytestmark = pytest.mark.notebooks


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """An empty folder to run in, so that nothing is written to the project."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return tmp_path


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


@pytest.fixture
def doubled(tmp_path):
    """Folder of the notebooks with every cell of code twice, but for that of parameters.

    Lessons 03c and 08 train in most cells, and stay as they are.
    """
    folder = tmp_path / "doubled"
    folder.mkdir()
    for path in walkthrough.list_notebooks():
        notebook = read(path)
        if path.stem in TRAINING:
            nbformat.write(notebook, folder / path.name)
            continue
        again = [
            [cell, copy.deepcopy(cell)]
            if cell.cell_type == "code" and cell.metadata.get("tags") != ["parameters"]
            else [cell]
            for cell in notebook.cells
        ]
        notebook.cells = [cell for cells in again for cell in cells]
        for index, cell in enumerate(notebook.cells):
            cell.id = f"cell-{index}"
        nbformat.write(notebook, folder / path.name)
    return folder


def texts_of(cell):
    """What a cell printed, and the text of its result."""
    texts = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell.outputs]
    return "".join(texts)


def test_walkthrough_runs_every_cell_twice_and_ends_with_a_page(workspace, doubled, capsys):
    small = [word for name, value in SMALL.items() for word in ("-p", name, str(value))]
    options = ["--run", "small", "--notebooks", str(doubled)]
    assert cli.main(["walkthrough", *options, *small]) == 0
    reports = workspace / "reports" / "small"
    results = json.loads((reports / "results.json").read_text())
    assert sorted(results) == sorted(LESSONS + RUNS)
    assert results["02_prepare_data"]["test_records"] == 240
    assert results["02_prepare_data"]["trained_on"] == "1,200 rendered words"
    assert results["07_chinese"]["characters"] == 100
    assert results["04_train"]["steps"] == 12
    assert results["05_evaluate"]["images"] == results["05b_confidence"]["images"] == 240
    assert 0 <= results["05b_confidence"]["ece_calibrated"] <= 1
    assert results["06_export_and_serve"]["equal"] == 20
    assert results["08_teach_it_your_images"]["images"] == 200
    assert results["08_teach_it_your_images"]["rounds"] == 2

    table = capsys.readouterr().out
    for name in ("word accuracy", "character error rate", "images per second", "model", "page"):
        assert f"  {name} " in table
    page = (reports / "index.html").read_text()
    for name in LESSONS + RUNS:
        assert f'href="{name}.html"' in page
        assert (reports / f"{name}.html").is_file()
    for caption in ("Characters of the labels (1,200 of", "Images under their labels (1,200 of"):
        assert f"{caption} 1,200 rendered words)" in page
    assert "Canvases to train on (1,200 rendered words)" in page
    for figure in (reports / "figures").iterdir():
        assert f"figures/{figure.name}" in page
    assert (workspace / "data/small/export/reader/1/saved_model.pb").is_file()

    for name in RUNS:
        executed = {cell.source: texts_of(cell) for cell in code_cells(reports / f"{name}.ipynb")}
        for cell in code_cells(ROOT / "notebooks" / f"{name}.ipynb"):
            if "nbval-check-output" in cell.metadata.get("tags", []):
                assert executed[cell.source] == texts_of(cell), name


def test_lessons_give_their_committed_outputs(workspace):
    paths = []
    for name in LESSONS:
        paths.append(workspace / f"{name}.ipynb")
        paths[-1].write_bytes((ROOT / f"notebooks/{name}.ipynb").read_bytes())
    # Without the project's own settings; stderr holds what libraries say about themselves.
    (workspace / "pytest.ini").write_text("[pytest]\n")
    (workspace / "conftest.py").write_text(
        "def pytest_collectstart(collector):\n"
        "    if collector.fspath and collector.fspath.ext == '.ipynb':\n"
        "        collector.skip_compare += ('stderr',)\n"
    )
    options = ["-q", "-x", "-p", "no:cacheprovider", "--nbval", "--nbval-kernel-name=python3"]
    command = [sys.executable, "-m", "pytest", *options, *map(str, paths)]
    environment = os.environ | {HEADLESS: "1"}
    result = subprocess.run(command, cwd=workspace, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]


def test_own_labels_are_written_and_bad_rows_are_counted(workspace):
    from crnn_keras import render_word
    from crnn_keras.synth import bundled_fonts

    (workspace / "mine").mkdir()
    fonts = bundled_fonts()
    rows = ["name\tword"]
    for index in range(60):
        text = f"{index % 10}{index // 10}{index % 7}"
        image = render_word(text, fonts[index % len(fonts)], index=index)
        image.save(workspace / "mine" / f"{index}.png")
        rows.append(f"{index}.png\t{text}")
    rows += ["missing.png\t12", "../outside.png\t34", "0.png\t", "1.png\t1%", "2.png\t999"]
    (workspace / "mine" / "labels.tsv").write_text("\n".join(rows))
    parameters = {
        "labels": "mine/labels.tsv",
        "image_column": "name",
        "text_column": "word",
        "characters": "digits",
        "clean": True,
        "canvas_mode": "keep",
        "canvas_width": 100,
    }
    walkthrough.run_notebooks("mine", parameters, only=["02"])
    results = json.loads((workspace / "reports/mine/results.json").read_text())["02_prepare_data"]
    assert (results["checked"], results["rows_checked"]) == ("mine/labels.tsv", 65)
    assert results["trained_on"] == "mine/labels.tsv"
    assert results["rows_skipped"] == 4 and results["warnings"] >= 2
    sizes = [results[f"{split}_records"] for split in ("train", "validation", "test")]
    # Image 2 has two labels: both rows are dropped.
    assert sum(sizes) == 59 and min(sizes) >= 4
    reports = workspace / "reports/mine"
    # Nothing of the practice set and of rendered words.
    shown = "".join(map(texts_of, code_cells(reports / "02_prepare_data.ipynb")))
    page = (reports / "index.html").read_text() + (reports / "data_check.html").read_text()
    for word in ("practice", "rendered words"):
        assert word not in shown and word not in page
    assert not (workspace / "data/mine/practice").exists()
    assert "data check" in (reports / "data_check.html").read_text().lower()
    rows = [line.split("\t") for line in (reports / "issues.tsv").read_text().splitlines()]
    skipped = {kind: where for severity, kind, where, _ in rows if severity == "error"}
    kinds = ["empty label", "missing file", "path outside the folder", "unknown character"]
    assert sorted(skipped) == kinds
    assert all("labels.tsv, line 6" in where for where in skipped.values())


def executed_twice(path, parameters, count=None):
    """Texts of a notebook's code cells after a run in order, and after one in reversed order."""
    notebook = open_anywhere.remove(read(path))
    first, *cells = [cell for cell in notebook.cells if cell.cell_type == "code"][:count]
    injected = "# Parameters\n" + "".join(f"{n} = {v!r}\n" for n, v in parameters.items())
    given = [first, nbformat.v4.new_code_cell(injected)]
    notebook.cells = copy.deepcopy([*given, *cells, *reversed(cells), *reversed(given[1:])])
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index}"
        cell.outputs = []
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=300).execute()
    shown = [list(map(content_of, cell.outputs)) for cell in notebook.cells]
    half = shown[len(given) :]
    return half[: len(cells)], half[len(cells) : 2 * len(cells)][::-1]


def content_of(output):
    """What an output shows: text, or the bytes of an image."""
    data = dict(output.get("data", {"text": output.get("text", "")}))
    # The random id of a styled table, and the address of an object.
    return {kind: re.sub(r"T_[0-9a-f]{5}| at 0x[0-9a-f]+", "", str(data[kind])) for kind in data}


CHEAP = [("00_read_a_word", {}), ("01_characters", {"text": "book"}), ("03_model_and_ctc", {})]
CHEAP += [("03b_decoding", {})]


@pytest.mark.parametrize(("name", "parameters"), CHEAP, ids=[name for name, _ in CHEAP])
def test_cells_in_reversed_order_show_the_same(workspace, name, parameters):
    first, again = executed_twice(ROOT / f"notebooks/{name}.ipynb", parameters)
    assert first == again and sum(map(bool, first)) > 4


def write_labels(folder, header, row, count=40, encoding="utf-8"):
    """Images of a word each, and a file of labels whose rows a function makes."""
    from crnn_keras import render_word
    from crnn_keras.synth import bundled_fonts

    folder.mkdir()
    lines = [header] if header else []
    for index in range(count):
        text = ("keras", "market", "exit", "book")[index % 4]
        render_word(text, bundled_fonts()[11], index=index).save(folder / f"{index}.png")
        lines.append(row(f"{index}.png", text))
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding=encoding)
    return str(folder / "labels.csv")


def test_labels_are_read_again_by_the_same_columns(workspace):
    # Two columns could be the image, and two the text.
    labels = write_labels(
        workspace / "mine", "path,text,crop,word", lambda name, text: f"no.png,wrong,{name},{text}"
    )
    parameters = {"labels": labels, "layout": "csv", "characters": "labels"}
    parameters |= {"image_column": "crop", "text_column": "word"}
    parameters |= {"validation_split": 0.2, "test_split": 0.2}
    first, again = executed_twice(ROOT / "notebooks/02_prepare_data.ipynb", parameters, count=8)
    assert first == again and "40 rows: 40 usable" in str(first[-1])
    assert "40" in str(first[2]) and "no.png" not in str(first)
    # The check may advise to look for a wrong label.
    assert "wrong" not in str(first[:4])


@pytest.fixture
def run_cells(workspace):
    """Function that runs a notebook's cells in this process: `(namespace)`."""
    logger = logging.getLogger("crnn_keras")
    before = logger.handlers, logger.level, logger.propagate

    def run_cells(name, edit=lambda source: source, **parameters):
        first, *cells = code_cells(ROOT / f"notebooks/{name}.ipynb")
        names = {}
        exec(first.source, names)
        assert set(parameters) <= set(names)
        names.update({"run": "mine", **parameters})
        for cell in cells:
            exec(edit(cell.source), names)
        return names

    yield run_cells
    logger.handlers, logger.level, logger.propagate = before


def test_a_set_with_its_own_columns_and_encoding_is_measured(workspace, run_cells):
    labels = write_labels(
        workspace / "set a", "id,Text of it,crop", lambda n, t: f"é,{t},{n}", encoding="cp1252"
    )
    common = {"model": "words", "encoding": "cp1252"}
    columns = {"image_column": "2", "text_column": "1", "layout": "csv"}
    names = run_cells("05_evaluate", eval_labels=labels, **columns, **common)
    assert len(names["sources"]) == 40
    os.rename(labels, workspace / "labels.csv")
    columns = {"image_column": "crop", "text_column": "Text of it", "images_folder": "set a"}
    names = run_cells("05_evaluate", eval_labels="labels.csv", **columns, **common)
    assert names["report"].summary()["word_accuracy"] > 0.5


@pytest.mark.parametrize("count", [1, 3])
def test_a_set_of_a_few_images_is_measured_to_the_end(workspace, run_cells, count):
    labels = write_labels(workspace / "few", "", lambda n, t: f"{n},{t}", count=count)
    names = run_cells("05_evaluate", eval_labels=labels, model="words")
    assert len(names["opened"]) == len(names["report"].cases) == count
    if count == 1:
        names = run_cells("05b_confidence", eval_labels=labels, model="words")
        assert (names["opened"], names["enough"], names["reached"]) == ([0], False, False)
    wrong = (workspace / "few/labels.csv").read_text().replace(",", ",z")
    (workspace / "few/labels.csv").write_text(wrong)
    names = run_cells("05_evaluate", eval_labels=labels, model="words")
    assert names["report"].summary()["word_accuracy"] == 0


def test_images_that_cannot_be_read_are_named_and_the_others_measured(workspace, run_cells):
    labels = write_labels(workspace / "some", "", lambda n, t: f"{n},{t}", count=3)
    (workspace / "some" / "1.png").write_bytes(b"no image")
    names = run_cells("05_evaluate", eval_labels=labels, model="words")
    assert (names["failed"], names["opened"]) == (1, [0, 2])
    for index in range(3):
        (workspace / "some" / f"{index}.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"none of 3 images.*csv, line 1.*not an image"):
        run_cells("05_evaluate", eval_labels=labels, model="words")
    for index in range(3):
        (workspace / "some" / f"{index}.png").unlink()
    with pytest.raises(ValueError, match=r"some/labels\.csv"):
        run_cells("05_evaluate", eval_labels=labels, model="words")


NEEDS = [
    ("00_read_a_word", {"image": "missing.png"}, r"image = 'missing.png'.*does not exist"),
    ("00_read_a_word", {"image": "empty"}, "image = 'empty': there are no images"),
    ("00_read_a_word", {"image": "labels.tsv"}, r"labels\.tsv is not an image"),
    ("02_prepare_data", {"labels": "labels.tsv"}, r"labels\.tsv"),
    ("02_prepare_data", {"labels": "none.tsv"}, r"none\.tsv"),
    ("02_prepare_data", {"labels": "bad.tsv"}, r"bad\.tsv has no row.*bad\.tsv, line 1"),
    ("04_train", {}, "data/mine/records/train holds no records.*02_prepare_data"),
    ("04_train", {"records": "empty"}, "empty/train holds no records.*02_prepare_data"),
    ("05_evaluate", {}, r"data/mine/train/model\.keras does not exist.*04_train"),
    ("05_evaluate", {"model": "words"}, "data/mine/records/test holds no.*02_prepare_data"),
    ("05_evaluate", {"model": "words", "eval_labels": "labels.tsv"}, r"labels\.tsv"),
    ("05_evaluate", {"model": "words", "eval_labels": "bad.tsv"}, r"bad\.tsv"),
    ("05b_confidence", {}, r"data/mine/train/model\.keras does not exist.*04_train"),
    ("06_export_and_serve", {}, r"data/mine/train/model\.keras does not exist.*04_train"),
    ("08_teach_it_your_images", {"labels": "none.tsv"}, r"none\.tsv"),
    ("08_teach_it_your_images", {"labels": "bad.tsv"}, r"bad\.tsv"),
]


@pytest.mark.parametrize(
    ("name", "parameters", "fact"), NEEDS, ids=[f"{n}-{p}" for n, p, _ in NEEDS]
)
def test_without_anything_to_read_a_notebook_says_what_to_do(
    workspace, run_cells, name, parameters, fact
):
    (workspace / "empty").mkdir()
    (workspace / "labels.tsv").touch()
    (workspace / "bad.tsv").write_text("../a.png\tx\nb.png\t\n")
    with pytest.raises((ValueError, OSError), match=fact):
        run_cells(name, **parameters)
    assert not (workspace / "data").exists()


def test_a_blank_image_is_read_as_nothing(workspace, run_cells):
    PIL.Image.new("L", (100, 32), 255).save("blank.png")
    names = run_cells("00_read_a_word", image="blank.png")
    assert [prediction.text for prediction in names["predictions"]] == [""]


def test_the_exercises_of_notebook_04_can_be_done_as_written(workspace, run_cells, capsys):
    splits = {"validation_split": 0.2, "test_split": 0.2}
    run_cells("02_prepare_data", words=300, **splits)
    small = {"batch_size": 16, "steps_per_epoch": 2}
    names = run_cells("04_train", epochs=1, **small)
    assert "Too short a training: " in capsys.readouterr().out
    # Step 0, and the last one of the epoch.
    assert set(names["watched"].texts) == {0, 2} and len(names["words"]) == 8
    asked, answers = exercises("04_train")
    assert "`steps_per_epoch = 0`" in asked
    for name, value in {"run": "full", "records": "data/lesson/records"}.items():
        assert f'`{name} = "{value}"`' in answers
    with pytest.raises(ValueError, match="other settings:\\n  steps_per_epoch"):
        run_cells("04_train", epochs=1, **{**small, "steps_per_epoch": 0})
    for changed in ({"epochs": 2}, {"epochs": 1, "learning_rate": 0.001}):
        with pytest.raises(ValueError, match=f"other settings:\\n  {list(changed)[-1]}"):
            run_cells("04_train", **changed, **small)
    records = {"run": "longer", "records": "data/mine/records"}
    names = run_cells("04_train", epochs=2, **records, **small)
    assert len(names["history"]) == 2 and not (workspace / "data/longer/records").exists()
    # From what is learned, and in its own run, here with curves for TensorBoard.
    further = {"start": "data/mine/train/model.keras", "learning_rate": 0.001}
    records["run"] = "further"
    names = run_cells("04_train", epochs=1, **further, **records, **small)
    assert names["model"].origin_path == workspace / further["start"]
    endless = {"run": "endless", "records": records["records"], "schedule": "constant"}
    for epochs in (1, 2):
        names = run_cells("04_train", epochs=epochs, tensorboard=True, **endless, **small)
        assert len(names["history"]) == epochs
    assert len(list((workspace / "reports/endless/tensorboard").iterdir())) == 2
    names = run_cells("05_evaluate", **{**records, "run": "longer"})
    assert len(names["sources"]) == len(names["opened"]) > 0
    # The set of a finished training is not replaced without a word.
    capsys.readouterr()
    run_cells("02_prepare_data", words=200, **splits)
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith("data/mine/records/train: replaces")]
    assert "data/mine/train" in line


def exercises(name):
    """Text of the exercises of a notebook, and that of their answers."""
    cells = read(ROOT / f"notebooks/{name}.ipynb").cells
    (text,) = [c.source for c in cells if "<summary>Answers</summary>" in c.source]
    return text.split("<details>")


def test_the_exercises_of_notebook_02_can_be_done_as_written(workspace, run_cells, capsys):
    asked, answers = exercises("02_prepare_data")
    practice = {"run": "practice", "labels": "practice"}
    assert all(f'`{n} = "{v}"`' in asked for n, v in practice.items())
    names = run_cells("02_prepare_data", **practice)
    results = json.loads((workspace / "reports/practice/results.json").read_text())
    results = results["02_prepare_data"]
    assert (results["rows_checked"], results["rows_skipped"]) == (110, 7)
    assert "Seven of 110" in answers and len({i.kind for i in names["data_check"].skipped}) == 6
    (leak,) = [i for i in names["data_check"].warnings if i.kind == "leakage"]
    assert leak.where.endswith("train.tsv, line 41") and "line 41 of `train.tsv`" in answers
    assert (workspace / "reports/practice/figures/02_prepare_data_pairs.png").is_file()
    names = run_cells("02_prepare_data", run="lesson", words=120)
    shard = workspace / "data/lesson/records/train/00000.tfrecord"
    before = shard.read_bytes()
    damage = 'open("data/lesson/records/train/00000.tfrecord", "r+b").write(b"abcd")'
    assert damage in asked
    exec(damage, names)
    (section_5,) = [
        c.source
        for c in code_cells(ROOT / "notebooks/02_prepare_data.ipynb")
        if "prepare_samples(" in c.source
    ]
    capsys.readouterr()
    exec(section_5, names)
    assert shard.read_bytes() == before and str(shard.name) in capsys.readouterr().out
    keep = {"run": "keep", "canvas_mode": "keep", "canvas_width": 256}
    assert all(f'`{n} = "{v}"`' in asked or f"`{n} = {v}`" in asked for n, v in keep.items())
    assert run_cells("02_prepare_data", **keep, words=60)["canvas"].widths[-1] == 256
    look = 'look = {"fonts": bundled_fonts(), "style": Style.mild()}'
    new = 'look = {"fonts": find_fonts(), "style": Style()}'
    assert new in asked
    names = run_cells(
        "02_prepare_data",
        lambda source: source.replace(
            "import bundled_fonts", "import bundled_fonts, find_fonts"
        ).replace(look, new),
        run="signs",
        words=60,
    )
    assert names["recipe"].style == names["Style"]()


def test_the_exercises_of_notebook_03b_can_be_done_as_written(run_cells):
    asked, answers = exercises("03b_decoding")
    (sure,) = re.findall("`(probabilities = .+?)`", asked)
    (expression,) = re.findall('`(r".+?")`', asked)

    def edit(source):
        source = re.sub(r"probabilities = np\.array.*", lambda _: sure, source)
        source = source.replace(', "teaches"], recognizer', "], recognizer")
        return source.replace(r'Pattern(r"[a-z]{2}\d{4}"', f"Pattern({expression}")

    names = run_cells("03b_decoding", edit, run="lesson")
    chances = names["chances"]
    assert names["decoded"].text == max(chances, key=chances.get) == "at"
    assert (
        f"{chances['at']:.3f} and its path `a_t` alone {names['decoded'].confidence:.3f}" in answers
    )
    recognizer, subjects = names["recognizer"], names["subjects"]
    assert (names["by_list"].text, len(subjects)) == ("reads", 3)
    assert 1e-12 < names["by_list"].confidence < 1e-10
    (near,) = recognizer.read([names["blurred"]], language_model=None, lexicon=subjects, delta=2)
    assert near.text == "ceachas" and near.text in answers
    assert len(names["pattern"].accepting) == 8 and sum(names["pattern"].accepting) == 2
    assert f"to {names['matching'].confidence:.3f}" in answers


def test_the_exercises_of_notebooks_05_and_06_can_be_done_as_written(workspace, run_cells):
    names = run_cells("02_prepare_data", run="lesson", words=120, test_split=0.5)
    asked, answers = exercises("05_evaluate")
    shipped = {"run": "shipped", "records": "data/lesson/records", "model": "words"}
    shipped |= {"protocol": "alphanumeric"}
    assert all(f'`{name} = "{value}"`' in asked for name, value in shipped.items())
    names = run_cells("05_evaluate", **shipped)
    kept, measured = re.findall("`((?:kept|evaluate).*?)`", answers)
    exec(f"{kept}\nfewer = {measured}", names)
    assert len(names["fewer"].cases) < len(names["report"].cases)
    assert "`report.confusions.most_common(10)`" in asked
    asked, answers = exercises("06_export_and_serve")
    served, exported = re.findall("`((?:served\\(|export_onnx).*?)`", asked)
    common = {"model": "words", "records": "data/lesson/records", "images": 8}
    names = run_cells("06_export_and_serve", run="lesson", **common)
    exec(f'error = {served}["error"].numpy()[0].decode()\n{exported}', names)
    assert f"*{names['error']}*" in answers
    sizes = [
        (workspace / f"data/lesson/export/{n}.onnx").stat().st_size for n in ("reader", "small")
    ]
    assert 0.2 < sizes[1] / sizes[0] < 0.35
    run_cells("06_export_and_serve", run="lesson", version=2, **common)
    assert sorted(os.listdir(workspace / "data/lesson/export/reader")) == ["1", "2"]


def test_the_exercises_of_notebook_05b_can_be_done_as_written(workspace, run_cells, capsys):
    run_cells("02_prepare_data", run="lesson", words=450, test_split=0.5)
    asked, answers = exercises("05b_confidence")
    shipped = {"run": "shipped", "records": "data/lesson/records", "model": "words"}
    assert all(f'`{name} = "{value}"`' in asked for name, value in shipped.items())
    assert "`required = 0.999`" in asked
    names = run_cells("05b_confidence", **shipped, required=0.999)
    confidence, accuracy = re.findall(r"`(calibration\.\w+.*?)`", asked)
    (interval,) = re.findall(r"`(sure\.\w+)`", answers)
    exec(f"found = {confidence}, {accuracy}, {interval}", names)
    confidence, accuracy, (low, high) = names["found"]
    assert 0.8 < confidence < 1 and 0.8 < accuracy <= 1 and low < high
    assert list(names["selections"]) == ["90%", "95%", "99.9%"]
    # A shipped reader has a calibration of its own.
    assert list(names["calibration"].reliability()) == ["raw", "calibrated", "own"]
    results = json.loads((workspace / "reports/shipped/results.json").read_text())
    found = results["05b_confidence"]
    assert (found["required"], found["images"]) == (0.999, 225)
    assert 0.5 < found["coverage"] <= 1 and 0.9 < found["accuracy"] <= 1
    # Both hand-worked cells say that the package computes the same.
    assert capsys.readouterr().out.count("equal: True") == 2


def test_the_exercises_of_notebook_07_can_be_done_as_written(workspace, run_cells, capsys):
    small = {"lines": 200, "epochs": 1}
    run_cells("07_chinese", run="lesson", **small)
    asked, _ = exercises("07_chinese")
    (workspace / "texts.txt").write_text("我们在中国学习中文。今天天气很好，我要去学校。" * 20)
    todo = [
        {"run": "corpus", "dictionary": "", "corpus": "texts.txt", "size": 2000},
        {
            "run": "chinese_200",
            "size": 200,
            "start": "data/lesson/chinese/train/model.keras",
        },
    ]
    for parameters in todo:
        written = [f"`{n} = {json.dumps(value)}`" for n, value in parameters.items()]
        assert all(text in asked for text in written)
        capsys.readouterr()
        names = run_cells("07_chinese", **parameters, **small)
        assert names["report"].confusions.most_common(10)
    assert "100 characters stay, 100 are new, 0 are dropped" in capsys.readouterr().out


def test_own_images_are_taught_in_rounds(workspace, run_cells, capsys):
    labels = write_labels(workspace / "crops", "", lambda n, t: f"{n},{t}")
    rows = pathlib.Path(labels).read_text().splitlines(keepends=True)
    small = {"run": "mine", "labels": labels, "steps": 1, "curve_images": "", "round_images": 4}
    pathlib.Path(labels).write_text("".join(rows[:30]))
    names = run_cells("08_teach_it_your_images", **small)
    assert len(names["labelled"]) == 30 and len(names["doubtful"]) == 4
    assert {pathlib.Path(path).stem for path in names["waiting"]} == set(map(str, range(30, 40)))
    (line,) = [n for n in capsys.readouterr().out.splitlines() if n.startswith("crnn-keras label")]
    assert line == f"crnn-keras label {workspace}/crops --model data/mine/taught/train/model.keras"
    # Nothing but the user's own is drawn, shown or trained on, and the next round is another row.
    assert not (workspace / "data/mine/displays").exists()
    pathlib.Path(labels).write_text("".join(rows))
    names = run_cells("08_teach_it_your_images", **small)
    first, second = (row["images"] for row in names["rows"])
    assert first < 30 < second < 40 and not names["waiting"]
    results = json.loads((workspace / "reports/mine/results.json").read_text())
    assert results["08_teach_it_your_images"]["rounds"] == 2
    assert results["08_teach_it_your_images"]["learned_from"] == labels


def test_papermill_passes_text_too(workspace):
    """`papermill -p` passes `true`, and `-y` an exponent without a point, as text."""
    papermill.execute_notebook(
        ROOT / "notebooks/02_prepare_data.ipynb",
        workspace / "02.ipynb",
        {"clean": "true", "validation_split": "5e-2", "test_split": "1e-1", "words": "300"},
        kernel_name="python3",
        progress_bar=False,
    )
    results = json.loads((workspace / "reports/lesson/results.json").read_text())
    sizes = results["02_prepare_data"]
    total = sum(sizes[f"{split}_records"] for split in ("train", "validation", "test"))
    assert total == 300 and sizes["test_records"] > sizes["validation_records"]


def test_an_unknown_parameter_stops_papermill_and_lists_the_known(workspace):
    with pytest.raises(papermill.PapermillExecutionError, match="epoch.*epochs"):
        papermill.execute_notebook(
            ROOT / "notebooks/04_train.ipynb",
            workspace / "04_train.ipynb",
            {"epoch": 5},
            kernel_name="python3",
            progress_bar=False,
        )

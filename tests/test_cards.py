"""The cards of the shipped readers: what they say of files and figures is so."""

import csv
import hashlib
import pathlib
import re

import pytest

from crnn_keras.evaluation.metrics import evaluate, wilson_interval
from crnn_keras.inference import onnx_recognizer
from crnn_keras.inference.recognizer import SHIPPED
from tools.readers import cards, figures
from tools.readers.lines import LANGUAGES

ROOT = pathlib.Path(__file__).parent.parent
FOLDER = ROOT / "crnn_keras" / "readers"
BENCHMARKS = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
# An accuracy with its interval, as in `88.4 % (87.2 to 89.5)`.
FIGURE = re.compile(r"(\d+\.\d)(?: %)?\s+\((\d+\.\d) to (\d+\.\d)\)")


def triples(text):
    return {match.groups() for match in FIGURE.finditer(text.replace("**", ""))}


def read_card(name):
    return cards.card_path(name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SHIPPED)
def test_the_front_matter_is_what_hugging_face_asks_for(name):
    front, text = cards.split_card(read_card(name))
    assert {"license", "library_name", "pipeline_tag", "language", "tags"} <= front.keys()
    languages = list(LANGUAGES) if name == "lines" else ["en"]
    assert front["pipeline_tag"] == "image-to-text"
    assert sorted(front["language"]) == sorted(languages)
    has_model = onnx_recognizer.OnnxRecognizer.load(name).language_model is not None
    assert ("cc-by-sa-4.0" in front["license"]) == has_model
    (index,) = front["model-index"]
    assert index["name"] == name and index["results"]
    for result in index["results"]:
        assert result["task"]["type"] == front["pipeline_tag"]
        assert {"type", "name"} <= result["dataset"].keys()
        assert all({"type", "value"} <= metric.keys() for metric in result["metrics"])
    headings = {"Intended use", "Limits", "Training data", "Figures", "Licence"}
    assert headings <= set(re.findall(r"^## (.+)$", text, re.M))
    assert re.search(r"^!\[.+\]\(.+\.png\)$", text, re.M)


@pytest.mark.parametrize("name", SHIPPED)
def test_sizes_and_hashes_are_those_of_the_files(name):
    rows = re.findall(
        r"^\| `([\w-]+\.\w+)` \| ([\d,]+) \| `([0-9a-f]{64})` \|$", read_card(name), re.M
    )
    assert [row[0] for row in rows] == [f"{name}.keras", f"{name}.onnx"]
    for file, size, digest in rows:
        content = (FOLDER / file).read_bytes()
        assert int(size.replace(",", "")) == len(content)
        assert digest == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", SHIPPED)
def test_figures_are_those_of_the_benchmarks(name):
    front, text = cards.split_card(read_card(name))
    assert len(triples(text)) >= 3
    assert triples(text) <= triples(BENCHMARKS)
    accuracies = [result["metrics"][0] for result in front["model-index"][0]["results"]]
    for metric in accuracies:
        correct, images = metric["args"]["correct"], metric["args"]["images"]
        assert metric["value"] == round(100 * correct / images, 1)
        low, high = metric["args"]["interval_95"]
        assert (str(metric["value"]), str(low), str(high)) in triples(BENCHMARKS)


def test_every_reader_has_its_row_in_the_overview():
    overview = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[`([\w-]+)`\]\(([\w-]+\.md)\) \|", overview, re.M)
    assert sorted(rows) == sorted((name, f"{name}.md") for name in SHIPPED)
    pages = {path.stem for path in FOLDER.glob("*.md")}
    assert pages == {"README", *SHIPPED}


def test_the_cards_are_of_today():
    assert cards.main(["--check"]) is None


def test_a_card_that_differs_is_named_and_then_written(tmp_path, monkeypatch):
    card = read_card("words")
    changed = re.sub(r"`[0-9a-f]{64}`", "`0`", card)
    (tmp_path / "words.md").write_text(changed)
    monkeypatch.setattr(cards, "card_path", lambda name: tmp_path / f"{name}.md")
    monkeypatch.setattr(cards.recognizer, "SHIPPED", {"words": SHIPPED["words"]})
    assert "words.md" in cards.main(["--check"])
    assert (tmp_path / "words.md").read_text() == changed
    assert cards.main([]) is None
    assert (tmp_path / "words.md").read_text() == card


def test_a_reader_without_a_card_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(cards, "card_path", lambda name: tmp_path / f"{name}.md")
    with pytest.raises(ValueError, match=r"words is shipped without a card: .*words\.md"):
        cards.main(["--check"])


def test_figures_of_an_earlier_file_are_refused(tmp_path):
    with cards.FIGURES.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["weights"] = "0" * 12
    with (tmp_path / cards.FIGURES.name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(ValueError, match=r"words\.onnx .* 000000000000.*benchmarks/readers\.py"):
        cards.read_figures("words", tmp_path / cards.FIGURES.name)


@pytest.mark.parametrize(
    ("content", "missing"), [("# words\n", "front matter"), ("---\na: 1\n---\ntext\n", "files")]
)
def test_a_card_of_another_form_is_refused(content, missing):
    with pytest.raises(ValueError, match=missing):
        cards.make_card("words", content)


def test_the_model_index_of_a_row_worked_by_hand():
    row = {"set": "svt_test", "correct": "558", "images": "647", "ece": "0.0399"}
    (index,) = cards.model_index("words", [row])
    (result,) = index["results"]
    accuracy, error = result["metrics"]
    assert (accuracy["value"], accuracy["args"]["interval_95"]) == (86.2, [83.4, 88.7])
    assert error["value"] == 4.0
    (index,) = cards.model_index("ascii", [row], folds_case=False)
    assert index["results"][0]["metrics"] == [accuracy]
    line = {"set": "lines", "images": "2000", "correct": "1500", "spaces": "1971", "cer": "0.02346"}
    (index,) = cards.model_index("lines", [], [line])
    values = [metric["value"] for metric in index["results"][0]["metrics"]]
    assert values == [75.0, 2.35, 98.5]
    assert wilson_interval(558, 647) == pytest.approx((0.834, 0.887), abs=5e-4)


def test_the_shipped_file_gives_its_figure_again(data_folder):
    samples = figures.read_set(data_folder("svt_test")).samples
    texts = [found.text for found in onnx_recognizer.OnnxRecognizer.load("words").read(samples)]
    report = evaluate([s.text for s in samples], texts, protocol="alphanumeric")
    (row,) = [row for row in cards.read_figures("words") if row["set"] == "svt_test"]
    # Sums of other processors may change a text.
    assert abs(sum(not case.distance for case in report.cases) - int(row["correct"])) <= 2

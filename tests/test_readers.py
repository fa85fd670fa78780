"""What made the shipped readers: words by frequency, fonts by content, a training that goes on."""

import shutil
import sys
import types

import pytest

from crnn_keras import render
from crnn_keras.char_dict import CharDict
from crnn_keras.readers import learn, recipe
from crnn_keras.records import open_records


@pytest.fixture
def few_words(monkeypatch):
    """A stand-in for wordfreq, whose lists take 56 MB."""
    words = ["the", "don't", "café", "oak", "route66", "sycamore"]
    module = types.SimpleNamespace(top_n_list=lambda language, count: words)
    monkeypatch.setitem(sys.modules, "wordfreq", module)


@pytest.fixture
def fonts(tmp_path, monkeypatch):
    """A list of three fonts, of which the machine has two."""
    folder = tmp_path / "fonts"
    folder.mkdir()
    lines = ["0123456789abcdef\tLost.ttf\t@fonts/lost@1.0"]
    for path in render.bundled_fonts()[:2]:
        shutil.copy(path, folder)
        lines.append(f"{render.file_hash(path)[:16]}\tname.ttf\tdebian-package")
    (tmp_path / "fonts.tsv").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(recipe, "FONTS", tmp_path / "fonts.tsv")
    return folder


def test_words_are_those_of_letters_alone_in_the_order_of_their_frequency(tmp_path, few_words):
    recipe.write_words(tmp_path / "words.txt")
    assert render.read_words(tmp_path / "words.txt") == ["the", "oak", "sycamore"]


def test_the_list_of_wordfreq_has_the_size_that_is_told(tmp_path):
    pytest.importorskip("wordfreq", reason="wordfreq is not installed: the extra `readers`")
    recipe.write_words(tmp_path / "words.txt")
    words = render.read_words(tmp_path / "words.txt")
    assert (len(words), words[:3]) == (289_023, ["the", "to", "and"])


def test_fonts_are_known_by_their_content(fonts):
    found, missing = recipe.find_fonts([fonts])
    assert [path.startswith(str(fonts)) for path in found] == [True, True]
    assert missing == {"@fonts/lost@1.0": ["Lost.ttf"]}


def test_the_list_of_fonts_names_each_once():
    rows = [line.split("\t") for line in recipe.FONTS.read_text().splitlines()]
    assert len({digest for digest, _, _ in rows}) == len(rows) > 2000
    assert all(name and package for _, name, package in rows)


def test_missing_fonts_are_counted_and_their_packages_named(tmp_path, fonts, few_words):
    given = learn.parse(["--fonts", str(fonts), "--words", "20"])
    with pytest.raises(ValueError, match=r"1 of 3 fonts are missing, of: @fonts/lost@1\.0\."):
        learn.render_sets(given, tmp_path / "run")


@pytest.mark.parametrize("characters, folded", [("alphanumeric36", True), ("ascii", False)])
def test_labels_are_those_that_the_reader_writes(tmp_path, fonts, few_words, characters, folded):
    arguments = ["--fonts", str(fonts), "--any-fonts", "--characters", characters, "--words", "200"]
    (tmp_path / "run").mkdir()
    learn.render_sets(learn.parse(arguments), tmp_path / "run")
    sets = {part: open_records(tmp_path / "run/records" / part) for part in ("train", "validation")}
    assert [len(found) for found in sets.values()] == [200, 4000]
    texts = [record.text for record in sets["train"]]
    assert not any(map(CharDict.from_preset(characters).unknown, texts))
    assert all(text == text.lower() and text.isalnum() for text in texts) is folded
    # Other pictures than those of the training.
    assert texts[:20] != [record.text for record in sets["validation"]][:20]


def test_a_reader_is_trained_and_goes_on_from_another(
    tmp_path, monkeypatch, fonts, few_words, word_sets
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/first/records").mkdir(parents=True)
    for part in ("train", "validation"):
        (tmp_path / "data/first/records" / part).symlink_to(word_sets / part)
    first = ["--run", "first", "--preset", "small", "--passes", "1", "--batch-size", "16"]
    learn.main(first)
    made = tmp_path / "data/first/train/model.keras"
    assert made.is_file()
    (tmp_path / "data/second").mkdir()
    (tmp_path / "data/second/records").symlink_to(tmp_path / "data/first/records")
    learn.main([*first[:1], "second", "--preset", str(made), *first[4:]])
    assert (tmp_path / "data/second/train/history.csv").read_text().count("\n") == 2

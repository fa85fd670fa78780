"""The tools of the shipped readers: words, fonts, training, figures, limits."""

import os
import pathlib
import shutil
import sys
import types
from unittest.mock import create_autospec

import numpy as np
import pytest
from fontTools.ttLib import TTCollection, TTFont

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data.labels import read_samples
from crnn_keras.data.records import open_records
from crnn_keras.inference import export, recognizer
from crnn_keras.model.crnn import build_crnn
from crnn_keras.model.saving import save_model
from crnn_keras.training import distribute
from crnn_keras.utils.progress import HEADLESS
from tools.readers import (
    __main__ as command,
    figures,
    limits,
    lines,
    recipe,
    ship,
    train,
    train_process,
)


@pytest.fixture
def few_words(monkeypatch):
    """A stand-in for wordfreq, whose lists take 56 MB."""
    words = ["the", "don't", "café", "oak", "route66", "sycamore"]
    module = types.SimpleNamespace(
        top_n_list=lambda language, count: words,
        get_frequency_dict=lambda language, name: dict.fromkeys(words, 1e-3),
    )
    monkeypatch.setitem(sys.modules, "wordfreq", module)
    lines.read_language.cache_clear()
    yield
    lines.read_language.cache_clear()


@pytest.fixture
def fonts(tmp_path, monkeypatch):
    """A list of three fonts, of which the machine has two."""
    folder = tmp_path / "fonts"
    folder.mkdir()
    lines = ["0123456789abcdef\tLost.ttf\t@fonts/lost@1.0"]
    for path in synth.bundled_fonts()[:2]:
        shutil.copy(path, folder)
        lines.append(f"{synth.file_hash(path)[:16]}\tname.ttf\tdebian-package")
    (tmp_path / "fonts.tsv").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(recipe, "FONTS", tmp_path / "fonts.tsv")
    return folder


def test_words_have_letters_only_and_are_ordered_by_frequency(tmp_path, few_words):
    recipe.write_words(tmp_path / "words.txt")
    assert synth.read_words(tmp_path / "words.txt") == ["the", "oak", "sycamore"]


def test_the_list_of_wordfreq_has_the_documented_size(tmp_path):
    pytest.importorskip("wordfreq", reason="wordfreq is not installed: the extra `readers`")
    recipe.write_words(tmp_path / "words.txt")
    words = synth.read_words(tmp_path / "words.txt")
    assert (len(words), words[:3]) == (289_023, ["the", "to", "and"])


def test_fonts_are_known_by_their_content(fonts):
    found, missing = recipe.find_fonts([fonts])
    assert [path.startswith(str(fonts)) for path in found] == [True, True]
    assert missing == {"@fonts/lost@1.0": ["Lost.ttf"]}
    rows = recipe.FONTS.read_text().splitlines()
    recipe.FONTS.write_text("\n".join([*rows[:-1], f"{rows[-1]}\twords"]) + "\n")
    assert recipe.find_fonts([fonts])[0] == found
    assert recipe.find_fonts([fonts], of_words=False)[0] == found[:1]


def test_a_collection_of_fonts_is_ignored(fonts):
    faces = TTCollection()
    faces.fonts = [TTFont(path) for path in synth.bundled_fonts()[:2]]
    faces.save(fonts / "both.ttc")
    assert len(synth.find_fonts([fonts])) >= 4
    assert [path.endswith(".ttf") for path in recipe.find_fonts([fonts])[0]] == [True, True]


def test_the_list_of_fonts_names_each_once():
    rows = [line.split("\t") for line in recipe.FONTS.read_text().splitlines()]
    assert len({digest for digest, *_ in rows}) == len(rows) > 2000
    assert all(name and package for _, name, package, *_ in rows)
    notes = [note for _, _, _, *note in rows if note]
    assert 100 < len(notes) < 200 and all(note == ["words"] for note in notes)


def test_missing_fonts_are_counted_and_their_packages_named(tmp_path, fonts, few_words):
    options = train.parse_arguments(["--font-folders", str(fonts), "--words", "20"])
    with pytest.raises(ValueError, match=r"1 of 3 fonts .*@fonts/lost@1\.0"):
        train.render_sets(options, tmp_path / "run")


@pytest.mark.slow
def test_images_are_labelled_with_everything_they_show(tmp_path, fonts, few_words):
    (tmp_path / "run").mkdir()
    arguments = ["--font-folders", str(fonts), "--allow-missing-fonts", "--words", "200"]
    train.render_sets(train.parse_arguments(arguments), tmp_path / "run")
    records = tmp_path / "run/records"
    sets = {split: open_records(records / split) for split in ("train", "validation")}
    assert [len(found) for found in sets.values()] == [200, 4000]
    texts = [record.text for record in sets["train"]]
    assert not any(map(CharDict.from_preset("ascii").unknown, texts))
    assert any(text.isupper() for text in texts) and not all(map(str.isalnum, texts))
    # Other images than those of the training.
    assert texts[:20] != [record.text for record in sets["validation"]][:20]


def test_lines_are_different_and_have_the_characters_of_their_alphabet(tmp_path, few_words):
    latin = CharDict.from_preset("latin").characters
    for name, alphabet in (("latin", latin), ("ascii", CharDict.from_preset("ascii").characters)):
        lines.write_lines(tmp_path / name, 4000, seed=3, characters=alphabet)
        written = (tmp_path / name).read_text(encoding="utf-8").splitlines()
        assert len(set(written)) == len(written) == 4000
        assert set("".join(written)) == set(alphabet)
        assert max(map(len, written)) <= lines.LONGEST
        assert all(line == " ".join(line.split()) for line in written)
        assert any("@" in line for line in written) and any(" " in line for line in written)
    lines.write_lines(tmp_path / "again", 4000, seed=3, characters=alphabet)
    assert (tmp_path / "again").read_bytes() == (tmp_path / "ascii").read_bytes()


def test_fonts_draw_the_widest_alphabet_that_they_have():
    groups = recipe.line_alphabets([*synth.bundled_fonts(), *synth.bundled_chinese_fonts()])
    assert set(groups) <= {"latin", "western", "ascii"}
    grouped = [path for _, able in groups.values() for path in able]
    assert len(set(grouped)) == len(grouped)
    for characters, able in groups.values():
        assert synth.fonts_with(characters, able) == (able, {})


def test_lines_are_rendered_for_each_alphabet_and_style(tmp_path, fonts, few_words, monkeypatch):
    monkeypatch.setattr(train, "_VALIDATION_WORDS", 8)
    arguments = ["--font-folders", str(fonts), "--allow-missing-fonts", "--words", "40"]
    arguments += ["--texts", "lines", "--canvas-mode", "keep", "--canvas-width", "640"]
    (tmp_path / "run").mkdir()
    train.render_sets(train.parse_arguments(arguments), tmp_path / "run")
    records = {path.name: open_records(path) for path in (tmp_path / "run/records").iterdir()}
    assert {name.split("-")[0] for name in records} == {"train", "validation"}
    assert {name.split("-")[2] for name in records} == {"print", "sign"}
    sizes = {"train": 0, "validation": 0}
    for name, found in records.items():
        sizes[name.split("-")[0]] += len(found)
    assert sizes == {"train": 40, "validation": 8}
    texts = [record.text for found in records.values() for record in found]
    assert any(" " in text for text in texts)


def test_drawn_lines_are_labelled_images(tmp_path, fonts, few_words, capsys):
    arguments = ["draw-lines", str(tmp_path / "lines"), "--count", "17", "--font-folders"]
    assert command.main([*arguments, str(fonts)]) is None
    samples = read_samples(tmp_path / "lines/labels.tsv").samples
    assert f"{len(samples)} lines of 2 fonts" in capsys.readouterr().out
    assert len(samples) == 17 == len({sample.image for sample in samples})
    recipe.FONTS.write_text("0123456789abcdef\tLost.ttf\t@fonts/lost@1.0\n")
    assert "No font of" in command.main([*arguments, str(tmp_path / "none")])


def test_training_renders_before_it_starts_its_processes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("KERAS_BACKEND", HEADLESS):
        # The command sets them if they are missing; here they stay as they are.
        monkeypatch.setenv(name, os.environ.get(name, "tensorflow"))
    folders = []
    monkeypatch.setattr(train, "render_sets", lambda options, folder: folders.append(folder))
    launch = create_autospec(distribute.launch, return_value=3)
    monkeypatch.setattr(distribute, "launch", launch)
    assert command.main(["train", "--run", "mine", "--processes", "2"]) == 3
    assert folders == [pathlib.Path("data/mine")] and folders[0].is_dir()
    arguments = ["-m", "tools.readers.train_process", "--run", "mine", "--processes", "2"]
    launch.assert_called_once_with(arguments, local_processes=2)


@pytest.mark.slow
def test_a_reader_is_trained_and_continued_as_another(
    tmp_path, monkeypatch, fonts, few_words, word_sets
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/words/records").mkdir(parents=True)
    for split in ("train", "validation"):
        (tmp_path / "data/words/records" / split).symlink_to(word_sets / split)
    (tmp_path / "data/others").symlink_to("words")
    common = ["--run", "words", "--epochs", "1", "--batch-size", "16"]
    train_process.main([*common, "--architecture", "mobile"])
    made = tmp_path / "data/words/alphanumeric36/model.keras"
    # The same images teach another reader: with more characters, deeper and in less precision.
    more = ["--characters", "ascii", "--precision", "mixed_bfloat16"]
    more += ["--more-runs", "others", "--model-path", str(made)]
    train_process.main([*common, *more])
    model = recognizer.Recognizer.load(tmp_path / "data/words/ascii/model.keras").model
    assert (model.architecture_name, model.dtype_policy.name) == ("deep", "mixed_bfloat16")
    history = (tmp_path / "data/words/ascii/history.csv").read_text().splitlines()
    once = (tmp_path / "data/words/alphanumeric36/history.csv").read_text().splitlines()
    steps = [int(lines[1].split(",")[1]) for lines in (once, history)]
    assert steps[0] > 1 and steps[1] in (2 * steps[0], 2 * steps[0] - 1)


@pytest.fixture(scope="module")
def real_sets(tmp_path_factory):
    """A folder for `figures` and `ship`, without `svt_test`, with a lexicon of seven words."""
    folder = tmp_path_factory.mktemp("sets")
    words = ["oak", "ash", "elm", "lime", "sycamore", "beech", "maple"] * 4
    for seed, name in enumerate([*figures.SELECTION_SETS, "iiit5k_test"], 1):
        (folder / name).mkdir()
        lines = []
        for index, word in enumerate(words):
            font, mild = synth.bundled_fonts()[index % 9], synth.Style.mild()
            image = synth.render_word(word, font, mild, seed=seed, index=index)
            image.save(folder / name / f"{index}.png")
            lines.append(f"{index}.png\t{word.upper()}")
        (folder / name / "labels.tsv").write_text("\n".join(lines))
    lexicons = [f"{index}.png\t{word},birch,fir" for index, word in enumerate(words)]
    (folder / "iiit5k_test/lex50.tsv").write_text("\n".join(lexicons))
    (folder / "lexicons").mkdir()
    (folder / "lexicons/mjsynth_90k.txt").write_text("\n".join(words[:7]))
    return folder


@pytest.mark.slow
def test_the_table_has_a_row_for_each_set_and_lexicon(real_sets, monkeypatch, capsys):
    monkeypatch.setattr(figures, "seconds_to_load", lambda model: 1.25)
    figures.main([str(real_sets), "--models", "words", "ascii"])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if "|" in line]
    table = {(row[0].strip("| "), row[2]): row[3] for row in rows if len(row) == 5}
    assert table["iiit5k_test", "its 50 words"].startswith("100.0% (87.9 to 100.0)")
    assert {("iiit5k_test", what) for what in ("nothing", "3 views", "5 views")} <= set(table)
    near = [name for name in table if "7 words, delta" in name[1]]
    assert [name[1][:17] for name in near] == [f"7 words, delta {delta}," for delta in (1, 2, 3)]
    assert any("svt_test | is not in" in " | ".join(row) for row in rows)
    assert not any(name.endswith("_train") for name, _ in table)


@pytest.mark.slow
def test_a_selection_does_not_read_the_test_sets(real_sets, monkeypatch, capsys):
    monkeypatch.setattr(figures, "seconds_to_load", lambda model: 1.25)
    figures.main([str(real_sets), "--selection"])
    printed = capsys.readouterr().out
    assert "iiit5k_train" in printed and "svt_train" in printed and "_test" not in printed


@pytest.mark.slow
def test_a_reader_is_calibrated_and_written_to_be_shipped(real_sets, tmp_path, monkeypatch):
    shipped = {"words": tmp_path / "words.keras"}
    source = recognizer.SHIPPED["words"]
    written = []
    monkeypatch.setattr(recognizer, "SHIPPED", shipped)
    monkeypatch.setattr(
        "crnn_keras.inference.onnx_recognizer.SHIPPED", {"words": tmp_path / "words.onnx"}
    )
    monkeypatch.setattr(
        export, "export_onnx", lambda *arguments, weights: written.append((*arguments, weights))
    )
    ship.main([str(source), str(real_sets)])
    made = recognizer.Recognizer.load("words")
    assert made.calibration is not None
    before = recognizer.Recognizer.load(source).model
    for here, there in zip(made.model.weights, before.weights, strict=True):
        here, there = here.numpy(), there.numpy()
        if there.ndim < 2 or there.size < 1024:
            np.testing.assert_array_equal(here, there.astype("float16"))
            continue
        # Of each unit's largest weight at most 31 and more than 15 steps, each a power of two.
        largest = np.abs(there).reshape(-1, there.shape[-1]).max(axis=0)
        steps = here / np.exp2(np.ceil(np.log2(largest / 31)))
        np.testing.assert_array_equal(steps, np.rint(steps))
        assert 15 <= np.abs(steps).max() <= 31
        np.testing.assert_allclose(here, there, rtol=0, atol=largest.max() / 31)
    # Compressed: Keras' own file takes four bytes a weight.
    assert shipped["words"].stat().st_size < 1.5 * made.model.count_params()
    assert written == [("words", tmp_path / "words.onnx", "int8")]
    with pytest.raises(ValueError, match=r"iiit5k_train .*labels\.tsv"):
        ship.main([str(source), str(tmp_path)])


def test_a_reader_of_case_is_calibrated_without_street_view(real_sets, tmp_path, monkeypatch):
    monkeypatch.setattr(recognizer, "SHIPPED", {"ascii": tmp_path / "ascii.keras"})
    monkeypatch.setattr(
        "crnn_keras.inference.onnx_recognizer.SHIPPED", {"ascii": tmp_path / "ascii.onnx"}
    )
    monkeypatch.setattr(export, "export_onnx", lambda *arguments, weights: None)
    model = build_crnn(CharDict.from_preset("ascii"), precision="mixed_bfloat16")
    save_model(model, tmp_path / "trained.keras")
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets/iiit5k_train").symlink_to(real_sets / "iiit5k_train")
    ship.main([str(tmp_path / "trained.keras"), str(tmp_path / "sets"), "--name", "ascii"])
    made = recognizer.Recognizer.load("ascii").model
    assert made.calibration is not None and made.dtype_policy.name == "float32"


def test_what_it_cannot_read_is_drawn_and_printed(tmp_path, capsys):
    limits.main(["--output", str(tmp_path / "limits.png")])
    assert (tmp_path / "limits.png").stat().st_size > 5000
    assert len(capsys.readouterr().out.splitlines()) == len(limits.hard_images())


@pytest.mark.parametrize("arguments", [[], ["fly"]])
def test_an_unknown_command_names_the_known_ones(arguments):
    names = "train|draw-lines|language-model|ship|convert|convert-torch|figures|limits|cards"
    assert names in command.main(arguments)

"""Recipes: samples by index, JSON, fingerprints, and what is refused."""

import hashlib
import io
import json
import pathlib
import pickle
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from crnn_keras.char_dict import alphanumeric
from crnn_keras.synth import Recipe, Style, bundled_fonts, find_photographs, render_word

FONTS = tuple(bundled_fonts()[:3])
FRACTIONS = {"train": 0.7, "test": 0.3}


@pytest.fixture
def photographs(tmp_path):
    """Two images in a folder, and their paths."""
    folder = tmp_path / "photographs"
    (folder / "deep").mkdir(parents=True)
    for index, name in enumerate(("b.png", "deep/a.jpg")):
        Image.effect_noise((700, 500), 40 + index).convert("RGB").save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return tuple(find_photographs(folder))


def words(**changes):
    return Recipe(**{"texts": {"kind": "words"}, "fonts": FONTS, "seed": 4} | changes)


def chinese_recipe(tmp_path, **changes):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("abcdefgh\nhgfedcba", encoding="utf-8")
    texts = {"kind": "chinese", "characters": "abcdefgh", "corpus": str(corpus), "longest": 5}
    return Recipe(texts, FONTS, **changes)


def test_a_sample_is_a_jpeg_and_its_text():
    jpeg, text = words().open().sample(3)
    image = Image.open(io.BytesIO(jpeg))
    assert (image.format, image.mode, image.height) == ("JPEG", "L", 36)
    assert text == words().open().text(3) and text


def test_samples_do_not_depend_on_order_or_process(photographs):
    recipe = words(backgrounds=photographs, split="train", fractions=FRACTIONS)
    samples = [recipe.open().sample(index) for index in range(6)]
    renderer = pickle.loads(pickle.dumps(recipe.open()))  # noqa: S301
    assert [renderer.sample(index) for index in reversed(range(6))] == samples[::-1]
    code = (
        "import hashlib, json, sys; from crnn_keras.synth import Recipe\n"
        "renderer = Recipe.from_config(json.load(sys.stdin)).open()\n"
        "for i in range(6): print(hashlib.sha256(renderer.sample(i)[0]).hexdigest())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(recipe.get_config()),
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [hashlib.sha256(jpeg).hexdigest() for jpeg, _ in samples]
    assert answer.stdout.split() == expected


def test_splits_share_neither_texts_nor_random_numbers():
    splits = {name: words(split=name, fractions=FRACTIONS).open() for name in FRACTIONS}
    texts = {
        name: {renderer.text(index).lower() for index in range(800)}
        for name, renderer in splits.items()
    }
    assert not texts["train"] & texts["test"]
    assert splits["train"]._seed != splits["test"]._seed


def test_a_recipe_survives_json_and_files(tmp_path, photographs):
    recipes = [
        words(backgrounds=photographs, style=Style(tilt=0), split="train", fractions=FRACTIONS),
        chinese_recipe(tmp_path, seed=2),
    ]
    for recipe in recipes:
        assert Recipe.from_config(json.loads(json.dumps(recipe.get_config()))) == recipe
        recipe.save(tmp_path / "recipe.json")
        assert Recipe.load(tmp_path / "recipe.json") == recipe
        assert Recipe.load(tmp_path / "recipe.json").fingerprint() == recipe.fingerprint()


def test_the_fingerprint_covers_contents_not_paths(tmp_path, photographs):
    def copy(path, name):
        return shutil.copy(path, tmp_path / name)

    first = words(backgrounds=photographs[:1])
    fonts = [copy(font, f"{index}.ttf") for index, font in enumerate(FONTS)]
    moved = words(fonts=fonts, backgrounds=[copy(photographs[0], "x.png")])
    assert moved.fingerprint() == first.fingerprint()
    assert moved.open().sample(5) == first.open().sample(5)
    line = chinese_recipe(tmp_path)
    before = line.fingerprint()
    other = tmp_path / "other.txt"
    other.write_text("abcdefgh\nhgfedcba", encoding="utf-8")
    assert Recipe(line.texts | {"corpus": str(other)}, FONTS).fingerprint() == before
    changed = tmp_path / "changed.txt"
    changed.write_text("abcdefgh", encoding="utf-8")
    assert Recipe(line.texts | {"corpus": str(changed)}, FONTS).fingerprint() != before


def test_whatever_decides_the_images_changes_the_fingerprint(tmp_path, photographs):
    (tmp_path / "words.txt").write_text("oak\nash")
    changes = [
        {},
        {"seed": 5},
        {"fonts": FONTS[::-1]},
        {"fonts": FONTS[:2]},
        {"backgrounds": photographs},
        {"backgrounds": photographs[::-1]},
        {"style": Style(tilt=0)},
        {"style": Style(tilt=0, quality=50)},
        {"split": "train", "fractions": FRACTIONS},
        {"split": "test", "fractions": FRACTIONS},
        {"split": "test", "fractions": {"train": 0.6, "test": 0.4}},
        {"texts": {"kind": "words", "numbers": 0}},
        {"texts": {"kind": "words", "numbers": 0, "max_length": 9}},
        {"texts": {"kind": "words", "common": 2}},
        {"texts": {"kind": "words", "marks": 0.5}},
        {"texts": {"kind": "words", "upper": 0.5}},
        {"texts": {"kind": "words", "capital": 0.5}},
        {"texts": {"kind": "words", "marks": 0.5, "labels": "alphanumeric"}},
        {"texts": {"kind": "words", "file": str(tmp_path / "words.txt")}},
        {"texts": {"kind": "lines", "file": str(tmp_path / "words.txt")}},
        {"texts": {"kind": "lines", "file": str(tmp_path / "words.txt"), "max_length": 9}},
        {"texts": {"kind": "chinese", "characters": "ab"}},
        {"texts": {"kind": "chinese", "characters": "ab", "frequencies": {"a": 2, "b": 1}}},
    ]
    fingerprints = [words(**change).fingerprint() for change in changes]
    assert len(set(fingerprints)) == len(changes)
    assert all(len(fingerprint) == 64 for fingerprint in fingerprints)


@pytest.mark.parametrize("name", ["Pillow", "FreeType", "drawing"])
def test_other_versions_have_other_fingerprints(monkeypatch, name):
    from crnn_keras.synth import recipe

    before = words().fingerprint()
    if name == "FreeType":
        monkeypatch.setattr(recipe.features, "version", lambda library: "0.1")
    else:
        monkeypatch.setattr(recipe, "pillow_version" if name[0] == "P" else "_DRAWING", 99)
    assert words().fingerprint() != before


def test_missing_settings_have_their_defaults():
    full = {"kind": "words", "file": "", "numbers": 0.08, "codes": 0.06, "max_length": 14}
    full |= {"common": 0, "marks": 0.0, "upper": 0.3, "capital": 0.23, "labels": "exact"}
    assert words(texts=full) == words() == words(style=Style(tilt=0.1), fractions={})
    assert words(texts=full).fingerprint() == words().fingerprint()
    assert words(style=Style(noise=3)).fingerprint() == words(style=Style(noise=3.0)).fingerprint()


def test_lines_of_a_file_are_drawn_and_labelled_with_their_spaces(tmp_path):
    (tmp_path / "lines.txt").write_text("Öl, 5 l\nTotal  12.50\n", encoding="utf-8")
    renderer = words(texts={"kind": "lines", "file": str(tmp_path / "lines.txt")}).open()
    samples = [renderer.sample(index) for index in range(8)]
    assert {label for _, label in samples} == {"Öl, 5 l", "Total 12.50"}
    assert Recipe.from_config(renderer.recipe.get_config()) == renderer.recipe


def test_labels_may_follow_the_rule_of_the_benchmarks():
    texts = {"kind": "words", "marks": 1, "numbers": 0.3}
    exact = words(texts=texts).open()
    folded = words(texts=texts | {"labels": "alphanumeric"}).open()
    for index in range(30):
        (same, text), (jpeg, label) = exact.sample(index), folded.sample(index)
        assert (jpeg, label) == (same, alphanumeric(text))
    assert any(set(exact.text(index)) & set(".!$") for index in range(30))


@pytest.mark.parametrize(
    "config, message",
    [
        ({"texts": {"kind": "poems"}}, "poems"),
        ({"texts": {}}, "kind None"),
        ({"texts": {"kind": "words", "number": 1}}, r"\['number'\].*'numbers'"),
        ({"texts": {"kind": "words", "labels": "upper"}}, "'upper'.*'alphanumeric'"),
        ({"fonts": []}, "bundled_fonts"),
        ({"colour": "red"}, "colour"),
        ({"style": {"wobble": 1}}, "wobble"),
        ({"style": {"tilt": 9}}, "tilt is 9"),
        ({"part": "train"}, "'part' to 'split'"),
        ({"part": "", "shares": {}}, "'part' to 'split', 'shares' to 'fractions'"),
    ],
)
def test_a_wrong_recipe_is_refused(config, message):
    with pytest.raises(ValueError, match=message):
        Recipe.from_config({"texts": {"kind": "words"}, "fonts": FONTS} | config)


def test_a_check_names_fonts_that_lack_characters_and_damaged_photographs(tmp_path, photographs):
    words(backgrounds=photographs).check()
    line = {"kind": "chinese", "characters": "省市"}
    with pytest.raises(ValueError, match="'市省'"):
        Recipe(line, FONTS).check()
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(pathlib.Path(photographs[1]).read_bytes()[:900])
    with pytest.raises(ValueError, match=r"Photograph.*damaged\.jpg"):
        words(backgrounds=[*photographs, damaged]).check()
    style = Style.plain(background=1, photographs=1)
    with pytest.raises(ValueError, match=r"Photograph.*damaged\.jpg"):
        render_word("oak", FONTS[0], style, photographs=[str(damaged)])
    with pytest.raises(ValueError, match=r"Photograph.*gone\.jpg"):
        words(backgrounds=[tmp_path / "gone.jpg"]).check()


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\.jpeg"):
        find_photographs(tmp_path)
    with pytest.raises(ValueError, match="nowhere"):
        find_photographs(tmp_path / "nowhere")


def test_a_recipe_of_chinese_lines_draws_its_characters(tmp_path):
    renderer = chinese_recipe(tmp_path).open()
    texts = [renderer.sample(index)[1] for index in range(30)]
    assert set("".join(texts)) == set("abcdefgh") and max(map(len, texts)) <= 5

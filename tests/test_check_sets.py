"""Issues that a look at the images or at all labels finds: blank images, labels that are none."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from crnn_keras.char_dict import CharDict
from crnn_keras.data.check import check_splits
from crnn_keras.data.check.set_checks import FEW_TO_MEASURE, FEW_TO_TRAIN, find_small_splits
from crnn_keras.data.labels import Sample
from crnn_keras.images import Canvas, make_canvas

SIZE = ("few training images", "few images to measure")


@pytest.fixture
def check(tmp_path):
    """Function `(labels, images, names, canvas)` that returns the issues of one split."""

    def checked(labels, images=None, names=None, canvas=None):
        samples = []
        for line, label in enumerate(labels):
            name = names[line] if names else f"image {line}.png"
            image = images[line] if images else draw(line)
            if image is not None:
                image.save(tmp_path / name)
            samples.append(Sample(str(tmp_path / name), label, f"labels.tsv, line {line + 1}"))
        characters = "".join(dict.fromkeys("".join(labels))) or "a"
        char_dict = CharDict(characters, normalization="none")
        found = check_splits({"all": samples}, char_dict, canvas or Canvas())
        return [issue for issue in found.issues if issue.kind not in SIZE]

    return checked


def draw(seed, mode="L", paper=255, ink=0, size=(100, 32)):
    """An image of strokes, another for each seed."""
    image = Image.new(mode, size, paper)
    for x, y in np.random.default_rng(seed).integers(0, (80, 24), (6, 2)).tolist():
        ImageDraw.Draw(image).rectangle((x, y, x + 9, y + 3), fill=ink)
    return image


def kinds(issues):
    return [(issue.kind, issue.where, issue.drop) for issue in issues]


BLANK = {
    "white": Image.new("L", (90, 30), 255),
    "gray": Image.new("RGB", (90, 30), (90, 120, 80)),
    "transparent": Image.new("RGBA", (90, 30), (0, 0, 0, 0)),
    "transparent with hidden ink": draw(0, "RGBA", (0, 0, 0, 0), (255, 255, 255, 0)),
    "two levels apart": draw(0, "L", 200, 198),
    "noise": Image.fromarray(
        np.random.default_rng(0).normal(200, 1, (40, 120)).clip(0, 255).astype(np.uint8)
    ),
}


@pytest.mark.parametrize("canvas", [Canvas(), make_canvas("keep", 216)])
@pytest.mark.parametrize("name", BLANK)
def test_an_image_that_shows_nothing_is_dropped(check, name, canvas):
    issues = check(["word", "other"], [BLANK[name], draw(1)], canvas=canvas)
    assert ("image shows nothing", "labels.tsv, line 1", True) in kinds(issues)
    assert "image shows nothing" not in [i.kind for i in issues if "line 2" in i.where]


SHOWN = {
    "faint": draw(0, "L", 200, 180),
    "white on black": draw(0, "L", 0, 255),
    "ink on transparent": draw(0, "RGBA", (0, 0, 0, 0), (0, 0, 0, 255)),
    "light ink on transparent": draw(0, "RGBA", (0, 0, 0, 0), (255, 255, 255, 255)),
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_can_be_seen_stays(check, name):
    assert check(["word", "other"], [SHOWN[name], draw(1)]) == []


def test_a_full_stop_on_a_large_image_is_named_and_stays(check):
    page = Image.new("L", (400, 128), 255)
    ImageDraw.Draw(page).rectangle((20, 100, 22, 102), fill=0)
    found = check([".", "word"], [page, draw(1)])
    assert kinds(found) == [("image shows nothing", "labels.tsv, line 1", False)]


@pytest.mark.parametrize(
    "label", ["###", "##", "****", "???", "<unk>", "[illegible]", "(unreadable)", "<NONE>"]
)
def test_placeholders_are_dropped(check, label):
    found = check(["word", label, "other"])
    assert kinds(found) == [("placeholder label", "labels.tsv, line 2", True)]


@pytest.mark.parametrize("label", ["#", "#1", "C#", "**", "?", "none", "unknown", "[12]", "*a*"])
def test_what_only_looks_like_a_placeholder_stays(check, label):
    assert check(["word", label, "other"]) == []


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("226md (1)", "226md (1).png"),
        ("226md (12)", "373_226md (12)_4.png"),
        ("226md - Copy", "226md - Copy.png"),
        ("226md_copy", "226md_copy.png"),
        ("226md(2)", "226md(2).png"),
    ],
)
def test_the_number_of_a_copied_file_is_no_label(check, label, name):
    found = check(["word", label], names=["word.png", name])
    assert kinds(found) == [("number of a copy in label", "labels.tsv, line 2", True)]


def test_a_copy_is_known_by_its_original_too_and_other_brackets_stay(check):
    found = check(["226md", "226md (1)", "fig (1)", "(1)"])
    assert kinds(found) == [("number of a copy in label", "labels.tsv, line 2", True)]


@pytest.mark.parametrize("labels", [["IMG"] * 2, ["IMG"] * 30, ["IMG"] * 12 + ["DSC"] * 8])
def test_one_label_for_all(check, labels):
    found = check(labels)
    assert ("labels hardly differ", "labels.tsv, line 1", False) in kinds(found)
    assert f"{labels.count('IMG'):,} of {len(labels)} rows" in found[-1].reason


def test_frequent_words_are_not_one_label(check):
    found = check(["the"] * 5 + [f"word{n}" for n in range(10)])
    assert "labels hardly differ" not in [issue.kind for issue in found]


@pytest.mark.parametrize(
    "numbers", [list(range(10)) * 2, [*range(1, 6)] * 3, [0, 1] * 6, [0, 1, 2, 10, *range(3, 10)]]
)
def test_numbers_of_classes(check, numbers):
    found = check([str(number) for number in numbers])
    assert ("labels are numbers of classes", "labels.tsv, line 1", False) in kinds(found)


@pytest.mark.parametrize(
    "labels",
    [
        [str(n) for n in range(100, 120)],
        [f"{n:02d}" for n in range(20)],
        [str(n * n) for n in range(20)],
        [*map(str, range(19)), "a"],
    ],
)
def test_other_numbers_are_texts(check, labels):
    found = check(labels)
    assert "labels are numbers of classes" not in [issue.kind for issue in found]


def test_the_number_of_a_word_in_a_lexicon_is_no_label(check):
    labels = [str(1000 + 37 * n) for n in range(12)]
    found = check(labels, names=[f"{n}_coley_{label}.jpg" for n, label in enumerate(labels)])
    assert ("labels are numbers of classes", "labels.tsv, line 1", False) in kinds(found)


def test_splits_that_are_too_small_say_what_follows():
    sizes = {"train": 58, "validation": 1, "test": 0, "extra": FEW_TO_MEASURE}
    found = {issue.where: issue for issue in find_small_splits(sizes)}
    assert [(where, issue.kind) for where, issue in found.items()] == [
        ("split train", "few training images"),
        ("split validation", "few images to measure"),
        ("split test", "empty split"),
    ]
    train, validation = (found[f"split {name}"].reason for name in ("train", "validation"))
    for fact in ("58 images", "1,000", "fine-tune --labels PATH --run mine", 'start = "words"'):
        assert fact in train
    for fact in ("validation has 1 image:", "98 percentage points", "--folds 5"):
        assert fact in validation
    assert {issue.severity for issue in found.values()} == {"warning"}


def test_splits_that_are_large_enough_have_no_issue():
    assert find_small_splits({"train": FEW_TO_TRAIN, "test": FEW_TO_MEASURE}) == []


def test_a_split_of_which_nothing_is_usable_is_empty(tmp_path):
    missing = Sample(str(tmp_path / "absent.png"), "a", "labels.tsv, line 1")
    found = check_splits({"train": [missing], "test": []}, CharDict("a"), Canvas())
    assert [issue.where for issue in found.issues if issue.kind == "empty split"] == [
        "split train",
        "split test",
    ]

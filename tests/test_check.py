"""Every kind of issue once, and nothing else."""

import io
import pathlib
import re

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageFont

from crnn_keras.char_dict import CharDict
from crnn_keras.data.check import check_splits, kinds
from crnn_keras.data.check.hashes import near_pairs, perceptual_hash
from crnn_keras.data.issues import Issue
from crnn_keras.data.labels import Sample
from crnn_keras.evaluation import plots
from crnn_keras.images import Canvas

FONT = pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
CANVAS = Canvas("stretch", 32, (96,))
SMALL = ("empty split", "few training images", "few images to measure", "labels hardly differ")


def draw(text, size=40):
    """An image of a text, of a size that depends on it."""
    font = ImageFont.truetype(str(FONT), size)
    image = Image.new("L", (round(font.getlength(text)) + 16, size + 16), 235)
    ImageDraw.Draw(image).text((8, 4), text, fill=20, font=font)
    return image


def encoded(image, image_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


@pytest.fixture
def make(tmp_path):
    """Function `({split: [(image, text)]})` that returns splits of samples.

    An image is a Pillow image, bytes, the name of an earlier row's file, or None for a file that
    does not exist. Row n of a split comes from `<split>.tsv, line n`.
    """

    def made(rows):
        splits = {}
        for split, content in rows.items():
            splits[split] = []
            for line, (image, text) in enumerate(content, start=1):
                path = tmp_path / f"{split}_{line}.png"
                if isinstance(image, Image.Image):
                    path.write_bytes(encoded(image))
                elif isinstance(image, bytes):
                    path.write_bytes(image)
                elif image is not None:
                    path = tmp_path / f"{image}.png"
                splits[split].append(Sample(str(path), text, f"{split}.tsv, line {line}"))
        return splits

    return made


def of_rows(issues):
    """The issues without those that say that a test's set is small."""
    return [issue for issue in issues if issue.kind not in SMALL]


def pairs(issues):
    return [(issue.kind, issue.where.replace(".tsv, line ", " ")) for issue in of_rows(issues)]


def rows(samples):
    return [int(sample.where.split("line ")[1]) for sample in samples]


def counted(letters):
    """A char dict and labels that use each of its characters often enough: no issue of them."""
    return CharDict(letters), [letters[i:] + letters[:i] for i in range(5)]


EVERYTHING = {
    "train": [
        (draw("gravel"), "abc"),  # 1
        (encoded(draw("gravel"), "BMP"), "abc"),
        (encoded(draw("gravel"), "PNG", optimize=True), "abc"),
        (draw("Whisky 7"), "cab"),
        (encoded(draw("Whisky 7"), "JPEG", quality=50), "cab"),  # 5
        (draw("zebra"), "ab"),
        (draw("zebra"), "ba"),
        (draw("MUTTON"), "bc"),
        (encoded(draw("MUTTON"), "JPEG", quality=50), "cb"),
        (draw("oil & co"), "bca"),  # 10: in test
        (draw("Quince!"), "bac"),  # nearly in validation
        (Image.fromarray(np.tile(np.arange(40, dtype=np.uint8)[:, None] * 5, (1, 10))), "aca"),
        (draw("x", 8).resize((12, 12)), "abcabcab"),
        (draw("spaces here"), "a  b"),
        (draw("hidden"), "ab\u200bc"),  # 15
        (draw("full width"), "bＡ"),
        (draw("half width"), "cA"),
        (draw("two marks"), "e\u0301"),
        (draw("lower"), "bcbc"),
        (draw("UPPER"), "Bcbc"),  # 20
        (None, "abc"),
        (b"I am a text file.\n", "abc"),
        (draw("unknown"), "abxy"),
        (draw("too long"), "a" * 13),
        (draw("nothing"), ""),  # 25
        (draw("once more"), "aabbcc  ".strip()),
    ],
    "validation": [
        (draw("Quince!").resize((80, 30)), "bac"),
        (draw("river 88"), "ccb"),  # nearly in test
    ],
    "test": [
        (draw("oil & co"), "bca"),
        (draw("river 88").point(lambda value: min(255, round(value * 1.05))), "ccb"),
        (draw("only here"), "abz"),
    ],
}
LETTERS = "abcABＡez \u200b\u0301w"
SKIPPED = [
    ("missing file", "train 21"),
    ("unreadable image", "train 22"),
    ("unknown character", "train 23"),
    ("label too long", "train 24"),
    ("empty label", "train 25"),
]
DROPPED = [
    ("exact duplicate", "train 2"),
    ("exact duplicate", "train 3"),
    ("near duplicate", "train 5"),
    ("conflicting labels", "train 6"),
    ("conflicting labels", "train 7"),
    ("leakage", "train 10"),
    ("leakage", "train 11"),
    ("leakage", "validation 2"),
]
KEPT = [
    ("similar image, other label", "train 9"),
    ("vertical text", "train 12"),
    ("narrow characters", "train 13"),
    ("spaces in label", "train 14"),
    ("invisible character", "train 15"),
    ("full-width and half-width mixed", "train 16"),
    ("Unicode form", "train 18"),
    ("characters never trained", "test 3"),
]
NOTES = [
    ("labels that differ in case only", "train 20"),
    ("unused characters", "char dict"),
    ("rare characters", "train 14"),
]


@pytest.fixture
def everything(make):
    issues = [Issue("empty label", "train.tsv, line 99", "'a.png' has no label.")]
    char_dict = CharDict(LETTERS, normalization="none")
    return check_splits(make(EVERYTHING), char_dict, CANVAS, issues=issues)


def test_every_issue_once_and_nothing_else(everything):
    assert pairs(everything.skipped) == [("empty label", "train 99"), *SKIPPED]
    assert pairs(issue for issue in everything.warnings if issue.drop) == DROPPED
    assert pairs(issue for issue in everything.warnings if not issue.drop) == KEPT
    assert pairs(everything.notes) == NOTES
    assert not any(issue.drop for issue in everything.notes)
    assert len(pairs(everything.issues)) == 1 + len(SKIPPED + DROPPED + KEPT + NOTES)


def test_splits_hold_what_can_be_trained_on_and_cleaned_what_is_worth_it(everything):
    assert rows(everything.splits["train"]) == [*range(1, 21), 26]
    cleaned = everything.cleaned()
    assert rows(cleaned["train"]) == [1, 4, 8, 9, *range(12, 21), 26]
    assert rows(cleaned["validation"]) == [1]
    assert rows(cleaned["test"]) == [1, 2, 3]


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("train 2", ["'abc'", "train.tsv, line 1 (train)", "Keep one"]),
        ("train 6", ["'ab' here", "'ba' in train.tsv, line 7 (train)"]),
        ("train 9", ["'cb' here", "'bc' in train.tsv, line 8 (train)", "of 128 bits"]),
        ("train 10", ["'bca'", "test.tsv, line 1 (test)"]),
        ("train 11", ["'bac'", "validation.tsv, line 1 (validation)"]),
        ("train 12", ["10 x 40 pixels for 3 characters", "90 degrees"]),
        ("train 13", ["8 characters in 12 pixels, 96 on the canvas: 1.5 pixels"]),
        ("train 15", ["'ab<U+200B>c' holds <U+200B>"]),
        ("train 16", ["'Ａ' (U+FF21) 1 time beside 'A' 1 time", "'bＡ'", "half_width"]),
        ("train 18", ["in 1 label: 'e", "NFC"]),
        ("train 20", ["1 word: 'bcbc/Bcbc'", "fold_case"]),
        ("test 3", ["1 in test, 1 time: 'z'"]),
        ("char dict", ["2 of 12 ", "'z', 'w'"]),
        ("train 22", ["train_22.png"]),
        ("train 21", ["train_21.png does not exist."]),
    ],
)
def test_a_reason_tells_the_facts_and_what_to_do(everything, where, reason):
    issues = zip(of_rows(everything.issues), pairs(everything.issues), strict=True)
    found = [issue.reason for issue, pair in issues if pair[1] == where]
    assert any(all(fact in text for fact in reason) for text in found), found


def test_every_kind_of_issue_has_advice_and_comes_up_somewhere():
    paths = set((pathlib.Path(kinds.__file__).parents[1]).rglob("*.py"))
    code = "".join(path.read_text() for path in paths - {pathlib.Path(kinds.__file__)})
    assert set(re.findall(r'\bIssue\(\s*"(.+?)"', code)) <= set(kinds.ADVICE)
    assert [kind for kind in kinds.ADVICE if f'"{kind}"' not in code] == []


def test_facts_have_one_row_a_usable_sample(everything):
    facts = everything.facts
    samples = [sample for split in everything.splits.values() for sample in split]
    assert list(facts["where"]) == [sample.where for sample in samples]
    assert list(facts["split"].unique()) == ["train", "validation", "test"]
    first = facts.iloc[0]
    size = draw("gravel").size
    assert (first["width"], first["height"], first["canvas_width"]) == (*size, 96)
    assert (first["frames"], first["frames_needed"], first["length"]) == (24, 3, 3)
    assert len(first["hash"]) == 32
    assert facts["digest"][0] == facts["digest"][1] != facts["digest"][3]


def test_characters_are_counted_by_split_with_the_unknown_ones(everything):
    table = everything.characters().set_index("character")
    assert list(table.columns) == [
        *["code point", "train", "validation", "test", "total", "in char dict"]
    ]
    assert table.loc["z"].tolist() == ["U+007A", 0, 0, 1, 1, True]
    assert table.loc["x"].tolist() == ["U+0078", 1, 0, 0, 1, False]
    assert table.loc["w"].tolist() == ["U+0077", 0, 0, 0, 0, True]
    assert table["total"].is_monotonic_decreasing


def test_table_and_summary_have_a_line_a_kind(everything):
    table = everything.table().set_index("kind")
    assert list(table.index) == list(dict.fromkeys(table.index))
    kinds_found = {kind for kind, _ in SKIPPED + DROPPED + KEPT + NOTES}
    assert set(table.index) - set(SMALL) == kinds_found
    counted_as = ["severity", "count", "skipped", "cleaned drops"]
    assert table.loc["leakage", "first"] == "train.tsv, line 10"
    assert table.loc["leakage", counted_as].tolist() == ["warning", 3, 0, 3]
    assert table.loc["vertical text", counted_as].tolist() == ["warning", 1, 0, 0]
    assert table.loc["empty label", counted_as].tolist() == ["error", 2, 2, 0]
    assert table["severity"].unique().tolist() == ["error", "warning", "info"]
    summary = everything.summary()
    assert "32 rows: 26 usable (train 21, validation 2, test 3), 6 skipped" in summary
    assert "warnings; cleaning drops 8 rows" in summary
    assert f"{len(NOTES)} notes" in summary
    assert "  exact duplicate: 2, first in train.tsv, line 2: the same image" in summary
    counts = everything.counts().set_index("split")
    assert counts.loc["train", ["samples", "usable", "cleaned"]].tolist() == [26, 21, 14]


def test_the_order_is_the_same_in_several_processes(make, monkeypatch):
    from crnn_keras.data.check import check

    splits = make(EVERYTHING)
    char_dict = CharDict(LETTERS, normalization="none")
    one = check_splits(splits, char_dict, CANVAS, processes=1)
    monkeypatch.setattr(check, "_CHUNK", 5)
    two = check_splits(splits, char_dict, CANVAS, processes=2)
    assert two.issues == one.issues and two.cleaned() == one.cleaned()
    pd.testing.assert_frame_equal(two.facts, one.facts)


@pytest.mark.parametrize(
    ("here", "there", "dropped", "kept"),
    [
        ("train", "test", "train", "test"),
        ("test", "train", "train", "test"),
        ("validation", "test", "validation", "test"),
        ("test", "validation", "validation", "test"),
        ("train", "validation", "train", "validation"),
        ("validation", "train", "train", "validation"),
    ],
)
@pytest.mark.parametrize("change", ["none", "jpeg"])
def test_leakage_is_dropped_from_the_weaker_split(make, here, there, dropped, kept, change):
    image, other = draw("leaking 1"), draw("leaking 1")
    if change == "jpeg":
        other = encoded(other, "JPEG", quality=60)
    char_dict, texts = counted("abcde")
    splits = make({here: [(image, texts[0])], there: [(other, texts[0])]})
    checked = check_splits(splits, char_dict, CANVAS)
    found = [issue for issue in checked.issues if issue.row is not None]
    assert [(f.kind, f.where) for f in found] == [("leakage", f"{dropped}.tsv, line 1")]
    assert f"{kept}.tsv, line 1 ({kept})" in found[0].reason
    assert len(checked.cleaned()[kept]) == 1 and checked.cleaned()[dropped] == []


def test_a_conflict_with_the_test_costs_training_its_row_only(make):
    splits = make({"train": [(draw("same"), "ab")], "test": [(draw("same"), "ba")]})
    checked = check_splits(splits, CharDict("ab"), CANVAS)
    found = [f for f in checked.issues if f.kind == "conflicting labels"]
    assert [(f.where, f.drop) for f in found] == [
        ("train.tsv, line 1", True),
        ("test.tsv, line 1", False),
    ]
    cleaned = checked.cleaned()
    assert {name: len(split) for name, split in cleaned.items()} == {"train": 0, "test": 1}


def test_labels_are_compared_as_the_char_dict_writes_them(make):
    content = {"train": [(draw("same"), "Ab"), (draw("same"), "aB")]}
    folded = check_splits(make(content), CharDict("ab", fold_case=True), CANVAS)
    assert [f.kind for f in of_rows(folded.issues)] == ["exact duplicate", "rare characters"]
    as_is = check_splits(make(content), CharDict("abAB"), CANVAS)
    assert [f.kind for f in as_is.issues][:2] == ["conflicting labels"] * 2
    wide = {"train": [(draw("one"), "Ａ"), (draw("two"), "A")]}
    half_width = CharDict("A", normalization="half_width")
    kinds = [f.kind for f in of_rows(check_splits(make(wide), half_width, CANVAS).issues)]
    assert kinds == ["rare characters"]


def test_some_images_of_a_chain_of_similar_ones_stay(make):
    """Each image is similar to its neighbours; the ends are not similar to each other."""
    image = draw("chain of images", 60)
    chain = [image.crop((0, 0, image.width - 7 * i, image.height)) for i in range(8)]
    checked = check_splits(make({"train": [(p, "ab") for p in chain]}), CharDict("ab"), CANVAS)
    dropped = {f.row: f.other for f in checked.issues if f.drop}
    assert 0 < len(dropped) < 7 and 0 not in dropped
    assert not set(dropped.values()) & set(dropped)


LABELS = [
    (["Ａb", "A"], "full-width and half-width mixed", "letters: 'Ａ' (U+FF21) 1 time beside 'A'"),
    (["１", "11"], "full-width and half-width mixed", "digits: '１' (U+FF11) 1 time beside '1' 2"),
    (["（a", "(("], "full-width and half-width mixed", "punctuation: '（' (U+FF08)"),
    (["a\u3000b", "a b"], "full-width and half-width mixed", "space: '\u3000' (U+3000)"),
    (["（a）", "b，"], None, ""),
    ([" a"], "spaces in label", "' a' has spaces"),
    (["a "], "spaces in label", "'a ' has spaces"),
    (["a b"], None, ""),
    (["a\tb"], "invisible character", "'a<U+0009>b' holds <U+0009>"),
    (["a\u202eb\ufeff"], "invisible character", "holds <U+202E><U+FEFF>"),
    (["a\u00a0b"], "invisible character", "holds <U+00A0>"),
    (["\u1100\u1161"], "Unicode form", "in 1 label"),
    (["가", "é", "省"], None, ""),
]


@pytest.mark.parametrize(("texts", "kind", "reason"), LABELS)
def test_labels_that_hide_something(make, texts, kind, reason):
    splits = make({"all": [(draw(f"image {n}"), text) for n, text in enumerate(texts)]})
    char_dict = CharDict("".join(dict.fromkeys("".join(texts))), normalization="none")
    issues = of_rows(check_splits(splits, char_dict, CANVAS).issues)
    assert pairs(issues) == ([(kind, "all 1")] if kind else [])
    assert all(reason in issue.reason and not issue.drop for issue in issues)


CHANGES = {
    "half": lambda p: p.resize((p.width // 2, p.height // 2)),
    "larger": lambda p: p.resize((p.width * 3 // 2, p.height * 3 // 2)),
    "jpeg": lambda p: Image.open(io.BytesIO(encoded(p, "JPEG", quality=50))),
    "brighter": lambda p: p.point(lambda value: min(255, round(value * 1.2))),
    "one pixel a side": lambda p: p.crop((1, 1, p.width - 1, p.height - 1)),
    "two pixels a side": lambda p: p.crop((2, 2, p.width - 2, p.height - 2)),
    "two sides": lambda p: p.crop((1, 0, p.width, p.height - 1)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_image_is_found_and_another_word_is_not(make, name):
    words = ["gravel", "Whisky 7", "zebra", "oil & co"]
    content = [(draw(word), "ab") for word in words]
    content += [(CHANGES[name](draw(word)), "ab") for word in words]
    checked = check_splits(make({"train": content}), CharDict("ab"), CANVAS)
    found = [(f.row, f.other) for f in checked.issues if f.drop]
    assert found == [(4, 0), (5, 1), (6, 2), (7, 3)]


def test_an_image_of_one_colour_has_a_hash_of_zeros():
    hashes = {perceptual_hash(Image.new("L", (9, n), 20 * n)) for n in (1, 5, 12)}
    assert hashes == {bytes(32)}


def compare_all(hashes, distance, groups):
    found = []
    for i in range(len(hashes)):
        bits = np.bitwise_count(hashes[i] ^ hashes[i + 1 :]).sum(axis=1)
        for j in np.flatnonzero((bits <= distance) & (groups[i] == groups[i + 1 :])):
            found.append([i, i + 1 + j, bits[j]])
    return found


@pytest.mark.parametrize("distance", [0, 3, 10, 14])
@pytest.mark.parametrize("several", [False, True])
def test_near_pairs_are_those_of_comparing_all_pairs(distance, several):
    rng = np.random.default_rng(distance)
    hashes = rng.integers(0, 256, (300, 16), dtype=np.uint8)
    for i in range(0, 200, 2):
        flips = rng.choice(128, i % 19, replace=False)
        bits = np.unpackbits(hashes[i])
        bits[flips] ^= 1
        hashes[i + 1] = np.packbits(bits)
    groups = rng.integers(0, 2, 300) if several else np.zeros(300, np.int64)
    found, _ = near_pairs(hashes, distance, groups if several else None)
    assert found.tolist() == compare_all(hashes, distance, groups)


def test_20_000_hashes_are_searched_without_comparing_all_pairs():
    hashes = np.random.default_rng(0).integers(0, 256, (20_000, 16), dtype=np.uint8)
    hashes[19_999] = hashes[3] ^ np.array([0x80] * 10 + [0] * 6, np.uint8)
    found, compared = near_pairs(hashes, 10)
    assert found.tolist() == [[3, 19_999, 10]]
    assert compared < 20_000 * 19_999 / 2 / 200


def test_equal_images_are_not_compared_pair_by_pair(make, monkeypatch):
    seen = []

    def watched(hashes, *rest):
        seen.append(len(hashes))
        return near_pairs(hashes, *rest)

    monkeypatch.setattr("crnn_keras.data.check.image_checks.near_pairs", watched)
    blank = encoded(Image.new("L", (30, 20), 255))
    checked = check_splits(make({"train": [(blank, "ab")] * 40}), CharDict("ab"), CANVAS)
    assert sum(f.kind == "exact duplicate" for f in checked.issues) == 39
    assert max(seen) <= 2


def test_no_image_can_stop_the_check(make, encode, png_of_size):
    char_dict, texts = counted("abcde")
    image = draw("whole")
    bad = {
        "bomb": png_of_size(40_000, 40_000),
        "wide": png_of_size(70_000, 1),
        "empty": b"",
        "cut": encode(image, "JPEG")[:-400],
        "text": b"GIF89a and no more",
    }
    content = [(contents, texts[0]) for contents in bad.values()]
    checked = check_splits(make({"train": content}), char_dict, CANVAS)
    assert pairs(checked.issues) == [("unreadable image", f"train {n}") for n in range(1, 6)]
    for line, issue in enumerate(checked.skipped, start=1):
        assert f"train_{line}.png" in issue.reason and issue.reason.endswith(".")
    assert "50,000,000 pixels" in checked.issues[0].reason
    assert "70000 x 1" in checked.issues[1].reason
    assert len(checked.facts) == 0 and checked.cleaned() == {"train": []}


def test_frames_of_a_label_come_from_its_own_image(make):
    content = [(Image.new("L", (32, 32)), "aaaaa"), (Image.new("L", (200, 32)), "aaaaa")]
    checked = check_splits(make({"a": content}), CharDict("a"), Canvas("keep", 32, (32, 256)))
    assert rows(checked.splits["a"]) == [2]
    assert "needs 9 frames, its image has 8" in checked.skipped[0].reason


@pytest.mark.parametrize("splits", [{}, {"train": []}, {"train": [], "test": []}])
def test_no_samples_at_all(splits):
    checked = check_splits(splits, CharDict("ab"), CANVAS)
    assert checked.splits == checked.cleaned() == splits
    assert checked.skipped == checked.notes == []
    assert sorted(issue.where for issue in checked.issues) == sorted(f"split {n}" for n in splits)
    assert {issue.kind for issue in checked.warnings} <= {"empty split"}
    assert len(checked.table()) == bool(splits) and len(checked.facts) == 0
    assert "0 rows: 0 usable" in checked.summary()
    assert set(checked.characters()["total"]) == {0}
    for figure in figures(checked):
        figure.canvas.draw()


def test_one_sample_of_one_pixel(make):
    splits = make({"train": [(Image.new("L", (1, 1), 7), "a")]})
    checked = check_splits(splits, CharDict("a"), CANVAS)
    assert pairs(checked.warnings) == [
        ("image shows nothing", "train 1"),
        ("narrow characters", "train 1"),
    ]
    assert pairs(checked.notes) == [("rare characters", "train 1")]


def figures(checked):
    counts = checked.characters().set_index("character")["total"]
    yield plots.character_frequencies(counts)
    yield plots.label_lengths(checked.facts)
    yield plots.image_sizes(checked.facts)
    yield plots.image_pairs(checked.pairs())


def drawn(figure):
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def test_figures_are_labelled(everything, monkeypatch):
    monkeypatch.setattr(plots, "_has_glyph", lambda character: character not in "Ａ\u200b\u0301")
    frequencies, lengths, sizes, twice = map(drawn, figures(everything))
    assert {"a", "space", "<U+FF21>", "<U+200B>"} <= set(frequencies)
    assert {"train (21)", "validation (2)", "test (3)"} <= set(lengths)
    assert {"canvas", "width / height"} <= set(sizes)
    assert {"exact duplicate: 'abc'", "leakage: 'bca'"} <= set(twice)
    assert twice.count("conflicting labels: 'ab' and 'ba'") == 1
    assert len(everything.pairs(most=4)) <= 4 and everything.pairs(("vertical text",)) == []


def test_prices_are_not_formulas():
    image = np.zeros((5, 9), np.uint8)
    assert "'$7_1' and '$8^'" in drawn(plots.image_pairs([(image, image, "'$7_1' and '$8^'")]))
    assert "$" in drawn(plots.character_frequencies({"$": 2}))


def test_many_characters_are_drawn_by_rank():
    texts = drawn(plots.character_frequencies({chr(0x21 + i): 500 - i for i in range(200)}, 60))
    assert "rank of the character, of 200" in texts and "!" in texts

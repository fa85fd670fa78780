"""Every problem and finding once, and nothing else; pages that labels cannot break."""

import io
import pathlib
import re

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageFont

from crnn_keras.char_dict import CharDict
from crnn_keras.data.check import DataCheck, Finding, check_splits
from crnn_keras.data.check import page as pages
from crnn_keras.data.check.hashes import near_pairs, perceptual_hash
from crnn_keras.data.labels import Problem, Sample
from crnn_keras.evaluation import plots
from crnn_keras.images import Canvas

FONT = pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
CANVAS = Canvas("stretch", 32, (96,))


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
    """Function `{part: [(image or bytes or None or name, text)]}` that gives parts of samples.

    A string names the file of an earlier row; None is a file that does not exist. Row n of a part
    stands in `<part>.tsv, line n`.
    """

    def made(rows):
        parts = {}
        for part, content in rows.items():
            parts[part] = []
            for number, (image, text) in enumerate(content, start=1):
                path = tmp_path / f"{part}_{number}.png"
                if isinstance(image, Image.Image):
                    path.write_bytes(encoded(image))
                elif isinstance(image, bytes):
                    path.write_bytes(image)
                elif image is not None:
                    path = tmp_path / f"{image}.png"
                parts[part].append(Sample(str(path), text, f"{part}.tsv, line {number}"))
        return parts

    return made


def pairs(entries):
    return [(entry.kind, entry.where.replace(".tsv, line ", " ")) for entry in entries]


def rows(samples):
    return [int(sample.where.split("line ")[1]) for sample in samples]


def counted(letters):
    """A char dict and labels that use each of its characters often enough: no finding of them."""
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
PROBLEMS = [
    ("missing file", "train 21"),
    ("unreadable image", "train 22"),
    ("unknown character", "train 23"),
    ("label too long", "train 24"),
    ("empty label", "train 25"),
]
SKIPPED = [
    ("exact duplicate", "train 2"),
    ("exact duplicate", "train 3"),
    ("near duplicate", "train 5"),
    ("conflicting labels", "train 6"),
    ("conflicting labels", "train 7"),
    ("leakage", "train 10"),
    ("leakage", "train 11"),
    ("leakage", "validation 2"),
]
LOOKED_AT = [
    ("nearly the same image, other label", "train 9"),
    ("vertical text", "train 12"),
    ("narrow characters", "train 13"),
    ("spaces in label", "train 14"),
    ("invisible character", "train 15"),
    ("full-width and half-width mixed", "train 16"),
    ("Unicode form", "train 18"),
    ("labels that differ in case only", "train 20"),
    ("characters never trained", "test 3"),
    ("unused characters", "char dict"),
    ("rare characters", "train 14"),
]


@pytest.fixture
def everything(make):
    given = [Problem("empty label", "train.tsv, line 99", "'a.png' has no label.")]
    char_dict = CharDict(LETTERS, normalization="none")
    return check_splits(make(EVERYTHING), char_dict, CANVAS, given)


def test_every_problem_and_finding_once_and_nothing_else(everything):
    assert pairs(everything.problems) == [("empty label", "train 99"), *PROBLEMS]
    skipped = [finding for finding in everything.findings if finding.leave_out]
    looked_at = [finding for finding in everything.findings if not finding.leave_out]
    assert pairs(skipped) == SKIPPED
    assert pairs(looked_at) == LOOKED_AT


def test_parts_hold_what_can_be_trained_on_and_cleaned_what_is_worth_it(everything):
    assert rows(everything.parts["train"]) == [*range(1, 21), 26]
    cleaned = everything.cleaned()
    assert rows(cleaned["train"]) == [1, 4, 8, 9, *range(12, 21), 26]
    assert rows(cleaned["validation"]) == [1]
    assert rows(cleaned["test"]) == [1, 2, 3]


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("train 2", "the same image with the label 'abc' as train.tsv, line 1 (train). Keep one"),
        ("train 6", "'ab' here, but 'ba' in train.tsv, line 7 (train). Look at the image"),
        ("train 9", "'cb' here, 'bc' in train.tsv, line 8 (train), and "),
        ("train 10", "the same image with the label 'bca' as test.tsv, line 1 (test). Keep it"),
        ("train 11", "with the label 'bac' as validation.tsv, line 1 (validation). Keep it only"),
        ("train 12", "10 x 40 pixels for 3 characters. Turn the image"),
        ("train 13", "8 characters in 12 pixels, 96 on the canvas: 1.5 pixels a character. Use"),
        ("train 15", "'ab<U+200B>c' holds <U+200B>. Remove it"),
        ("train 16", "letters: 'Ａ' (U+FF21) 1 time beside 'A' 1 time; first in 'bＡ'. Set"),
        ("train 18", "a character in several code points in 1 label: 'e"),
        ("train 20", "1 word: 'bcbc/Bcbc'. Nothing, if case is to be read"),
        ("test 3", "1 in test, 1 time: 'z'. Add training images"),
        ("char dict", "2 of 12 in no training label: 'z', 'w'. Nothing, if they are to come"),
        ("train 22", "train_22.png is not an image"),
        ("train 21", "train_21.png does not exist."),
    ],
)
def test_a_reason_says_what_it_is_and_what_to_do(everything, where, reason):
    entries = [*everything.problems, *everything.findings]
    found = [
        entry.reason
        for entry, pair in zip(entries, pairs(entries), strict=True)
        if pair[1] == where
    ]
    assert any(reason in text for text in found), found


def test_facts_have_one_row_a_usable_sample(everything):
    facts = everything.facts
    samples = [sample for part in everything.parts.values() for sample in part]
    assert list(facts["where"]) == [sample.where for sample in samples]
    assert list(facts["part"].unique()) == ["train", "validation", "test"]
    first = facts.iloc[0]
    size = draw("gravel").size
    assert (first["width"], first["height"], first["canvas_width"]) == (*size, 96)
    assert (first["frames"], first["frames_needed"], first["length"]) == (24, 3, 3)
    assert len(first["hash"]) == 32
    assert facts["digest"][0] == facts["digest"][1] != facts["digest"][3]


def test_characters_are_counted_by_part_with_the_unknown_ones(everything):
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
    assert set(table.index) == {k for k, _ in PROBLEMS + SKIPPED + LOOKED_AT}
    assert table.loc["leakage", ["count", "left out", "first"]].tolist() == [
        *[3, 3, "train.tsv, line 10"]
    ]
    assert table.loc["vertical text", ["count", "left out"]].tolist() == [1, 0]
    assert table.loc["empty label", ["count", "left out"]].tolist() == [2, 2]
    summary = everything.summary()
    assert "32 rows: 26 usable (train 21, validation 2, test 3), 6 left out" in summary
    assert f"{len(SKIPPED + LOOKED_AT)} findings: 8 rows better left out" in summary
    assert "  exact duplicate: 2, the first in train.tsv, line 2: the same image" in summary
    counts = everything.counts().set_index("part")
    assert counts.loc["train", ["given", "usable", "cleaned"]].tolist() == [26, 21, 14]


def test_the_order_is_the_same_in_several_processes(make, monkeypatch):
    from crnn_keras.data.check import check

    parts = make(EVERYTHING)
    char_dict = CharDict(LETTERS, normalization="none")
    alone = check_splits(parts, char_dict, CANVAS, processes=1)
    monkeypatch.setattr(check, "_CHUNK", 5)
    together = check_splits(parts, char_dict, CANVAS, processes=2)
    assert together.problems == alone.problems and together.findings == alone.findings
    assert together.cleaned() == alone.cleaned()
    pd.testing.assert_frame_equal(together.facts, alone.facts)


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
def test_leakage_is_skipped_of_the_weaker_part(make, here, there, dropped, kept, change):
    image, other = draw("leaking 1"), draw("leaking 1")
    if change == "jpeg":
        other = encoded(other, "JPEG", quality=60)
    char_dict, texts = counted("abcde")
    parts = make({here: [(image, texts[0])], there: [(other, texts[0])]})
    checked = check_splits(parts, char_dict, CANVAS)
    found = [finding for finding in checked.findings if finding.row is not None]
    assert [(f.kind, f.where) for f in found] == [("leakage", f"{dropped}.tsv, line 1")]
    assert f"{kept}.tsv, line 1 ({kept})" in found[0].reason
    assert len(checked.cleaned()[kept]) == 1 and checked.cleaned()[dropped] == []


def test_a_conflict_with_the_test_costs_training_its_row_only(make):
    parts = make({"train": [(draw("same"), "ab")], "test": [(draw("same"), "ba")]})
    checked = check_splits(parts, CharDict("ab"), CANVAS)
    found = [f for f in checked.findings if f.kind == "conflicting labels"]
    assert [(f.where, f.leave_out) for f in found] == [
        ("train.tsv, line 1", True),
        ("test.tsv, line 1", False),
    ]
    assert {name: len(part) for name, part in checked.cleaned().items()} == {"train": 0, "test": 1}


def test_labels_are_compared_as_the_char_dict_writes_them(make):
    content = {"train": [(draw("same"), "Ab"), (draw("same"), "aB")]}
    folded = check_splits(make(content), CharDict("ab", fold_case=True), CANVAS)
    assert [f.kind for f in folded.findings] == ["exact duplicate", "rare characters"]
    as_is = check_splits(make(content), CharDict("abAB"), CANVAS)
    assert [f.kind for f in as_is.findings][:2] == ["conflicting labels"] * 2
    wide = {"train": [(draw("one"), "Ａ"), (draw("two"), "A")]}
    half_width = CharDict("A", normalization="half_width")
    kinds = [f.kind for f in check_splits(make(wide), half_width, CANVAS).findings]
    assert kinds == ["rare characters"]


def test_of_a_chain_of_like_images_some_stay(make):
    """Each is like its neighbours, the ends are not like each other."""
    image = draw("chain of images", 60)
    chain = [image.crop((0, 0, image.width - 7 * i, image.height)) for i in range(8)]
    checked = check_splits(make({"train": [(p, "ab") for p in chain]}), CharDict("ab"), CANVAS)
    dropped = {f.row: f.other for f in checked.findings if f.leave_out}
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
    parts = make({"all": [(draw(f"image {n}"), text) for n, text in enumerate(texts)]})
    char_dict = CharDict("".join(dict.fromkeys("".join(texts))), normalization="none")
    findings = check_splits(parts, char_dict, CANVAS).findings
    assert pairs(findings) == ([(kind, "all 1")] if kind else [])
    assert all(reason in finding.reason and not finding.leave_out for finding in findings)


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
    found = [(f.row, f.other) for f in checked.findings if f.leave_out]
    assert found == [(4, 0), (5, 1), (6, 2), (7, 3)]


def test_a_image_of_one_colour_has_a_hash_of_nothing():
    hashes = {perceptual_hash(Image.new("L", (9, n), 20 * n)) for n in (1, 5, 12)}
    assert hashes == {bytes(32)}


def near_by_hand(hashes, distance, groups):
    found = []
    for i in range(len(hashes)):
        bits = np.bitwise_count(hashes[i] ^ hashes[i + 1 :]).sum(axis=1)
        for j in np.flatnonzero((bits <= distance) & (groups[i] == groups[i + 1 :])):
            found.append([i, i + 1 + j, bits[j]])
    return found


@pytest.mark.parametrize("distance", [0, 3, 10, 14])
@pytest.mark.parametrize("several", [False, True])
def test_near_pairs_are_those_of_comparing_all(distance, several):
    rng = np.random.default_rng(distance)
    hashes = rng.integers(0, 256, (300, 16), dtype=np.uint8)
    for i in range(0, 200, 2):
        flips = rng.choice(128, i % 19, replace=False)
        bits = np.unpackbits(hashes[i])
        bits[flips] ^= 1
        hashes[i + 1] = np.packbits(bits)
    groups = rng.integers(0, 2, 300) if several else np.zeros(300, np.int64)
    found, _ = near_pairs(hashes, distance, groups if several else None)
    assert found.tolist() == near_by_hand(hashes, distance, groups)


def test_20_000_hashes_are_searched_without_comparing_all():
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
    assert sum(f.kind == "exact duplicate" for f in checked.findings) == 39
    assert max(seen) <= 2


def test_no_list_of_images_breaks_it(make, encode, png_of_size):
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
    assert pairs(checked.problems) == [("unreadable image", f"train {n}") for n in range(1, 6)]
    for number, problem in enumerate(checked.problems, start=1):
        assert f"train_{number}.png" in problem.reason and problem.reason.endswith(".")
    assert "Crop it" in checked.problems[0].reason
    assert "70000 x 1" in checked.problems[1].reason
    assert len(checked.facts) == 0 and checked.cleaned() == {"train": []}


def test_frames_of_a_label_come_from_its_own_image(make):
    content = [(Image.new("L", (32, 32)), "aaaaa"), (Image.new("L", (200, 32)), "aaaaa")]
    checked = check_splits(make({"a": content}), CharDict("a"), Canvas("keep", 32, (32, 256)))
    assert rows(checked.parts["a"]) == [2]
    assert "needs 9 frames, its image has 8" in checked.problems[0].reason


@pytest.mark.parametrize("parts", [{}, {"train": []}, {"train": [], "test": []}])
def test_nothing_at_all(parts, tmp_path):
    checked = check_splits(parts, CharDict("ab"), CANVAS)
    assert checked.parts == checked.cleaned() == parts
    assert checked.problems == checked.findings == []
    assert len(checked.table()) == len(checked.facts) == 0
    assert "0 rows: 0 usable" in checked.summary()
    assert set(checked.characters()["total"]) == {0}
    checked.write_page(tmp_path / "page.html")
    assert "Nothing was left out" in (tmp_path / "page.html").read_text()
    for figure in figures(checked):
        figure.canvas.draw()


def test_one_sample_of_one_pixel(make, tmp_path):
    checked = check_splits(
        make({"train": [(Image.new("L", (1, 1), 7), "a")]}), CharDict("a"), CANVAS
    )
    assert pairs(checked.findings) == [
        ("narrow characters", "train 1"),
        ("rare characters", "train 1"),
    ]
    checked.write_page(tmp_path / "page.html", figures(checked))


def figures(checked):
    counts = checked.characters().set_index("character")["total"]
    yield plots.character_frequencies(counts)
    yield plots.label_lengths(checked.facts)
    yield plots.image_sizes(checked.facts)
    yield plots.pair_sheet(checked.pairs())


def test_the_page_needs_nothing_else_and_has_every_row(everything, tmp_path):
    path = tmp_path / "run" / "data_check.html"
    everything.write_page(path, list(figures(everything)))
    page = path.read_text()
    assert page.count('<img src="data:image/png;base64,') == 4
    assert "://" not in page and "<script" not in page
    for kind, where in PROBLEMS + SKIPPED + LOOKED_AT:
        assert f"<b>{kind}</b>" in page
        assert (where if where == "char dict" else where.replace(" ", ".tsv, line ")) in page
    for name, entries in (("skipped", everything.problems), ("findings", everything.findings)):
        lines = (path.parent / f"{name}.tsv").read_text().splitlines()
        assert len(lines) == len(entries) + 1
        assert lines[1].split("\t")[:2] == [entries[0].kind, entries[0].where]


NASTY = "<script>alert(1)</script>\u202egnp.\u2066&\"'"


def test_labels_and_paths_cannot_break_the_page(make, tmp_path):
    char_dict = CharDict("".join(dict.fromkeys(NASTY)), normalization="none")
    parts = make({"<b>part\u202e": [(draw("a long image of it"), NASTY)] * 2})
    parts = {
        name: [Sample(s.image, s.text, f"<i>\u202e{n}\udc80") for n, s in enumerate(part)]
        for name, part in parts.items()
    }
    wide = Canvas("stretch", 32, (400,))
    checked = check_splits(parts, char_dict, wide, [Problem("<u>", "<u>\u2067", NASTY)])
    path = tmp_path / "data_check.html"
    checked.write_page(path, list(figures(checked)))
    page = path.read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&lt;U+202E&gt;gnp." in page
    assert not re.search(r"<script|<i>|<u>|<b>part", page)
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", page)
    assert "&lt;i&gt;&lt;U+202E&gt;0&lt;U+DC80&gt;" in page
    assert "\u202e" not in (tmp_path / "findings.tsv").read_text()


def test_a_long_list_is_cut_on_the_page_and_whole_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "MOST", 20)
    findings = [Finding("exact duplicate", f"line {n:04}.", "why", True, n) for n in range(50)]
    problems = [Problem("missing file", f"row {n:04}.", "gone") for n in range(30)]
    empty = check_splits({}, CharDict("ab"), CANVAS)
    checked = DataCheck({}, problems, findings, empty.facts, CharDict("ab"), {})
    checked.write_page(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("line 00") == 21 and page.count("row 00") == 21
    assert "and 30 more, in findings.tsv" in page and "and 10 more, in skipped.tsv" in page
    assert len((tmp_path / "findings.tsv").read_text().splitlines()) == 51


def drawn(figure):
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def test_figures_say_what_they_show(everything, monkeypatch):
    monkeypatch.setattr(plots, "_has_glyph", lambda character: character not in "Ａ\u200b\u0301")
    frequencies, lengths, sizes, twice = map(drawn, figures(everything))
    assert {"a", "space", "<U+FF21>", "<U+200B>"} <= set(frequencies)
    assert {"train (21)", "validation (2)", "test (3)"} <= set(lengths)
    assert {"canvas", "width / height"} <= set(sizes)
    assert {"exact duplicate: 'abc'", "leakage: 'bca'"} <= set(twice)
    assert twice.count("conflicting labels: 'ab' and 'ba'") == 1
    assert len(everything.pairs(most=4)) <= 4 and everything.pairs(("vertical text",)) == []


def test_prices_are_no_formulas():
    image = np.zeros((5, 9), np.uint8)
    assert "'$7_1' and '$8^'" in drawn(plots.pair_sheet([(image, image, "'$7_1' and '$8^'")]))
    assert "$" in drawn(plots.character_frequencies({"$": 2}))


def test_many_characters_are_drawn_by_rank():
    texts = drawn(plots.character_frequencies({chr(0x21 + i): 500 - i for i in range(200)}, 60))
    assert "rank of the character, of 200" in texts and "!" in texts

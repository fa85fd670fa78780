"""Splits of samples by a hash of their names, and splits with labels of their own."""

import collections
import logging
import re
import subprocess
import sys

import pytest

from crnn_keras.data.labels import Sample, assign_split, make_folds, read_splits, split_samples

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}


def _samples(count):
    return [Sample(f"images/{i}.png", "a", f"labels.tsv, line {i + 1}") for i in range(count)]


@pytest.mark.parametrize(
    ("sample", "identity"),
    [
        (Sample("/somewhere/set/images/226md.png", "", ""), "images/226md.png"),
        (Sample("set/images/226md.png", "", ""), "images/226md.png"),
        (Sample("images/226md.png", "", ""), "images/226md.png"),
        (Sample(r"C:\set\images\226md.png", "", ""), "images/226md.png"),
        (Sample("/sets/train/MJ", "", "", key="image-000000012"), "train/MJ/image-000000012"),
        (Sample("svt/img/14_03.jpg", "", "", box=(1, -2, 30, 4)), "img/14_03.jpg/1,-2,30,4"),
    ],
)
def test_identity_names_the_image_wherever_its_set_lies(sample, identity):
    assert sample.identity == identity


@pytest.mark.parametrize("image", ["226md.png", "./226md.png", "../images/226md.png"])
def test_identity_is_the_same_from_within_the_folder(tmp_path, monkeypatch, image):
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path / "images")
    assert Sample(image, "", "").identity == "images/226md.png"


@pytest.mark.parametrize(
    ("identity", "seed", "split"),
    [
        ("images/226md.png", 0, "a"),
        ("images/226md.png", 1, "a"),
        ("省/市.png", 0, "b"),
        ("", 0, "d"),
    ],
)
def test_splits_stay_what_they_were_in_earlier_releases(identity, seed, split):
    assert assign_split(identity, {"a": 1, "b": 1, "c": 1, "d": 1}, seed) == split


def test_a_split_is_the_same_in_another_process():
    code = (
        "from crnn_keras.utils.hashing import assign_split; "
        f"print([assign_split(str(i), {FRACTIONS!r}, 5) for i in range(50)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([assign_split(str(i), FRACTIONS, 5) for i in range(50)])


def test_the_splits_have_their_fractions_on_average():
    splits = [assign_split(f"images/{i}.png", FRACTIONS, 0) for i in range(20_000)]
    for name, fraction in FRACTIONS.items():
        deviation = (fraction * (1 - fraction) / 20_000) ** 0.5
        # Four times the standard deviation of a binomial distribution.
        assert abs(splits.count(name) / 20_000 - fraction) < 4 * deviation


@pytest.mark.parametrize(
    ("fractions", "splits"),
    [
        ({"train": 3, "test": 1}, {"train", "test"}),
        ({"none": 0, "train": 1}, {"train"}),
        ({"train": 1, "none": 0}, {"train"}),
        ({"train": 1e-300, "test": 1e-300}, {"train", "test"}),
    ],
)
def test_fractions_need_not_add_up_to_one(fractions, splits):
    assert {assign_split(str(i), fractions, 0) for i in range(100)} == splits


@pytest.mark.parametrize(
    "fractions", [{}, {"train": 0}, {"train": 2, "test": -1}, {"a": float("nan")}]
)
def test_fractions_that_assign_nothing_are_an_error(fractions):
    with pytest.raises(ValueError, match=re.escape(str(fractions))):
        assign_split("a.png", fractions, 0)


@pytest.mark.parametrize(
    "fractions",
    [{"a": "0.5"}, {"a": True}, {"a": None}, {"a": float("inf")}, {1: 0.5}, 0.5, None, [("a", 1)]],
)
def test_fractions_that_are_no_numbers_by_name_are_an_error(sources, fractions):
    for call in (
        lambda: assign_split("a.png", fractions, 0),
        lambda: split_samples(_samples(3), fractions, 0),
        lambda: read_splits(sources / "one.txt", fractions, 0),
    ):
        with pytest.raises(ValueError, match=r"[Ff]ractions .*Expected a dict"):
            call()


@pytest.mark.parametrize("seed", [-1, 0.5, "0", None, True, 2**32, float("nan")])
def test_a_seed_that_is_none_is_refused_by_name(sources, seed):
    for call in (
        lambda: assign_split("a.png", FRACTIONS, seed),
        lambda: split_samples(_samples(3), FRACTIONS, seed=seed),
        lambda: read_splits(sources / "one.txt", FRACTIONS, seed),
    ):
        with pytest.raises(ValueError, match=f"seed is {seed!r}"):
            call()


def test_the_encoding_is_that_of_every_source(sources):
    for name in ("a.tsv", "b.tsv"):
        (sources / name).write_bytes("1.png\tпривет\n".encode("cp1251"))
    options = {"test_labels": sources / "b.tsv", "encoding": "cp1251"}
    _, splits = read_splits(sources / "a.tsv", {"train": 1}, 0, **options)
    assert _words(splits["train"] + splits["test"]) == {"привет"}


def test_a_split_does_not_depend_on_the_other_images():
    samples = _samples(300)
    whole, half = split_samples(samples, FRACTIONS, 3), split_samples(samples[::-2], FRACTIONS, 3)
    for name, split in half.items():
        assert set(split) <= set(whole[name])


@pytest.mark.parametrize("count", [100, 1000])
def test_a_split_is_disjoint_complete_and_keeps_the_order(count):
    samples = _samples(count)
    splits = split_samples(samples, FRACTIONS, seed=3)
    assert list(splits) == list(FRACTIONS)
    assigned = [sample for split in splits.values() for sample in split]
    assert len(assigned) == count and set(assigned) == set(samples)
    for split in splits.values():
        assert split == sorted(split, key=samples.index)


def test_a_split_is_the_same_for_the_same_seed_only():
    samples = _samples(100)
    assert split_samples(samples, FRACTIONS, 1) == split_samples(samples, FRACTIONS, 1)
    assert split_samples(samples, FRACTIONS, 1) != split_samples(samples, FRACTIONS, 2)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_images_than_splits_are_an_error_that_says_how_many_are_needed(count):
    with pytest.raises(ValueError, match=rf"^{count} images.*train, validation, test.*least 3 "):
        split_samples(_samples(count), FRACTIONS, seed=0)
    splits = split_samples(_samples(count), FRACTIONS, seed=0, allow_empty=True)
    assert sum(map(len, splits.values())) == count


def _sizes(splits):
    return {name: len(split) for name, split in splits.items()}


@pytest.mark.parametrize(
    ("count", "least", "train"),
    [(3, 1, 1), (4, 1, 2), (9, 1, 7), (10, 2, 6), (24, 4, 16), (25, 5, 13), (60, 5, 40)],
)
def test_no_split_of_a_small_set_has_too_few_and_the_training_keeps_most(count, least, train):
    samples = _samples(count)
    for seed in range(50):
        splits = split_samples(samples, FRACTIONS, seed)
        sizes = _sizes(splits)
        assert min(sizes.values()) >= least and sizes["train"] >= train, (seed, sizes)
        assert sizes["train"] == max(sizes.values())
        assert sorted(s.image for split in splits.values() for s in split) == sorted(
            s.image for s in samples
        )


def test_images_moved_to_a_small_split_depend_on_names_and_seed_alone():
    samples = _samples(30)
    splits = split_samples(samples, FRACTIONS, 0)
    assert _sizes(splits) == {"train": 20, "validation": 5, "test": 5}
    other = split_samples(samples[::-1], FRACTIONS, 0)
    assert {n: split[::-1] for n, split in other.items()} == splits
    assert split_samples(samples, FRACTIONS, 1) != splits


def test_what_the_hash_put_into_a_small_split_stays_there():
    samples = _samples(40)
    for seed in range(20):
        splits = split_samples(samples, FRACTIONS, seed)
        for name in ("validation", "test"):
            hashed = {s for s in samples if assign_split(s.identity, FRACTIONS, seed) == name}
            assert hashed <= set(splits[name])


def test_most_images_keep_their_split_when_one_joins_a_small_set():
    moved = 0
    for seed in range(50):
        before = split_samples(_samples(30), FRACTIONS, seed)
        after = split_samples(_samples(31), FRACTIONS, seed)
        moved += sum(len(set(before[name]) - set(after[name])) for name in FRACTIONS)
    assert moved < 50


def test_samples_of_one_image_stay_together_when_they_are_moved():
    samples = [Sample(f"images/{i // 3}.png", str(i), f"line {i}") for i in range(36)]
    splits = split_samples(samples, FRACTIONS, 3)
    images = [{s.image for s in split} for split in splits.values()]
    assert sum(map(len, images)) == 12 and set.union(*images) == {s.image for s in samples}
    assert [len(own) >= 2 for own in images] == [True] * 3


def test_a_split_without_a_fraction_gets_no_image():
    fractions = {"train": 0.9, "validation": 0.1, "test": 0}
    sizes = _sizes(split_samples(_samples(20), fractions, 0))
    assert sizes["test"] == 0 and sizes["validation"] >= 5


def test_the_largest_split_gives_whatever_its_name():
    sizes = _sizes(split_samples(_samples(100), {"train": 0.01, "test": 0.99}, 0))
    assert sizes == {"train": 5, "test": 95}


def test_moved_images_are_counted_in_the_log(caplog):
    with caplog.at_level(logging.INFO, "crnn_keras"):
        split_samples(_samples(30), FRACTIONS, 0)
        assert [r.getMessage() for r in caplog.records] == [
            "30 images make small splits: moved by count 2 to validation (now 5)."
        ]
        caplog.clear()
        split_samples(_samples(300), FRACTIONS, 0)
    assert not caplog.records


def test_each_image_is_tested_in_one_fold():
    samples = _samples(61)
    found = make_folds(samples, 5, seed=0)
    assert [list(fold) for fold in found] == [["train", "validation", "test"]] * 5
    assert sorted(len(fold["test"]) for fold in found) == [12, 12, 12, 12, 13]
    tested = collections.Counter(s for fold in found for s in fold["test"])
    assert tested == dict.fromkeys(samples, 1)
    for fold in found:
        images = [s.image for split in fold.values() for s in split]
        assert sorted(images) == sorted(s.image for s in samples)
        assert len(fold["validation"]) >= 5 and len(fold["train"]) > 30


def test_folds_depend_on_names_and_seed_alone():
    samples = _samples(40)
    found, other = make_folds(samples, 4, seed=2), make_folds(samples[::-1], 4, seed=2)
    for fold, same in zip(found, other, strict=True):
        assert fold == {name: split[::-1] for name, split in same.items()}
    assert make_folds(samples, 4, seed=3) != found


def test_samples_of_one_image_are_in_one_fold():
    samples = [Sample(f"images/{i // 4}.png", str(i), f"line {i}") for i in range(44)]
    found = make_folds(samples, 3, seed=0)
    assert sorted(len(fold["test"]) for fold in found) == [12, 16, 16]
    for fold in found:
        images = [{s.image for s in split} for split in fold.values()]
        assert sum(map(len, images)) == 11


@pytest.mark.parametrize(("count", "folds"), [(0, 2), (2, 2), (3, 2), (4, 5)])
def test_too_few_images_for_folds_are_an_error(count, folds):
    with pytest.raises(ValueError, match=f"^{count} images are too few for {folds} folds"):
        make_folds(_samples(count), folds, seed=0)


@pytest.mark.parametrize(("count", "folds"), [(3, 3), (4, 2), (5, 5)])
def test_the_fewest_images_that_make_folds(count, folds):
    found = make_folds(_samples(count), folds, seed=0)
    assert all(split for fold in found for split in fold.values())


@pytest.mark.parametrize("folds", [0, 1, 2.5, "5", None, True])
def test_folds_are_at_least_two(folds):
    with pytest.raises(ValueError, match="folds is"):
        make_folds(_samples(9), folds, seed=0)


@pytest.fixture
def sources(tmp_path):
    """A folder with three label files: of 60, 20 and 10 rows."""
    rows = {"one.txt": range(60), "two.tsv": range(60, 80), "three.txt": range(80, 90)}
    for name, numbers in rows.items():
        between = "\t" if name.endswith("tsv") else " "
        lines = (f"{number}.png{between}word{number}\n" for number in numbers)
        (tmp_path / name).write_text("".join(lines))
    return tmp_path


def _words(samples):
    return {sample.text for sample in samples}


ONE, TWO, THREE = (
    {f"word{number}" for number in numbers} for numbers in (range(60), range(60, 80), range(80, 90))
)


def test_one_source_is_split(sources):
    found, splits = read_splits(sources / "one.txt", FRACTIONS, 0)
    assert list(splits) == list(FRACTIONS)
    assert sorted(s.text for split in splits.values() for s in split) == sorted(ONE)
    assert _words(found.samples) == ONE and found.layout == "sample_txt"
    assert splits == split_samples(found.samples, FRACTIONS, 0)


def test_a_split_with_labels_of_its_own_is_read_from_them(sources):
    found, splits = read_splits(sources / "one.txt", FRACTIONS, 0, test_labels=sources / "two.tsv")
    assert list(splits) == list(FRACTIONS)
    assert _words(splits["test"]) == TWO
    assert _words(splits["train"] + splits["validation"]) == ONE and splits["validation"]
    assert _words(found.samples) == ONE | TWO
    assert found.layout == "several" and len(found.description.splitlines()) == 2


def test_every_split_has_labels_of_its_own(sources):
    _, splits = read_splits(
        sources / "one.txt",
        FRACTIONS,
        0,
        validation_labels=sources / "three.txt",
        test_labels=sources / "two.tsv",
    )
    assert {name: _words(split) for name, split in splits.items()} == {
        "train": ONE,
        "validation": THREE,
        "test": TWO,
    }


def test_labels_of_a_split_without_a_fraction(sources):
    _, splits = read_splits(sources / "one.txt", {"train": 1}, 0, test_labels=sources / "two.tsv")
    assert list(splits) == ["train", "test"]
    assert _words(splits["train"]) == ONE and _words(splits["test"]) == TWO


def test_a_split_with_a_fraction_of_0_is_empty(sources):
    fractions = {"train": 0.8, "validation": 0.2, "test": 0}
    _, splits = read_splits(sources / "one.txt", fractions, 0)
    assert splits["test"] == [] and _words(splits["train"] + splits["validation"]) == ONE


def test_issues_and_options_are_those_of_every_source(sources):
    (sources / "a.csv").write_text("crop,word\na.png,one\nb.png,\n")
    (sources / "b.csv").write_text("word,crop\ntwo,c.png\nthree,\n")
    found, splits = read_splits(
        sources / "a.csv",
        {"train": 1},
        0,
        validation_labels=sources / "b.csv",
        layout="csv",
        images_folder=sources / "scans",
        image_column="crop",
        text_column="word",
    )
    assert [sample.image for sample in splits["train"]] == [str(sources / "scans/a.png")]
    assert [sample.image for sample in splits["validation"]] == [str(sources / "scans/c.png")]
    assert [issue.where for issue in found.issues] == [
        f"{sources}/a.csv, line 3",
        f"{sources}/b.csv, line 3",
    ]


@pytest.mark.parametrize("name", ["a=b.txt", "train=a.txt, test=b.txt"])
def test_a_label_file_may_have_any_name(sources, name):
    (sources / name).write_text("1.png one\n")
    found, _ = read_splits(sources / name, {"train": 1.0}, 0)
    assert _words(found.samples) == {"one"}


def test_empty_sources_are_no_sources(sources, monkeypatch):
    monkeypatch.chdir(sources)
    found, splits = read_splits("one.txt", FRACTIONS, 0, validation_labels="", test_labels="")
    assert _words(found.samples) == ONE and len(splits["test"]) < 20
    with pytest.raises(ValueError, match="path is empty"):
        read_splits("", FRACTIONS, 0, test_labels="two.tsv")


@pytest.mark.parametrize("source", ["labels", "validation_labels", "test_labels"])
def test_a_missing_source_is_named(sources, monkeypatch, source):
    monkeypatch.chdir(sources)
    labels = {"labels": "one.txt", source: "absent.txt"}
    with pytest.raises(ValueError, match=r"absent\.txt"):
        read_splits(fractions=FRACTIONS, seed=0, **labels)


def test_labels_without_a_usable_row_name_the_first_issue(tmp_path):
    path = tmp_path / "labels.tsv"
    path.write_text("/elsewhere/a.png\tone\n/elsewhere/b.png\ttwo\n")
    with pytest.raises(ValueError, match=r"labels\.tsv has no row .* 2 .*line 1.*a\.png"):
        read_splits(path, FRACTIONS, seed=0)
    path.write_text("")
    with pytest.raises(ValueError, match=r"labels\.tsv"):
        read_splits(path, FRACTIONS, seed=0)

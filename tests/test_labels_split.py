import subprocess
import sys

import pytest

from crnn_keras.data.labels import Sample, assign_split, split_samples

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


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
    ("identity", "seed", "part"),
    [
        ("images/226md.png", 0, "a"),
        ("images/226md.png", 1, "a"),
        ("省/市.png", 0, "b"),
        ("", 0, "d"),
    ],
)
def test_parts_stay_what_they_were_in_earlier_releases(identity, seed, part):
    assert assign_split(identity, {"a": 1, "b": 1, "c": 1, "d": 1}, seed) == part


def test_a_part_is_the_same_in_another_process():
    code = (
        "from crnn_keras.utils.hashing import assign_split; "
        f"print([assign_split(str(i), {SHARES!r}, 5) for i in range(50)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([assign_split(str(i), SHARES, 5) for i in range(50)])


def test_the_parts_have_their_shares_on_average():
    parts = [assign_split(f"images/{i}.png", SHARES, 0) for i in range(20_000)]
    for name, share in SHARES.items():
        # Four times the standard deviation of a binomial distribution.
        assert abs(parts.count(name) / 20_000 - share) < 4 * (share * (1 - share) / 20_000) ** 0.5


@pytest.mark.parametrize(
    ("fractions", "parts"),
    [
        ({"train": 3, "test": 1}, {"train", "test"}),
        ({"none": 0, "train": 1}, {"train"}),
        ({"train": 1, "none": 0}, {"train"}),
        ({"train": 1e-300, "test": 1e-300}, {"train", "test"}),
    ],
)
def test_shares_need_not_add_up_to_one(fractions, parts):
    assert {assign_split(str(i), fractions, 0) for i in range(100)} == parts


@pytest.mark.parametrize(
    "fractions", [{}, {"train": 0}, {"train": 2, "test": -1}, {"a": float("nan")}]
)
def test_shares_that_deal_nothing_out_are_refused(fractions):
    with pytest.raises(ValueError, match="must not be below 0, and their sum must be above 0"):
        assign_split("a.png", fractions, 0)


def test_a_part_does_not_depend_on_the_other_images():
    samples = _samples(300)
    whole, half = split_samples(samples, SHARES, 3), split_samples(samples[::-2], SHARES, 3)
    for name, part in half.items():
        assert set(part) <= set(whole[name])


@pytest.mark.parametrize("count", [100, 1000])
def test_a_split_is_disjoint_complete_and_keeps_the_order(count):
    samples = _samples(count)
    parts = split_samples(samples, SHARES, seed=3)
    assert list(parts) == list(SHARES)
    dealt = [sample for part in parts.values() for sample in part]
    assert len(dealt) == count and set(dealt) == set(samples)
    for part in parts.values():
        assert part == sorted(part, key=samples.index)


def test_a_split_is_the_same_for_the_same_seed_only():
    samples = _samples(100)
    assert split_samples(samples, SHARES, 1) == split_samples(samples, SHARES, 1)
    assert split_samples(samples, SHARES, 1) != split_samples(samples, SHARES, 2)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_split_that_leaves_a_part_empty_is_refused(count):
    with pytest.raises(ValueError, match=rf"{count} samples are too few: the part '.*share of 0\."):
        split_samples(_samples(count), SHARES, seed=0)

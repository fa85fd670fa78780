import pytest

from crnn_keras.data.labels import read_splits

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}


@pytest.fixture
def sources(tmp_path):
    """Two label files of 60 and 20 rows."""
    for name, rows in (("one.txt", range(60)), ("two.tsv", range(60, 80))):
        between = "\t" if name.endswith("tsv") else " "
        lines = (f"{row}.png{between}word{row}\n" for row in rows)
        (tmp_path / name).write_text("".join(lines))
    return tmp_path


def test_one_source_is_split(sources):
    found, parts = read_splits(sources / "one.txt", SHARES, seed=0)
    assert list(parts) == list(SHARES)
    assert sorted(s.text for part in parts.values() for s in part) == sorted(
        s.text for s in found.samples
    )
    assert len(found.samples) == 60 and found.layout == "sample_txt"


def test_sources_given_apart_stay_apart(sources):
    labels = f"train={sources}/one.txt, test = {sources}/two.tsv"
    found, parts = read_splits(labels, SHARES, seed=0)
    assert {s.text for s in parts["test"]} == {f"word{row}" for row in range(60, 80)}
    assert {s.text for s in parts["train"] + parts["validation"]} == {
        f"word{row}" for row in range(60)
    }
    assert parts["validation"] and list(parts) == list(SHARES)
    assert found.layout == "several" and len(found.description.splitlines()) == 2

    three = f"{labels},validation={sources}/two.tsv"
    _, parts = read_splits(three, SHARES, seed=0)
    assert len(parts["train"]) == 60 and len(parts["validation"]) == 20


def test_a_set_without_a_test_part(sources):
    _, parts = read_splits(f"train={sources}/one.txt", SHARES, seed=0)
    assert list(parts) == ["train", "validation"]


@pytest.mark.parametrize(
    "labels",
    [
        "test={0}/two.tsv",
        "train={0}/one.txt,train={0}/two.tsv",
        "train={0}/one.txt, x=y",
        "Train={0}/one.txt, Test={0}/two.tsv",
    ],
)
def test_parts_that_make_no_sense_are_refused(sources, labels):
    with pytest.raises(ValueError, match="Expected train, and no more than train, validation"):
        read_splits(labels.format(sources), SHARES, seed=0)


def test_a_name_with_a_sign_of_equality_is_a_name(sources):
    (sources / "a=b.txt").write_text("1.png one\n")
    found, _ = read_splits(sources / "a=b.txt", {"train": 1.0}, seed=0)
    assert [s.text for s in found.samples] == ["one"]


def test_a_name_like_two_parts_is_a_name_where_it_exists(sources):
    (sources / "a=b, c=d.txt").write_text("1.png one\n")
    found, _ = read_splits(sources / "a=b, c=d.txt", {"train": 1.0}, seed=0)
    assert [s.text for s in found.samples] == ["one"]


def test_a_part_without_a_source_does_not_read_the_current_folder(sources, monkeypatch):
    monkeypatch.chdir(sources)
    with pytest.raises((ValueError, OSError), match="train= , test=two.tsv"):
        read_splits("train= , test=two.tsv", SHARES, seed=0)


@pytest.mark.parametrize("labels", ["train=one.txt, test=absent.txt", "train=absent.txt"])
def test_a_missing_source_is_named(sources, monkeypatch, labels):
    monkeypatch.chdir(sources)
    with pytest.raises((ValueError, OSError), match=r"absent\.txt"):
        read_splits(labels, SHARES, seed=0)

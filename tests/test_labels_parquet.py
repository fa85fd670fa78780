"""Parquet files of Hugging Face: one file, shards, and those that are odd or damaged."""

import builtins
import concurrent.futures
import io
import os
import random
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from crnn_keras.data import parquet_file
from crnn_keras.data.check import check_splits
from crnn_keras.data.labels import Sample, read_samples
from crnn_keras.data.records.sample_list import read_sample_list, write_sample_list
from crnn_keras.images import Canvas, ImageError
from crnn_keras.utils import limits
from crnn_keras.utils.parallel import parallel_map


def _png(shade=0):
    buffer = io.BytesIO()
    image = Image.new("L", (20, 10), 255)
    image.paste(shade % 200, (3, 2, 15, 8))
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _write(path, texts, images=None, *, names=("image", "text"), form="struct", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [_png(i) for i in range(len(texts))] if images is None else images
    if form == "struct":
        images = [
            image if isinstance(image, dict | None) else {"bytes": image, "path": f"{i}.png"}
            for i, image in enumerate(images)
        ]
    table = {names[0]: images, names[1]: texts, "id": list(range(len(texts)))}
    pq.write_table(pa.table(table), path, **options)


def _texts(found):
    return [sample.text for sample in found.samples]


@pytest.mark.parametrize("form", ["struct", "bytes"])
@pytest.mark.parametrize("row_group_size", [None, 2])
@pytest.mark.parametrize("names", [("image", "text"), ("Img", "label"), ("crop", "a word")])
def test_a_parquet_file(tmp_path, form, row_group_size, names):
    texts = ["one", "two words", "省 市", "four", "five"]
    path = tmp_path / "set.parquet"
    _write(path, texts, names=names, form=form, row_group_size=row_group_size)
    asked = dict(zip(("image_column", "text_column"), names, strict=True))
    found = read_samples(path, **(asked if names[0] == "crop" else {}))
    assert (found.layout, found.issues, _texts(found)) == ("parquet", [], texts)
    assert [s.key for s in found.samples] == [f"{names[0]}[{i}]" for i in range(5)]
    assert found.samples[3].where == f"{path}, row 3"
    expected = [_png(i) for i in range(5)]
    assert [sample.read() for sample in found.samples] == expected
    # In any order too, and by threads and processes.
    order = [4, 0, 3, 3, 1, 2, 0] * 5
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        read = pool.map(Sample.read, [found.samples[i] for i in order])
        assert list(read) == [expected[i] for i in order]
    assert len({sample.identity for sample in found.samples}) == 5
    assert found.samples[0].identity.endswith(f"/set.parquet/{names[0]}[0]")


def test_images_are_read_by_other_processes_and_listed(tmp_path, char_dict):
    _write(tmp_path / "set" / "a.parquet", ["one", "two"])
    found = read_samples(tmp_path / "set")
    expected = [_png(0), _png(1)]
    assert list(parallel_map(Sample.read, found.samples, processes=2)) == expected
    listed = write_sample_list(tmp_path / "list.jsonl", found.samples)
    assert read_sample_list(tmp_path / "list.jsonl", listed) == found.samples
    check = check_splits({"train": found.samples}, char_dict, Canvas())
    assert check.skipped == []


def test_a_folder_of_shards_is_read_in_order_and_a_missing_one_is_named(tmp_path):
    for index in (2, 0):
        name = f"data/train-{index:05d}-of-00003.parquet"
        _write(tmp_path / name, [f"word{index}", "the"], row_group_size=1)
    (tmp_path / "README.md").write_text("---\n")
    found = read_samples(tmp_path)
    assert found.layout == "parquet" and _texts(found) == ["word0", "the", "word2", "the"]
    assert len({sample.identity for sample in found.samples}) == 4
    (issue,) = found.issues
    assert issue.kind == "missing file" and "train-00001-of-00003.parquet" in issue.where
    _write(tmp_path / "data/train-00001-of-00003.parquet", ["word1"])
    assert read_samples(tmp_path / "data").issues == []
    (tmp_path / "data/train-00001-of-00003.parquet").write_bytes(b"PAR1 damaged PAR1")
    (issue,) = read_samples(tmp_path).issues
    assert (issue.kind, issue.where.split("/")[-1]) == (
        "damaged shard",
        "train-00001-of-00003.parquet",
    )


@pytest.mark.parametrize(
    "names",
    [
        ("train-00000-of-00001", "test-00000-of-00001"),
        ("train/0000", "validation/0000"),
        ("mine_train", "mine_val"),
    ],
)
def test_splits_are_not_mixed(tmp_path, names):
    for name in names:
        _write(tmp_path / f"{name}.parquet", ["one"])
    with pytest.raises(ValueError, match=rf"{names[0].split('/')[0]}.*|.*{names[1]}"):
        read_samples(tmp_path)
    assert _texts(read_samples(tmp_path / f"{names[1]}.parquet")) == ["one"]


def test_every_row_is_one_sample_or_one_issue(tmp_path, monkeypatch):
    (tmp_path / "beside.png").write_bytes(_png(7))
    images = [
        _png(),
        None,
        {"bytes": None, "path": "beside.png"},
        {"bytes": None, "path": None},
        {"bytes": None, "path": "../secret.png"},
        _png(),
        _png(),
        _png(),
        {"bytes": b"", "path": "empty.png"},
    ]
    texts = ["one", "two", "three", "four", "five", None, " ", "a\nb", "nine"]
    _write(tmp_path / "set.parquet", texts, images)
    found = read_samples(tmp_path / "set.parquet")
    assert _texts(found) == ["one", "three", "nine"]
    assert found.samples[1].read() == _png(7) and found.samples[1].key == ""
    assert {int(issue.where.split()[-1]): issue.kind for issue in found.issues} == {
        1: "no image",
        3: "no image",
        4: "path outside the folder",
        5: "empty label",
        6: "empty label",
        7: "line break in label",
    }
    for row in (1, 3, 99):
        with pytest.raises(ImageError, match=rf"set\.parquet, image\[{row}\]"):
            Sample(found.samples[0].image, "", "", key=f"image[{row}]").read()


def test_paths_of_images_start_from_the_file_or_the_folder_of_images(tmp_path):
    _write(tmp_path / "set.parquet", ["one", "two"], ["a.png", None], form="path")
    found = read_samples(tmp_path / "set.parquet")
    assert [(s.image, s.text, s.key) for s in found.samples] == [(f"{tmp_path}/a.png", "one", "")]
    assert [issue.kind for issue in found.issues] == ["no image"]
    elsewhere = read_samples(tmp_path / "set.parquet", images_folder=tmp_path / "images")
    assert elsewhere.samples[0].image == f"{tmp_path}/images/a.png"


def test_a_text_that_is_not_utf8_is_one_issue(tmp_path):
    texts = pa.array([b"one", b"caf\xe9", b"three"]).view(pa.utf8())
    table = pa.table({"image": [_png()] * 3, "text": texts})
    pq.write_table(table, tmp_path / "set.parquet", use_dictionary=False)
    found = read_samples(tmp_path / "set.parquet")
    assert _texts(found) == ["one", "three"]
    assert [issue.kind for issue in found.issues] == ["not UTF-8"]


@pytest.mark.parametrize(
    ("columns", "asked", "named"),
    [
        ({"image": [b"x"], "text": [7]}, {}, r"'text' holds int64"),
        ({"image": [7], "text": ["a"]}, {}, r"'image' holds int64"),
        ({"image": [[b"x"]], "text": ["a"]}, {}, r"'image' holds list"),
        ({"picture": [b"x"], "text": ["a"]}, {}, r"'picture'.*none of image"),
        ({"image": [b"x"], "text": ["a"]}, {"image_column": "crop", "text_column": "text"}, "crop"),
        ({"image": [b"x"], "text": ["a"]}, {"image_column": 0, "text_column": 1}, "image_column=0"),
    ],
)
def test_columns_that_do_not_fit_are_named(tmp_path, columns, asked, named):
    pq.write_table(pa.table(columns), tmp_path / "set.parquet")
    with pytest.raises(ValueError, match=rf"set\.parquet.*{named}"):
        read_samples(tmp_path / "set.parquet", **asked)


def test_two_columns_of_one_name_are_refused(tmp_path):
    table = pa.Table.from_arrays(
        [pa.array([b"x"]), pa.array(["a"]), pa.array(["b"])], ["image", "text", "text"]
    )
    pq.write_table(table, tmp_path / "set.parquet")
    with pytest.raises(ValueError, match=r"set\.parquet.*'text'"):
        read_samples(tmp_path / "set.parquet")


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    _write(tmp_path / "set.parquet", ["one"])
    own = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("pyarrow"):
            raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")
        return own(name, *args, **kwargs)

    for name in [name for name in sys.modules if name.startswith("pyarrow")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'crnn_keras\[parquet\]'"):
        read_samples(tmp_path / "set.parquet")


@pytest.mark.slow
def test_an_image_that_is_far_too_large_is_named(tmp_path):
    zeros = bytes(limits.MAX_IMAGE_BYTES + 1)
    _write(tmp_path / "set.parquet", ["a"], [zeros], form="bytes", compression="zstd")
    assert (tmp_path / "set.parquet").stat().st_size < 1_000_000
    found = read_samples(tmp_path / "set.parquet")
    assert [issue.kind for issue in found.issues] == ["unreadable image"] and not found.samples
    with pytest.raises(ImageError, match=r"set\.parquet, image\[0\]"):
        Sample(str(tmp_path / "set.parquet"), "a", "", key="image[0]").read()


@pytest.mark.slow
def test_a_file_that_unpacks_to_far_too_much_is_refused(tmp_path):
    """One image of 20 MB is named by a dictionary for each of 3,000 rows."""
    image = pa.DictionaryArray.from_arrays(pa.array([0] * 3000), pa.array([bytes(20_000_000)]))
    table = pa.table({"image": image, "text": ["a"] * 3000})
    pq.write_table(table, tmp_path / "set.parquet", compression="zstd", store_schema=False)
    assert (tmp_path / "set.parquet").stat().st_size < 100_000
    with pytest.raises(ValueError, match=r"set\.parquet"):
        read_samples(tmp_path / "set.parquet")


@pytest.mark.parametrize("kind", ["cut", "changed", "none"])
def test_damaged_files_are_named_or_read_correctly(tmp_path, kind):
    path = tmp_path / "set.parquet"
    texts = [f"word{i}" for i in range(50)]
    _write(path, texts, row_group_size=20)
    good, rng = path.read_bytes(), random.Random(0)
    for _ in range(3):
        wrong = bytearray(good)
        if kind == "cut":
            wrong = wrong[: rng.randrange(len(wrong))]
        elif kind == "changed":
            for _ in range(3):
                wrong[rng.randrange(len(wrong) * 3 // 4, len(wrong))] ^= 1 << rng.randrange(8)
        else:
            wrong = b"PAR1" + rng.randbytes(500) + b"PAR1"
        path.write_bytes(wrong)
        try:
            found = read_samples(path)
            for sample in found.samples:
                sample.read()
        except ValueError as error:
            assert "set.parquet" in str(error)


def test_a_file_that_was_replaced_is_read_again(tmp_path):
    path = tmp_path / "set.parquet"
    _write(path, ["one"], [_png(1)])
    (sample,) = read_samples(path).samples
    assert sample.read() == _png(1)
    _write(tmp_path / "new.parquet", ["two", "three"], [_png(2), _png(3)])
    os.replace(tmp_path / "new.parquet", path)
    assert sample.read() == _png(2) and _texts(read_samples(path)) == ["two", "three"]


def test_one_place_in_a_file_suffices_to_read_in_order(tmp_path, monkeypatch):
    _write(tmp_path / "set.parquet", [str(i) for i in range(1, 3000)], [b"x"] * 2999)
    opened = []
    own = parquet_file._Reader.batches
    monkeypatch.setattr(
        parquet_file._Reader,
        "batches",
        lambda self, group, columns: opened.append(group) or own(self, group, columns),
    )
    samples = read_samples(tmp_path / "set.parquet").samples
    opened.clear()
    assert [sample.read() for sample in samples] == [b"x"] * 2999
    assert opened == [0]
    assert limits.MAX_IMAGE_BYTES > parquet_file._BATCH_BYTES

"""Images and texts of the same name: tesstrain, kraken, Calamari, OCRopus."""

import io
import os

import pytest
from PIL import Image

from crnn_keras.data.check import check_splits
from crnn_keras.data.labels import read_samples
from crnn_keras.images import Canvas
from crnn_keras.utils.limits import MAX_TEXT_BYTES


def _png(shade=0):
    buffer = io.BytesIO()
    Image.new("L", (20, 10), shade).save(buffer, "PNG")
    return buffer.getvalue()


def _pairs(found, folder):
    return [(s.image.removeprefix(f"{folder}/"), s.text) for s in found.samples]


def _kinds(found, folder):
    return {i.where.removeprefix(f"{folder}/"): i.kind for i in found.issues}


@pytest.mark.parametrize(
    "contents",
    [
        {"line_000.png": None, "line_000.gt.txt": "one\n", "line_001.png": None}
        | {"line_001.gt.txt": "two words\r\n"},
        {"line_000.png": None, "line_000.txt": "one", "line_001.png": None}
        | {"line_001.txt": "\ufefftwo words\n\n"},
        # One pair only; a list of predictions and a page beside it.
        {"line_000.jpg": None, "line_000.gt.txt": "one", "line_000.pred.txt": "ome"},
        {"line_000.tif": None, "line_000.gt.txt": "one", "line_000.txt": "a guess"},
        {"a/line_000.png": None, "a/line_000.gt.txt": "one", "b/c/line_001.png": None}
        | {"b/c/line_001.gt.txt": "two words"},
        # OCRopus and Calamari: binary and normalised images.
        {"line_000.bin.png": None, "line_000.gt.txt": "one"},
        {"line_000.nrm.png": None, "line_000.gt.txt": "one", "line_001.raw.PNG": None}
        | {"line_001.txt": "two words"},
        {"p.01.000.png": None, "p.01.000.gt.txt": "one", "p.01.001.bin.png": None}
        | {"p.01.001.gt.txt": "two words"},
        {"line_000.PNG": None, "line_000.GT.TXT": "one"},
    ],
)
def test_pairs_are_detected_and_can_be_forced(tree, contents):
    folder = tree(contents)
    found = read_samples(folder)
    assert (found.layout, found.issues) == ("pairs", [])
    images = [name for name in contents if not name.lower().endswith(".txt")]
    texts = ["one", "two words"][: len(images)]
    assert _pairs(found, folder) == list(zip(images, texts, strict=True))
    assert found.samples[0].where.lower().endswith(("000.gt.txt", "000.txt"))
    assert read_samples(folder, layout="pairs").samples == found.samples
    assert len({sample.identity for sample in found.samples}) == len(images)


def test_every_image_and_every_text_is_one_sample_or_one_issue(tree):
    folder = tree(
        {
            "a.png": None,
            "a.gt.txt": "good",
            "alone.png": None,
            "empty.png": None,
            "empty.gt.txt": "\n",
            "lines.png": None,
            "lines.gt.txt": "one\ntwo\n",
            "large.png": None,
            "large.gt.txt": "x" * (MAX_TEXT_BYTES + 1),
            "long.png": None,
            "long.gt.txt": "x" * (MAX_TEXT_BYTES // 2),
            "bytes.png": None,
            "bytes.gt.txt": b"caf\xe9",
            "good.png": None,
            "good.gt.txt": "café, Grüße, naïve",
            "widow.gt.txt": "no image",
            "x.png": None,
            "x.bin.png": None,
            "x.nrm.png": None,
            "x.gt.txt": "three images",
            "notes.txt": "a readme is no row",
        }
    )
    found = read_samples(folder)
    assert _pairs(found, folder) == [
        ("a.png", "good"),
        ("good.png", "café, Grüße, naïve"),
        ("x.png", "three images"),
    ]
    assert _kinds(found, folder) == {
        "alone.png": "image without text",
        "bytes.gt.txt": "not UTF-8",
        "empty.gt.txt": "empty label",
        "large.gt.txt": "text too large",
        "lines.gt.txt": "line break in label",
        "long.gt.txt": "overlong label",
        "widow.gt.txt": "text without image",
        "x.bin.png": "several images for one text",
        "x.nrm.png": "several images for one text",
    }
    named = next(issue for issue in found.issues if issue.kind == "image without text")
    assert "'alone.gt.txt'" in named.reason


@pytest.mark.parametrize(
    ("encoding", "texts"),
    [
        ("utf-16", ["héllo", "привет", "你好"]),
        ("gb18030", ["中国银行", "学校电话", "出口", "你好", "医院"]),
    ],
)
def test_an_encoding_is_found_for_all_texts_together(tree, encoding, texts):
    contents = {f"{i}.png": None for i in range(len(texts))}
    contents |= {f"{i}.gt.txt": text.encode(encoding) for i, text in enumerate(texts)}
    found = read_samples(tree(contents))
    assert [s.text for s in found.samples] == texts and found.issues == []
    if encoding == "gb18030":
        assert "encoding gb18030" in found.description and "guess" in found.description


@pytest.mark.parametrize(
    ("encoding", "texts"),
    [
        ("cp1251", ["привет", "улица Москва"]),
        ("cp1252", ["café", "Grüße"]),
        ("big5", ["臺灣", "學校電話"]),
        ("shift_jis", ["日本", "カメラ"]),
    ],
)
def test_an_encoding_that_is_not_certain_is_asked_for(tree, encoding, texts):
    contents = {f"{i}.png": None for i in range(len(texts))}
    contents |= {f"{i}.txt": text.encode(encoding) for i, text in enumerate(texts)}
    folder = tree(contents)
    with pytest.raises(ValueError, match=r"set.*encoding="):
        read_samples(folder)
    found = read_samples(folder, encoding=encoding)
    assert [s.text for s in found.samples] == texts and found.issues == []
    wrong = read_samples(folder, encoding="ascii")
    assert {issue.kind for issue in wrong.issues} == {"not UTF-8"} and not wrong.samples


def test_pipes_and_links_out_of_the_folder_are_not_read(tree, tmp_path):
    folder = tree({"a.png": None, "a.gt.txt": "good", "b.png": None, "c.png": None, "e.gt.txt": ""})
    (tmp_path / "secret.txt").write_text("secret")
    os.symlink(tmp_path / "secret.txt", folder / "b.gt.txt")
    os.mkfifo(folder / "c.gt.txt")
    os.mkfifo(folder / "d.png")
    (folder / "d.gt.txt").write_text("a pipe")
    (folder / "e.png").symlink_to(folder / "e.png")
    found = read_samples(folder)
    assert _pairs(found, folder) == [("a.png", "good")]
    assert _kinds(found, folder) == {
        "b.gt.txt": "path outside the folder",
        "c.gt.txt": "no image",
        "d.png": "no image",
        "e.png": "path outside the folder",
    }


def test_texts_without_images_and_other_label_files_do_not_hide_each_other(tree, tmp_path):
    folder = tree({"a.png": None, "a.gt.txt": "one", "labels.tsv": "a.png\tone\n"})
    with pytest.raises(ValueError, match=r"labels\.tsv"):
        read_samples(folder)
    assert read_samples(folder, layout="pairs").layout == "pairs"
    assert read_samples(folder / "labels.tsv").layout == "tsv"
    with pytest.raises(ValueError, match="pairs"):
        read_samples(folder / "a.gt.txt", layout="pairs")
    with pytest.raises(ValueError, match="images_folder"):
        read_samples(folder, layout="pairs", images_folder=tmp_path)
    # A list whose name ends in gt.txt is no pair.
    lists = tree({"new/train_gt.txt": "a.png\tone\n", "new/a.png": None}) / "new"
    assert read_samples(lists).layout == "tsv"


def test_several_kinds_of_sets_in_one_folder_are_refused_by_name(tree):
    folder = tree({"a.png": None, "shards/000.tar": "", "shards/000.parquet": ""})
    with pytest.raises(ValueError, match=r"(?s)webdataset.*file_name|file_name.*webdataset"):
        read_samples(folder)
    assert read_samples(folder, layout="file_name").samples[0].text == "a"


def test_pairs_are_checked_to_the_last_image(tree, char_dict):
    folder = tree({"a.png": None, "a.gt.txt": "one", "b.png": b"none", "b.gt.txt": "two"})
    found = read_samples(folder)
    check = check_splits({"train": found.samples}, char_dict, Canvas(), issues=found.issues)
    assert [i.kind for i in check.skipped] == ["unreadable image"]

"""IAM's words.txt, lines.txt and sentences.txt; MMOCR's lists."""

import json

import pytest

from crnn_keras.data.labels import read_samples

COMMENT = "#--- words.txt ---#\n#\n# a01-000u-00-00 ok 154 1 408 768 27 51 AT A\n#\n"
WORDS = """\
a01-000u-00-00 ok 154 408 768 27 51 AT A
a01-000u-00-01 err 154 507 766 213 48 NN MOVE
a01-000u-00-02 ok 154 796 764 70 50 TO to
a01-000x-01-00 ok 180 408 768 27 51 . .
g06-011f-03-05 ok 170 -1 -1 2 3 NP St. Ives
"""
LINES = """\
a01-000u-00 ok 154 19 408 746 1661 89 A|MOVE|to|stop|Mr.|Gaitskell|from
a01-000u-01 err 156 19 395 932 1850 105 nominating|any|more|Labour|life|Peers
"""
SENTENCES = "a01-000u-s00-00 0 ok 154 19 408 746 1661 89 A|MOVE|to|stop\n"


@pytest.mark.parametrize(
    ("label_file", "image"),
    [
        ("words.txt", "words/a01/a01-000u/a01-000u-00-00.png"),
        ("ascii/words.txt", "words/a01/a01-000u/a01-000u-00-00.png"),
        ("words.txt", "a01/a01-000u/a01-000u-00-00.png"),
        ("words.txt", "words/a01-000u-00-00.png"),
        ("words.txt", "a01-000u-00-00.png"),
        ("words.txt", "words/a01-000u-00-00.jpg"),
    ],
)
def test_words_and_where_their_images_lie(tree, label_file, image):
    folder = tree({label_file: COMMENT + WORDS, image: None})
    for source in (folder, folder / label_file):
        found = read_samples(source)
        assert found.layout == "iam"
        assert [s.text for s in found.samples] == ["A", "to", ".", "St. Ives"]
        assert found.samples[0].image == str(folder / image)
        assert found.samples[0].read() == (folder / image).read_bytes()
    assert [(i.kind, i.where) for i in found.issues] == [
        ("segmentation error", f"{folder / label_file}, line 6")
    ]
    assert "a01-000u-00-01" in found.issues[0].reason
    last = found.samples[-1].image.removeprefix(str(folder))
    nested = image.count("/") >= 2
    assert last.endswith("g06/g06-011f/g06-011f-03-05.png") == nested
    forced = read_samples(folder / label_file, layout="iam")
    assert forced.samples == found.samples


@pytest.mark.parametrize(
    ("name", "content", "image", "texts"),
    [
        (
            "lines.txt",
            LINES,
            "lines/a01/a01-000u/a01-000u-00.png",
            ["A MOVE to stop Mr. Gaitskell from", "nominating any more Labour life Peers"],
        ),
        (
            "sentences.txt",
            SENTENCES,
            "sentences/a01/a01-000u/a01-000u-s00-00.png",
            ["A MOVE to stop"],
        ),
    ],
)
def test_lines_have_blanks_and_are_read_whatever_their_status(tree, name, content, image, texts):
    folder = tree({name: COMMENT + content, image: None})
    found = read_samples(folder)
    assert (found.layout, found.issues) == ("iam", [])
    assert [s.text for s in found.samples] == texts
    assert found.samples[0].image == str(folder / image)
    assert "blanks for |" in found.description


def test_images_are_looked_for_in_the_folder_that_is_named(tree):
    folder = tree({"words.txt": WORDS, "elsewhere/a01/a01-000u/a01-000u-00-00.png": None})
    found = read_samples(folder / "words.txt", images_folder=folder / "elsewhere")
    assert found.samples[0].image == f"{folder}/elsewhere/a01/a01-000u/a01-000u-00-00.png"
    # Where there are none, they are missing from where IAM has them.
    found = read_samples(folder / "words.txt")
    assert found.samples[0].image == f"{folder}/words/a01/a01-000u/a01-000u-00-00.png"


def test_rows_that_are_none_are_named(tree):
    rows = [
        "a01-000u-00-00 ok 154 408 768 27 51 AT A",
        "a01-000u-00-01 ok 154 408 768 27 51 AT",
        "a01-000u-00-02 ok 154 408 768",
        "../../etc/passwd ok 154 408 768 27 51 AT A",
        "a01-000u-00-03 what 154 408 768 27 51 AT A",
        "hello",
    ]
    folder = tree({"words.txt": "\n".join(rows)})
    found = read_samples(folder / "words.txt")
    assert [s.text for s in found.samples] == ["A"]
    assert [(i.where.split()[-1], i.kind) for i in found.issues] == [
        ("2", "empty label"),
        ("3", "damaged row"),
        ("4", "damaged row"),
        ("5", "segmentation error"),
        ("6", "damaged row"),
    ]


def test_a_list_of_words_is_no_label_file(tree):
    folder = tree({"words.txt": "apple\npear\n", "apple.png": None})
    assert read_samples(folder).layout == "file_name"
    folder = tree({"words.txt": WORDS, "lines.txt": LINES})
    with pytest.raises(ValueError, match=r"lines\.txt, words\.txt"):
        read_samples(folder)


def _instance(text, **others):
    return {"text": text, **others}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["textrecog_train.json", "mine.json"])
@pytest.mark.parametrize("has_metainfo", [True, False])
def test_a_list_of_mmocr(tree, indent, name, has_metainfo):
    content = {"metainfo": {"dataset_type": "TextRecogDataset"}} if has_metainfo else {}
    content["data_list"] = [
        {"img_path": "train/a.png", "instances": [_instance("one")]},
        {"img_path": "train/b.png", "instances": [_instance("省 市")]},
    ]
    folder = tree({name: json.dumps(content, indent=indent), "train/a.png": None})
    found = read_samples(folder if name.startswith("textrecog") else folder / name)
    assert (found.layout, found.issues) == ("mmocr", [])
    assert [(s.image, s.text) for s in found.samples] == [
        (f"{folder}/train/a.png", "one"),
        (f"{folder}/train/b.png", "省 市"),
    ]
    assert found.samples[1].where == f"{folder}/{name}, data_list[1]"
    assert read_samples(folder / name, layout="mmocr").samples == found.samples


def test_every_entry_of_mmocr_is_one_sample_or_one_issue(tree):
    entries = [
        {"img_path": "a.png", "instances": [_instance("one")]},
        {"img_path": "b.png", "instances": [_instance("a"), _instance("b")]},
        {"img_path": "c.png", "instances": [_instance("a", bbox=[0, 0, 1, 1])]},
        {"img_path": "d.png", "instances": []},
        {"img_path": "e.png"},
        {"img_path": "f.png", "instances": [_instance(7)]},
        {"instances": [_instance("a")]},
        {"img_path": "../g.png", "instances": [_instance("a")]},
        "h.png",
        {"img_path": "i.png", "instances": ["i"]},
        {"img_path": ["j.png"], "instances": [_instance("a")]},
    ]
    folder = tree({"x.json": json.dumps({"metainfo": {}, "data_list": entries})})
    found = read_samples(folder / "x.json")
    assert [s.text for s in found.samples] == ["one"]
    assert [issue.kind for issue in found.issues] == [
        "label is not text",
        "label is not text",
        "empty label",
        "empty label",
        "label is not text",
        "no image",
        "path outside the folder",
        "no image",
        "empty label",
        "no image",
    ]


@pytest.mark.parametrize("content", ['{"metainfo": {}}', '{"data_list": {}}', "[1", "[" * 100_000])
def test_other_json_is_no_list_of_mmocr(tree, content):
    folder = tree({"x.json": content})
    with pytest.raises(ValueError, match=r"x\.json"):
        read_samples(folder / "x.json", layout="mmocr")


def test_the_older_lists_of_mmocr_are_objects_by_line(tree):
    rows = '{"filename": "a.png", "text": "one"}\n{"filename": "b.png", "text": "two"}\n'
    folder = tree({"train_label.jsonl": rows, "old.json": rows, "label.txt": rows})
    for name in ("train_label.jsonl", "old.json", "label.txt"):
        found = read_samples(folder / name)
        assert (found.layout, [s.text for s in found.samples]) == ("jsonl", ["one", "two"])

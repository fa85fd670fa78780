"""Labels in the names of files."""

import os
import re
import socket

import pytest

from crnn_keras.data.issues import write_issues
from crnn_keras.data.labels import LAYOUTS, Sample, read_samples
from crnn_keras.images import ImageError


@pytest.fixture
def folder(tmp_path):
    """Function `(*names)`: a folder with empty files of these names."""

    def made(*names):
        for name in names:
            path = tmp_path / "set" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "set"

    return made


def _make_socket(path):
    socket.socket(socket.AF_UNIX).bind(path)


def _texts(found):
    return [sample.text for sample in found.samples]


@pytest.mark.parametrize(
    ("names", "texts", "form"),
    [
        (["226md", "22d5n", "省市"], ["226md", "22d5n", "省市"], "'226md'"),
        (["word_0", "two words_1", "a_b_2"], ["a_b", "two words", "word"], "'word_12'"),
        (["0_word", "1_two words", "2_a_b"], ["word", "two words", "a_b"], "'12_word'"),
        (["1_Lube_45484", "2_the_7"], ["Lube", "the"], "'373_coley_14845'"),
        # Synth90k in one folder: neither of its numbers need be different.
        (["1_the_7", "1_a_5", "3_the_7"], ["a", "the", "the"], "'373_coley_14845'"),
        # A few of TRDG's texts look like Synth90k or like the other form of TRDG.
        (["word_0", "7_up_1", "12_2"], ["12", "7_up", "word"], "'word_12'"),
        (["0_word", "1_seven_7", "2_12"], ["word", "seven", "12"], "number_text"),
    ],
)
def test_one_form_is_chosen_for_the_whole_folder(folder, names, texts, form):
    found = read_samples(folder(*(f"{name}.png" for name in names)))
    if form != "number_text":
        assert sorted(_texts(found)) == sorted(texts)
        assert f"{len(names)} of {len(names)} names are like {form}" in found.description
    else:
        # "1_seven_7" is in the form all the same: its text is "seven_7".
        assert _texts(found) == ["word", "seven_7", "12"]
    assert found.layout == "file_name" and found.issues == []


@pytest.mark.parametrize(
    ("names", "form", "why"),
    [
        # The left numbers repeat, so they are no ids; and the other way round.
        (["12_0", "12_1", "40_2"], "text_number", "are all different"),
        (["0_12", "1_12", "2_40"], "number_text", "are all different"),
        (["12_0", "77_1", "40_2"], "text_number", "count from 0"),
        (["0_12", "1_77", "2_40"], "number_text", "count from 0"),
        (["12_31", "77_50", "40_99"], "text_number", "do not decide"),
        (["5_5", "5_6", "6_5"], "text_number", "do not decide"),
    ],
)
def test_numbers_on_both_sides_are_decided_by_the_ids_and_described(folder, names, form, why):
    found = read_samples(folder(*(f"{name}.jpg" for name in names)))
    side = 0 if form == "text_number" else 1
    assert sorted(_texts(found)) == sorted(name.split("_")[side] for name in names)
    assert f"read as {form}" in found.description and why in found.description
    assert "layout='file_name/" in found.description


def test_ids_are_counted_by_folder(folder):
    found = read_samples(folder("a/12_0.png", "a/12_1.png", "b/40_0.png", "b/31_1.png"))
    assert _texts(found) == ["12", "12", "31", "40"]


@pytest.mark.parametrize(
    ("layout", "texts"),
    [
        ("file_name/text", ["12_word", "1_2_3", "word_12"]),
        ("file_name/text_number", ["1_2", "word"]),
        ("file_name/number_text", ["word", "2_3"]),
        ("file_name/number_text_number", ["2"]),
    ],
)
def test_a_form_can_be_forced(folder, layout, texts):
    found = read_samples(folder("1_2_3.png", "12_word.png", "word_12.png"), layout=layout)
    assert layout in LAYOUTS and found.layout == layout and layout in found.description
    assert _texts(found) == texts
    assert [issue.kind for issue in found.issues] == ["no label in the name"] * (3 - len(texts))


@pytest.mark.parametrize(
    ("names", "all_numbers"), [(["0000", "0001"], True), (["0000", "a1"], False)]
)
def test_names_that_only_count_are_pointed_out(folder, names, all_numbers):
    found = read_samples(folder(*(f"{name}.jpg" for name in names)))
    assert _texts(found) == names
    assert ("if these only count" in found.description) == all_numbers


@pytest.mark.parametrize("name", [":b", "..a", "a\\b", "a b", "a.b"])
def test_any_name_of_a_file_is_a_path(folder, name):
    path = folder("tree.png", f"x{name}.png")
    assert {(s.image, s.text) for s in read_samples(path).samples} == {
        (f"{path}/tree.png", "tree"),
        (f"{path}/x{name}.png", f"x{name}"),
    }


def test_names_of_another_form_and_other_files_become_issues(folder):
    path = folder("b/coley_1.JPG", "a/word_0.png", "a/notes.md", "a/x_y.png", "226md.Png")
    found = read_samples(path)
    assert [(s.image.removeprefix(f"{path}/"), s.text) for s in found.samples] == [
        ("a/word_0.png", "word"),
        ("b/coley_1.JPG", "coley"),
    ]
    assert [(issue.where.removeprefix(f"{path}/"), issue.kind) for issue in found.issues] == [
        ("226md.Png", "no label in the name"),
        ("a/notes.md", "no image"),
        ("a/x_y.png", "no label in the name"),
    ]
    assert "'word_12.png'" in found.issues[0].reason
    assert "file_name/text" in found.issues[0].reason
    assert "2 of 4 names are like 'word_12'" in found.description


@pytest.mark.parametrize("name", ["x_y.png", "notes.md"])
def test_a_folder_without_one_clear_name_gives_issues_only(folder, name):
    found = read_samples(folder(name))
    assert found.samples == [] and len(found.issues) == 1


def test_a_file_that_may_hold_the_labels_is_pointed_out(folder):
    (issue,) = read_samples(folder("my_words.txt", "tree.png")).issues
    assert "holds the labels" in issue.reason


def test_names_that_are_not_utf8_are_named_and_can_be_written(folder, tmp_path):
    path = folder("tree.png")
    with open(os.path.join(os.fsencode(path), "市.png".encode("gbk")), "w"):
        pass
    found = read_samples(path)
    assert _texts(found) == ["tree"]
    assert [issue.kind for issue in found.issues] == ["not UTF-8"]
    found.summary().encode()
    write_issues(tmp_path / "issues.tsv", found.issues)
    assert "not UTF-8" in (tmp_path / "issues.tsv").read_text()


def test_hidden_files_are_no_images(folder):
    found = read_samples(folder("tree.png", "._tree.png", ".DS_Store", "__MACOSX/oak.png"))
    assert _texts(found) == ["tree"] and found.issues == []


def test_links_out_of_the_folder_are_not_followed(folder, tmp_path):
    path = folder("tree.png", "below/oak.png")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "ash.png").touch()
    os.symlink(tmp_path / "secret" / "ash.png", path / "ash.png")
    os.symlink(tmp_path / "secret", path / "elm.png")
    os.symlink(path / "loop.png", path / "loop.png")
    os.symlink("tree.png", path / "yew.png")
    found = read_samples(path)
    assert _texts(found) == ["tree", "yew", "oak"]
    assert {(os.path.basename(issue.where), issue.kind) for issue in found.issues} == {
        ("ash.png", "path outside the folder"),
        ("elm.png", "path outside the folder"),
        ("loop.png", "path outside the folder"),
    }


@pytest.mark.parametrize("make", [os.mkfifo, _make_socket])
def test_pipes_and_sockets_are_not_waited_for(folder, make, monkeypatch):
    path = folder("tree.png")
    monkeypatch.chdir(path)
    make("pipe.png")
    (issue,) = read_samples(path).issues
    assert issue.where.endswith("pipe.png") and "neither a file" in issue.reason
    with pytest.raises(ImageError, match=r"pipe\.png"):
        Sample(str(path / "pipe.png"), "", "").read()
    with pytest.raises(ImageError, match=r"pipe\.png"):
        Sample(str(path / "pipe.png"), "", "", box=(0, 0, 1, 1)).read()


def test_names_as_long_as_a_file_system_takes_and_longer(folder):
    longest = "a" * 251 + ".png"
    path = folder(longest, "省" * 83 + ".png")
    found = read_samples(path)
    assert _texts(found) == ["a" * 251, "省" * 83] and found.issues == []
    for name in ("a" * 252 + ".png", "省" * 84 + ".png", "a/" * 3000 + "b.png", "a\0.png"):
        with pytest.raises(ImageError, match="a|省"):
            Sample(str(path / name), "", "").read()
    with pytest.raises(ValueError, match="does not exist"):
        read_samples(path / ("a" * 300))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("two\nlines.png", "line break in label"),
        ("re\x1b[31md.png", "control character"),
        ("tab\there.png", None),
        ("-rf.png", None),
        ("~.png", None),
        ("%s {} $HOME.png", None),
        ("\u202eoak.png", None),
    ],
)
def test_odd_names_cannot_command_a_terminal(folder, name, kind):
    found = read_samples(folder("tree.png", name))
    assert [issue.kind for issue in found.issues] == [kind] * bool(kind)
    assert len(found.samples) == 2 - bool(kind)
    for where in [item.where for item in [*found.samples, *found.issues]]:
        assert "\n" not in where and "\x1b" not in where and "\u202e" not in where


def test_the_forms_are_documented_where_they_are_chosen():
    for form in ("226md.png", "word_12.jpg", "12_word.jpg", "373_coley_14845.jpg"):
        assert re.search(re.escape(form), read_samples.__doc__)

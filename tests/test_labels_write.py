"""Labels that are written in any layout are read again as they were."""

import os
import pathlib

import hypothesis
import pytest
from hypothesis import strategies as st

from crnn_keras.data.labels import WRITABLE, Sample, read_samples, write_labels

OPTIONS = hypothesis.settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
NAMES = st.lists(
    st.sampled_from([*"ab省 #[]{}\"',;|%?+&=:\\\t.\n", "..", "/", "\ufeff", "é"]), max_size=8
).map("".join)
TEXTS = st.lists(
    st.sampled_from([*'ab省é "\t,;|#\\[{<&>\r\n\0\u2028\u3000\u200f', '[{"', "\ufeff", "x.png"]),
    max_size=8,
).map("".join)


def pairs(samples):
    return sorted((sample.image, sample.text) for sample in samples)


def file_of(folder, layout):
    names = {"tsv": "labels.tsv", "paddleocr": "rec_gt_train.txt", "label_studio": "ls.json"}
    return folder if layout == "pairs" else folder / names[layout]


@OPTIONS
@hypothesis.given(
    rows=st.lists(st.tuples(NAMES, st.sampled_from([".png", ".JPG", ""]), TEXTS), max_size=6)
)
@pytest.mark.parametrize("layout", WRITABLE)
def test_what_is_written_is_read_again_or_refused_by_name(tmp_path_factory, layout, rows):
    folder = tmp_path_factory.mktemp("set")
    path, usable = file_of(folder, layout), {}
    for number, (name, suffix, text) in enumerate(rows):
        image = os.path.normpath(f"{folder}/{name}{suffix}")
        sample = Sample(image, text, f"row {number}")
        try:
            write_labels([sample], path, layout=layout)
        except ValueError as error:
            assert f"row {number}: " in str(error)
        else:
            pathlib.Path(image).parent.mkdir(parents=True, exist_ok=True)
            pathlib.Path(image).write_bytes(b"an image")
            usable[os.path.splitext(image)[0] if layout == "pairs" else image] = sample
    if layout == "pairs":
        assert {image.name for image in folder.rglob("*.gt.txt")} == {
            f"{os.path.basename(stem)}.gt.txt" for stem in usable
        }
        wanted = {sample.image for sample in usable.values()}
        for image in folder.rglob("*"):
            if image.suffix in (".png", ".JPG") and str(image) not in wanted:
                image.unlink()
    if usable:
        write_labels(usable.values(), path, layout=layout)
        assert pairs(read_samples(path, layout=layout).samples) == pairs(usable.values())


@pytest.mark.parametrize("layout", WRITABLE)
def test_plain_labels_are_written_and_detected(tree, layout):
    texts = {"a.png": "one", "b/c.jpg": "two words", "d.png": 'say "hi", 省|;#'}
    folder = tree(dict.fromkeys(texts))
    samples = [Sample(str(folder / name), text, "") for name, text in texts.items()]
    write_labels(iter(samples), file_of(folder, layout), layout=layout)
    found = read_samples(file_of(folder, layout))
    assert (found.layout, found.issues) == (layout, [])
    assert pairs(found.samples) == pairs(samples)


def test_paths_start_from_the_images_folder(tree):
    folder = tree({"images/a.png": None, "labels/x": ""})
    samples = [Sample(str(folder / "images/a.png"), "one", "row 1")]
    for layout in ("tsv", "paddleocr", "label_studio"):
        path = file_of(folder / "labels", layout)
        with pytest.raises(ValueError, match="row 1.*does not lie in"):
            write_labels(samples, path, layout=layout)
        write_labels(samples, path, layout=layout, images_folder=folder / "images")
        found = read_samples(path, images_folder=folder / "images")
        assert pairs(found.samples) == pairs(samples)
    with pytest.raises(ValueError, match="images_folder"):
        write_labels(samples, folder, layout="pairs", images_folder=folder)


@pytest.mark.parametrize(
    ("samples", "layout", "message"),
    [
        ([], "tsv", "no label"),
        ([Sample("a.png", "x", "row 1", key="image-1")], "tsv", "row 1.*part of another file"),
        ([Sample("a.png", "x", "row 1", box=(1, 2, 3, 4))], "tsv", "row 1.*part of another file"),
        ([Sample("a.png", "", "row 1")], "tsv", "row 1.*no label"),
        ([Sample("a.png", "x\ty", "row 1")], "tsv", "row 1.*tab"),
        ([Sample("a", "x", "row 1")], "tsv", "row 1.*suffix"),
        ([Sample("a.png", "x", ""), Sample("a.jpg", "x", "")], "pairs", "share one text"),
        ([Sample("a.png", "x", ""), Sample("a.png", "y", "")], "label_studio", "share one text"),
        ([Sample("a.png", "x", "")], "csv", "'csv'.*label_studio"),
    ],
)
def test_what_cannot_be_written_is_named_and_nothing_is_written(
    tmp_path, monkeypatch, samples, layout, message
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path if layout == "pairs" else tmp_path / "labels"
    with pytest.raises(ValueError, match=message):
        write_labels(samples, path, layout=layout)
    assert list(tmp_path.iterdir()) == []

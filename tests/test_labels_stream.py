"""Samples one at a time, and the bytes of their images."""

import io
import os
import re
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels import Sample, SampleStream, read_samples, stream_samples
from crnn_keras.images import ImageError, to_gray

ROWS = {
    "labels.csv": "images/{0}.png,word {0}\n",
    "labels.jsonl": '{{"image": "images/{0}.png", "text": "word {0}"}}\n',
    "gt.txt": 'images/{0}.png, "word {0}"\n',
    "annotation_train.txt": "./1/2/{0}_word_0.jpg 0\n",
}


def _peak(path):
    tracemalloc.start()
    try:
        count = sum(isinstance(item, Sample) for item in stream_samples(path))
        return count, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "encoding"),
    [*((name, "utf-8") for name in ROWS), ("gt.txt", "gb18030"), ("gt.txt", "utf-16")],
)
def test_memory_stays_flat_however_long_the_label_file(tmp_path, name, encoding):
    peaks = []
    for rows in (2_000, 50_000):
        folder = tmp_path / str(rows)
        folder.mkdir()
        (folder / "lexicon.txt").write_text("word\n")
        # The last row has a character that tells GB18030 from UTF-8.
        last = ROWS[name].format("省")
        if name.startswith("annotation"):
            last = "./1/省/0_word_0.jpg 0\n"
        content = "".join(ROWS[name].format(i) for i in range(rows)) + last
        (folder / name).write_bytes(content.encode(encoding))
        count, peak = _peak(folder / name)
        assert count == rows + 1
        peaks.append(peak)
    # 50,000 rows alone are over a megabyte, and as samples over ten.
    assert peaks[1] < peaks[0] + 2**19
    assert peaks[1] < 2**21


def test_a_stream_yields_samples_and_issues_in_order(tmp_path):
    path = tmp_path / "labels.tsv"
    path.write_text("a.png\tone\nb.png\t\nc.png\ttwo\n../d.png\tx\n")
    stream = stream_samples(path)
    assert isinstance(stream, SampleStream) and iter(stream) is stream
    assert stream.layout == "tsv" and stream.description.startswith(f"{path}: layout tsv")
    items = list(stream)
    assert [type(item) for item in items] == [Sample, Issue, Sample, Issue]
    found = read_samples(path)
    assert [i for i in items if isinstance(i, Sample)] == found.samples
    assert [i for i in items if isinstance(i, Issue)] == found.issues
    assert next(stream, None) is None


def test_an_error_of_the_whole_source_is_raised_before_the_first_row(tmp_path):
    (tmp_path / "labels.csv").write_text("who,what\na.png,one\n")
    (tmp_path / "empty.tsv").write_text("\n")
    with pytest.raises(ValueError, match=r"labels\.csv, line 1: .*image, path"):
        stream_samples(tmp_path / "labels.csv")
    with pytest.raises(ValueError, match=r"empty\.tsv is empty"):
        stream_samples(tmp_path / "empty.tsv")


def test_only_the_start_of_a_long_first_line_decides_the_layout(tmp_path):
    (tmp_path / "labels.txt").write_text("a.png " + "x" * 99_999 + "\nb.png y\n")
    found = read_samples(tmp_path)
    assert [len(sample.text) for sample in found.samples] == [99_999, 1]


def test_read_returns_the_bytes_of_the_file(tmp_path):
    (tmp_path / "a.png").write_bytes(b"any bytes")
    assert Sample(str(tmp_path / "a.png"), "", "").read() == b"any bytes"


def test_images_that_are_missing_or_not_files_are_image_errors(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "closed").write_bytes(b"")
    cases = {
        "absent.png": r"absent\.png does not exist",
        "": "not a file",
        "pipe.png": r"pipe\.png .*not a file",
        "closed/a.png": r"a\.png cannot be read",
    }
    for name, message in cases.items():
        with pytest.raises(ImageError, match=message):
            Sample(str(tmp_path / name), "", "").read()
    with open(tmp_path / "huge.png", "wb") as file:
        file.truncate(2**28 + 1)
    with pytest.raises(ImageError, match=r"huge\.png .*256 MB"):
        Sample(str(tmp_path / "huge.png"), "", "").read()


def test_an_lmdb_that_is_gone_is_an_image_error(tmp_path):
    with pytest.raises(ImageError, match=re.escape(f"{tmp_path}/set") + r" .*data\.mdb"):
        Sample(f"{tmp_path}/set", "a", "", key="image-000000001").read()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK", "F"])
def test_a_box_is_cropped_from_images_of_any_mode(tmp_path, mode):
    gray = np.random.default_rng(0).integers(0, 256, (30, 50), dtype=np.uint8)
    image = Image.fromarray(gray.astype(np.uint16) * 257) if mode == "I;16" else None
    image = image or Image.fromarray(gray).convert(mode)
    path = tmp_path / ("a.tif" if mode in ("CMYK", "F") else "a.png")
    image.save(path)
    word = Image.open(io.BytesIO(Sample(str(path), "", "", box=(10, 5, 20, 15)).read()))
    assert word.size == (20, 15) and word.format == "PNG"
    assert np.array_equal(to_gray(word), to_gray(image).crop((10, 5, 30, 20)))


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((0, 0, 50, 30), (50, 30)),
        ((-5, -6, 10, 10), (5, 4)),
        ((45, 28, 100, 100), (5, 2)),
        ((-5, -5, 500, 500), (50, 30)),
        ((49, 29, 1, 1), (1, 1)),
        ((50, 0, 5, 5), None),
        ((0, 30, 5, 5), None),
        ((-5, 0, 5, 5), None),
        ((0, 0, 0, 5), None),
        ((0, 0, 5, -5), None),
    ],
)
def test_boxes_are_clipped_at_the_edges(tmp_path, encode, box, size):
    (tmp_path / "a.png").write_bytes(encode(Image.new("RGB", (50, 30)), "PNG"))
    sample = Sample(str(tmp_path / "a.png"), "", "", box=box)
    if size:
        assert Image.open(io.BytesIO(sample.read())).size == size
    else:
        with pytest.raises(ImageError, match=r"a\.png has 50 x 30 pixels.*box"):
            sample.read()


def test_a_box_in_an_image_that_cannot_be_read(tmp_path, encode, png_of_size):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    contents = {
        "cut.jpg": encode(Image.fromarray(noise), "JPEG")[:-900],
        "text.png": b"I am text.",
        "huge.png": png_of_size(40_000, 40_000),
        "hollow.png": png_of_size(100, 100),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name in [*contents, "absent.png"]:
        with pytest.raises(ImageError, match=name):
            Sample(str(tmp_path / name), "", "", box=(0, 0, 50, 50)).read()

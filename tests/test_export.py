"""The SavedModel answers as the Recognizer does, in a process without Keras."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from crnn_keras import records, render
from crnn_keras.char_dict import CharDict
from crnn_keras.export import export_saved_model
from crnn_keras.images import Canvas
from crnn_keras.model import build_crnn
from crnn_keras.recognizer import SHIPPED, Recognizer
from crnn_keras.train import save_model

COUNT = 200

# Runs where neither Keras nor crnn_keras can be imported.
CLIENT = """
import json, pathlib, sys
for name in ("keras", "crnn_keras", "PIL"):
    sys.modules[name] = None
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
read = model.signatures["serving_default"]
folder = pathlib.Path(sys.argv[2])
images = [path.read_bytes() for path in sorted(folder.iterdir())]
answer = read(image_bytes=tf.constant(images))
one = read(image_bytes=tf.constant(images[:1]))
none = read(image_bytes=tf.constant([], tf.string))
errors = {}
for name in ("text", "cut", "bomb", "empty"):
    try:
        read(image_bytes=tf.constant([images[0], (folder.parent / "bad" / name).read_bytes()]))
        errors[name] = None
    except tf.errors.InvalidArgumentError as error:
        errors[name] = str(error)
print(json.dumps({
    "texts": [text.decode() for text in answer["text"].numpy()],
    "confidences": answer["confidence"].numpy().tolist(),
    "one": one["text"].numpy()[0].decode(),
    "none": none["text"].shape.as_list(),
    "errors": errors,
}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, png_of_size):
    """Pictures of rendered words in jpeg, png and bmp, and some that are none."""
    top = tmp_path_factory.mktemp("export")
    (top / "pictures").mkdir()
    words = render.WordTexts(render.read_words(), seed=99)
    texts = [words.text(number) for number in range(COUNT)]
    fonts = render.bundled_fonts()
    for number, text in enumerate(texts):
        font = fonts[number % len(fonts)]
        suffix = ("jpg", "png", "bmp")[number % 3]
        picture = render.render_word(text, font, seed=99, index=number)
        picture.save(top / "pictures" / f"{number:03d}.{suffix}")
    (top / "bad").mkdir()
    (top / "bad" / "text").write_text("no picture")
    whole = (top / "pictures" / "001.png").read_bytes()
    (top / "bad" / "cut").write_bytes(whole[: len(whole) // 2])
    (top / "bad" / "bomb").write_bytes(png_of_size(40_000, 40_000))
    (top / "bad" / "empty").write_bytes(b"")
    return top


def ask(saved_model, folder):
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", CLIENT, str(saved_model), str(folder / "pictures")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout)


def test_answers_as_the_recognizer_on_200_images(folder, tmp_path):
    saved_model = export_saved_model(SHIPPED["words"], tmp_path / "reader", version=3)
    assert saved_model == tmp_path / "reader" / "3"
    assert (saved_model / "saved_model.pb").is_file()
    assert [path.name for path in (tmp_path / "reader").iterdir()] == ["3"]

    answer = ask(saved_model, folder)
    readings = Recognizer.load("words").read(folder / "pictures")
    assert answer["texts"] == [reading.text for reading in readings]
    confidences = [reading.confidence for reading in readings]
    np.testing.assert_allclose(answer["confidences"], confidences, rtol=1e-3, atol=1e-6)
    assert len(set(answer["texts"])) > COUNT / 2
    assert answer["one"] == answer["texts"][0]
    assert answer["none"] == [0]
    assert "jpeg, png or bmp" in answer["errors"]["text"]
    assert "jpeg, png or bmp" in answer["errors"]["empty"]
    assert "50,000,000 pixels" in answer["errors"]["bomb"]
    assert answer["errors"]["cut"]


def test_keeps_aspect_and_unicode(folder, tmp_path):
    canvas = Canvas("keep", 32, (48, 96, 160))
    model = build_crnn(CharDict("省京沪川0123456789"), canvas, seed=5)
    kernel = model.get_layer("logits").kernel
    kernel.assign(np.random.default_rng(0).normal(0, 3, kernel.shape))
    save_model(model, tmp_path / "keep.keras")
    answer = ask(export_saved_model(tmp_path / "keep.keras", tmp_path / "keep"), folder)
    readings = Recognizer.load(tmp_path / "keep.keras").read(folder / "pictures")
    assert answer["texts"] == [reading.text for reading in readings]
    assert any(character in "省京沪川" for text in answer["texts"] for character in text)


def test_a_version_is_replaced_whole(tmp_path):
    first = export_saved_model(SHIPPED["words"], tmp_path / "reader")
    (first / "left_over").write_text("of the old one")
    assert export_saved_model(SHIPPED["words"], tmp_path / "reader") == first
    assert not (first / "left_over").exists()


def test_what_is_no_reader_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"none\.keras does not exist"):
        export_saved_model(tmp_path / "none.keras", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_records_store_what_tensorflow_can_decode(tmp_path):
    # webp is read by Pillow only: it is stored as png.
    font = render.bundled_fonts()[0]
    picture = render.render_word("webp", font, seed=1)
    picture.save(tmp_path / "word.webp", lossless=True)
    record = records.make_record((tmp_path / "word.webp").read_bytes(), "webp", "word.webp")
    assert record.encoded.startswith(b"\x89PNG")

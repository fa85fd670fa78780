"""Boxes of characters lie where the characters stand in the image as it is stored."""

import io

import numpy as np
import pytest
from PIL import Image

from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas, Placement, to_canvas_with_placement
from crnn_keras.inference import BaseRecognizer, Prediction, load_images
from crnn_keras.model.decoding import Lexicon
from crnn_keras.synth import Style, bundled_fonts, render_word_with_boxes

CHAR_DICT = CharDict("abc")
STRETCH, KEEP = Canvas(), Canvas("keep", 32, (48, 96, 160))


class StripeRecognizer(BaseRecognizer):
    """Reads an a, b, c, a, ... at each light stripe of an image."""

    def __init__(self, canvas=STRETCH):
        super().__init__(CHAR_DICT, canvas)

    def predict_logits(self, canvases):
        light = canvases[:, :, :, 0].mean(1).reshape(len(canvases), -1, 4).mean(2) > 128
        logits = np.zeros((*light.shape, CHAR_DICT.num_classes), np.float32)
        starts = light & ~np.pad(light, [(0, 0), (1, 0)])[:, :-1]
        ids = np.where(light, (starts.cumsum(1) - 1) % len(CHAR_DICT) + 1, 0)
        np.put_along_axis(logits, ids[..., None], 12, axis=2)
        return logits


def stripes(centers, width=300, height=64, half=12):
    """A black image with light stripes around some columns."""
    pixels = np.zeros((height, width), np.uint8)
    for center in centers:
        pixels[:, center - half : center + half] = 255
    return pixels


def read(image, canvas=STRETCH, **options):
    (prediction,) = StripeRecognizer(canvas).read([image], **options)
    return prediction


def centers(boxes):
    return [(box.left + box.right) / 2 for box in boxes]


def test_boxes_stand_around_their_characters():
    prediction = read(stripes([60, 156, 252]))
    assert prediction.text == "abc"
    assert [box.character for box in prediction.boxes] == ["a", "b", "c"]
    assert [box.left for box in prediction.boxes] == pytest.approx([12, 108, 204])
    assert [box.right for box in prediction.boxes] == pytest.approx([108, 204, 300])
    assert {(box.top, box.bottom) for box in prediction.boxes} == {(0, 64)}
    assert all(0.9 < box.probability <= 1 for box in prediction.boxes)


@pytest.mark.parametrize(("width", "inner"), [(150, 75), (64, 32), (192, 96), (640, 160)])
def test_a_box_leaves_the_padding_out(width, inner):
    image = stripes([width // 4, 3 * width // 4], width=width, half=width // 12)
    boxes = read(image, KEEP).boxes
    assert load_images([image], KEEP).placements == [Placement(width, 64, 1, inner)]
    np.testing.assert_allclose(centers(boxes), [width // 4, 3 * width // 4], atol=4 * width / inner)
    assert all(0 <= box.left < box.right <= width for box in boxes)


def test_a_lone_character_reaches_to_the_nearer_edge():
    (box,) = read(stripes([60])).boxes
    assert (box.left, box.right) == (0, 120)
    (box,) = read(stripes([240])).boxes
    assert (box.left, box.right) == (180, 300)


def test_the_outer_edges_end_at_the_image():
    first, second = read(stripes([24, 250])).boxes
    assert (first.left, second.right) == (0, 300)
    assert first.right == second.left


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_lie_in_the_stored_pixels_of_a_turned_image(orientation):
    upright = Image.fromarray(stripes([60, 156]))
    # What a viewer undoes.
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}.get(orientation)
    stored = upright if undo is None else upright.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[0x112] = orientation
    buffer = io.BytesIO()
    stored.save(buffer, "PNG", exif=exif)
    prediction = read(buffer.getvalue())
    assert prediction.text == "ab"
    shown = np.asarray(Image.open(io.BytesIO(buffer.getvalue())))
    for box in prediction.boxes:
        cut = shown[round(box.top) : round(box.bottom), round(box.left) : round(box.right)]
        # A stripe of 24 pixels in a cell of 96, in its middle.
        axis = 0 if orientation < 5 else 1
        light = cut.mean(axis) > 128
        assert len(light) == 96 and cut.shape[axis] == 64
        assert light.tolist() == [False] * 36 + [True] * 24 + [False] * 36


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "BMP"])
def test_paths_bytes_arrays_and_images_have_the_same_boxes(tmp_path, image_format):
    pixels = stripes([60, 156])
    path = tmp_path / "stripes"
    Image.fromarray(pixels).save(path, image_format)
    colors = np.repeat(pixels[..., None], 3, 2)
    images = [path, path.read_bytes(), pixels, colors, pixels[..., None], Image.open(path)]
    found = {prediction.boxes for prediction in StripeRecognizer().read(images)}
    assert len(found) == 1 and len(found.pop()) == 2


def test_what_was_not_read_has_no_boxes():
    assert read(b"").boxes == () and read(b"").error
    assert read(stripes([])).text == "" and read(stripes([])).boxes == ()
    assert Prediction("ab", 0.5, "#0", spans=((1, 1, 0.5), (3, 3, 0.5))).boxes == ()


def test_an_image_is_opened_once(tmp_path):
    Image.fromarray(stripes([60])).save(tmp_path / "a.png")
    opened = []

    class Counted:
        def read(self):
            opened.append(1)
            return (tmp_path / "a.png").read_bytes()

    prediction = read(Counted())
    (tmp_path / "a.png").unlink()
    assert len(prediction.boxes) == 1 and len(opened) == 1


@pytest.mark.parametrize("tta_views", [1, 3, 5])
def test_views_of_an_image_have_the_boxes_of_the_image(tta_views):
    boxes = read(stripes([60, 156, 252]), tta_views=tta_views).boxes
    np.testing.assert_allclose(centers(boxes), [60, 156, 252], atol=6)


def test_boxes_belong_to_the_word_of_a_lexicon():
    image = stripes([60, 156, 252])
    prediction = read(image, lexicon=Lexicon(["ac"], CHAR_DICT))
    assert (prediction.text, prediction.raw_text) == ("ac", "abc")
    assert [box.character for box in prediction.boxes] == ["a", "c"]
    np.testing.assert_allclose([box.left for box in prediction.boxes], [0, 156], atol=1)
    same = read(image, lexicon=Lexicon(["abc"], CHAR_DICT))
    assert same.boxes == read(image).boxes


def test_boxes_follow_the_text_where_it_runs_from_right_to_left():
    class Hebrew(StripeRecognizer):
        def __init__(self):
            super(StripeRecognizer, self).__init__(CharDict("אבג", direction="visual"), STRETCH)

    ((prediction,), (alignment,)) = (
        Hebrew().read([stripes([60, 156, 252])]),
        Hebrew().align([stripes([60, 156, 252])], "גבא"),
    )
    for found in (prediction, alignment):
        assert [box.character for box in found.boxes] == list("גבא")
        assert centers(found.boxes) == [252, 156, 60]


def test_a_known_text_is_aligned_where_it_stands():
    image = stripes([60, 156, 252])
    true, other, short = StripeRecognizer().align([image] * 3, ["abc", "abb", "ac"])
    assert (true.text, true.source, true.error) == ("abc", "#0", None)
    assert [box[:5] for box in true.boxes] == [box[:5] for box in read(image).boxes]
    assert true.probability == pytest.approx(read(image).raw_confidence)
    assert true.log_likelihood > other.log_likelihood > -np.inf
    assert [box.character for box in short.boxes] == ["a", "c"]


@pytest.mark.parametrize("canvas", [STRETCH, KEEP], ids=["stretch", "keep"])
def test_alignments_come_in_the_order_of_the_images(canvas):
    images = [stripes([60, 156], width=200 + 50 * (n % 5)) for n in range(30)]
    texts = ["ab" if n % 2 else "ba" for n in range(30)]
    alignments = StripeRecognizer(canvas).align(images, iter(texts), batch_size=4)
    assert [found.text for found in alignments] == texts
    assert [found.source for found in alignments] == [f"#{n}" for n in range(30)]
    assert all((found.probability > 0.5) == (n % 2) for n, found in enumerate(alignments))
    alone = [StripeRecognizer(canvas).align(*pair)[0] for pair in zip(images, texts, strict=True)]
    assert [found.boxes for found in alone] == [found.boxes for found in alignments]


def test_what_cannot_be_aligned_keeps_its_place_and_is_named(tmp_path):
    Image.fromarray(stripes([60])).save(tmp_path / "x.png")
    images = [tmp_path / "none.png", tmp_path / "x.png", tmp_path / "x.png", tmp_path / "x.png"]
    texts = ["a", "xyz", "a" * 20, "a"]
    missing, unknown, long, fine = StripeRecognizer().align(images, texts)
    assert "none.png does not exist" in missing.error
    assert "x.png" in unknown.error and "'xyz'" in unknown.error
    assert "39 frames" in long.error and "has 25" in long.error
    assert fine.error is None and len(fine.boxes) == 1
    for failed in (missing, unknown, long):
        assert (failed.boxes, failed.probability) == ((), 0.0)


@pytest.mark.parametrize(
    ("texts", "named"),
    [
        (["a"], "fewer texts"),
        (["a"] * 3, "more texts"),
        (["a", None], "texts"),
        (None, "texts"),
        ({"a", "b"}, "texts are a set"),
    ],
)
def test_each_image_needs_a_text(texts, named):
    with pytest.raises(ValueError, match=named):
        StripeRecognizer().align([stripes([60])] * 2, texts)


def test_a_placement_covers_its_image():
    pixels, placement = to_canvas_with_placement(stripes([60]), KEEP)
    assert placement.inner <= pixels.shape[1]
    assert placement.to_source((-5, 500)) == (0, 0, 300, 64)


def test_centers_lie_within_half_a_character_of_the_ink_of_rendered_words():
    pytest.importorskip("onnxruntime")
    from crnn_keras.inference import OnnxRecognizer

    words = ("Hotel", "ginger", "WILD", "market", "taxi", "2048", "illusion", "Zoom") * 5
    fonts = bundled_fonts()
    rendered = [
        render_word_with_boxes(word, fonts[n % len(fonts)], Style.signs(), seed=3, index=n)
        for n, word in enumerate(words)
    ]
    recognizer = OnnxRecognizer.load("words")
    images = [image for image, _ in rendered]
    hits = count = 0
    # Without a language model, whose share is not that of the image alone.
    predictions = recognizer.read(images, batch_size=8, language_model=None)
    for word, prediction, (_, ink) in zip(words, predictions, rendered, strict=True):
        if prediction.text == word.lower() and len(ink) == len(word):
            for box, own in zip(prediction.boxes, ink, strict=True):
                width = own.right - own.left
                hits += abs(box.left + box.right - own.left - own.right) <= width
                count += 1
    assert count > 150 and hits >= 0.95 * count
    # Threads run the network of ONNX Runtime, in the order of the images too.
    texts = [prediction.text for prediction in predictions]
    aligned = recognizer.align(images, texts, batch_size=8)
    assert [found.spans[0][0] for found in aligned] == [p.spans[0][0] for p in predictions]
    np.testing.assert_allclose(
        [found.probability for found in aligned], [p.raw_confidence for p in predictions], rtol=1e-3
    )

"""Where characters stand: boxes of predictions against the exact boxes of rendered words.

    python benchmarks/boxes.py [--model words] [--words 1000]

Words and numbers of the shipped list are rendered in two styles, in the bundled fonts and those of
the machine, and read by ONNX Runtime. Of the words that are read correctly, a box is right if its
center lies within half a character's width of the center of the character's ink: columns only, as
CTC knows no rows. Words of which a letter is wholly cut off are left out.

The columns: words read correctly, of all; characters; fraction of the boxes that are right with its
interval of 95 % (Wilson); distance of the centers in widths of the character, median and 95th
percentile; and, of the characters' ink, the fraction of the columns that lie in their own box.
"""

import argparse

import numpy as np

from crnn_keras.evaluation.metrics import wilson_interval
from crnn_keras.inference import OnnxRecognizer
from crnn_keras.synth import (
    Style,
    WordTexts,
    bundled_fonts,
    find_fonts,
    fonts_with,
    read_words,
    render_word_with_boxes,
)

SEED = 17
STYLES = {"Style()": Style(), "Style.signs()": Style.signs()}


def compare(found, exact):
    """Returns rows of distance in widths and of ink in the box, of one word's characters."""
    left, right = np.array([(box.left, box.right) for box in found]).T
    ink_left, ink_right = np.array([(box.left, box.right) for box in exact]).T
    width = ink_right - ink_left
    distance = np.abs(left + right - ink_left - ink_right) / 2 / width
    inside = np.minimum(right, ink_right) - np.maximum(left, ink_left)
    return np.stack([distance, np.maximum(inside, 0) / width], axis=1)


def measure(recognizer, style, *, texts, fonts):
    """Returns the numbers of words that are correct and compared, and the rows of `compare`."""
    images, boxes = [], []
    for index, text in enumerate(texts):
        font = fonts[index % len(fonts)]
        image, exact = render_word_with_boxes(text, font, style, seed=SEED, index=index)
        images.append(image)
        boxes.append(exact)
    correct, rows = 0, []
    for text, exact, prediction in zip(texts, boxes, recognizer.read(images), strict=True):
        if prediction.text == recognizer.char_dict.normalize(text):
            correct += 1
            if len(exact) == len(text):
                rows.append(compare(prediction.boxes, exact))
    return correct, len(rows), np.concatenate(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="words", help=".onnx file or shipped name")
    parser.add_argument("--words", type=int, default=1000, help="images of each style")
    options = parser.parse_args()
    recognizer = OnnxRecognizer.load(options.model)
    source = WordTexts(read_words(), seed=SEED, codes=0)
    texts = [source.text(index) for index in range(options.words)]
    every = dict.fromkeys([*bundled_fonts(), *find_fonts()])
    fonts, _ = fonts_with(source.characters, list(every))
    print(f"model {options.model}, {options.words} images of each style, {len(fonts)} fonts")
    print("style          correct  compared  characters  right                    distance   ink")
    for name, style in STYLES.items():
        correct, compared, rows = measure(recognizer, style, texts=texts, fonts=fonts)
        distances, inside = rows.T
        hits, count = int((distances <= 0.5).sum()), len(rows)
        low, high = wilson_interval(hits, count)
        median, most = np.percentile(distances, [50, 95])
        print(
            f"{name:14} {correct:7} {compared:9} {count:11}  "
            f"{hits / count:6.2%} ({low:.2%} to {high:.2%})  "
            f"{median:.2f} {most:.2f}  {inside.mean():.1%}"
        )


if __name__ == "__main__":
    main()

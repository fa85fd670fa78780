"""
Title: OCR model for reading captchas of any length
Author: The crnn_keras maintainers
Date created: 2026/11/28
Last modified: 2026/11/28
Description: How to read captchas on any backend with a CNN, an LSTM and CTC.
Accelerator: GPU
"""

"""
## Introduction

This example reads the text in an image with a model that is never told where a
character is. A convolutional network turns the image into a sequence of frames, a
recurrent network looks at all frames, and Connectionist Temporal Classification (CTC)
sums over every way to place the text on the frames. See
[Sequence Modeling With CTC](https://distill.pub/2017/ctc/) for an introduction.

Texts and images differ in length, and a batch pads both. The padding must not count:

- `keras.ops.ctc_loss()` takes the true length of each text, and the frames of each
image.
- `keras.ops.ctc_decode()` takes the frames too, so that no padding is read as text.

It runs on TensorFlow, JAX and PyTorch, and draws with Pillow: `pip install pillow`.
"""

"""
## Setup
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers, ops
from PIL import Image, ImageDraw, ImageFont

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)

characters = "2345678bcdefgmnpwxy"
blank = 0  # The class that means "no character". The first character is class 1.
height, max_width, max_length = 32, 116, 5
pixels_per_frame = 4  # The model halves the width twice.
num_images, batch_size, epochs = 5120, 16, 4

"""
## Load the data

We draw captchas of three to five characters, so there is nothing to download. If the
folder `data_dir` exists, its images are read instead, each named by its text, as in
[this set](https://github.com/AakashKumarNain/CaptchaCracker/raw/master/captcha_images_v2.zip).
"""

data_dir = Path("captcha_images_v2")
font = ImageFont.load_default(size=26)


def draw_captcha(text):
    image = Image.new("L", (20 * len(text) + 16, height), "white")
    for index, character in enumerate(text):
        tile = Image.new("L", (32, height))
        ImageDraw.Draw(tile).text((16, 16), character, fill=255, font=font, anchor="mm")
        tile = tile.rotate(rng.uniform(-25, 25), resample=Image.Resampling.BILINEAR)
        left, top = 20 * index + rng.integers(0, 7), rng.integers(-3, 4)
        image.paste(int(rng.integers(0, 90)), (int(left), int(top)), mask=tile)
    start, end = rng.integers(0, height, 2).tolist()
    ImageDraw.Draw(image).line([0, start, image.width, end], fill=60, width=2)
    return image


def load_captcha(path):
    image = Image.open(path).convert("L")
    width = min(round(image.width * height / image.height), max_width)
    return image.resize((width, height))


if data_dir.is_dir():
    paths = sorted(data_dir.glob("*.png"))
    samples = [(load_captcha(path), path.stem) for path in paths]
else:
    lengths = rng.integers(3, max_length + 1, num_images)
    texts = ["".join(rng.choice(list(characters), length)) for length in lengths]
    samples = [(draw_captcha(text), text) for text in texts]
rng.shuffle(samples)
num_validation = len(samples) // 10

"""
## Create the datasets

A `keras.utils.PyDataset` works on every backend. All images are padded to one width, so
that the model is compiled once. The width comes first: it becomes the axis of time.

A target is one row: the number of frames, then the classes of the text, then padding.
We pad with the blank, which no text contains, so the other classes give its length.
"""


class Captchas(keras.utils.PyDataset):
    def __init__(self, samples, shuffle=False, **kwargs):
        super().__init__(**kwargs)
        self.samples, self.shuffle = samples, shuffle

    def __len__(self):
        return -(-len(self.samples) // batch_size)

    def __getitem__(self, index):
        batch = self.samples[index * batch_size : (index + 1) * batch_size]
        inputs = np.zeros((len(batch), max_width, height, 1), "float32")
        targets = np.full((len(batch), 1 + max_length), blank, "int32")
        for row, (image, text) in enumerate(batch):
            inputs[row, : image.width, :, 0] = 1 - np.array(image, "float32").T / 255
            targets[row, 0] = -(-image.width // pixels_per_frame)
            targets[row, 1 : 1 + len(text)] = [1 + characters.index(c) for c in text]
        return inputs, targets

    def on_epoch_end(self):
        if self.shuffle:
            rng.shuffle(self.samples)


train_dataset = Captchas(samples[num_validation:], shuffle=True)
validation_dataset = Captchas(samples[:num_validation])

"""
## Define the loss and the metric

`keras.losses.CTC` counts all frames of a batch, padding too, so we call
`keras.ops.ctc_loss()` with both lengths. It expects logits, without a softmax.

The metric is the fraction of texts without an error. `keras.ops.ctc_decode()` takes the
best class of each frame, merges repeats, removes blanks and pads the rest with -1.
"""


def split_targets(targets):
    targets = ops.cast(targets, "int32")
    return targets[:, 0], targets[:, 1:]


def ctc_loss(y_true, y_pred):
    num_frames, labels = split_targets(y_true)
    label_length = ops.sum(ops.cast(labels != blank, "int32"), axis=1)
    return ops.ctc_loss(labels, y_pred, label_length, num_frames, mask_index=blank)


def decode(y_pred, num_frames):
    decoded, _ = ops.ctc_decode(y_pred, num_frames, strategy="greedy", mask_index=blank)
    return decoded[0]


class TextAccuracy(keras.metrics.Mean):
    def update_state(self, y_true, y_pred, sample_weight=None):
        num_frames, labels = split_targets(y_true)
        decoded = decode(y_pred, num_frames)
        labels = ops.where(labels == blank, -1, labels)
        missing = max_width // pixels_per_frame - max_length
        labels = ops.pad(labels, [[0, 0], [0, missing]], constant_values=-1)
        return super().update_state(ops.all(decoded == labels, axis=1), sample_weight)


"""
## Build and train the model
"""

inputs = keras.Input((max_width, height, 1))
x = inputs
for filters, pool_size in [(16, (2, 2)), (32, (2, 2)), (64, (1, 2))]:
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.MaxPooling2D(pool_size)(layers.ReLU()(x))
x = layers.Reshape((max_width // pixels_per_frame, height // 8 * 64))(x)
x = layers.Bidirectional(layers.LSTM(64, return_sequences=True))(x)
model = keras.Model(inputs, layers.Dense(1 + len(characters))(x))
model.summary()

optimizer = keras.optimizers.Adam(0.002)
model.compile(optimizer, ctc_loss, metrics=[TextAccuracy(name="text_accuracy")])
model.fit(train_dataset, validation_data=validation_dataset, epochs=epochs, verbose=2)

"""
## Read captchas that the model has not seen
"""

images, targets = validation_dataset[0]
predictions = decode(model.predict_on_batch(images), targets[:, 0])
predictions = ops.convert_to_numpy(predictions)
for row, (_, text) in list(zip(predictions, validation_dataset.samples))[:8]:
    print(text, "->", "".join(characters[label - 1] for label in row if label > 0))

keras.utils.array_to_img(np.concatenate(images[:8], axis=1).transpose(1, 0, 2))

"""
## What to remember

- Give CTC the true lengths of texts and frames, in the loss and in the decoder.
- Repeated characters need a blank between them: `aab` needs four frames, not three.
"""

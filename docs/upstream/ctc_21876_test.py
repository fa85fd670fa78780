"""Padding in `keras.losses.CTC`, keras issue 21876.

The methods belong into `CTCTest` of `keras/src/losses/losses_test.py`. On
Keras 3.15.1 the first two pass and the last three fail, on TensorFlow, JAX and
PyTorch.
"""

import numpy as np

from keras.src import backend
from keras.src import layers
from keras.src import losses
from keras.src import models
from keras.src import ops
from keras.src import testing


class CTCPaddingTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(0)
        self.logits = rng.normal(size=(1, 6, 4)).astype("float32")
        self.labels = np.array([[1, 2]])
        # The sum over all 70 paths of 6 frames that read as `[1, 2]`.
        self.expected = [6.590162]
        # What a batch does to the sample: 2 more labels, 4 more frames.
        self.padded_logits = np.pad(self.logits, [[0, 0], [0, 4], [0, 0]])
        self.mask = np.array([[True] * 6 + [False] * 4])

    def test_labels_padded_with_blank(self):
        labels = np.pad(self.labels, [[0, 0], [0, 2]])
        output = losses.CTC(reduction=None)(labels, self.logits)
        self.assertAllClose(output, self.expected)

    def test_ops_with_true_lengths(self):
        labels = np.pad(self.labels, [[0, 0], [0, 2]], constant_values=-1)
        lengths = [np.array([2]), np.array([6])]
        output = ops.ctc_loss(labels, self.padded_logits, *lengths)
        self.assertAllClose(output, self.expected)

    def test_labels_padded_with_minus_one(self):
        # The padding that `ops.ctc_decode` returns.
        labels = np.pad(self.labels, [[0, 0], [0, 2]], constant_values=-1)
        output = losses.CTC(reduction=None)(labels, self.logits)
        self.assertAllClose(output, self.expected)

    def test_frames_masked(self):
        logits = ops.convert_to_tensor(self.padded_logits)
        backend.set_keras_mask(logits, ops.convert_to_tensor(self.mask))
        output = losses.CTC(reduction=None)(self.labels, logits)
        self.assertAllClose(output, self.expected)

    def test_evaluate_with_masking(self):
        inputs = layers.Input((None, 3))
        x = layers.Masking()(inputs)
        x = layers.LSTM(4, return_sequences=True)(x)
        model = models.Model(inputs, layers.Dense(4)(x))
        model.compile(loss=losses.CTC())
        frames = np.ones((2, 10, 3), "float32")
        frames[1, 6:] = 0.0
        labels = np.repeat(self.labels, 2, axis=0)
        loss = model.evaluate(frames, labels, verbose=0)
        first = model.evaluate(frames[:1], labels[:1], verbose=0)
        second = model.evaluate(frames[1:, :6], labels[1:], verbose=0)
        self.assertAllClose(loss, (first + second) / 2)

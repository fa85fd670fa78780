"""The function that a SavedModel serves, as a TensorFlow graph without Python.

Only the process of an export imports it: TensorFlow is the backend of Keras there.
"""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Callable

import tensorflow as tf

from crnn_keras.char_dict import BLANK
from crnn_keras.images import tf_ops
from crnn_keras.inference.export.confidence import calibrate, text_probability
from crnn_keras.inference.recognizer import Recognizer


def write_saved_model(model_path: str, folder: str, version: str) -> pathlib.Path:
    """Writes a SavedModel; see `export_saved_model`, which runs it in its process."""
    recognizer = Recognizer.load(model_path)
    signature = [tf.TensorSpec([None], tf.string, name="image_bytes")]
    module = tf.Module()
    # Tracked one by one: keras.export would store every weight twice.
    module.weights = [variable.value for variable in recognizer.model.variables]
    serve = tf.function(make_serving_function(recognizer), signature)
    final = pathlib.Path(folder) / str(int(version))
    temporary = final.with_name(f".{final.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        tf.saved_model.save(module, str(temporary), {"serving_default": serve})
        shutil.rmtree(final, ignore_errors=True)
        os.rename(temporary, final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return final


def make_serving_function(recognizer: Recognizer) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Makes the function of the signature `serving_default`, see `export_saved_model`."""
    model, canvas = recognizer.model, recognizer.canvas
    characters = tf.constant(["", *recognizer.char_dict.characters])

    def read_canvases(canvases):
        logits = model(tf.cast(canvases, tf.float32), training=False)
        classes = tf.argmax(logits, axis=-1)
        previous = tf.pad(classes[:, :-1], [[0, 0], [1, 0]], constant_values=BLANK)
        is_character = (classes != BLANK) & (classes != previous)
        letters = tf.where(is_character, tf.gather(characters, classes), "")
        ids = tf.ragged.boolean_mask(classes, is_character).to_tensor(BLANK)
        # One column at least: all texts may be empty.
        ids = tf.pad(ids, [[0, 0], [0, 1]], constant_values=BLANK)
        confidences = calibrate(text_probability(logits, ids), model.calibration)
        return tf.strings.reduce_join(letters, axis=-1), tf.cast(confidences, tf.float32)

    def serve(image_bytes):
        if len(canvas.widths) == 1:
            shape = (canvas.height, canvas.widths[0], 1)
            spec = tf.TensorSpec(shape, tf.uint8)
            canvases = tf.map_fn(
                lambda encoded: tf_ops.to_canvas(encoded, canvas),
                image_bytes,
                fn_output_signature=spec,
            )
            # TensorFlow's convolutions fail on no images at all: one blank canvas is added then.
            count = tf.shape(image_bytes)[0]
            missing = tf.cast(count == 0, tf.int32)
            canvases = tf.pad(tf.reshape(canvases, (-1, *shape)), [[0, missing], *[[0, 0]] * 3])
            text, confidence = (result[:count] for result in read_canvases(canvases))
        else:
            # One by one: the canvases of the images have different widths. With fixed shapes, so
            # that no images at all give empty tensors.
            specs = tf.TensorSpec((1,), tf.string), tf.TensorSpec((1,), tf.float32)
            text, confidence = tf.map_fn(
                lambda encoded: read_canvases(tf_ops.to_canvas(encoded, canvas)[None]),
                image_bytes,
                fn_output_signature=specs,
            )
            text, confidence = text[:, 0], confidence[:, 0]
        return {"text": text, "confidence": confidence}

    return serve

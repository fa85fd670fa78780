"""The function that a SavedModel serves, as a TensorFlow graph without Python.

Only the process of an export imports it: TensorFlow is the backend of Keras there.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from crnn_keras.char_dict import BLANK
from crnn_keras.images import tf_ops
from crnn_keras.inference.export.confidence import calibrate, text_probability
from crnn_keras.inference.export.saved_model import WITHOUT_LANGUAGE_MODEL
from crnn_keras.inference.recognizer import Recognizer
from crnn_keras.utils.limits import MAX_SERVED_PIXELS

# Images that are decoded at once. Each takes up to 40 bytes a pixel meanwhile.
_PARALLEL = 4
_DAMAGED = "The image cannot be decoded: it is damaged or truncated."


def write_saved_model(model_path: str, folder: str, max_pixels: str) -> str:
    """Writes a SavedModel; see `export_saved_model`, which runs it in its process.

    Returns:
        `WITHOUT_LANGUAGE_MODEL` if the model has one, otherwise an empty string.
    """
    recognizer = Recognizer.load(model_path)
    if recognizer.char_dict.direction != "logical":
        raise ValueError(
            f"{model_path} reads in the direction {recognizer.char_dict.direction!r}, and a "
            "SavedModel cannot put its characters into the order of reading. Export it by "
            "export_onnx and read with OnnxRecognizer."
        )
    signature = [tf.TensorSpec([None], tf.string, name="image_bytes")]
    module = tf.Module()
    # Tracked one by one: keras.export would store every weight twice.
    module.weights = [variable.value for variable in recognizer.model.variables]
    serve = tf.function(make_serving_function(recognizer, int(max_pixels)), signature)
    tf.saved_model.save(module, folder, {"serving_default": serve})
    return WITHOUT_LANGUAGE_MODEL if recognizer.language_model else ""


def make_serving_function(
    recognizer: Recognizer, max_pixels: int = MAX_SERVED_PIXELS
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
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
        count = tf.shape(image_bytes)[0]
        canvases, widths, errors = _load_canvases(image_bytes, canvas, max_pixels)
        if len(canvas.widths) == 1:
            text, confidence = (result[:count] for result in read_canvases(canvases))
        else:
            # One by one: the canvases of the images have different widths. With fixed shapes, so
            # that no images at all give empty tensors.
            specs = tf.TensorSpec((1,), tf.string), tf.TensorSpec((1,), tf.float32)
            text, confidence = tf.map_fn(
                lambda own: read_canvases(own[0][None, :, : own[1]]),
                (canvases[:count], widths[:count]),
                fn_output_signature=specs,
            )
            text, confidence = text[:, 0], confidence[:, 0]
        is_read = errors == ""
        return {
            "text": tf.where(is_read, text, ""),
            "confidence": tf.where(is_read, confidence, 0.0),
            "error": errors,
        }

    return serve


def _load_canvases(image_bytes, canvas, max_pixels):
    """Puts each image on its canvas, and finds out why some have none.

    Operations that decode raise errors, which would end the whole batch. A dataset leaves such an
    element out instead, so that the rest of the batch goes on.

    Returns:
        Tuple of the canvases, padded on the right to the widest, their widths, and the errors; an
        error is empty where an image was read. A blank canvas stands for one that was not. There
        is one canvas and width at least, as TensorFlow's convolutions fail on none at all.
    """
    count = tf.size(image_bytes, tf.int64)

    def load(index, encoded):
        error = tf_ops.find_error(encoded, max_pixels)
        own = tf.cond(error == "", lambda: tf_ops.draw(encoded, canvas), lambda: _blank(canvas))
        own = tf.ensure_shape(own, (canvas.height, None, 1))
        return index, own, tf.shape(own)[1], error

    loaded = tf.data.Dataset.from_tensor_slices(image_bytes).enumerate()
    loaded = loaded.map(load, num_parallel_calls=_PARALLEL).ignore_errors()
    # One element more: there may be no other, and a batch of none cannot be taken.
    last = tf.data.Dataset.from_tensors((count, _blank(canvas), canvas.widths[0], ""))
    batch = loaded.concatenate(last).padded_batch(
        count + 1, ([], [canvas.height, None, 1], [], []), drop_remainder=False
    )
    index, canvases, widths, found = batch.get_single_element()
    index = index[:, None]
    errors = tf.fill([count + 1], _DAMAGED)
    errors = tf.tensor_scatter_nd_update(errors, index, found)[:count]
    shape = tf.concat([[count + 1], tf.shape(canvases, tf.int64)[1:]], axis=0)
    rows = tf.maximum(count, 1)
    canvases = tf.scatter_nd(index, canvases, shape)[:rows]
    static_width = canvas.widths[0] if len(canvas.widths) == 1 else None
    canvases = tf.ensure_shape(canvases, (None, canvas.height, static_width, 1))
    blank_widths = tf.fill([count + 1], canvas.widths[0])
    return canvases, tf.tensor_scatter_nd_update(blank_widths, index, widths)[:rows], errors


def _blank(canvas):
    return tf.zeros((canvas.height, canvas.widths[0], 1), tf.uint8)

"""A SavedModel: image bytes in, text and confidence out."""

import os
import pathlib
import shutil

from crnn_keras.char_dict import BLANK
from crnn_keras.inference.export.confidence import calibrate, likelihoods
from crnn_keras.inference.export.process import export_in_process


def export_saved_model(reader, folder, version=1):
    """Writes a SavedModel in the layout of TensorFlow Serving: `folder/version/saved_model.pb`.

    Its signature `serving_default` takes `image_bytes`, a string tensor `(images,)` of encoded
    jpeg, png or bmp images of any sizes, and gives `text`, a string tensor `(images,)` in UTF-8,
    and `confidence`, a float32 tensor `(images,)`, calibrated if the reader is. It reads an image
    as `Recognizer` does. One image that cannot be decoded fails the call with InvalidArgument.

    Args:
        reader: path of a `.keras` file, or the name of a shipped reader.
        folder: folder of the served model, named as the model is to be called.
        version: integer. A version that is there already is replaced.

    Returns:
        Path of the version's folder.

    Raises:
        ValueError: the file is not a reader.
        RuntimeError: the export failed; the message ends with what the process printed.
    """
    return pathlib.Path(export_in_process("saved_model", reader, folder, version))


def write_saved_model(reader, folder, version):
    """What `export_saved_model` does in its process, with the same arguments and result."""
    import tensorflow as tf

    from crnn_keras.inference.recognizer import Recognizer

    recognizer = Recognizer.load(reader)
    signature = [tf.TensorSpec([None], tf.string, name="image_bytes")]
    module = tf.Module()
    # Tracked one by one: keras.export would store every weight twice.
    module.weights = [variable.value for variable in recognizer.model.variables]
    serve = tf.function(_serving_function(tf, recognizer), signature)
    final = pathlib.Path(folder) / str(int(version))
    part = final.with_name(f".{final.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        tf.saved_model.save(module, str(part), {"serving_default": serve})
        shutil.rmtree(final, ignore_errors=True)
        os.rename(part, final)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return final


def _serving_function(tf, recognizer):
    from crnn_keras.images import tf_ops

    model, canvas = recognizer.model, recognizer.canvas
    characters = tf.constant(["", *recognizer.char_dict.characters])

    def read_canvases(canvases):
        logits = model(tf.cast(canvases, tf.float32), training=False)
        classes = tf.argmax(logits, axis=-1)
        before = tf.pad(classes[:, :-1], [[0, 0], [1, 0]], constant_values=BLANK)
        kept = (classes != BLANK) & (classes != before)
        letters = tf.where(kept, tf.gather(characters, classes), "")
        chances = calibrate(tf, likelihoods(tf, logits, classes, kept), model.calibration)
        return tf.strings.reduce_join(letters, axis=-1), tf.cast(chances, tf.float32)

    def serve(image_bytes):
        if len(canvas.widths) == 1:
            shape = (canvas.height, canvas.widths[0], 1)
            spec = tf.TensorSpec(shape, tf.uint8)
            canvases = tf.map_fn(
                lambda encoded: tf_ops.to_canvas(encoded, canvas),
                image_bytes,
                fn_output_signature=spec,
            )
            # TensorFlow's convolutions fail on no images at all: those are read as one blank one.
            count = tf.shape(image_bytes)[0]
            lacking = tf.cast(count == 0, tf.int32)
            canvases = tf.pad(tf.reshape(canvases, (-1, *shape)), [[0, lacking], *[[0, 0]] * 3])
            text, confidence = (result[:count] for result in read_canvases(canvases))
        else:
            # One by one: the images' canvases have widths of their own.
            text, confidence = tf.map_fn(
                lambda encoded: read_canvases(tf_ops.to_canvas(encoded, canvas)[None]),
                image_bytes,
                fn_output_signature=(tf.string, tf.float32),
            )
            text, confidence = text[:, 0], confidence[:, 0]
        return {"text": text, "confidence": confidence}

    return serve

"""A reader for machines without Keras: a SavedModel, image bytes in, text and confidence out.

The work runs in a process of its own, under TensorFlow and without a GPU, whatever backend trained
the reader: only there is the graph made of plain TensorFlow ops.
"""

import os
import pathlib
import shutil
import subprocess
import sys

from crnn_keras.char_dict import BLANK


def export_saved_model(reader, folder, version=1):
    """Writes a SavedModel in the layout of TensorFlow Serving: `folder/version/saved_model.pb`.

    Its signature `serving_default` takes `image_bytes`, a string tensor `(images,)` of encoded
    jpeg, png or bmp pictures of any sizes, and gives `text`, a string tensor `(images,)` in UTF-8,
    and `confidence`, a float32 tensor `(images,)`. It reads a picture as `Recognizer` does. One
    picture that cannot be decoded fails the call with InvalidArgument.

    Args:
        reader: path of a `.keras` file.
        folder: folder of the served model, named as the model is to be called.
        version: integer. A version that is there already is replaced.

    Returns:
        Path of the version's folder.

    Raises:
        ValueError: the file is not a reader.
        RuntimeError: the export failed; the message ends with what the process printed.
    """
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, "-m", "crnn_keras.export", str(reader), str(folder), str(version)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode:
        last = result.stderr.strip().splitlines()[-1:] or ["it printed nothing"]
        if last[0].startswith("ValueError: "):
            raise ValueError(last[0].removeprefix("ValueError: "))
        raise RuntimeError(f"The export of {reader} failed: {result.stderr[-2000:]}")
    return pathlib.Path(folder) / str(version)


def _write_saved_model(reader, folder, version):
    import tensorflow as tf

    from crnn_keras.recognizer import Recognizer

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


def _serving_function(tf, recognizer):
    from crnn_keras import tf_images

    model, canvas = recognizer.model, recognizer.canvas
    characters = tf.constant(["", *recognizer.char_dict.characters])

    def read_canvases(canvases):
        logits = tf.nn.log_softmax(model(tf.cast(canvases, tf.float32), training=False))
        classes = tf.argmax(logits, axis=-1)
        before = tf.pad(classes[:, :-1], [[0, 0], [1, 0]], constant_values=BLANK)
        kept = (classes != BLANK) & (classes != before)
        letters = tf.where(kept, tf.gather(characters, classes), "")
        confidence = tf.exp(tf.reduce_sum(tf.reduce_max(logits, axis=-1), axis=-1))
        return tf.strings.reduce_join(letters, axis=-1), confidence

    def serve(image_bytes):
        if len(canvas.widths) == 1:
            shape = (canvas.height, canvas.widths[0], 1)
            spec = tf.TensorSpec(shape, tf.uint8)
            canvases = tf.map_fn(
                lambda encoded: tf_images.to_canvas(encoded, canvas),
                image_bytes,
                fn_output_signature=spec,
            )
            # TensorFlow's convolutions fail on no pictures at all: those are read as one blank one.
            count = tf.shape(image_bytes)[0]
            lacking = tf.cast(count == 0, tf.int32)
            canvases = tf.pad(tf.reshape(canvases, (-1, *shape)), [[0, lacking], *[[0, 0]] * 3])
            text, confidence = (result[:count] for result in read_canvases(canvases))
        else:
            # One by one: the pictures' canvases have widths of their own.
            text, confidence = tf.map_fn(
                lambda encoded: read_canvases(tf_images.to_canvas(encoded, canvas)[None]),
                image_bytes,
                fn_output_signature=(tf.string, tf.float32),
            )
            text, confidence = text[:, 0], confidence[:, 0]
        return {"text": text, "confidence": confidence}

    return serve


if __name__ == "__main__":
    _write_saved_model(*sys.argv[1:])

"""The import of Keras without what TensorFlow writes about itself."""

import os
import tempfile


def import_keras_quietly() -> None:
    """Imports Keras and its backend, and starts the parts that write to stderr when they start.

    The lines come from C++ straight to file descriptor 2, before any setting is read. They are
    shown if the import fails.

    Raises:
        ValueError: See `import_keras`.
    """
    with tempfile.TemporaryFile() as kept:
        stderr = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            from crnn_keras.utils.backend import import_keras

            import_keras()
            import keras

            keras.ops.add(1.0, 1.0)
            if keras.backend.backend() == "tensorflow":
                import tensorflow as tf

                # It warns about a new graph for each of a few sizes of batches.
                tf.get_logger().setLevel("ERROR")
                signature = tf.TensorSpec((), tf.int32)
                next(iter(tf.data.Dataset.from_generator(lambda: [0], output_signature=signature)))
        except BaseException:
            kept.seek(0)
            os.write(stderr, kept.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)

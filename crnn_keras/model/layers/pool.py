"""Max pooling whose gradient is a comparison.

JAX on a CPU searches each window again for its largest value, which takes longer than the
convolutions around it. Where windows do not overlap, an image cut into windows needs no search.
"""

import keras
from keras import ops

from crnn_keras.utils.backend import on_cpu


@keras.saving.register_keras_serializable(package="crnn_keras")
class MaxPooling2D(keras.layers.MaxPooling2D):
    """`keras.layers.MaxPooling2D` of windows side by side, nothing padded; see there.

    Where a window's largest value stands in it more than once, each of its places gets an equal
    part of the gradient; with other backends the first gets all.
    """

    def call(self, inputs):
        _, height, width, channels = inputs.shape
        rows, columns = self.pool_size
        whole = None not in (height, width) and height % rows == 0 and width % columns == 0
        if not (keras.backend.backend() == "jax" and whole and on_cpu()):
            return super().call(inputs)
        windows = (-1, height // rows, rows, width // columns, columns, channels)
        return ops.max(ops.reshape(inputs, windows), axis=(2, 4))

"""The confidence of a reading by TensorFlow ops, for graphs without Python.

Each function takes TensorFlow as its first argument: only the process of an export imports it.
"""

from crnn_keras.char_dict import BLANK
from crnn_keras.model.calibration import EDGE, Calibration


def likelihoods(tf, logits, classes, kept):
    """`lexicon.likelihoods` of what best path reads: probability of all paths that spell it.

    Args:
        tf: TensorFlow.
        logits: float tensor `(batch, frames, classes)`, not normalised.
        classes: int64 tensor `(batch, frames)`: the likeliest class of each frame.
        kept: bool tensor `(batch, frames)`: which of them are the characters of the text.

    Returns:
        float64 tensor `(batch,)`, from 0 to 1.
    """
    # Padded with blanks, by one at least; what they would add is not in the sum.
    ids = tf.pad(tf.ragged.boolean_mask(classes, kept).to_tensor(BLANK), [[0, 0], [0, 1]])
    lengths = tf.reduce_sum(tf.cast(kept, tf.int32), axis=-1)
    emissions = tf.nn.softmax(tf.cast(logits, tf.float64))
    own = tf.gather(emissions, ids, axis=2, batch_dims=1)
    may_skip = tf.cast(ids[:, 1:] != ids[:, :-1], tf.float64)

    def later(values):
        return tf.pad(values, [[0, 0], [1, 0]])

    def step(paths, frame):
        # Probability of the paths that end in the blank before a character, and in the character.
        blanks, characters = paths
        blank, here = frame
        arrived = characters + blanks[:, :-1] + later(characters[:, :-1] * may_skip)
        return (blanks + later(characters)) * blank, arrived * here

    start = tf.zeros_like(own[:, 0])
    frames = (tf.transpose(emissions[..., :1], [1, 0, 2]), tf.transpose(own, [1, 0, 2]))
    before = tf.pad(start, [[0, 0], [1, 0]], constant_values=1.0)
    blanks, characters = tf.foldl(step, frames, (before, start))
    # Whole are the paths that end in the last character or in the blank after it.
    whole = tf.gather(blanks, lengths, batch_dims=1)
    whole += tf.gather(later(characters), lengths, batch_dims=1)
    return tf.minimum(whole, 1.0)


def calibrate(tf, confidences, calibration):
    """`Calibration.apply` in float64.

    Args:
        tf: TensorFlow.
        confidences: float64 tensor, from 0 to 1.
        calibration: a `calibration.Calibration`; None: none.

    Returns:
        float64 tensor of the same shape.
    """
    if calibration in (None, Calibration()):
        return confidences
    clipped = tf.clip_by_value(confidences, EDGE, 1 - EDGE)
    log_odds = tf.math.log(clipped) - tf.math.log1p(-clipped)
    return tf.math.sigmoid(calibration.slope * log_odds + calibration.offset)

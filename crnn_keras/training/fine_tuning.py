"""A trained reader with another dictionary: what it has learnt of the characters that stay, stays.

All layers but the last know nothing of characters, so they are copied. The last has a column of
weights for each class: columns of characters that stay go to their new ids.

A new character begins as a much weaker blank: the blank's column, with a bias lower by
`log(new characters / 1e-5)`. The blank is then likelier in every frame of every image, so best
path never chooses a new character, and texts are unchanged. All new characters together have less
than 1e-5 of a frame's probability, so a confidence falls by less than a share of 1e-5 a frame.
They are learnt all the same: CTC's gradient asks for a character of the label however unlikely it
is. Random columns would be learnt some 60 steps sooner, but 6,763 of them take up to 99 % of a
confidence away.
"""

import hashlib
import math

import numpy as np

from crnn_keras.char_dict import BLANK, CharDict
from crnn_keras.images import Canvas
from crnn_keras.inference.recognizer import Recognizer

# Largest probability of a frame that the new characters may take together.
NEW_PROBABILITY = 1e-5
HEAD = "logits"


def load_for_fine_tuning(path, char_dict, canvas, seed=None, precision=None, preset=None):
    """Loads a reader to start a training from, with the dictionary and the canvas of the data.

    The convolutions and the LSTM take any width, so the canvas may have another mode and other
    widths: a reader of words on 32 x 100 stretched pixels can start one of lines.

    Args:
        path: a `.keras` file, or the name of a shipped reader.
        char_dict: the `CharDict` of the data; see `with_char_dict` where it differs.
        canvas: the `images.Canvas` of the data.
        seed: seed of the dropout; None: the reader's own.
        precision: what the layers compute in, see `build_crnn`; None: as the reader did.
        preset: shape of the new reader; None: the reader's own. `"deep"` can go on from
            `"mobile"`: it has the same layers and some that change nothing before they have learnt.

    Returns:
        `CRNN` with the weights of the reader, without its calibration: that would not hold for
        the weights to come. What differs is printed.

    Raises:
        ValueError: it is no reader, its canvas has another height, or its layers are not among
            those of the preset.
    """
    model = Recognizer.load(path).model
    if model.canvas.height != canvas.height:
        raise ValueError(
            f"{path} reads canvases of {model.canvas.height} pixels in height, the data's have "
            f"{canvas.height}: its last convolution is as high as its canvas. Prepare the data "
            f"with height {model.canvas.height}, or begin with fresh weights."
        )
    if model.canvas != canvas:
        print(f"{path} learnt on {model.canvas}; it goes on with {canvas}.", flush=True)
    if model.char_dict != char_dict:
        print(f"{path}: {describe_char_dict_change(model.char_dict, char_dict)}", flush=True)
    seed = model.seed if seed is None else seed
    preset = preset or model.preset
    if preset != model.preset:
        print(f"{path} has the preset {model.preset}; it goes on as {preset}.", flush=True)
    made = _rebuilt(model, char_dict, canvas, seed, precision, preset)
    digest = hashlib.sha256()
    for weights in model.get_weights():
        digest.update(weights.tobytes())
    made.origin = f"reader {digest.hexdigest()[:16]}"
    return made


def with_char_dict(model, char_dict, precision=None):
    """A reader with another dictionary that reads the characters both have as before.

    Args:
        model: a `CRNN`.
        char_dict: the new `CharDict`. Characters may be added, dropped or in another order.
        precision: what the layers compute in, see `build_crnn`; None: as the model's do.

    Returns:
        `CRNN` with the same canvas, preset and seed. If characters were only added, it reads the
        same texts as the model; each raw confidence falls by less than frames x 1e-5 of its
        value. It has no calibration: that of the model was learnt with other characters.

    Example:

        >>> characters = model.char_dict.characters + "é!"
        >>> wider = with_char_dict(model, CharDict(characters, fold_case=True))
    """
    return _rebuilt(model, char_dict, model.canvas, model.seed, precision, model.preset)


def describe_char_dict_change(old, new):
    """Says in words what becomes of a reader's characters.

    Args:
        old: the `CharDict` of the reader.
        new: the `CharDict` it is to have.

    Returns:
        String such as `"36 characters stay, 2 are new, 0 are dropped (only there: 'é!')."`.
    """
    stay = len(set(old.characters) & set(new.characters))
    return (
        f"{stay:,} characters stay, {len(new) - stay:,} are new, {len(old) - stay:,} are dropped "
        f"({old.difference(new)})."
    )


def _rebuilt(model, char_dict, canvas, seed, precision, preset):
    """The model with another dictionary, canvas, seed, precision and preset, and its own weights.

    Its calibration is left behind: learnt with other characters, or before what is learnt next.
    """
    char_dict = char_dict if isinstance(char_dict, CharDict) else CharDict.from_config(char_dict)
    canvas = canvas if isinstance(canvas, Canvas) else Canvas(**canvas)
    changed = {"char_dict": char_dict.get_config(), "canvas": canvas.get_config(), "seed": seed}
    changed |= {"precision": precision or model.dtype_policy.name, "calibration": None}
    made = type(model).from_config({**model.get_config(), **changed, "preset": preset})
    sizes = {layer.name: _sizes(layer) for layer in made.layers if layer.name != HEAD}
    for layer in model.layers:
        if layer.name == HEAD:
            continue
        if sizes.get(layer.name) != _sizes(layer):
            raise ValueError(
                f"A reader of the preset {model.preset!r} cannot go on as {preset!r}: its layer "
                f"{layer.name} is not in that. Expected its own preset, or 'deep' for 'mobile'."
            )
        made.get_layer(layer.name).set_weights(layer.get_weights())
    kernel, bias = model.get_layer(HEAD).get_weights()
    made.get_layer(HEAD).set_weights(_head(kernel, bias, model.char_dict, char_dict))
    return made


def _sizes(layer):
    return [tuple(weight.shape) for weight in layer.weights]


def _head(kernel, bias, old, new):
    """The last layer's weights for another dictionary.

    Args:
        kernel: float array `(features, old classes)`.
        bias: float array `(old classes,)`.
        old: the `CharDict` of these classes.
        new: the `CharDict` wanted.

    Returns:
        List of a kernel and a bias for the new classes.
    """
    old_ids = {character: number for number, character in enumerate(old.characters, start=1)}
    # A new character takes the blank's column, which is the first.
    columns = np.array([BLANK, *(old_ids.get(c, BLANK) for c in new.characters)])
    is_new = columns == BLANK
    is_new[BLANK] = False
    kernel, bias = kernel[:, columns], bias[columns]
    if is_new.any():
        bias[is_new] -= math.log(is_new.sum() / NEW_PROBABILITY)
    return [kernel, bias]

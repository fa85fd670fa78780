"""Trained readers to begin from, with the characters and the canvas of other data.

All layers but the last know nothing of characters, so their weights are copied. The last has a
column of weights for each class: columns of characters that stay move to their new ids.

A new character begins as a much weaker blank: the blank's column, with a bias lower by
`log(new characters / new_probability)`. The blank is then likelier in every frame of every image,
so best path decoding never chooses a new character, and texts are unchanged. All new characters
together have less than `new_probability`, by default 1e-5, of a frame's probability, so a
confidence falls by less than that fraction for each frame. They are learned all the same: CTC's
gradient asks for a character of the label however unlikely it is. Random columns would be learned
some 60 steps sooner, but 6,763 of them remove up to 99 % of a confidence.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import pathlib

import keras
import numpy as np

from crnn_keras.char_dict import BLANK, CharDict
from crnn_keras.images import Canvas
from crnn_keras.inference.recognizer import Recognizer
from crnn_keras.model.architectures import ARCHITECTURES
from crnn_keras.model.crnn import CRNN
from crnn_keras.model.decoding import fold
from crnn_keras.utils.checks import SEED, Number, check_arguments

# The largest probability of a frame that the new characters may have together.
NEW_PROBABILITY = 1e-5
HEAD = "logits"
_logger = logging.getLogger(__name__)


@check_arguments(seed=SEED.or_none(), new_probability=Number(0, 1, above=True))
def load_for_fine_tuning(
    path: str | os.PathLike,
    char_dict: CharDict,
    canvas: Canvas,
    *,
    seed: int | None = None,
    precision: str | None = None,
    architecture: str | None = None,
    new_probability: float = NEW_PROBABILITY,
) -> CRNN:
    """Loads a reader to begin a training from, with the characters and the canvas of the data.

    The convolutions and the LSTM take any width, so the canvas may have another mode and other
    widths: a reader of words on 32 x 100 stretched pixels can begin one of lines. What changes is
    logged; characters that the reader loses are logged as a warning.

    Args:
        path: A `.keras` file, or the name of a shipped reader.
        char_dict: The `CharDict` of the data. `with_char_dict` tells what becomes of characters.
        canvas: The `Canvas` of the data.
        seed: Seed of the dropout. Defaults to `None`: the reader's own.
        precision: What the layers compute in, see `build_crnn`. Defaults to `None`: as the reader.
        architecture: Name of the new model's architecture. Defaults to `None`: the reader's own.
            `"deep"` can begin from `"mobile"`: it has the same layers, and some that change nothing
            before they have learned.
        new_probability: How likely all new characters together are at first, beside the blank. With
            more, they are learned in fewer steps, and confidences fall more until then. Defaults to
            `1e-5`.

    Returns:
        A `CRNN` with the weights of the reader. It has no calibration, since that would not hold
        for the weights to come, and the reader's language model if the new char dict has at least
        half of its characters.

    Raises:
        ValueError: The file is no reader, its canvas has another height, or the architecture is
            unknown or lacks layers of the reader.

    Example:

        >>> from crnn_keras import Canvas, CharDict, load_for_fine_tuning
        >>> digits = CharDict.from_preset("digits")
        >>> model = load_for_fine_tuning("words", digits, Canvas(widths=(128,)))
        >>> model.output_shape
        (None, 32, 11)
    """
    model = Recognizer.load(path).model
    if model.canvas.height != canvas.height:
        raise ValueError(
            f"{path} reads canvases of {model.canvas.height} pixels in height, the data's have "
            f"{canvas.height}: its last convolution is as high as its canvas. Prepare the data "
            f"with height {model.canvas.height}, or begin with fresh weights."
        )
    if model.canvas != canvas:
        _logger.info("%s was trained on %s and continues on %s.", path, model.canvas, canvas)
    if model.char_dict != char_dict:
        lost = set(model.char_dict.characters) - set(char_dict.characters)
        level = logging.WARNING if lost else logging.INFO
        change = describe_char_dict_change(model.char_dict, char_dict)
        _logger.log(level, "%s: %s", path, change)
    if architecture not in (None, model.architecture_name):
        before = model.architecture_name
        _logger.info("%s is %s and continues as %s.", path, before, architecture)
    seed = model.seed if seed is None else seed
    rebuilt = _rebuild(
        model,
        char_dict,
        canvas,
        seed=seed,
        precision=precision,
        architecture=architecture,
        new_probability=new_probability,
    )
    digest = hashlib.sha256()
    for weights in model.get_weights():
        digest.update(weights.tobytes())
    rebuilt.origin = f"reader {digest.hexdigest()[:16]}"
    # The name of a shipped reader is no path, and never that of a run's own model.
    rebuilt.origin_path = pathlib.Path(path).absolute()
    return rebuilt


def with_char_dict(model: CRNN, char_dict: CharDict, *, precision: str | None = None) -> CRNN:
    """Returns a copy of a model with another dictionary.

    Args:
        model: A `CRNN`.
        char_dict: The new `CharDict`. Characters may be added, dropped or in another order.
        precision: What the layers compute in, see `build_crnn`. Defaults to `None`: as the model's.

    Returns:
        A `CRNN` with the same canvas, architecture and seed. It reads the characters that both have
        as before. If characters were only added, it reads the same texts, and each raw confidence
        falls by less than frames x 1e-5 of its value. It has no calibration: that of the model was
        fitted with other characters.

    Example:

        >>> from crnn_keras import CharDict, Recognizer, with_char_dict
        >>> model = Recognizer.load("words").model
        >>> characters = model.char_dict.characters + "é!"
        >>> wider = with_char_dict(model, CharDict(characters, fold_case=True))
        >>> model.output_shape, wider.output_shape
        ((None, 32, 37), (None, 32, 39))
    """
    return _rebuild(model, char_dict, model.canvas, seed=model.seed, precision=precision)


def freeze_lstm(model: CRNN) -> None:
    """Lets the LSTM of a model learn nothing: call it before `train`.

    The LSTM holds what a reader knows of the order of characters. A training on few images spoils
    that, and need not change it to learn how other images look.

    Args:
        model: A `CRNN`; it is changed. A file that it is saved to does not keep this.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.Bidirectional):
            layer.trainable = False


def describe_char_dict_change(old: CharDict, new: CharDict) -> str:
    """Tells how many characters stay, are new and are dropped.

    Args:
        old: The `CharDict` of the reader.
        new: The `CharDict` that it gets.

    Returns:
        String such as `"36 characters stay, 2 are new, 0 are dropped (only there: 'é!')."`.
    """
    stay = len(set(old.characters) & set(new.characters))
    return (
        f"{stay:,} characters stay, {len(new) - stay:,} are new, {len(old) - stay:,} are dropped "
        f"({old.difference(new)})."
    )


def _can_use(language_model, char_dict):
    """Tells whether a char dict has at least half of the characters of a language model."""
    own = set(map(fold, char_dict.characters))
    known = sum(character in own for character in language_model.characters)
    return 2 * known >= len(language_model.characters)


def _rebuild(
    model,
    char_dict,
    canvas,
    *,
    seed,
    precision,
    architecture=None,
    new_probability=NEW_PROBABILITY,
):
    """Builds the model anew with another dictionary, canvas or architecture, and copies weights."""
    if architecture not in (None, *ARCHITECTURES):
        raise ValueError(
            f"Architecture {architecture!r} is unknown. Expected one of {list(ARCHITECTURES)}."
        )
    config = {
        **model.get_config(),
        **ARCHITECTURES.get(architecture, {}),
        "char_dict": char_dict.get_config(),
        "canvas": canvas.get_config(),
        "seed": seed,
        "precision": precision or model.dtype_policy.name,
        "calibration": None,
    }
    language_model = model.language_model
    if language_model is not None and not _can_use(language_model, char_dict):
        config["language_model"] = None
        _logger.info(
            "The reader's language model is left out: the new char dict has less than half of its "
            "%d characters.",
            len(language_model.characters),
        )
    rebuilt = type(model).from_config(config)
    shapes = {layer.name: _shapes(layer) for layer in rebuilt.layers if layer.name != HEAD}
    for layer in model.layers:
        if layer.name == HEAD:
            continue
        if shapes.get(layer.name) != _shapes(layer):
            raise ValueError(
                f"A reader of the architecture {model.architecture_name!r} cannot continue as "
                f"{architecture!r}: that has no layer like its {layer.name}. Expected its own "
                "architecture, or 'deep' for 'mobile'."
            )
        rebuilt.get_layer(layer.name).set_weights(layer.get_weights())
    kernel, bias = model.get_layer(HEAD).get_weights()
    columns = find_columns(model.char_dict, char_dict)
    rebuilt.get_layer(HEAD).set_weights(
        _move_columns(kernel, bias, columns, new_probability=new_probability)
    )
    return rebuilt


def _shapes(layer):
    return [tuple(weight.shape) for weight in layer.weights]


def find_columns(old, new):
    """Returns for each class of the new dictionary its column among the old classes.

    A new character gets the blank's column, which is the first.
    """
    old_ids = {character: index for index, character in enumerate(old.characters, start=1)}
    return np.array([BLANK, *(old_ids.get(character, BLANK) for character in new.characters)])


def _move_columns(kernel, bias, columns, *, new_probability):
    """Returns the last layer's weights for another dictionary.

    Args:
        kernel: Float array of shape `(features, old classes)`.
        bias: Float array of shape `(old classes,)`.
        columns: Integer array of shape `(new classes,)`, see `find_columns`.
        new_probability: How likely all new classes together are, beside the blank.

    Returns:
        List of a kernel and a bias for the new classes.
    """
    is_new = columns == BLANK
    is_new[BLANK] = False
    kernel, bias = kernel[:, columns], bias[columns]
    if is_new.any():
        bias[is_new] -= math.log(is_new.sum() / new_probability)
    return [kernel, bias]

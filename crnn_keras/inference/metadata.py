"""The metadata of an exported model: what decoding needs beside the network, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas
from crnn_keras.model.calibration import Calibration
from crnn_keras.model.decoding import LanguageModel

if TYPE_CHECKING:
    from crnn_keras.inference.base import BaseRecognizer

_FORMAT = "crnn_keras.reader"


def make_metadata(recognizer: BaseRecognizer) -> str:
    """Makes the metadata that an exported model carries.

    Args:
        recognizer: A `BaseRecognizer`.

    Returns:
        JSON with the char dict, the canvas and, if there are, calibration and language model.
    """
    content = {
        "format": _FORMAT,
        "char_dict": recognizer.char_dict.get_config(),
        "canvas": recognizer.canvas.get_config(),
    }
    if recognizer.calibration is not None:
        content["calibration"] = recognizer.calibration.get_config()
    if recognizer.language_model is not None:
        content["language_model"] = recognizer.language_model.get_config()
    return json.dumps(content)


def read_metadata(content: Mapping[str, Any], name: str, *, advice: str) -> dict[str, Any]:
    """Reads the metadata of an exported model.

    Args:
        content: The parsed JSON; plain data of any form.
        name: Name of the file for the error.
        advice: What the error tells the user to pass.

    Returns:
        Dict of the arguments of `BaseRecognizer`: `char_dict`, `canvas`, `calibration` and
        `language_model`, the last two of which may be None.

    Raises:
        ValueError: The metadata is not what `make_metadata` makes.
    """
    try:
        if content["format"] != _FORMAT:
            raise ValueError(f"the format is {content['format']!r}, not {_FORMAT!r}")
        calibration, language_model = map(content.get, ("calibration", "language_model"))
        return {
            "char_dict": CharDict.from_config(content["char_dict"]),
            "canvas": Canvas(**content["canvas"]),
            "calibration": None if calibration is None else Calibration.from_config(calibration),
            "language_model": (
                None if language_model is None else LanguageModel.from_config(language_model)
            ),
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{name} has damaged metadata ({reason}). {advice}") from error

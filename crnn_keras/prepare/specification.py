"""What decides the bytes of a set of records: where its rows come from, char dict and canvas."""

import functools
import hashlib
import json
import pathlib

from crnn_keras import files, images
from crnn_keras.char_dict import CharDict
from crnn_keras.prepare.lists import ListedSource
from crnn_keras.prepare.rendered import RenderedSource

_FORMAT = "crnn_keras.specification"
_SOURCES = {source.kind: source for source in (ListedSource, RenderedSource)}


class Specification:
    """All that decides the bytes of a set of records; plain data that another machine can use.

    Args:
        source: a `RenderedSource` or `ListedSource`.
        char_dict: the `CharDict` that labels are checked against.
        canvas: the `images.Canvas` that labels are checked against.
    """

    def __init__(self, source, char_dict, canvas):
        self.source = source
        self.char_dict = char_dict
        self.canvas = canvas

    def get_config(self):
        """Plain dict from which `Specification.from_config` makes this one again."""
        return {
            "format": _FORMAT,
            "source": {"kind": self.source.kind, **self.source.get_config()},
            "char_dict": self.char_dict.get_config(),
            "canvas": self.canvas.get_config(),
        }

    @classmethod
    def from_config(cls, config):
        """Makes a specification from what `get_config` gave.

        Args:
            config: dict.

        Returns:
            `Specification`.

        Raises:
            ValueError: it is something else, or a list that it names is missing.
        """
        kind = config.get("source", {}).get("kind") if isinstance(config, dict) else None
        if kind not in _SOURCES or config.get("format") != _FORMAT:
            raise ValueError("This is no specification of crnn_keras. Notebook 02 writes them.")
        source = {k: v for k, v in config["source"].items() if k != "kind"}
        return cls(
            _SOURCES[kind].from_config(source),
            CharDict.from_config(config["char_dict"]),
            images.Canvas(**config["canvas"]),
        )

    @classmethod
    def load(cls, path):
        """Reads a specification that `save` wrote.

        Args:
            path: JSON file.

        Returns:
            `Specification`.

        Raises:
            ValueError: it is something else.
        """
        with files.blame(path):
            return cls.from_config(files.read_json(path))

    def save(self, path):
        """Writes the specification as readable JSON, whole or not at all.

        Args:
            path: file to write.
        """
        files.write_json(pathlib.Path(path), self.get_config())

    @functools.cached_property
    def digest(self):
        """Names the bytes to be: a hash of what decides them, wherever files and fonts lie."""
        config = self.get_config() | {"source": self.source.identity()}
        return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()

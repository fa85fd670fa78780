"""What decides the bytes of a set of records: where its rows come from, char dict and canvas."""

import functools
import hashlib
import json
import pathlib

from crnn_keras.utils import files
from crnn_keras.images import Canvas
from crnn_keras.char_dict import CharDict
from crnn_keras.data.build.lists import ListedSource
from crnn_keras.data.build.rendered import RenderedSource

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
        source = config.get("source") if isinstance(config, dict) else None
        kind = source.get("kind") if isinstance(source, dict) else None
        if kind not in list(_SOURCES) or config.get("format") != _FORMAT:
            raise ValueError("This is no specification of crnn_keras. Notebook 02 writes them.")
        parts = {
            "source": lambda given: _SOURCES[kind].from_config(_without(given, "kind")),
            "char_dict": CharDict.from_config,
            "canvas": lambda given: Canvas(**given),
        }
        if unknown := sorted(config.keys() - {"format", *parts}):
            raise ValueError(f"The specification has {unknown}, but knows only {list(parts)}.")
        return cls(**{name: _made(make, config, name) for name, make in parts.items()})

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
        config = files.read_json(path)
        with files.prefix_errors(path):
            return cls.from_config(config)

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


def _without(config, key):
    return {name: value for name, value in config.items() if name != key}


def _made(make, config, name):
    """A part of a specification; whatever is wrong with its config, the message names the part."""
    if name not in config:
        raise ValueError(f"The specification lacks {name!r}. Write it again (notebook 02).")
    try:
        return make(config[name])
    except KeyError as error:
        raise ValueError(f"The specification's {name!r} lacks {error}.") from None
    except (TypeError, AttributeError) as error:
        raise ValueError(f"The specification's {name!r} is not one: {error}.") from None

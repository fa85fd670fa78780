"""What decides the bytes of a set of records: where its rows come from, char dict and canvas."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pathlib

from crnn_keras.char_dict import CharDict
from crnn_keras.data.build.lists import ListedSource
from crnn_keras.data.build.rendered import RenderedSource
from crnn_keras.images import Canvas
from crnn_keras.utils import files

_FORMAT, _VERSION = "crnn_keras.specification", 2
_SOURCES = {source.kind: source for source in (ListedSource, RenderedSource)}
_AGAIN = "Write it again (notebook 02)."


class Specification:
    """Holds all that decides the bytes of a set of records, as plain data for any machine.

    Args:
        source: a `RenderedSource` or `ListedSource`.
        char_dict: the `CharDict` that labels are checked against.
        canvas: the `Canvas` that labels are checked against.

    Example:

        >>> recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()))
        >>> char_dict = CharDict.from_preset("alphanumeric36")
        >>> specification = Specification(RenderedSource(recipe, 1000), char_dict, Canvas())
        >>> prepare(specification, "data/mine/records/train")["records"]
        1000
    """

    def __init__(self, source: RenderedSource | ListedSource, char_dict: CharDict, canvas: Canvas):
        self.source = source
        self.char_dict = char_dict
        self.canvas = canvas

    def get_config(self) -> dict:
        """Returns a plain dict from which `Specification.from_config` makes this one again."""
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "source": {"kind": self.source.kind, **self.source.get_config()},
            "char_dict": self.char_dict.get_config(),
            "canvas": self.canvas.get_config(),
        }

    @classmethod
    def from_config(cls, config: dict) -> Specification:
        """Makes a specification from what `get_config` returned.

        Args:
            config: dict.

        Returns:
            `Specification`.

        Raises:
            ValueError: the dict is something else or of another version, or a list that it names is
                missing.
        """
        source = config.get("source") if isinstance(config, dict) else None
        kind = source.get("kind") if isinstance(source, dict) else None
        if kind not in list(_SOURCES) or config.get("format") != _FORMAT:
            raise ValueError("This is not a specification of crnn_keras. Notebook 02 writes them.")
        # The first version had no number.
        if (version := config.get("version", 1)) != _VERSION:
            raise ValueError(
                f"The specification has version {version}, but this crnn_keras reads version "
                f"{_VERSION}. {_AGAIN}"
            )
        fields = {
            "source": lambda source: _SOURCES[kind].from_config(_without(source, "kind")),
            "char_dict": _make_char_dict,
            "canvas": lambda canvas: Canvas(**canvas),
        }
        if unknown := sorted(config.keys() - {"format", "version", *fields}):
            raise ValueError(f"The specification has {unknown}, but knows only {list(fields)}.")
        return cls(**{name: _make_field(make, config, name) for name, make in fields.items()})

    @classmethod
    def load(cls, path: str | os.PathLike) -> Specification:
        """Reads a specification that `save` wrote.

        Args:
            path: JSON file.

        Returns:
            `Specification`.

        Raises:
            ValueError: the file is something else; see `from_config`.
        """
        config = files.read_json(path)
        with files.prefix_errors(path):
            return cls.from_config(config)

    def save(self, path: str | os.PathLike) -> None:
        """Writes the specification as readable JSON, completely or not at all.

        Args:
            path: file to write.
        """
        files.write_json(pathlib.Path(path), self.get_config())

    @functools.cached_property
    def digest(self) -> str:
        """A hash of what decides the bytes of the set, wherever files and fonts lie."""
        config = self.get_config() | {"source": self.source.identity()}
        return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def _make_char_dict(config):
    if isinstance(config, dict) and "characters" not in config:
        raise KeyError("characters")
    return CharDict.from_config(config)


def _without(config, key):
    return {name: value for name, value in config.items() if name != key}


def _make_field(make, config, name):
    """Makes a field of a specification; an error names the field."""
    if name not in config:
        raise ValueError(f"The specification lacks {name!r}. {_AGAIN}")
    try:
        return make(config[name])
    except KeyError as error:
        raise ValueError(f"The specification's {name!r} lacks {error}.") from None
    except (TypeError, AttributeError, OverflowError, ValueError) as error:
        reason = str(error).rstrip(".")
        raise ValueError(f"The specification's {name!r} is not one: {reason}.") from None

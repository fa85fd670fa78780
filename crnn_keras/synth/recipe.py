"""The recipe of a rendered set, as plain data: every machine draws the same images from it."""

import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field

import numpy as np
from PIL import __version__ as pillow_version, features

from crnn_keras.char_dict import PROTOCOLS, has_right_to_left
from crnn_keras.char_dict.index import join_characters
from crnn_keras.synth import shaping
from crnn_keras.synth.background import load_photograph
from crnn_keras.synth.chinese import ChineseTexts
from crnn_keras.synth.fonts import file_hash, fonts_with, split_face
from crnn_keras.synth.lines import LineTexts
from crnn_keras.synth.rendering import render_jpeg
from crnn_keras.synth.style import Style
from crnn_keras.synth.texts import WORD_LIST, WordTexts, read_words
from crnn_keras.utils import files
from crnn_keras.utils.checks import (
    NATURAL,
    NOT_NEGATIVE,
    SEED,
    TEXT,
    Of,
    OneOf,
    check_arguments,
    check_value,
)
from crnn_keras.utils.encodings import AUTO
from crnn_keras.utils.hashing import check_fractions
from crnn_keras.utils.limits import MAX_RECIPE_BYTES

# Raise it with every change that shows in an image or text of the same recipe.
_DRAWING = 3
_TEXTS = {
    "words": {
        "file": "",
        "encoding": AUTO,
        "numbers": 0.08,
        "codes": 0.06,
        "max_length": 14,
        "common": 0,
        "marks": 0.0,
        "upper": 0.3,
        "capital": 0.23,
        "labels": "exact",
    },
    "lines": {"file": "", "encoding": AUTO, "max_length": 60},
    "chinese": {
        "characters": "",
        "corpus": "",
        "encoding": AUTO,
        "frequencies": {},
        "shortest": 1,
        "longest": 20,
        "rare": 0.3,
    },
}


_SOURCES = {"words": WordTexts, "lines": LineTexts, "chinese": ChineseTexts}
_PATH = Of((str, os.PathLike), "a path")
# Rules of the settings that the classes of texts do not have.
_RULES = {
    "file": _PATH,
    "corpus": _PATH,
    "encoding": TEXT,
    "characters": TEXT,
    "frequencies": Of(Mapping),
    "labels": OneOf(tuple(PROTOCOLS)),
}
# Keys of recipes that were written before they were renamed.
_OLD_KEYS = {"part": "split", "shares": "fractions"}


def _complete(texts):
    """Checks the settings of the texts and fills in the defaults."""
    check_value("texts", texts, Of(Mapping))
    kind = texts.get("kind")
    if not isinstance(kind, str) or kind not in _TEXTS:
        raise ValueError(f"Texts of kind {kind!r} are unknown. Expected one of {list(_TEXTS)}.")
    defaults = _TEXTS[kind]
    unknown = sorted(map(str, set(texts) - {"kind", *defaults}))
    if unknown:
        raise ValueError(
            f"Texts have unknown settings {unknown}. Expected some of {list(defaults)}."
        )
    # Joined, not `str`: the characters may be a list.
    if "characters" in texts:
        texts = {**texts, "characters": join_characters(texts["characters"])}
    rules = _RULES | _SOURCES[kind].__init__.argument_rules
    complete = {"kind": kind}
    for name, default in defaults.items():
        if texts.get(name) is None:
            complete[name] = default
            continue
        check_value(f"The texts' {name}", texts[name], rules[name])
        # 0 and 0.0 are the same setting, in JSON too.
        complete[name] = type(default)(texts[name])
    for character, frequency in complete.get("frequencies", {}).items():
        check_value(f"The frequency of {character!r}", frequency, NOT_NEGATIVE)
    return complete


def _check_paths(name, paths):
    """Returns paths as a tuple of strings."""
    if not isinstance(paths, list | tuple):
        raise ValueError(f"The {name} are {str(paths)[:80]!r}. Expected a list of paths.")
    for path in paths:
        check_value(f"One of the {name}", path, _PATH)
    return tuple(map(str, paths))


@dataclass(frozen=True)
class Recipe:
    """Holds everything that decides rendered images.

    Args:
        texts: Dict of the texts' kind and settings; settings that are missing have their defaults.
            `{"kind": "words", "file": path, "encoding": "auto"}` takes the words of a list, or of
            the package's English list without a file, and the settings of `WordTexts`;
            `"labels": "alphanumeric"` labels an image by the rule of the field's benchmarks,
            `Hello!` as `hello`.
            `{"kind": "lines", "file": path}` takes the lines of a text file as they are, and the
            settings of `LineTexts`.
            `{"kind": "chinese", "characters": string, "corpus": path}` takes the settings of
            `ChineseTexts`. Defaults to `{"kind": "words"}`.
        fonts: Paths of fonts that have the characters; see `find_fonts` and `fonts_with`.
        backgrounds: Paths of photographs; see `find_photographs`. Defaults to none.
        style: A `Style`. Defaults to `Style()`.
        seed: Integer from 0. Defaults to `0`.
        split: Name of the split whose texts are drawn. Defaults to `""`: all texts.
        fractions: Dict of `split name: fraction`. Defaults to `{}`.

    Raises:
        ValueError: A setting is unknown, of another type or out of range, or there is no font.

    Example:

        >>> from crnn_keras.synth import bundled_fonts
        >>> recipe = Recipe({"kind": "words"}, bundled_fonts(), seed=1)
        >>> jpeg, text = recipe.open().sample(0)
        >>> text
        'FRYING'
    """

    texts: Mapping[str, object] = field(default_factory=lambda: {"kind": "words"})
    fonts: Sequence[str] = ()
    _: KW_ONLY
    backgrounds: Sequence[str] = ()
    style: Style = Style()
    seed: int = 0
    split: str = ""
    fractions: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self):
        check_value("seed", self.seed, SEED)
        check_value("split", self.split, TEXT)
        check_value("style", self.style, Of(Style))
        check_value("fractions", self.fractions, Of(Mapping))
        if self.fractions:
            check_fractions(self.fractions)
        plain = {
            "texts": _complete(self.texts),
            "fonts": _check_paths("fonts", self.fonts),
            "backgrounds": _check_paths("backgrounds", self.backgrounds),
            "seed": int(self.seed),
            "fractions": {name: float(value) for name, value in self.fractions.items()},
        }
        if not self.fonts:
            raise ValueError("A recipe needs at least one font. Give `bundled_fonts()`.")
        for name, value in plain.items():
            object.__setattr__(self, name, value)

    def get_config(self) -> dict:
        """Returns the recipe as data for JSON.

        Returns:
            Dict for `from_config`.
        """
        config = asdict(self)
        return config | {name: list(config[name]) for name in ("fonts", "backgrounds")}

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> "Recipe":
        """Makes the recipe that `get_config` returned.

        Args:
            config: Dict of the names and values of the arguments.

        Returns:
            `Recipe`.

        Raises:
            ValueError: A name or value is unknown.
        """
        check_value("The recipe", config, Of(Mapping, "a dict"))
        style = config.get("style", {})
        check_value("style", style, Of(Mapping, "a dict"))
        old = {name: new for name, new in _OLD_KEYS.items() if name in config}
        if old:
            renamings = ", ".join(f"{name!r} to {new!r}" for name, new in old.items())
            raise ValueError(f"This recipe is of an earlier version. Rename its keys {renamings}.")
        try:
            return cls(**{**config, "style": Style(**style)})
        except TypeError as error:
            raise ValueError(f"This is not a recipe of rendered texts: {error}.") from None

    def save(self, path: str | os.PathLike) -> None:
        """Writes the recipe as readable JSON; an interrupted write leaves no partial file.

        Args:
            path: File to write.
        """
        files.write_json(path, self.get_config())

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Recipe":
        """Reads a recipe that `save` wrote.

        Args:
            path: File to read.

        Returns:
            `Recipe`.

        Raises:
            ValueError: As `from_config`; the message names the file.
        """
        size = pathlib.Path(path).stat().st_size
        if size > MAX_RECIPE_BYTES:
            raise ValueError(f"{path} has {size:,} bytes. Expected {MAX_RECIPE_BYTES:,} at most.")
        content = files.read_json(path)
        with files.prefix_errors(path):
            return cls.from_config(content)

    def fingerprint(self) -> str:
        """Identifies the images: two machines with the same fingerprint draw the same bytes.

        It covers the contents, not the paths, of fonts, word list, corpus and photographs, all
        settings, and the versions of what draws: Pillow, FreeType, the jpeg library and NumPy's
        random numbers.

        Returns:
            Sha256 as 64 hex digits.

        Raises:
            OSError: A file does not exist.
        """
        config = self.get_config()
        texts = config["texts"]
        if "file" in texts:
            texts["file"] = file_hash(texts["file"] or str(WORD_LIST))
        elif texts["corpus"]:
            texts["corpus"] = file_hash(texts["corpus"])
        # Left out where it was not stated, so that fingerprints of earlier sets stay valid.
        if texts["encoding"] == AUTO:
            del texts["encoding"]
        # Left out where letters are drawn one by one, so that those fingerprints stay valid.
        drawn = self._list_characters()
        if any(map(shaping.is_shaped, drawn)):
            config["shaping"] = shaping.versions()
        if has_right_to_left(drawn):
            config["direction"] = "visual"
        faces = map(split_face, self.fonts)
        config["fonts"] = [[file_hash(path), face] for path, face in faces]
        config["backgrounds"] = [file_hash(path) for path in self.backgrounds]
        # These two keep their first names, so that fingerprints of earlier sets stay valid.
        config["part"] = config.pop("split")
        # A list: the order of the splits decides which text belongs to which.
        config["shares"] = list(config.pop("fractions").items())
        rng = np.random.default_rng([7, 7])
        config["drawing"] = {
            "crnn_keras": _DRAWING,
            "pillow": pillow_version,
            "freetype": features.version("freetype2"),
            "jpeg": features.version("libjpeg_turbo") or features.version("jpg"),
            "random": [rng.random(), int(rng.integers(1000)), rng.permutation(20).tolist()],
        }
        content = json.dumps(config, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def _list_characters(self) -> str:
        """Returns the characters that texts are made of, without the rules of how."""
        if self.texts["kind"] == "chinese":
            return self.texts["characters"]
        if not self.texts["file"]:
            return ""
        words = read_words(self.texts["file"], encoding=self.texts["encoding"])
        return "".join(sorted(set().union(*words)))

    def open(self) -> "Renderer":
        """Makes the recipe ready to draw; files are read when they are first used.

        Returns:
            `Renderer`.
        """
        return Renderer(self)

    def check(self) -> None:
        """Opens every font and photograph; call it once before many images are drawn.

        Raises:
            ValueError: A font cannot be read or lacks a character of the texts, or a photograph is
                damaged; the message names the file.
        """
        _, lacking = fonts_with(self.open().characters, self.fonts)
        if lacking:
            font, missing = next(iter(lacking.items()))
            raise ValueError(
                f"{len(lacking)} of {len(self.fonts)} fonts lack characters of the texts. The "
                f"first, {font}, lacks {missing[:20]!r}. Take only the fonts of `fonts_with`."
            )
        for path in self.backgrounds:
            load_photograph(path)


class Renderer:
    """Draws the samples of a recipe: sample `index` is a pure function of recipe and index.

    Args:
        recipe: A `Recipe`.
    """

    def __init__(self, recipe: Recipe):
        self.recipe = recipe
        # Each split of a set has its own random numbers.
        name = f"{recipe.seed}/{recipe.split}".encode()
        self._seed = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big")

    def __reduce__(self):
        return Renderer, (self.recipe,)

    @functools.cached_property
    def _texts(self):
        recipe, settings = self.recipe, dict(self.recipe.texts)
        settings.pop("labels", None)
        settings |= {"seed": recipe.seed, "split": recipe.split or None}
        settings["fractions"] = recipe.fractions
        source = _SOURCES[settings.pop("kind")]
        if "file" in settings:
            lines = read_words(settings.pop("file") or WORD_LIST, encoding=settings.pop("encoding"))
            return source(lines, **settings)
        for name in ("corpus", "frequencies"):
            settings[name] = settings[name] or None
        return source(**settings)

    @property
    def characters(self) -> str:
        """Returns every character that a text may contain, sorted."""
        return self._texts.characters

    @check_arguments(index=NATURAL)
    def text(self, index: int) -> str:
        """Returns the text that is drawn for an index.

        Args:
            index: Integer from 0.

        Returns:
            String.
        """
        return self._texts.text(index)

    def label(self, text: str) -> str:
        """Returns the label of a drawn text.

        Args:
            text: String.

        Returns:
            String.
        """
        return PROTOCOLS[self.recipe.texts.get("labels", "exact")](text)

    @check_arguments(index=NATURAL)
    def sample(self, index: int) -> tuple[bytes, str]:
        """Draws a sample.

        Args:
            index: Integer from 0.

        Returns:
            Tuple of the bytes of a gray jpeg and its label.
        """
        recipe, text = self.recipe, self.text(index)
        options = {"seed": self._seed, "index": index, "photographs": recipe.backgrounds}
        return render_jpeg(text, recipe.fonts, recipe.style, **options), self.label(text)

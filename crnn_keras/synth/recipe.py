"""All that decides a rendered set, as plain data: a machine that has it draws the same images."""

import functools
import hashlib
import json
from dataclasses import asdict, dataclass, field

import numpy as np
from PIL import __version__ as pillow_version
from PIL import features

from crnn_keras.char_dict import PROTOCOLS
from crnn_keras.synth.background import load_photograph
from crnn_keras.synth.chinese import ChineseTexts
from crnn_keras.synth.fonts import file_hash, fonts_with, split_face
from crnn_keras.synth.rendering import render_jpeg
from crnn_keras.synth.style import Style
from crnn_keras.synth.texts import WORD_LIST, WordTexts, read_words
from crnn_keras.utils import files

# Raise it with every change that shows in an image or text of the same recipe.
_DRAWING = 3
_TEXTS = {
    "words": {
        "file": "",
        "numbers": 0.08,
        "codes": 0.06,
        "max_length": 14,
        "common": 0,
        "marks": 0.0,
        "upper": 0.3,
        "capital": 0.23,
        "labels": "exact",
    },
    "chinese": {
        "characters": "",
        "corpus": "",
        "frequencies": {},
        "shortest": 1,
        "longest": 20,
        "rare": 0.3,
    },
}


def _full(texts):
    """The texts' settings with their defaults, checked and in one form."""
    known = _TEXTS.get(texts.get("kind"))
    if known is None:
        raise ValueError(
            f"Texts of kind {texts.get('kind')!r} are unknown. Expected {list(_TEXTS)}."
        )
    unknown = sorted(set(texts) - {"kind", *known})
    if unknown:
        raise ValueError(f"Texts have {unknown}, but know only {sorted(known)}.")
    texts = texts | {"characters": "".join(texts["characters"])} if "characters" in texts else texts
    given = {name: type(default)(texts.get(name) or default) for name, default in known.items()}
    if given.get("labels", "exact") not in PROTOCOLS:
        raise ValueError(f"Labels are {given['labels']!r}. Expected one of {list(PROTOCOLS)}.")
    # A share of 0 is meant.
    given |= {name: type(known[name])(texts[name]) for name in known if texts.get(name) == 0}
    return {"kind": texts["kind"], **given}


@dataclass(frozen=True)
class Recipe:
    """All that decides rendered images.

    Args:
        texts: dict of the texts' kind and settings: `{"kind": "words", "file": path of a word
            list}`, with the settings of `WordTexts` (an empty file stands for the English list of
            the package); `"labels": "alphanumeric"` labels what is drawn by the rule of the
            field's benchmarks, `Hello!` as `hello`. Or `{"kind": "chinese", "characters": string,
            "corpus": path}`, with those of `ChineseTexts`. What is left out has its default.
        fonts: paths of fonts that have the characters; see `find_fonts` and `fonts_with`.
        backgrounds: paths of photographs; see `find_photographs`.
        style: a `Style`.
        seed: integer from 0.
        part: the part whose texts are given; empty for all.
        fractions: dict of `part name: share`.

    Raises:
        ValueError: a setting of the texts is unknown, or there is no font.

    Example:
        ```python
        recipe = Recipe({"kind": "words"}, fonts=bundled_fonts(), seed=1)
        jpeg, text = recipe.open().sample(0)
        ```
    """

    texts: dict = field(default_factory=lambda: {"kind": "words"})
    fonts: tuple = ()
    backgrounds: tuple = ()
    style: Style = Style()
    seed: int = 0
    part: str = ""
    fractions: dict = field(default_factory=dict)

    def __post_init__(self):
        if not self.fonts:
            raise ValueError("A recipe without fonts draws nothing. Give `bundled_fonts()`.")
        fractions = {name: float(share) for name, share in self.fractions.items()}
        plain = {
            "texts": _full(self.texts),
            "fonts": tuple(map(str, self.fonts)),
            "backgrounds": tuple(map(str, self.backgrounds)),
            "seed": int(self.seed),
            "fractions": fractions,
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)

    def get_config(self):
        """The recipe as data that JSON keeps.

        Returns:
            Dict for `from_config`.
        """
        config = asdict(self)
        return config | {name: list(config[name]) for name in ("fonts", "backgrounds")}

    @classmethod
    def from_config(cls, config):
        """Makes the recipe of a `get_config`.

        Args:
            config: dict of the names and values of the arguments.

        Returns:
            `Recipe`.

        Raises:
            ValueError: a name or value is not known.
        """
        try:
            return cls(**{**config, "style": Style(**config.get("style", {}))})
        except TypeError as error:
            raise ValueError(f"This is no recipe of rendered texts: {error}.") from None

    def save(self, path):
        """Writes the recipe as readable JSON, whole or not at all."""
        files.write_json(path, self.get_config())

    @classmethod
    def load(cls, path):
        """Reads a recipe that `save` wrote."""
        return cls.from_config(files.read_json(path))

    def fingerprint(self):
        """Names the images: two machines with the same fingerprint draw the same bytes.

        It covers the contents, not the paths, of fonts, word list, corpus and photographs, all
        settings, and the versions of what draws: Pillow, FreeType, the jpeg library and numpy's
        random numbers.

        Returns:
            Sha256 as 64 hex digits.

        Raises:
            OSError: a file is not there.
        """
        config = self.get_config()
        texts = config["texts"]
        if texts["kind"] == "words":
            texts["file"] = file_hash(texts["file"] or str(WORD_LIST))
        elif texts["corpus"]:
            texts["corpus"] = file_hash(texts["corpus"])
        faces = map(split_face, self.fonts)
        config["fonts"] = [[file_hash(path), face] for path, face in faces]
        config["backgrounds"] = [file_hash(path) for path in self.backgrounds]
        # The order of parts decides which text is whose, so fractions stay as they stand.
        config["fractions"] = list(self.fractions.items())
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

    def open(self):
        """Makes the recipe ready to draw; files are read when they are first used.

        Returns:
            `Renderer`.
        """
        return Renderer(self)

    def check(self):
        """Opens every font and photograph; do it once, before many images are drawn.

        Raises:
            ValueError: a font cannot be read or lacks a character of the texts, a photograph is
                damaged; the message names the file.
        """
        _, lacking = fonts_with(self.open().characters, self.fonts)
        if lacking:
            font, missing = next(iter(lacking.items()))
            raise ValueError(
                f"{len(lacking)} of {len(self.fonts)} fonts lack characters of the texts. The "
                f"first, {font}, lacks {missing[:20]!r}. Take only those of `fonts_with`."
            )
        for path in self.backgrounds:
            load_photograph(path)


class Renderer:
    """Draws the samples of a recipe: sample `index` is a pure function of recipe and index.

    Args:
        recipe: a `Recipe`.
    """

    def __init__(self, recipe):
        self.recipe = recipe
        # The parts of a set must not get the same dice.
        name = f"{recipe.seed}/{recipe.part}".encode()
        self._seed = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big")

    def __reduce__(self):
        return Renderer, (self.recipe,)

    @functools.cached_property
    def _texts(self):
        recipe, settings = self.recipe, dict(self.recipe.texts)
        settings.pop("labels", None)
        shared = {"seed": recipe.seed, "part": recipe.part or None, "fractions": recipe.fractions}
        if settings.pop("kind") == "words":
            return WordTexts(read_words(settings.pop("file") or WORD_LIST), **settings, **shared)
        for name in ("corpus", "frequencies"):
            settings[name] = settings[name] or None
        return ChineseTexts(**settings, **shared)

    @property
    def characters(self):
        """Every character that may come up in a text, sorted."""
        return self._texts.alphabet

    def text(self, index):
        """The text that is drawn for an index.

        Args:
            index: integer from 0.

        Returns:
            String.
        """
        return self._texts.text(index)

    def label(self, text):
        """What a drawn text is labelled with.

        Args:
            text: string.

        Returns:
            String.
        """
        return PROTOCOLS[self.recipe.texts.get("labels", "exact")](text)

    def sample(self, index):
        """Draws a sample.

        Args:
            index: integer from 0.

        Returns:
            Tuple of the bytes of a gray jpeg and its label.
        """
        recipe, text = self.recipe, self.text(index)
        jpeg = render_jpeg(text, recipe.fonts, recipe.style, self._seed, index, recipe.backgrounds)
        return jpeg, self.label(text)

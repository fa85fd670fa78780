"""Where a dictionary comes from: presets, labels, a corpus, lists of others, the old project."""

import pathlib

from crnn_keras.char_dict import corpus, lists, naming, old_dictionaries
from crnn_keras.char_dict import normalization as forms
from crnn_keras.char_dict.presets import FOLDED, PRESETS, preset_characters
from crnn_keras.utils import files


class Sources:
    """The ways to make a `CharDict`, which inherits them."""

    @classmethod
    def find(cls, source, texts=()):
        """A dictionary from whatever a person names.

        Args:
            source: name of a preset; `"labels"` for every character that `texts` use; a text file
                of characters; a dictionary that `save` wrote; the old project's json files; or
                `"corpus:news.txt:5000"` for the 5,000 most frequent characters of a text file or a
                folder of them (without the number: all). Choices may follow, each after a plus: a
                normalization, `fold_case`, `space` (adds a space if there is none, as PP-OCR's
                `use_space_char` does), or a preset whose characters are added. Such as
                `"labels+half_width"` or `"gb2312+ascii"`.
            texts: labels, for `"labels"`.

        Returns:
            `CharDict`.

        Raises:
            ValueError: it is none of these.
        """
        chosen = naming.parse(source)
        name, path = chosen.name, pathlib.Path(chosen.name)
        form = {"fold_case": chosen.fold_case, "normalization": chosen.normalization or "nfc"}
        if name == "labels":
            found = cls.from_labels(texts, **form)
        elif name in PRESETS:
            found = cls.from_preset(name)
        elif naming.is_corpus(name):
            paths, size = naming.corpus_parts(name)
            found = cls.from_corpus(paths, size, **form)
        elif path.is_file() and path.suffix != ".json":
            found = cls.from_file(path, normalization=chosen.normalization)
        elif path.is_file() and "format" in files.read_json(path):
            found = cls.load(path)
        elif path.exists():
            found = cls.from_old_json(path)
        else:
            raise ValueError(
                f"{str(source)!r} is no char dict. Expected a file, a folder of the old project's "
                "json files, 'labels', 'corpus:FILE' or 'corpus:FILE:5000' for the most frequent "
                f"characters of a text, or a preset: {', '.join(PRESETS)}. Choices may follow, "
                f"such as 'labels+half_width': {', '.join(naming.CHOICES)}, or a preset to add."
            )
        return found._with_choices(chosen) if chosen.has_choices else found

    def _with_choices(self, chosen):
        fold_case = self.fold_case or chosen.fold_case
        normalization = chosen.normalization or self.normalization
        characters = self.characters + chosen.extra
        characters = forms.distinct_in(characters, normalization, fold_case)
        return type(self)(characters, fold_case, normalization)

    @classmethod
    def from_preset(cls, name):
        """One of the ready dictionaries.

        Args:
            name: `"digits"`, `"alphanumeric36"`, `"ascii"`, `"gb2312_level1"` or `"gb2312"`, see
                `presets.preset_characters`.

        Returns:
            `CharDict`.

        Raises:
            ValueError: no such preset.
        """
        return cls(preset_characters(name), fold_case=name in FOLDED)

    @classmethod
    def from_labels(cls, texts, fold_case=False, normalization="nfc"):
        """Every character that the labels use, in the order of their code points.

        Args:
            texts: iterable of strings.
            fold_case: see `CharDict`.
            normalization: see `CharDict`.

        Returns:
            `CharDict`.
        """
        found = set()
        for text in texts:
            found.update(forms.normalize_text(text, normalization, fold_case))
        return cls("".join(sorted(found)), fold_case, normalization)

    @classmethod
    def from_corpus(cls, paths, size=None, smallest_count=1, fold_case=False, normalization="nfc"):
        """The most frequent characters of text files, by falling frequency.

        Args:
            paths: a text file, a folder of them, or a list; they may be larger than the memory.
            size: how many characters at most; None: all.
            smallest_count: how often a character must be used at least.
            fold_case: see `CharDict`.
            normalization: see `CharDict`.

        Returns:
            `CharDict`. White space but the plain space, and control characters, are left out;
            `corpus_counts` counts them.

        Raises:
            ValueError: no file, one that is not text, or no character is left.
        """
        counts = corpus.corpus_counts(paths, normalization, fold_case)
        return cls(corpus.most_frequent(counts, size, smallest_count), fold_case, normalization)

    @classmethod
    def from_file(cls, path, fold_case=False, normalization=None, space=False):
        """A text file of characters: one a line (as the old `chinese_dict.txt`), or all in one.

        A line that is one space is the space character; an empty line is skipped. For the list of
        PP-OCR, with its ids: `from_file("ppocr_keys_v1.txt", space=True)`.

        Args:
            path: text file in UTF-8 or, failing that, GB18030.
            fold_case: see `CharDict`.
            normalization: see `CharDict`. None: `"nfc"`, or `"none"` for a list that has characters
                which NFC writes otherwise. If one is chosen, the list is written in it too. A
                printed line names what that concerns.
            space: add a space at the end if there is none, as PP-OCR's `use_space_char` does.

        Returns:
            `CharDict`.

        Raises:
            ValueError: the file is empty, or a character stands twice.
        """
        characters = lists.read_list(path)
        characters, normalization = lists.settle(characters, normalization, path)
        if space and " " not in characters:
            characters += " "
        with files.prefix_errors(path):
            return cls(characters, fold_case, normalization)

    @classmethod
    def from_old_json(cls, path):
        """A dictionary of CRNN_Tensorflow or its Chinese branch.

        Args:
            path: its folder, or one of its files, see `old_dictionaries.read_characters`.

        Returns:
            `CharDict` with the characters in the old order. The old ids began at 0 and put the
            blank last: id `i` is now `i + 1`.

        Raises:
            ValueError: no such file, or a file that does not hold what its name says.
        """
        path, characters = old_dictionaries.read_characters(path)
        characters, normalization = lists.settle(characters, None, path)
        with files.prefix_errors(path):
            return cls(characters, normalization=normalization)

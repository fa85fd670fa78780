"""Finds the bundled fonts, the fonts of the machine, and the characters that a font has."""

import contextlib
import functools
import hashlib
import logging
import os
import pathlib
import re
import unicodedata
import warnings
from collections.abc import Iterable, Sequence

import matplotlib
from fontTools import unicodedata as scripts
from fontTools.ttLib import TTFont
from PIL import ImageFont

from crnn_keras.synth.shaping import check_shaping, needs_rules
from crnn_keras.utils.checks import TEXT, Of, check_arguments

SUFFIXES = (".ttf", ".otf", ".ttc")
# Families of matplotlib's folder that have letters; the others have mathematical symbols.
_BUNDLED_TEXT_FONTS = ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "cmb10", "cmr10", "cmss", "cmtt")
_CHINESE_FONTS = pathlib.Path(__file__).parent / "assets" / "fonts"
_FACE = re.compile(r"^(?P<path>.+)#(?P<face>\d+)$")


class FontError(ValueError):
    """Reports a font that cannot be read or lacks characters; the message names the file."""


def bundled_fonts() -> list[str]:
    """Returns the text fonts of matplotlib: 20 faces with a free licence.

    Returns:
        Sorted list of paths.
    """
    folder = pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return sorted(
        str(path)
        for path in folder.glob("*.ttf")
        if path.stem.startswith(_BUNDLED_TEXT_FONTS) and "Display" not in path.stem
    )


def bundled_chinese_fonts() -> list[str]:
    """Returns the package's sans and serif fonts with GB2312, ASCII and Chinese punctuation.

    Returns:
        Sorted list of paths.
    """
    return sorted(map(str, _CHINESE_FONTS.glob("*.otf")))


def font_folders() -> list[str]:
    """Returns the font folders of this machine, as fontconfig and other systems define them.

    Returns:
        List of the paths that exist.
    """
    home = pathlib.Path.home()
    data = os.environ.get("XDG_DATA_HOME") or home / ".local" / "share"
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    folders = [home / ".fonts", pathlib.Path(data) / "fonts"]
    folders += [pathlib.Path(folder) / "fonts" for folder in shared.split(":") if folder]
    folders += [pathlib.Path("/usr/share/fonts"), pathlib.Path("/usr/share/texmf/fonts")]
    folders += [pathlib.Path("/usr/share/texlive/texmf-dist/fonts")]
    folders += [pathlib.Path("/Library/Fonts"), home / "Library" / "Fonts"]
    folders += [pathlib.Path(os.environ.get("WINDIR") or "C:/Windows") / "Fonts"]
    return [str(folder) for folder in dict.fromkeys(folders) if folder.is_dir()]


def find_fonts(folders: Iterable[str | os.PathLike] | None = None) -> list[str]:
    """Finds every TrueType and OpenType font of the machine.

    Packages often bring the same file: of files with the same content only the first path is
    kept. Each face of a collection is a font of its own: `path.ttc#2` is the third face. Files that
    cannot be read are skipped, and a warning names them.

    Args:
        folders: Folders to search besides `font_folders()`, for example one into which fonts
            of npm were installed. Defaults to none.

    Returns:
        Sorted list of paths.

    Raises:
        FontError: One of `folders` does not exist.
    """
    if isinstance(folders, str | os.PathLike):
        raise FontError(f"Expected a list of folders, got the one path {str(folders)!r}.")
    extra = [pathlib.Path(folder) for folder in folders or ()]
    for folder in extra:
        if not folder.is_dir():
            raise FontError(f"{folder} is not a folder. Expected a folder of fonts.")
    paths, visited = set(), set()
    for folder in [*extra, *font_folders()]:
        for root, subfolders, names in os.walk(folder, followlinks=True):
            # Links may lead in a circle.
            real = os.path.realpath(root)
            if real in visited:
                subfolders.clear()
                continue
            visited.add(real)
            found = (name for name in names if name.lower().endswith(SUFFIXES))
            # No pipe or device: it may never end.
            paths.update(filter(os.path.isfile, (os.path.join(root, name) for name in found)))
    fonts, contents, unreadable = [], set(), []
    for path in sorted(paths):
        try:
            content = file_hash(path)
            faces = [] if content in contents else _faces(path)
        except (FontError, OSError):
            unreadable.append(path)
            continue
        contents.add(content)
        fonts.extend(faces)
    if unreadable:
        warnings.warn(
            f"{len(unreadable)} fonts cannot be read and are skipped: {', '.join(unreadable)}.",
            stacklevel=2,
        )
    return sorted(fonts)


def _faces(path):
    """Returns the font of a file, or all fonts of a collection."""
    faces = []
    for index in range(64):
        face = f"{path}#{index}" if path.lower().endswith(".ttc") else path
        try:
            # The glyphs may be damaged behind a valid header: try to draw.
            load_font(face, 16).getbbox("a")
        except FontError:
            if not index:
                raise
            break
        faces.append(face)
        if face == path:
            break
    return faces


def is_han(character: str) -> bool:
    """Tells whether a character is a Chinese ideograph."""
    return "\u3400" <= character <= "\u9fff" or "\U00020000" <= character <= "\U0003ffff"


def split_face(font: str | os.PathLike) -> tuple[str, int]:
    """Splits `path.ttc#2` into the file's path and the index of the face.

    Args:
        font: Path of a font, with or without `#index`.

    Returns:
        Tuple of the path and the index; the index is 0 if the path has none.
    """
    match = _FACE.match(str(font))
    return (match["path"], int(match["face"])) if match else (str(font), 0)


@functools.lru_cache(maxsize=8192)
def file_hash(path: str | os.PathLike) -> str:
    """Returns the sha256 of a file's content; it is computed once a process.

    Args:
        path: Path of a file, or of a font with `#index` for a face of a collection: all faces
            have the hash of their file.

    Returns:
        64 hex digits.

    Raises:
        OSError: The file cannot be read.
    """
    path = split_face(path)[0]
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path} is no file.")
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Every open font keeps a file open, and systems allow about a thousand.
@functools.lru_cache(maxsize=200)
def load_font(font: str, size: int, *, shapes: bool = False) -> ImageFont.FreeTypeFont:
    """Opens a font. The last 200 stay open.

    Args:
        font: Path, with `#index` for a face of a collection.
        size: Size in pixels.
        shapes: Whether it shapes texts, see `shaping`. Defaults to `False`.

    Returns:
        Pillow's `FreeTypeFont`.

    Raises:
        FontError: The font cannot be read.
    """
    path, face = split_face(font)
    if not os.path.isfile(path):
        raise FontError(f"{font} cannot be read as a font: there is no such file.")
    try:
        # The basic layout engine where it can be: raqm draws differently and may be missing.
        engine = ImageFont.Layout.RAQM if shapes else ImageFont.Layout.BASIC
        return ImageFont.truetype(path, size, face, layout_engine=engine)
    except (OSError, ValueError) as error:
        raise FontError(f"{font} cannot be read as a font: {error}.") from None


@contextlib.contextmanager
def _silent_fonttools():
    """Silences fontTools, which warns about tables that nothing here reads."""
    logger = logging.getLogger("fontTools")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@functools.lru_cache(maxsize=8192)
def font_characters(font: str) -> frozenset[str]:
    """Returns the characters that a font has glyphs for.

    Args:
        font: Path, with `#index` for a face of a collection.

    Returns:
        Frozen set of characters.

    Raises:
        FontError: The font cannot be read.
    """
    with _open_tables(font) as opened:
        return frozenset(map(chr, opened.getBestCmap() or ()))


@contextlib.contextmanager
def _open_tables(font):
    path, face = split_face(font)
    try:
        with _silent_fonttools(), TTFont(path, lazy=True, fontNumber=face) as opened:
            yield opened
    except Exception as error:  # fontTools raises errors of any type for a damaged file.
        raise FontError(f"{font} cannot be read as a font: {error!r}.") from None


@functools.lru_cache(maxsize=8192)
def _has_rules(font: str, script: str) -> bool:
    """Tells whether a font has rules for how the letters of a script join and move."""
    # HarfBuzz joins Arabic letters by these characters where a font has no rules.
    if script == "Arab" and "\ufedf" in font_characters(font):
        return True
    with _open_tables(font) as opened:
        if "morx" in opened:
            return True
        records = opened["GSUB"].table.ScriptList.ScriptRecord if "GSUB" in opened else ()
        return not {record.ScriptTag for record in records}.isdisjoint(
            scripts.ot_tags_from_script(script)
        )


@functools.lru_cache(maxsize=8192)
def missing_characters(font: str, characters: frozenset[str]) -> str:
    """Returns the characters for which a font has no glyph, an empty one, or no rules of shaping.

    Args:
        font: Path, with `#index` for a face of a collection.
        characters: Frozen set of characters. White space and what is invisible need no glyph.

    Returns:
        String of the missing characters, sorted.

    Raises:
        FontError: The font cannot be read.
    """
    needed = {c for c in characters if not c.isspace() and unicodedata.category(c) != "Cf"}
    missing = needed - font_characters(font)
    missing |= {c for c in needed if (script := needs_rules(c)) and not _has_rules(font, script)}
    opened = load_font(font, 16)
    try:
        boxes = {character: opened.getbbox(character) for character in needed - missing}
    except OSError as error:
        raise FontError(f"{font} cannot draw its characters: {error}.") from None
    empty = {c for c, (left, top, right, bottom) in boxes.items() if right <= left or bottom <= top}
    return "".join(sorted(missing | empty))


@check_arguments(characters=TEXT, fonts=Of((list, tuple)))
def fonts_with(characters: str, fonts: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Separates the fonts that have every character from those that do not.

    Args:
        characters: String of the characters that will be drawn. A space needs no glyph.
        fonts: List of font paths.

    Returns:
        Tuple of the list of usable fonts and a dict of `font path: missing characters`.

    Raises:
        FontError: No font has all characters, or one cannot be read.
        ValueError: The characters need shaping, and this Pillow cannot.
    """
    check_shaping(characters)
    needed = frozenset(characters) - {" "}
    missing = {font: missing_characters(font, needed) for font in fonts}
    usable = [font for font in fonts if not missing[font]]
    if not usable:
        best = min(missing, key=lambda font: len(missing[font]), default=None)
        closest = f" The closest, {best}, lacks {missing[best][:20]!r}." if best else ""
        raise FontError(
            f"None of {len(fonts)} fonts has all {len(needed)} characters.{closest} "
            "Give fonts that cover the text, for Chinese for example those of Debian's "
            "fonts-noto-cjk, or draw fewer characters; `describe_fonts` names more packages."
        )
    return usable, {font: characters for font, characters in missing.items() if characters}

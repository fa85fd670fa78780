"""Fonts: those that are always there, those of the machine, and which of them have a character."""

import functools
import hashlib
import logging
import os
import pathlib
import re
import warnings

import matplotlib
from fontTools.ttLib import TTFont
from PIL import ImageFont

SUFFIXES = (".ttf", ".otf", ".ttc")
# It warns of oddities in tables that nothing here reads.
logging.getLogger("fontTools").setLevel(logging.ERROR)
# Families in matplotlib's folder that hold formulas, not text.
_BUNDLED_TEXT_FONTS = ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "cmb10", "cmr10", "cmss", "cmtt")
_CHINESE_FOLDER = pathlib.Path(__file__).parent / "assets" / "fonts"
_FACE = re.compile(r"^(?P<path>.+)#(?P<face>\d+)$")


class FontError(ValueError):
    """A font that cannot be read or lacks characters; the message names the file."""


def bundled_fonts():
    """Text fonts that matplotlib carries: 20 faces of free licence, the same on every machine.

    Returns:
        Sorted list of paths.
    """
    folder = pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return sorted(
        str(path)
        for path in folder.glob("*.ttf")
        if path.stem.startswith(_BUNDLED_TEXT_FONTS) and "Display" not in path.stem
    )


def bundled_chinese_fonts():
    """A sans and a serif with the characters of GB2312, ASCII and punctuation, of free licence.

    Returns:
        Sorted list of paths.
    """
    return sorted(map(str, _CHINESE_FOLDER.glob("*.otf")))


def font_folders():
    """Folders in which a machine keeps its fonts, as fontconfig and other systems have them.

    Returns:
        List of the paths of those that exist.
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


def find_fonts(folders=None):
    """Every TrueType and OpenType font of the machine.

    Two packages often bring the same file: of files with the same content the first path is
    kept. Each face of a collection is a font of its own: `path.ttc#2` is its third. Files that
    cannot be read are left out, and a warning names them.

    Args:
        folders: folders to search beside `font_folders()`, for example one into which fonts
            of npm were installed.

    Returns:
        Sorted list of paths.

    Raises:
        FontError: a given folder does not exist.
    """
    given = [pathlib.Path(folder) for folder in folders or ()]
    for folder in given:
        if not folder.is_dir():
            raise FontError(f"{folder} is no folder. Expected one that holds fonts.")
    paths, visited = set(), set()
    for folder in [*given, *font_folders()]:
        for root, inner, names in os.walk(folder, followlinks=True):
            # Links may lead in a circle.
            place = os.path.realpath(root)
            if place in visited:
                inner.clear()
                continue
            visited.add(place)
            found = (name for name in names if name.lower().endswith(SUFFIXES))
            paths.update(os.path.join(root, name) for name in found)
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
            f"{len(unreadable)} fonts cannot be read and are left out: {', '.join(unreadable)}.",
            stacklevel=2,
        )
    return sorted(fonts)


def _faces(path):
    faces = []
    for number in range(64):
        face = f"{path}#{number}" if path.lower().endswith(".ttc") else path
        try:
            # A page of glyphs may be damaged behind a sound head: try to draw.
            load_font(face, 16).getbbox("a")
        except FontError:
            if not number:
                raise
            break
        faces.append(face)
        if face == path:
            break
    return faces


def is_han(character):
    """Whether a character is Han, as Chinese and Japanese share them."""
    return "\u3400" <= character <= "\u9fff" or "\U00020000" <= character <= "\U0003ffff"


def split_face(font):
    """Splits `path.ttc#2` into the file's path and the number of the face.

    Args:
        font: path of a font, with or without a face.

    Returns:
        Tuple of the path and the number, 0 if none is given.
    """
    match = _FACE.match(str(font))
    return (match["path"], int(match["face"])) if match else (str(font), 0)


@functools.lru_cache(maxsize=8192)
def file_hash(path):
    """Sha256 of a file's content, as hex digits; computed once a process.

    Args:
        path: of a file, or of a font with `#number` for a face of a collection: all faces of a
            file have its hash.
    """
    with open(split_face(path)[0], "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Every open font holds a file open, and systems allow some thousand.
@functools.lru_cache(maxsize=200)
def load_font(font, size):
    """Opens a font; once a process while it is in use.

    Args:
        font: path, with `#number` for a face of a collection.
        size: size in pixels.

    Returns:
        Pillow's `FreeTypeFont`.

    Raises:
        FontError: it cannot be read.
    """
    path, face = split_face(font)
    try:
        # The basic layout engine is always there; libraqm may or may not be, and draws otherwise.
        return ImageFont.truetype(path, size, face, layout_engine=ImageFont.Layout.BASIC)
    except (OSError, ValueError) as error:
        raise FontError(f"{font} cannot be read as a font: {error}.") from None


@functools.lru_cache(maxsize=8192)
def font_characters(font):
    """Characters that a font has glyphs for.

    Args:
        font: path, with `#number` for a face of a collection.

    Returns:
        Frozen set of characters.

    Raises:
        FontError: it cannot be read.
    """
    path, face = split_face(font)
    try:
        with TTFont(path, lazy=True, fontNumber=face) as opened:
            return frozenset(map(chr, opened.getBestCmap() or ()))
    except Exception as error:  # fontTools raises whatever its parsers meet in a damaged file.
        raise FontError(f"{font} cannot be read as a font: {error!r}.") from None


@functools.lru_cache(maxsize=8192)
def missing_characters(font, characters):
    """Characters that a font cannot draw: it has no glyph, or an empty one.

    Args:
        font: path, with `#number` for a face of a collection.
        characters: frozen set of characters. White space needs no glyph.

    Returns:
        String of the missing characters, sorted.

    Raises:
        FontError: it cannot be read.
    """
    needed = {character for character in characters if not character.isspace()}
    missing = needed - font_characters(font)
    opened = load_font(font, 16)
    try:
        boxes = {character: opened.getbbox(character) for character in needed - missing}
    except OSError as error:
        raise FontError(f"{font} cannot be drawn with: {error}.") from None
    empty = {c for c, (left, top, right, bottom) in boxes.items() if right <= left or bottom <= top}
    return "".join(sorted(missing | empty))


def fonts_with(characters, fonts):
    """Splits fonts by whether they have every character.

    Args:
        characters: string of the characters that will be drawn. A space needs no glyph.
        fonts: list of font paths.

    Returns:
        Tuple of the usable fonts and a dict of `font path: missing characters`.

    Raises:
        FontError: no font has them all, or one cannot be read.
    """
    needed = frozenset(characters) - {" "}
    missing = {font: missing_characters(font, needed) for font in fonts}
    usable = [font for font in fonts if not missing[font]]
    if not usable:
        best = min(missing, key=lambda font: len(missing[font]), default=None)
        closest = f" The closest, {best}, lacks {missing[best][:20]!r}." if best else ""
        raise FontError(
            f"None of {len(fonts)} fonts has all {len(needed)} characters.{closest} "
            "Give fonts that cover the text, for Chinese for example those of Debian's "
            "fonts-noto-cjk, or draw fewer characters; `describe_fonts` names more."
        )
    return usable, {font: gap for font, gap in missing.items() if gap}

"""Reports which fonts have given characters, and which packages bring more fonts."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from crnn_keras.synth.fonts import FontError, is_han, missing_characters
from crnn_keras.synth.shaping import check_shaping
from crnn_keras.utils.checks import TEXT, Of, check_arguments

# Packages of Debian 12 and npm; each brings TrueType or OpenType fonts.
DEBIAN_LATIN = (
    "fonts-dejavu fonts-liberation fonts-lato fonts-roboto-unhinted fonts-roboto-slab "
    "fonts-open-sans fonts-urw-base35 fonts-texgyre fonts-freefont-otf fonts-linuxlibertine "
    "fonts-ebgaramond fonts-junicode fonts-adf-gillius fonts-adf-romande fonts-adf-baskervald "
    "fonts-bebas-neue fonts-league-spartan fonts-comfortaa fonts-quicksand fonts-dosis "
    "fonts-cabin fonts-cabinsketch fonts-play fonts-lobster fonts-lobstertwo "
    "fonts-yanone-kaffeesatz fonts-tomsontalks fonts-dustin fonts-ecolier-court fonts-rufscript "
    "fonts-ocr-a fonts-ocr-b fonts-go fonts-hack fonts-inter fonts-noto-core"
)
DEBIAN_CHINESE = (
    "fonts-noto-cjk fonts-noto-cjk-extra fonts-wqy-zenhei fonts-wqy-microhei fonts-lxgw-wenkai "
    "fonts-arphic-gbsn00lp fonts-arphic-gkai00mp fonts-arphic-ukai fonts-arphic-uming "
    "fonts-droid-fallback fonts-babelstone-han fonts-cns11643-kai fonts-cns11643-sung"
)
NPM_LATIN = (
    "@expo-google-fonts/roboto @expo-google-fonts/lato @expo-google-fonts/oswald "
    "@expo-google-fonts/lobster"
)
NPM_CHINESE = (
    "@expo-google-fonts/noto-sans-sc @expo-google-fonts/noto-serif-sc "
    "@expo-google-fonts/zcool-xiaowei @expo-google-fonts/zcool-kuaile "
    "@expo-google-fonts/zcool-qingke-huangyou @expo-google-fonts/ma-shan-zheng "
    "@expo-google-fonts/zhi-mang-xing @expo-google-fonts/liu-jian-mao-cao"
)
_FEW_LATIN, _FEW_CHINESE = 100, 10


@dataclass(frozen=True, kw_only=True)
class FontReport:
    """Holds which fonts have given characters; its string is a readable summary.

    Args:
        usable: List of paths of fonts that have every character.
        incomplete: Dict of `font path: missing characters`.
        unreadable: Dict of `font path: reason`.
        advice: How to install more fonts; empty if there are many.
    """

    usable: list[str]
    incomplete: dict[str, str]
    unreadable: dict[str, str]
    advice: str

    def __str__(self) -> str:
        count = len(self.usable) + len(self.incomplete) + len(self.unreadable)
        lines = [f"{count} fonts found, {len(self.usable)} have every character"]
        if self.incomplete:
            font, missing = min(self.incomplete.items(), key=lambda item: len(item[1]))
            lines.append(
                f"{len(self.incomplete)} lack characters; the closest, {font}, lacks "
                f"{len(missing)}: {missing[:20]!r}"
            )
        if self.unreadable:
            font, reason = next(iter(self.unreadable.items()))
            lines.append(f"{len(self.unreadable)} cannot be read; the first: {reason}")
        return "\n".join([*lines, *([self.advice] if self.advice else [])])

    __repr__ = __str__


@check_arguments(characters=TEXT, fonts=Of((list, tuple)))
def describe_fonts(characters: str, fonts: Sequence[str]) -> FontReport:
    """Reports how many fonts have the characters, which do not, and how to install more.

    Args:
        characters: String of the characters that will be drawn.
        fonts: List of font paths, for example `find_fonts()`.

    Returns:
        `FontReport`. Print it, or take its `usable` fonts.

    Raises:
        ValueError: The characters need shaping, and this Pillow cannot.

    Example:

        >>> from crnn_keras.synth import bundled_fonts
        >>> len(describe_fonts("abc省", bundled_fonts()).usable)
        0
    """
    check_shaping(characters)
    needed, usable, incomplete, unreadable = frozenset(characters), [], {}, {}
    for font in fonts:
        try:
            missing = missing_characters(font, needed)
        except FontError as error:
            unreadable[font] = str(error)
            continue
        if missing:
            incomplete[font] = missing
        else:
            usable.append(font)
    advice = _advise(needed, usable)
    return FontReport(usable=usable, incomplete=incomplete, unreadable=unreadable, advice=advice)


def _advise(needed, usable):
    has_han = any(map(is_han, needed))
    if len(usable) >= (_FEW_CHINESE if has_han else _FEW_LATIN):
        return ""
    debian, npm = (DEBIAN_CHINESE, NPM_CHINESE) if has_han else (DEBIAN_LATIN, NPM_LATIN)
    lines = (
        "More fonts make a better model. On Debian and Ubuntu:",
        f"  sudo apt-get install {debian}",
        "From npm, without root, into a folder for `find_fonts([folder])`:",
        f"  npm install --prefix fonts {npm}",
    )
    return "\n".join(
        textwrap.fill(line, 98, subsequent_indent="    ", break_on_hyphens=False) for line in lines
    )

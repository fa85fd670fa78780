"""How often Chinese characters occur."""

from __future__ import annotations

import functools
import pathlib


def chinese_frequencies() -> dict[str, int]:
    """Returns how often Chinese characters occur, the most frequent first.

    Returns:
        Dict of `character: count` of 6,705 characters of GB2312, from the word list of jieba, whose
        license is in `synth/assets/words/COPYING`.

    Example:

    >>> list(chinese_frequencies())[:3]
    ['一', '是', '人']
    """
    path = pathlib.Path(__file__).with_name("chinese.tsv")
    rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return {character: int(count) for character, count in rows}


@functools.cache
def chinese_ranks() -> dict[str, int]:
    """Returns the ranks of Chinese characters by how often they occur, the most frequent is 0."""
    return {character: rank for rank, character in enumerate(chinese_frequencies())}

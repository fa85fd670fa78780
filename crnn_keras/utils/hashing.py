"""Assignment of an image or a text to a split, by its own name alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from crnn_keras.utils.checks import NOT_NEGATIVE, SEED, TEXT, check_arguments


def check_fractions(fractions: Mapping[str, float]) -> None:
    """Raises a ValueError unless the fractions of splits are numbers that assign something.

    Args:
        fractions: Dict of `split: fraction`; the fractions need not add up to 1.

    Raises:
        ValueError: They are no such dict, one is below 0 or no number, or none is above 0.
    """
    if not isinstance(fractions, Mapping) or not all(
        isinstance(split, str) and NOT_NEGATIVE.accepts(fraction)
        for split, fraction in fractions.items()
    ):
        raise ValueError(
            f"The fractions {fractions!r} make no splits. Expected a dict of a name and a number "
            'of at least 0 for each split, such as {"train": 0.9, "test": 0.1}.'
        )
    if not sum(fractions.values()) > 0:
        raise ValueError(f"The fractions {fractions!r} assign nothing. Expected a sum above 0.")


@check_arguments(identity=TEXT, seed=SEED)
def draw(identity: str, seed: int) -> float:
    """Draws a number by the hash of a name.

    Args:
        identity: Text that names an image or a text.
        seed: Seed; the same one gives the same number.

    Returns:
        Number of at least 0 and at most 1, the same on every machine.

    Example:

    >>> round(draw("images/7.png", seed=0), 4)
    0.7298
    """
    name = f"{seed}\n{identity}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") / 2**64


@check_arguments(identity=TEXT, seed=SEED)
def assign_split(identity: str, fractions: Mapping[str, float], seed: int) -> str:
    """Returns the split that an image or a text belongs to.

    It is drawn by a hash of the name alone: it stays when images join or leave the set, or come in
    another order.

    Args:
        identity: Text that names the image, see `Sample.identity`.
        fractions: Dict of `split: fraction`; the fractions need not add up to 1.
        seed: Seed; the same one gives the same splits.

    Returns:
        One of the keys of `fractions`.

    Raises:
        ValueError: See `check_fractions`.

    Example:

    >>> assign_split("images/7.png", {"train": 0.9, "test": 0.1}, seed=0)
    'train'
    """
    check_fractions(fractions)
    total = sum(fractions.values())
    drawn = draw(identity, seed)
    end = 0.0
    for split, fraction in fractions.items():
        end += fraction / total
        if fraction > 0:
            last = split
            if drawn < end:
                return split
    return last

"""Assignment of an image or a text to a split, by its own name alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


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
        ValueError: If a fraction is below 0, or none is above 0.

    Example:

    >>> assign_split("images/7.png", {"train": 0.9, "test": 0.1}, seed=0)
    'train'
    """
    total = sum(fractions.values())
    if not total > 0 or min(fractions.values()) < 0:
        raise ValueError(
            f"The fractions {fractions} must not be below 0, and their sum must be above 0."
        )
    name = f"{seed}\n{identity}".encode("utf-8", "surrogateescape")
    drawn = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") / 2**64
    end = 0.0
    for split, fraction in fractions.items():
        end += fraction / total
        if fraction > 0:
            last = split
            if drawn < end:
                return split
    return last

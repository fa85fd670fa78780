"""Which split a text belongs to: a matter of that text alone."""

import hashlib


def assign_split(identity, fractions, seed):
    """The part of a split that an image belongs to.

    It is drawn by a hash of the image's name: it stays when images join or leave the set, or
    when they come in another order.

    Args:
        identity: text that names the image, see `Sample.identity`.
        fractions: dict of `part name: share`; the fractions need not add up to 1.
        seed: integer; the same gives the same parts.

    Returns:
        One of the part names.

    Raises:
        ValueError: a share is below 0, or none is above it.
    """
    whole = sum(fractions.values())
    if not whole > 0 or min(fractions.values()) < 0:
        raise ValueError(
            f"The fractions {fractions} must not be below 0, and their sum must be above 0."
        )
    named = f"{seed}\n{identity}".encode("utf-8", "surrogateescape")
    drawn = int.from_bytes(hashlib.blake2b(named, digest_size=8).digest(), "big") / 2**64
    end = 0.0
    for name, share in fractions.items():
        end += share / whole
        if share > 0:
            last = name
            if drawn < end:
                return name
    return last

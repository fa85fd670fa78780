"""Which part of a split a picture belongs to: a matter of that picture alone."""

import hashlib


def part_of(identity, shares, seed):
    """The part of a split that a picture belongs to.

    It is drawn by a hash of the picture's name: it stays when pictures join or leave the set, or
    when they come in another order.

    Args:
        identity: text that names the picture, see `Sample.identity`.
        shares: dict of `part name: share`; the shares need not add up to 1.
        seed: integer; the same gives the same parts.

    Returns:
        One of the part names.

    Raises:
        ValueError: a share is below 0, or none is above it.
    """
    whole = sum(shares.values())
    if not whole > 0 or min(shares.values()) < 0:
        raise ValueError(f"The shares {shares} must not be below 0, and their sum must be above 0.")
    named = f"{seed}\n{identity}".encode("utf-8", "surrogateescape")
    drawn = int.from_bytes(hashlib.blake2b(named, digest_size=8).digest(), "big") / 2**64
    end = 0.0
    for name, share in shares.items():
        end += share / whole
        if share > 0:
            last = name
            if drawn < end:
                return name
    return last


def split_samples(samples, shares, seed):
    """Deals samples out by shares, each by its own name, see `part_of`.

    So the parts have their shares on average, not to the last sample, and samples of one picture
    are always together.

    Args:
        samples: list of `Sample`s.
        shares: dict of `part name: share`, for example `{"train": 0.8, "test": 0.2}`.
        seed: integer; the same gives the same parts.

    Returns:
        Dict of `part name: list`, each in the order of `samples`.

    Raises:
        ValueError: a part with a share above 0 would be empty.
    """
    parts = {name: [] for name in shares}
    for sample in samples:
        parts[part_of(sample.identity, shares, seed)].append(sample)
    for name, share in shares.items():
        if share > 0 and not parts[name]:
            raise ValueError(
                f"{len(samples)} samples are too few: the part {name!r} with a share of {share} "
                "would be empty. Give more samples, a larger share or another seed."
            )
    return parts

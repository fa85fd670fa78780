"""Which part of a split an image belongs to: a matter of that image alone."""

from crnn_keras.utils.hashing import assign_split


def split_samples(samples, fractions, seed):
    """Deals samples out by fractions, each by its own name, see `assign_split`.

    So the parts have their fractions on average, not to the last sample, and samples of one image
    are always together.

    Args:
        samples: list of `Sample`s.
        fractions: dict of `part name: share`, for example `{"train": 0.8, "test": 0.2}`.
        seed: integer; the same gives the same parts.

    Returns:
        Dict of `part name: list`, each in the order of `samples`.

    Raises:
        ValueError: a part with a share above 0 would be empty.
    """
    parts = {name: [] for name in fractions}
    for sample in samples:
        parts[assign_split(sample.identity, fractions, seed)].append(sample)
    for name, share in fractions.items():
        if share > 0 and not parts[name]:
            raise ValueError(
                f"{len(samples)} samples are too few: the part {name!r} with a share of {share} "
                "would be empty. Give more samples, a larger share or another seed."
            )
    return parts

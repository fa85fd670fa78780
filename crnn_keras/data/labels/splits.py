"""Label sources dealt to train, validation and test: split by fractions, or given apart."""

import os
import re

from crnn_keras.data.labels.read import read_samples
from crnn_keras.data.labels.sample import LabelledSet
from crnn_keras.data.labels.split import split_samples

_NAMED = re.compile(r"\s*(\w+)\s*=\s*(\S.*)")


def read_splits(labels, fractions, seed, layout="auto", images_folder=None, columns=None):
    """Reads the label sources of a run and deals their images to parts.

    Args:
        labels: one source, see `read_samples`, which is split; or one for each part, such as
            `"train=lists/train.txt, test=lists/test.txt"`. If no validation part is named, it is
            split off train, by its share.
        fractions: dict of `part name: share`.
        seed: integer, of the split.
        layout: see `read_samples`.
        images_folder: see `read_samples`.
        columns: see `read_samples`.

    Returns:
        Tuple of one `LabelledSet` of all sources, and a dict of `part name: list of Samples`.

    Raises:
        ValueError: as `read_samples` and `split_samples`; or a part's name that is not in
            `fractions`, or comes twice, or train is missing.
    """
    sources = _by_part(labels, fractions)
    found = {part: read_samples(s, layout, images_folder, columns) for part, s in sources.items()}
    whole = LabelledSet()
    for one in found.values():
        whole.samples += one.samples
        whole.problems += one.problems
        for name, lists in one.lexicons.items():
            whole.lexicons.setdefault(name, {}).update(lists)
    whole.description = "\n".join(one.description for one in found.values())
    layouts = {one.layout for one in found.values()}
    whole.layout = layouts.pop() if len(layouts) == 1 else "several"
    if "" in found:
        return whole, split_samples(whole.samples, fractions, seed)
    parts = {part: one.samples for part, one in found.items()}
    if fractions.get("validation") and "validation" not in parts:
        two = {part: share for part, share in fractions.items() if part in ("train", "validation")}
        parts |= split_samples(parts["train"], two, seed)
    return whole, {part: parts[part] for part in fractions if part in parts}


def _by_part(labels, fractions):
    """Dict of `part: source`; the part is empty where one source is to be split."""
    pieces = [_NAMED.fullmatch(piece) for piece in re.split(r",\s*(?=\w+\s*=)", str(labels))]
    if not all(pieces):
        return {"": labels}
    names = [piece[1] for piece in pieces]
    # Several names and no such file: parts that are written otherwise, such as `Train=`.
    is_one_file = len(names) == 1 or os.path.exists(labels)
    if is_one_file and not set(names) & set(fractions):
        return {"": labels}
    if "train" not in names or len(set(names)) < len(names) or not set(names) <= set(fractions):
        raise ValueError(
            f"{labels!r} names the parts {names}. Expected train, and no more than "
            f"{', '.join(fractions)}, each once: 'train=a.txt, test=b.txt'."
        )
    return {piece[1]: piece[2].strip() for piece in pieces}

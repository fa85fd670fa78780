"""The first words of a recipe as samples: rendered words are checked like labelled images."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import KW_ONLY, dataclass

from crnn_keras.data.build.rendered import open_recipe
from crnn_keras.data.labels import LabelledSet, Sample
from crnn_keras.synth import Recipe
from crnn_keras.utils.checks import COUNT, check_arguments


@dataclass(frozen=True)
class RenderedSample(Sample):
    """Names a word of a recipe: its image is rendered when it is read.

    Args:
        image: See `Sample`; here a name such as `"train, word 12"`, that of no file.
        text: See `Sample`.
        where: See `Sample`; here the same as `image`.
        recipe: The recipe as JSON, see `Recipe.get_config`.
        index: Index of the word, from 0.
    """

    _: KW_ONLY
    recipe: str = ""
    index: int = 0

    def read(self) -> bytes:
        """Renders the image.

        Returns:
            Bytes of a JPEG, those of the record of this word.
        """
        return open_recipe(self.recipe).sample(self.index)[0]


@check_arguments(rows=COUNT, most=COUNT)
def preview_splits(
    recipe: Recipe, rows: int, *, most: int = 2000
) -> tuple[LabelledSet, dict[str, list[Sample]]]:
    """Lists the first words of each split that `prepare_rendered` would render.

    All words of a split are drawn by the same rules, so some tell what all are like.

    Args:
        recipe: A `Recipe` with `fractions`.
        rows: How many words would be rendered, in all splits together.
        most: Words of a split at most. Defaults to `2000`.

    Returns:
        Tuple as that of `read_splits`: a `LabelledSet` of all samples, and a dict of
        `split: list of samples`.

    Example:

        >>> from crnn_keras.synth import bundled_fonts
        >>> recipe = Recipe(fonts=bundled_fonts(), fractions={"train": 0.9, "test": 0.1})
        >>> found, splits = preview_splits(recipe, rows=40, most=30)
        >>> {name: len(samples) for name, samples in splits.items()}
        {'train': 30, 'test': 4}
    """
    sizes = {name: round(rows * fraction) for name, fraction in recipe.fractions.items()}
    splits = {
        name: _list_words(dataclasses.replace(recipe, split=name), min(size, most))
        for name, size in sizes.items()
        if size
    }
    samples = [sample for split in splits.values() for sample in split]
    listed = ", ".join(
        f"{len(split):,} of {sizes[name]:,} {name}" for name, split in splits.items()
    )
    fonts = f"{len(recipe.fonts)} fonts, seed {recipe.seed}"
    return LabelledSet(samples, description=f"rendered words, {fonts}: {listed}"), splits


def _list_words(recipe, count):
    config = json.dumps(recipe.get_config())
    renderer = open_recipe(config)
    labels = [renderer.label(renderer.text(index)) for index in range(count)]
    names = [f"{recipe.split}, word {index}" for index in range(count)]
    return [
        RenderedSample(name, label, name, recipe=config, index=index)
        for index, (name, label) in enumerate(zip(names, labels, strict=True))
    ]

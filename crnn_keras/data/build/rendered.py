"""Rows that a recipe renders."""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Iterator

from crnn_keras.data.build.lists import PER_SHARD
from crnn_keras.data.records.record import Record, make_record
from crnn_keras.synth import Recipe
from crnn_keras.synth.recipe import Renderer
from crnn_keras.utils.checks import INTEGER, NATURAL, check_arguments
from crnn_keras.utils.math import ceil_div


@functools.lru_cache(maxsize=8)
def open_recipe(recipe: str) -> Renderer:
    """Opens a recipe; its fonts and photographs are read once a process.

    Args:
        recipe: The recipe as JSON, see `Recipe.get_config`.

    Returns:
        `Renderer`.
    """
    return Recipe.from_config(json.loads(recipe)).open()


class RenderedSource:
    """Renders the rows of a set by a recipe.

    Args:
        recipe: a `synth.Recipe`. Row `i` is its image `i`.
        rows: int, number of rows.
        per_shard: int, rows in a shard. Defaults to `4096`.

    Raises:
        ValueError: `rows` or `per_shard` is below 1, or no whole number.
    """

    kind = "rendered"

    @check_arguments(rows=INTEGER, per_shard=INTEGER)
    def __init__(self, recipe: Recipe, rows: int, *, per_shard: int = PER_SHARD):
        if rows < 1 or per_shard < 1:
            raise ValueError(f"{rows} rows in shards of {per_shard}: expected at least 1 of each.")
        self.recipe = recipe
        self.rows = operator.index(rows)
        self.per_shard = operator.index(per_shard)

    def get_config(self) -> dict:
        """Returns a plain dict from which `from_config` makes this source again."""
        recipe = self.recipe.get_config()
        return {"recipe": recipe, "rows": self.rows, "per_shard": self.per_shard}

    @classmethod
    def from_config(cls, config: dict) -> RenderedSource:
        """Makes the source from what `get_config` returned."""
        return cls(**config | {"recipe": Recipe.from_config(config["recipe"])})

    def identity(self) -> list:
        """Returns plain data that names the rows, wherever fonts lie."""
        return [self.kind, self.recipe.fingerprint(), self.rows, self.per_shard]

    def __len__(self) -> int:
        """Returns the number of shards."""
        return ceil_div(self.rows, self.per_shard)

    @check_arguments(index=NATURAL)
    def shard_rows(self, index: int) -> range:
        """Returns the rows of a shard, counted from 0 over all shards."""
        first = index * self.per_shard
        return range(first, min(first + self.per_shard, self.rows))

    @check_arguments(index=NATURAL)
    def records(self, index: int) -> Iterator[Record]:
        """Renders the rows of a shard.

        Args:
            index: int, the shard, from 0.

        Yields:
            `Record`s.
        """
        renderer = open_recipe(json.dumps(self.recipe.get_config()))
        for row in self.shard_rows(index):
            encoded, text = renderer.sample(row)
            # The bytes were encoded just now: decoding them would find no damage.
            source = f"rendered {row}, seed {self.recipe.seed}"
            yield make_record(encoded, text, source, decode=False)

    @check_arguments(index=NATURAL)
    def first_change(self, index: int) -> None:
        """Returns None: the recipe decides the images, and its fingerprint the specification."""

"""Rows that a recipe renders."""

import functools
import json
import operator

from crnn_keras.data.build.lists import PER_SHARD
from crnn_keras.data.records.record import make_record
from crnn_keras.synth import Recipe


@functools.lru_cache(maxsize=8)
def _renderer(recipe):
    """The opened recipe; fonts and photographs are read once a process."""
    return Recipe.from_config(json.loads(recipe)).open()


class RenderedSource:
    """Rows that a recipe renders.

    Args:
        recipe: a `render.Recipe`. Row `i` is its image `i`.
        rows: number of rows.
        per_shard: rows in a shard.
    """

    kind = "rendered"

    def __init__(self, recipe, rows, per_shard=PER_SHARD):
        if rows < 1 or per_shard < 1:
            raise ValueError(f"{rows} rows in shards of {per_shard}: expected at least 1 of each.")
        self.recipe = recipe
        self.rows = operator.index(rows)
        self.per_shard = operator.index(per_shard)

    def get_config(self):
        """Plain dict from which `from_config` makes this source again."""
        recipe = self.recipe.get_config()
        return {"recipe": recipe, "rows": self.rows, "per_shard": self.per_shard}

    @classmethod
    def from_config(cls, config):
        """Makes the source from what `get_config` gave."""
        return cls(**config | {"recipe": Recipe.from_config(config["recipe"])})

    def identity(self):
        """Plain data that names the rows, wherever fonts lie."""
        return [self.kind, self.recipe.fingerprint(), self.rows, self.per_shard]

    def __len__(self):
        """Number of shards."""
        return -(-self.rows // self.per_shard)

    def shard_rows(self, number):
        """Rows of a shard, counted from 0: a range."""
        first = number * self.per_shard
        return range(first, min(first + self.per_shard, self.rows))

    def records(self, number):
        """Renders a shard.

        Args:
            number: the shard, from 0.

        Yields:
            `Record`s.
        """
        renderer = _renderer(json.dumps(self.recipe.get_config()))
        for row in self.shard_rows(number):
            encoded, text = renderer.sample(row)
            yield make_record(encoded, text, f"rendered {row}, seed {self.recipe.seed}")

"""A trie of n-grams in plain arrays, and lookups of many contexts at once.

The nodes stand level by level: the root, the unigrams, the bigrams, and so on; children of a node
stand side by side, in the order of their symbols. A node is the n-gram of the symbols on its way.
"""

from __future__ import annotations

import functools

import numpy as np


class Trie:
    """The n-grams of a language model.

    Args:
        symbols: Integer array: the last symbol of each n-gram; the first element is the root's. All
            symbols are unigrams.
        child_counts: Integer array: how many longer n-grams begin with each.

    Attributes:
        first_children: Integer array of shape `(nodes + 1,)`: the first child of each node, or
            where it would stand.
        levels: List of `(start, end)`: the nodes of each level, the root's first.
    """

    def __init__(self, symbols: np.ndarray, child_counts: np.ndarray):
        self.symbols, self.child_counts = symbols, child_counts
        counts = np.cumsum(child_counts, dtype=np.intp)
        self.first_children = np.concatenate([[1], 1 + counts])
        self._steps = int(child_counts.max()).bit_length()

    def __len__(self) -> int:
        return len(self.symbols)

    @functools.cached_property
    def levels(self) -> list[tuple[int, int]]:
        levels = [(0, 1)]
        while levels[-1][1] < len(self):
            end = levels[-1][1]
            levels.append((end, int(self.first_children[end])))
        return levels

    @functools.cached_property
    def parents(self) -> np.ndarray:
        """The node that each node extends; the root's is the root."""
        return np.concatenate([[0], np.repeat(np.arange(len(self)), self.child_counts)])

    @functools.cached_property
    def suffixes(self) -> np.ndarray:
        """The longest counted n-gram that each one ends with, without its first symbol."""
        suffixes = np.zeros(len(self), np.intp)
        for start, end in self.levels[2:]:
            # A child of the suffix of what the node extends, or of a shorter one.
            above = suffixes[self.parents[start:end]]
            suffixes[start:end] = self._search(suffixes, above, self.symbols[start:end])[0]
        return suffixes

    @functools.cached_property
    def contexts(self) -> np.ndarray:
        """The longest counted n-gram that each one ends with, or is, and that others extend."""
        contexts = np.arange(len(self))
        without = np.flatnonzero(self.child_counts == 0)
        while len(without):
            contexts[without] = self.suffixes[contexts[without]]
            without = without[self.child_counts[contexts[without]] == 0]
        return contexts

    def find(self, nodes: np.ndarray, symbols: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Finds the longest counted n-gram of each context and next symbol.

        Args:
            nodes: Integer array of shape `(n,)`: the contexts.
            symbols: Integer array of shape `(n,)`.

        Returns:
            Tuple of the nodes that were found, `(n,)`, and a list of pairs: which of them, and the
            contexts that they were not counted in, from the longest to the shortest.
        """
        return self._search(self.suffixes, nodes, symbols)

    def _search(self, suffixes, nodes, symbols):
        found = self._find_children(nodes, symbols)
        missing = np.flatnonzero(found < 0)
        tried, nodes = [], nodes[missing]
        # It ends at the root, which has all symbols.
        while len(missing):
            tried.append((missing, nodes))
            nodes = suffixes[nodes]
            found[missing] = self._find_children(nodes, symbols[missing])
            is_missing = found[missing] < 0
            missing, nodes = missing[is_missing], nodes[is_missing]
        return found, tried

    def _find_children(self, nodes, symbols):
        """Returns the child of each node with a symbol, by bisection of all at once; -1: none."""
        low, end = self.first_children[nodes], self.first_children[nodes + 1]
        high = end
        # One place more than nodes is never read as a child: it is no node's.
        last = len(self) - 1
        for _ in range(self._steps):
            middle = (low + high) >> 1
            is_less = (middle < high) & (self.symbols[np.minimum(middle, last)] < symbols)
            low, high = np.where(is_less, middle + 1, low), np.where(is_less, high, middle)
        found = (low < end) & (self.symbols[np.minimum(low, last)] == symbols)
        return np.where(found, low, -1)


def check_trie(symbols: np.ndarray, child_counts: np.ndarray, *, kinds: int, order: int) -> None:
    """Checks that arrays, perhaps of a stranger, are a trie.

    Args:
        symbols: uint16 array, see `Trie`.
        child_counts: uint16 array of the same length.
        kinds: Number of symbols.
        order: Length of the longest n-grams.

    Raises:
        ValueError: They are none.
    """
    count = len(symbols)
    first = np.concatenate([[1], 1 + np.cumsum(child_counts, dtype=np.intp)])
    # Every node but the root is the child of one before it.
    if first[-1] != count or not (first[:-1] > np.arange(count)).all():
        raise ValueError("the numbers of children do not add up to its n-grams.")
    if child_counts[0] != kinds or not np.array_equal(symbols[1 : kinds + 1], np.arange(kinds)):
        raise ValueError(f"its unigrams are not all of its {kinds:,} symbols.")
    # A stranger's trie may be as deep as it is long: no loop goes over all levels.
    end = 1
    for _ in range(order):
        end = first[end]
    if end < count:
        raise ValueError(f"it has n-grams of more than {order} symbols.")
    if symbols.max() >= kinds:
        raise ValueError(f"it has the symbol {symbols.max()}, over {kinds - 1}.")
    ascends = symbols[2:] > symbols[1:-1]
    # From the last child of a node to the first of the next they may fall.
    starts = first[1:-1]
    ascends[starts[starts < count] - 2] = True
    if not ascends.all():
        raise ValueError("the symbols behind a context are not in order.")

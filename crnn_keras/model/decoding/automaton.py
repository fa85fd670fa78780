"""From the places of an expression's characters to the smallest automaton of the same texts.

Classes that the places do not tell apart are one symbol, so the work does not grow with the number
of characters of a char dict.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from crnn_keras.utils.limits import MAX_PATTERN_EDGES, MAX_PATTERN_STATES


@dataclass(frozen=True)
class Automaton:
    """A deterministic automaton, minimal, each of whose states can reach an accepting one.

    Args:
        next_states: int32 array of shape `(states, symbols)`, -1 where a symbol may not follow. The
            first state is where texts begin.
        symbols: Integer array of shape `(num_classes,)`: the symbol of each class. Classes with the
            same symbol may replace each other in every text.
        accepting: bool array of shape `(states,)`: where texts may end.
    """

    next_states: np.ndarray
    symbols: np.ndarray
    accepting: np.ndarray


@dataclass
class Positions:
    """The places of an expression's characters, by Glushkov: a set of them is the bits of an int.

    Args:
        masks: List of a bool array `(num_classes,)` for each place: the classes that fit.
        first: Places at which a text may begin.
        last: Places at which it may end.
        nullable: Whether it may be empty.
        follow: List of the places that may come after each place.

    Reference:
        Glushkov, 1961, The abstract theory of automata.
    """

    masks: list[np.ndarray] = field(default_factory=list)
    first: int = 0
    last: int = 0
    nullable: bool = True
    follow: list[int] = field(default_factory=list)

    def or_(self, other: Positions) -> None:
        """Lets another expression stand in this one's place."""
        shift = len(self.masks)
        self.first |= other.first << shift
        self.last |= other.last << shift
        self.nullable |= other.nullable
        self._append(other)

    def then(self, other: Positions) -> None:
        """Puts another expression behind."""
        shift = len(self.masks)
        self._connect(other.first << shift)
        if self.nullable:
            self.first |= other.first << shift
        self.last = (self.last if other.nullable else 0) | other.last << shift
        self.nullable &= other.nullable
        self._append(other)

    def repeated(self, low: int, high: int | None) -> Positions:
        """Returns the expression from `low` to `high` times, or without end if it is None."""
        result = Positions()
        copies = max(low, 1) if high is None else high
        for copy in range(copies if self.masks else 0):
            result.then(
                Positions(
                    self.masks, self.first, self.last, self.nullable or copy >= low, [*self.follow]
                )
            )
        if high is None:
            # From the end of the last copy to its start.
            own = (1 << len(self.masks)) - 1
            shift = len(result.masks) - len(self.masks)
            for place in _bits(result.last & own << shift):
                result.follow[place] |= self.first << shift
        return result

    def _connect(self, followers):
        for place in _bits(self.last):
            self.follow[place] |= followers

    def _append(self, other):
        shift = len(self.masks)
        self.follow += [places << shift for places in other.follow]
        self.masks += other.masks


def build_automaton(positions: Positions) -> Automaton | None:
    """Builds the smallest automaton.

    Args:
        positions: The `Positions` of an expression, one at least.

    Returns:
        The `Automaton`, or `None` if it would exceed the limits on the way.

    Reference:
        Rabin and Scott, 1959: sets of places are the states. Moore, 1956: states from which the
        same texts match are one.
    """
    places, symbols = _find_symbols(positions.masks)
    found = _find_states(positions, places, np.bincount(symbols).tolist())
    if found is None:
        return None
    states, rows = found
    accepting = np.array([bool(state & positions.last) for state in states])
    accepting[0] = positions.nullable
    table = np.array(rows, np.int32)
    blocks = _minimize(table, accepting)
    _, first, blocks = np.unique(blocks, return_index=True, return_inverse=True)
    # In the order in which they were found: the start stays the first.
    order = np.argsort(first)
    # The last entry is what -1 finds.
    renumbered = np.append(np.argsort(order)[blocks], -1).astype(np.int32)
    return Automaton(renumbered[table[first[order]]], symbols, accepting[first[order]])


def _find_symbols(masks):
    """Returns for each symbol the set of places that take it, and the symbol of each class."""
    rows, which = {}, []
    for mask in masks:
        which.append(rows.setdefault(mask.tobytes(), len(rows)))
    distinct = np.array([np.frombuffer(row, bool) for row in rows])
    columns = np.packbits(distinct, axis=0).T
    _, first, symbols = np.unique(columns, axis=0, return_index=True, return_inverse=True)
    takes = distinct[which][:, first]
    places = np.packbits(takes, axis=0, bitorder="little").T
    return [int.from_bytes(row.tobytes(), "little") for row in places], symbols.reshape(-1)


def _find_states(positions, places_of, class_counts):
    """Returns the sets of places that texts reach, and for each the next set by each symbol.

    It is None as soon as there are too many.
    """
    # No place is the start: no other state is without one.
    numbers, rows, edges = {0: 0}, [], 0
    for state in (states := [0]):
        follow = positions.first if state == 0 else 0
        for place in _bits(state):
            follow |= positions.follow[place]
        row = [-1] * len(places_of)
        for symbol, places in enumerate(places_of):
            if reached := follow & places:
                edges += class_counts[symbol]
                if reached not in numbers:
                    numbers[reached] = len(states)
                    states.append(reached)
                row[symbol] = numbers[reached]
        rows.append(row)
        if len(states) > MAX_PATTERN_STATES or edges > MAX_PATTERN_EDGES:
            return None
    return states, rows


def _minimize(table, accepting):
    """Returns for each state the number of its block: states from which the same texts match.

    Moore's refinement, in which only those states are looked at again that lead into a block that
    was divided; the largest part of a block keeps its number (Hopcroft).
    """
    # The last entry is what -1 finds.
    blocks = np.append(accepting.astype(np.int32), -1)
    count = 2
    sources = collections.defaultdict(set)
    for state, row in enumerate(table):
        for target in np.unique(row[row >= 0]).tolist():
            sources[target].add(state)
    sizes = collections.Counter(blocks[:-1].tolist())
    dirty = set(range(len(table)))
    while dirty:
        order = sorted(dirty)
        parts = collections.defaultdict(lambda: collections.defaultdict(list))
        for state, row in zip(order, blocks[table[order]], strict=True):
            parts[int(blocks[state])][row.tobytes()].append(state)
        dirty = set()
        for block, found in parts.items():
            groups = sorted(found.values(), key=len)
            # Those that were not looked at are a part too, and lead where they led.
            others = sizes[block] - sum(map(len, groups))
            if others < len(groups[-1]):
                groups.pop()
                if others:
                    looked_at = {state for group in found.values() for state in group}
                    members = np.flatnonzero(blocks[:-1] == block).tolist()
                    groups.append([state for state in members if state not in looked_at])
            for group in groups:
                blocks[group] = count
                sizes[count] = len(group)
                sizes[block] -= len(group)
                count += 1
                for state in group:
                    dirty |= sources[state]
    return blocks[:-1]


def _bits(number: int) -> Iterator[int]:
    """Yields the indices of the bits that are set."""
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest

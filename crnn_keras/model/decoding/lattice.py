"""What paths of CTC go through with an automaton, and the backward sum over them.

A pattern is an automaton over classes; CTC's collapsing of repeats is another one. The `Lattice` is
their composition: a path through it is a path of CTC that spells the beginning of a matching text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from crnn_keras.char_dict import BLANK


class Lattice:
    """What the paths of CTC go through with a pattern.

    A path whose last frame is blank is in a state of the automaton. One whose last frame is a
    class is in a node, a pair of a state and of the class that led there: in the next frame the
    class is either the same character still, or needs a blank before it can come again.

    Args:
        transitions: int32 array of shape `(states, num_classes)`, see `Pattern`.
        accepting: bool array of shape `(states,)`.

    Attributes:
        node_states: Integer array of shape `(nodes,)`.
        node_classes: Integer array of shape `(nodes,)`. Nodes are in the order of their states,
            then of their classes.
        node_of: int32 array of shape `(states, num_classes)`: the node of a state and of a class
            that leads there, otherwise -1.
        classes: Integer array: the blank, and the classes that may come at all, by their ids.
    """

    def __init__(self, transitions: np.ndarray, accepting: np.ndarray):
        self.accepting = accepting
        sources, classes = np.nonzero(transitions >= 0)
        targets = transitions[sources, classes]
        self.node_of = np.full(transitions.shape, -1, np.int32)
        self.node_of[targets, classes] = 0
        self.node_states, self.node_classes = np.nonzero(self.node_of == 0)
        self.node_of[self.node_states, self.node_classes] = np.arange(len(self.node_states))
        self.classes, columns = np.unique(np.append(self.node_classes, BLANK), return_inverse=True)
        self.node_columns = columns[:-1]
        # Edges are in the order of their sources.
        self.edge_sources, self.edge_targets = sources, self.node_of[targets, classes]
        self.leaving, self.edge_starts = np.unique(sources, return_index=True)
        edge_of = np.full(transitions.shape, -1, np.int32)
        edge_of[sources, classes] = np.arange(len(sources))
        own = edge_of[self.node_states, self.node_classes]
        # Where a node finds the sum of what may follow but its own class: among those without one
        # edge each, or among those of whole states.
        self.node_others = np.where(own >= 0, own, len(sources) + self.node_states)


class Semiring(NamedTuple):
    """How probabilities are added, multiplied and subtracted, and what stands for some of them."""

    add: np.ufunc
    multiply: np.ufunc
    subtract: Callable[[np.ndarray, np.ndarray], np.ndarray]
    zero: float
    one: float
    three_quarters: float


def _log_subtract(total, part):
    with np.errstate(all="ignore"):
        return np.where(part > -np.inf, total + np.log1p(-np.exp(part - total)), total)


PROBABILITIES = Semiring(np.add, np.multiply, np.subtract, 0.0, 1.0, 0.75)
LOGARITHMS = Semiring(np.logaddexp, np.add, _log_subtract, -np.inf, 0.0, math.log(0.75))


def iter_backward(
    lattice: Lattice, emissions: np.ndarray, semiring: Semiring
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Runs the CTC backward recursion through a lattice, for many images at once.

    Args:
        lattice: The `Lattice`.
        emissions: Array of shape `(frames, classes, images)`: what each frame gives each of the
            lattice's classes.
        semiring: `PROBABILITIES` or `LOGARITHMS`.

    Yields:
        After the last frame and before each one, from the last to the first, a pair of arrays of
        the sums over all paths to an accepting state: `(states, images)` from each state after a
        blank, and `(nodes, images)` from each node.
    """
    add, multiply = semiring.add, semiring.multiply
    blanks = np.where(lattice.accepting, semiring.one, semiring.zero)
    blanks = np.repeat(blanks[:, None], emissions.shape[2], axis=1)
    nodes = blanks[lattice.node_states]
    yield blanks, nodes
    for frame in emissions[::-1]:
        nodes = multiply(nodes, frame[lattice.node_columns])
        blanks = multiply(blanks, frame[0])
        blanks, others = _sum_what_follows(lattice, semiring, blanks=blanks, nodes=nodes)
        nodes = add(nodes, others)
        yield blanks, nodes


def _sum_what_follows(lattice, semiring, *, blanks, nodes):
    """Sums over the next frame: for each state, and for each node over all but its own class.

    Subtracting a class from the sum would cancel where it is nearly all of it. At most one class is
    over three quarters of a sum: what is left without it is summed anew, and the others are
    subtracted without harm.
    """
    edges = nodes[lattice.edge_targets]

    def total(edges):
        sums, leaving = blanks.copy(), lattice.leaving
        sums[leaving] = semiring.add(
            sums[leaving], semiring.add.reduceat(edges, lattice.edge_starts, axis=0)
        )
        return sums

    totals = total(edges)
    of_edges = totals[lattice.edge_sources]
    is_most = edges > semiring.multiply(of_edges, semiring.three_quarters)
    left = total(np.where(is_most, semiring.zero, edges))[lattice.edge_sources]
    without = np.where(is_most, left, semiring.subtract(of_edges, edges))
    return totals, np.concatenate([without, totals])[lattice.node_others]

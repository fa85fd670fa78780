"""Figures in one style, from plain data. Each function returns a matplotlib `Figure`."""

from __future__ import annotations

import functools
import pathlib
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from crnn_keras.evaluation.metrics import wilson_interval
from crnn_keras.images import ImageSource, to_gray
from crnn_keras.inference.boxes import make_boxes
from crnn_keras.utils.checks import COUNT, Number, check_arguments
from crnn_keras.utils.limits import MAX_CANVAS_HEIGHT
from crnn_keras.utils.math import ceil_div

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

    from crnn_keras.data.check import DataCheck
    from crnn_keras.evaluation.confidence import ReliabilityBin, RiskCoverage, Selection
    from crnn_keras.inference import Alignment, Prediction
    from crnn_keras.model.decoding import Pattern

# A gray uint8 array or a Pillow image.
GrayImage: TypeAlias = "np.ndarray | Image.Image"

INK, BLUE, ORANGE, GREY = "#222222", "#0072B2", "#E69F00", "#9AA0A6"
# Of texts, which need more contrast than areas.
_TEXT_COLORS = {ORANGE: "#8F5F00", GREY: INK}
# JupyterLab shows a figure of this width as it is; no text is smaller than these points.
_INCHES, _POINTS = 7.0, 10
_STYLE = {
    "axes.edgecolor": GREY,
    "axes.grid": False,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "figure.dpi": 100,
    "font.size": _POINTS,
    "legend.frameon": False,
    "savefig.dpi": 100,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
_BLANK_SIGN = "–"
_SPACE_SIGN = "␣"
# Characters that are less likely are drawn in another color.
_SURE = 0.9
# Percent between the names of points, which are a line of text high.
_NAME_GAP = 3.5
# Runs of characters that fit on an arrow.
_MOST_RUNS = 4
# Over a training the loss falls by a factor of a hundred and more; a logarithm needs a floor.
_LEAST_LOSS = 1e-3
_COLUMNS = Number(1, 100, is_whole=True)
_HEIGHT = Number(1, MAX_CANVAS_HEIGHT, is_whole=True)
# Inches of a letter and of a Chinese character, about.
_LETTER, _WIDE_LETTER = 0.082, 0.145
_CHINESE_FONT = pathlib.Path(__file__).parents[1] / "synth" / "assets" / "fonts" / "sans_sc.otf"


@functools.cache
def _font_families() -> list[str]:
    """Returns DejaVu Sans, and after it the package's font with the characters of GB2312."""
    font_manager.fontManager.addfont(_CHINESE_FONT)
    return ["DejaVu Sans", font_manager.get_font(_CHINESE_FONT).family_name]


@functools.cache
def _has_glyph(character: str) -> bool:
    fonts = map(font_manager.findfont, _font_families())
    return any(font_manager.get_font(font).get_char_index(ord(character)) for font in fonts)


def drawable(text: str) -> str:
    """Replaces characters that no font here has by their code points, such as `<U+7701>`."""
    return "".join(c if c == "\n" or _has_glyph(c) else f"<U+{ord(c):04X}>" for c in text)


def _styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Makes a function draw in the style of this module."""

    @functools.wraps(draw)
    def wrapper(*args, **kwargs):
        with rc_context(_STYLE | {"font.family": _font_families()}):
            return draw(*args, **kwargs)

    return wrapper


def _fit_columns(columns: int, titles: Iterable[str]) -> int:
    """Returns how many columns a figure has, so that no title reaches into the next one."""
    lines = [drawable(line) for title in titles for line in title.split("\n")]
    widest = max((_width(line) for line in lines), default=0)
    return max(min(columns, int(_INCHES / max(widest + 0.1, 0.1))), 1)


def _width(line: str) -> float:
    """Returns the inches of a line of text, about."""
    return sum(_WIDE_LETTER if unicodedata.east_asian_width(c) in "WF" else _LETTER for c in line)


def _show_gray(axes: Axes, image: GrayImage, **kwargs: Any) -> None:
    axes.imshow(np.squeeze(image), cmap="gray", vmin=0, vmax=255, **kwargs)
    axes.set_xticks([])
    axes.set_yticks([])
    # At the top of its cell, so that the titles of a row are at one height.
    axes.set_anchor("N")
    for spine in axes.spines.values():
        spine.set_visible(False)


@_styled
@check_arguments(columns=_COLUMNS)
def image_grid(images: Sequence[GrayImage], titles: Sequence[str], columns: int = 4) -> Figure:
    """Draws images in rows, each under its title.

    Args:
        images: Gray uint8 arrays or Pillow images of any sizes.
        titles: Strings of one or more lines.
        columns: Images in a row; fewer if titles are wide. Defaults to `4`.

    Returns:
        `Figure`.
    """
    columns = _fit_columns(columns, titles)
    rows = max(ceil_div(len(images), columns), 1)
    lines = 1 + max((title.count("\n") for title in titles), default=0)
    tile = min(2.1, _INCHES / columns)
    sizes = [np.squeeze(image).shape for image in images]
    tallest = min(max((height / width for height, width in sizes), default=0.3) * tile, 0.9)
    height = (tallest + 0.2 + 0.2 * lines) * rows
    figure = Figure(figsize=(tile * columns, height), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(images) :]:
        axes.set_axis_off()
    for axes, image, title in zip(grid, images, titles, strict=False):
        _show_gray(axes, image)
        title = drawable(title)
        axes.set_title(title, fontsize=_POINTS, loc="center", pad=3, parse_math=False)
    return figure


@_styled
def layer_shapes(shapes: Sequence[tuple[str, int, int, int]]) -> Figure:
    """Draws a block for each feature map of a network; its depth grows with the channels.

    Args:
        shapes: Tuples `(name, height, width, channels)`, in order.

    Returns:
        `Figure`.
    """
    figure = Figure()
    figure.set_label(f"Feature maps of the network, from {shapes[0][0]} to {shapes[-1][0]}")
    axes = figure.add_axes((0, 0, 1, 1))
    lowest = -max(height for _, height, _, _ in shapes) / 2
    x, highest = 0.0, 0.0
    for name, height, width, channels in shapes:
        depth = 1.2 * channels**0.5
        low, high, right = -height / 2, height / 2, x + width
        highest = max(highest, high + depth)
        front = [(x, low), (right, low), (right, high), (x, high)]
        back = [(across + depth, up + depth) for across, up in front]
        top = [front[3], front[2], back[2], back[3]]
        side = [front[1], back[1], back[2], front[2]]
        faces = [(0.25, front), (0.4, top), (0.55, side)]
        for alpha, corners in faces:
            axes.fill(*zip(*corners, strict=True), facecolor=BLUE, alpha=alpha, edgecolor="white")
        # In one family only: matplotlib warns of each bold text that the Chinese font has no bold.
        bold = {"weight": "bold", "family": "DejaVu Sans"}
        below = {"xy": (x, lowest), "textcoords": "offset points", "va": "top"}
        axes.annotate(name, xytext=(0, -4), **below, **bold)
        axes.annotate(f"{height} x {width}\n{channels} ch.", xytext=(0, -18), **below)
        x += max(width + depth, 32) + 9
    points_below = 48
    units = (x + 3) / (72 * _INCHES)  # in a point
    bottom, top = lowest - points_below * units, max(highest, -lowest) + 2
    axes.set(xlim=(-3, x), ylim=(bottom, top))
    axes.set_axis_off()
    figure.set_size_inches(_INCHES, (top - bottom) / (72 * units))
    return figure


@_styled
def ctc_lattice(posteriors: np.ndarray, label: str) -> Figure:
    """Draws the CTC lattice: states upwards, frames to the right, discs as large as posteriors.

    Args:
        posteriors: Float array of shape `(frames, 2 * len(label) + 1)`, see `path_posteriors`.
        label: The text.

    Returns:
        `Figure`.
    """
    frames, states = posteriors.shape
    signs = [_BLANK_SIGN, *(sign for c in label for sign in (drawable(c), _BLANK_SIGN))]
    inches = min(max(0.42 * frames, 5), _INCHES)
    figure = Figure(figsize=(inches, 0.36 * states + 0.7), layout="constrained")
    figure.set_label(f"CTC lattice of {label!r}: the posterior of each state in each frame")
    axes = figure.subplots()
    for frame in range(frames - 1):
        for state in range(states):
            for jump in range(3):
                if state + jump >= states or (jump == 2 and not _may_skip(signs, state)):
                    continue
                flow = min(posteriors[frame, state], posteriors[frame + 1, state + jump])
                color, width = (BLUE, 0.5 + 2 * flow) if flow > 0.02 else (GREY, 0.25)
                axes.plot(
                    [frame, frame + 1], [state, state + jump], color=color, lw=width, zorder=1
                )
    x, y = np.meshgrid(np.arange(frames), np.arange(states), indexing="ij")
    # Discs of neighbouring frames touch at most.
    largest = min(150, (60 * inches / frames) ** 2)
    axes.scatter(x, y, s=largest / 11, color="white", edgecolor=GREY, lw=0.6, zorder=2)
    is_blank = [sign == _BLANK_SIGN for sign in signs]
    colors = np.where(is_blank, ORANGE, BLUE)[None].repeat(frames, 0).ravel()
    axes.scatter(x, y, s=largest * posteriors.ravel(), c=colors, lw=0, zorder=3)
    for color, name in ((ORANGE, "blank"), (BLUE, "character")):
        axes.scatter([], [], s=75, c=color, lw=0, label=name)
    # No path comes near the upper left.
    axes.legend(loc="upper left", frameon=True, framealpha=1, edgecolor="white")
    axes.set_yticks(range(states), signs)
    step = ceil_div(frames, 26)
    axes.set_xticks(range(0, frames, step), range(1, frames + 1, step))
    axes.set_xlabel("frame")
    axes.set_ylabel("state")
    return figure


def _may_skip(signs: Sequence[str], state: int) -> bool:
    """Tells whether a path may go from a state to the one after the next."""
    target = state + 2
    return signs[target] != _BLANK_SIGN and signs[target] != signs[state]


@_styled
def heat_map(
    canvas: np.ndarray, probabilities: np.ndarray, characters: Sequence[str], *, title: str = ""
) -> Figure:
    """Draws a canvas, and under it the probability of each class in each frame.

    Args:
        canvas: uint8 array of shape `(height, width, 1)`.
        probabilities: Float array of shape `(frames, num_classes)`, from 0 to 1; class 0 is the
            blank.
        characters: Characters of the classes from 1 on.
        title: Text above the image. Defaults to `""`.

    Returns:
        `Figure`. Classes that never reach 10 % are not drawn.
    """
    shown = [0, *(i for i in range(1, len(characters) + 1) if probabilities[:, i].max() > 0.1)]
    shown = sorted(shown, key=lambda i: (i == 0, probabilities[:, i].argmax()))
    rows = len(shown)
    # The scale beside the rows has a title.
    height = max(rows, 5)
    figure = Figure(figsize=(_INCHES, 1.6 + 0.2 * height), layout="constrained")
    figure.set_label(f"Probability of each character in each frame{title and f': {title}'}")
    top, bottom = figure.subplots(2, 1, height_ratios=[5.5, height])
    frames = len(probabilities)
    _show_gray(top, canvas, extent=(0, frames, 0, 8), aspect="auto")
    top.set_title(drawable(title), parse_math=False)
    heat = probabilities[:, shown].T
    mesh = bottom.pcolormesh(heat, cmap="Blues", vmin=0, vmax=1, edgecolor="white", lw=0.4)
    names = [_BLANK_SIGN if i == 0 else drawable(characters[i - 1]) for i in shown]
    bottom.set_yticks(np.arange(rows) + 0.5, names)
    bottom.set_xticks(np.arange(0, frames, 5) + 0.5, np.arange(0, frames, 5) + 1)
    bottom.invert_yaxis()
    bottom.set_xlabel(f"frame ({_BLANK_SIGN} is the blank)")
    bottom.tick_params(length=0)
    figure.colorbar(mesh, ax=bottom, label="probability", pad=0.01)
    return figure


@_styled
def character_boxes(image: ImageSource, found: Prediction | Alignment) -> Figure:
    """Draws an image upright with the box of each character, its sign and its probability below.

    Characters below a probability of 0.9 are orange.

    Args:
        image: The image that `found` belongs to, anything that `to_gray` opens.
        found: The `Prediction` of `BaseRecognizer.read`, or the `Alignment` of
            `BaseRecognizer.align`. Without boxes the image alone is drawn.

    Returns:
        `Figure`.
    """
    gray = to_gray(image)
    boxes = ()
    if found.boxes:
        # As the image is shown, not as it is stored.
        boxes = make_boxes(found.text, found.spans, found.placement._replace(orientation=1))
    # The probabilities of a long line are written upwards.
    is_long = 0.42 * len(boxes) > _INCHES
    width = min(max(0.19 * len(boxes), _INCHES), 40) if is_long else max(0.42 * len(boxes), 4)
    height = min(max(width * gray.height / gray.width, 0.5), 3)
    figure = Figure(figsize=(width, height + 0.7), layout="constrained")
    figure.set_label(f"Boxes and probabilities of the characters of {found.text!r}")
    axes = figure.subplots()
    _show_gray(axes, gray, aspect="auto", extent=(0, gray.width, gray.height, 0))
    below = {"textcoords": "offset points", "ha": "center", "va": "top", "annotation_clip": False}
    for box in boxes:
        color = BLUE if box.probability >= _SURE else ORANGE
        ink = _TEXT_COLORS.get(color, color)
        axes.axvspan(box.left, box.right, facecolor=color, alpha=0.15, lw=0)
        axes.vlines([box.left, box.right], 0, gray.height, color=color, lw=1)
        place = ((box.left + box.right) / 2, gray.height)
        sign = _SPACE_SIGN if box.character == " " else drawable(box.character)
        axes.annotate(sign, place, xytext=(0, -3), fontsize=12, parse_math=False, **below)
        number = f"{box.probability:.2f}"
        axes.annotate(number, place, xytext=(0, -22), rotation=90 * is_long, color=ink, **below)
    return figure


@_styled
def automaton(pattern: Pattern) -> Figure:
    """Draws the states of a pattern and, on the arrows, the characters that lead to the next one.

    A text begins in state 0. It may end in a blue state.

    Args:
        pattern: A `Pattern` of some states; hundreds are drawn, but cannot be told apart.

    Returns:
        `Figure`.
    """
    states = len(pattern.accepting)
    figure = Figure(figsize=(min(1.1 * states + 0.5, 40), 1.8), layout="constrained")
    figure.set_label("States of a pattern, and the characters that lead from one to the next")
    axes = figure.subplots()
    arrow = {"arrowstyle": "-|>", "color": INK, "shrinkA": 0, "shrinkB": 0}
    highest, lowest = 0.5, -0.5
    column = {state: place for place, state in enumerate(_order_states(pattern))}
    for edge, label in _edges(pattern).items():
        left, right = (column[state] for state in edge)
        if left == right:
            start, end, rad, height = (left - 0.1, 0.25), (left + 0.1, 0.25), -1.5, 0.41
        elif right == left + 1:
            start, end, rad, height = (left + 0.27, 0), (right - 0.27, 0), 0, 0.05
        else:
            # Forwards above the states, backwards below them.
            side = 1 if right > left else -1
            start, end, rad = (left, 0.27 * side), (right, 0.27 * side), -0.3
            height = side * (0.27 + 0.15 * abs(right - left)) + 0.05
        style = arrow | {"connectionstyle": f"arc3,rad={rad}"}
        axes.annotate("", end, xytext=start, arrowprops=style)
        # On white, where the arrows cross.
        backing = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        place = {"ha": "center", "va": "bottom", "parse_math": False, "bbox": backing}
        axes.text((left + right) / 2, height, drawable(label), **place)
        highest, lowest = max(highest, height + 0.4), min(lowest, height - 0.2)
    for state, x in column.items():
        face, edge, ink = (
            (BLUE, BLUE, "white") if pattern.accepting[state] else ("white", GREY, INK)
        )
        axes.plot(x, 0, "o", ms=26, mfc=face, mec=edge, mew=1.2)
        axes.text(x, 0, str(state), ha="center", va="center", color=ink)
    axes.set(xlim=(-0.5, states - 0.5), ylim=(lowest, highest), aspect="equal")
    axes.set_axis_off()
    figure.set_figheight(figure.get_figwidth() / states * (highest - lowest))
    return figure


def _order_states(pattern: Pattern) -> list[int]:
    """Returns the states in the order in which they are drawn: the last one may end a text."""
    states = len(pattern.accepting)
    # How many characters each state is from the nearest one that may end a text.
    distances = np.where(pattern.accepting, 0, states)
    for _ in range(states):
        ahead = np.where(pattern.transitions >= 0, distances[pattern.transitions], states).min(1)
        distances = np.minimum(distances, ahead + 1)
    return sorted(range(states), key=lambda state: (state > 0, -distances[state], state))


def _edges(pattern: Pattern) -> dict[tuple[int, int], str]:
    """Returns a dict of `(state, next state): characters` with runs such as `a-z`."""
    characters: dict[tuple[int, int], list[str]] = {}
    for source, index in np.argwhere(pattern.transitions >= 0).tolist():
        edge = source, int(pattern.transitions[source, index])
        characters.setdefault(edge, []).append(pattern.char_dict.characters[index - 1])
    return {edge: _shorten_runs(sorted(own)) for edge, own in characters.items()}


def _shorten_runs(characters: Sequence[str]) -> str:
    """Writes sorted characters with runs such as `a-z`; only how many if there are many runs."""
    runs: list[list[str]] = []
    for character in characters:
        if runs and ord(character) == ord(runs[-1][-1]) + 1:
            runs[-1].append(character)
        else:
            runs.append([character])
    if len(runs) > _MOST_RUNS:
        return f"{len(characters):,} characters"
    named = (f"{run[0]}-{run[-1]}" if len(run) > 2 else "".join(run) for run in runs)
    return "".join(named).replace(" ", _SPACE_SIGN)


@_styled
def alternatives(panels: Mapping[str, Sequence[tuple[str, float]]]) -> Figure:
    """Draws the likeliest texts of an image with a bar for the probability of each.

    The grey bar is what is left for all other texts.

    Args:
        panels: Dict of `title: alternatives`, each a list of pairs of a text and its probability,
            such as `Prediction.alternatives`.

    Returns:
        `Figure`.
    """
    rows = 1 + max(map(len, panels.values()), default=0)
    size = _INCHES / 2 * max(len(panels), 1), 0.24 * rows + 0.6
    figure = Figure(figsize=size, layout="constrained")
    figure.set_label("Likeliest texts and their probabilities")
    grid = figure.subplots(1, max(len(panels), 1), squeeze=False)[0]
    for axes, (title, pairs) in zip(grid, panels.items(), strict=False):
        texts = [text or "(no text)" for text, _ in pairs]
        chances = [chance for _, chance in pairs]
        values = [*chances, max(1 - sum(chances), 0.0)]
        colors = [BLUE] * len(texts) + [GREY]
        axes.barh(range(len(values)), values, color=colors, height=0.7)
        for place, value in enumerate(values):
            axes.text(value + 0.02, place, f"{value:.3f}", va="center")
        axes.set_yticks(range(len(values)), [*map(drawable, texts), "all others"])
        for label in axes.get_yticklabels():
            label.set_parse_math(False)
        # Panels of fewer texts have bars of the same height.
        axes.set(xlim=(0, 1.3), ylim=(rows - 0.5, -0.5), xticks=[0, 0.5, 1], xlabel="probability")
        axes.tick_params(axis="y", length=0)
        axes.set_title(drawable(title), parse_math=False)
    return figure


@_styled
def curves(history: Iterable[Mapping[str, float]] | pd.DataFrame) -> Figure:
    """Draws loss, accuracy and sequence distance against the epochs.

    Args:
        history: Dicts or a table with the columns of `training.HISTORY_COLUMNS`.

    Returns:
        `Figure`.
    """
    rows = history.to_dict("records") if hasattr(history, "to_dict") else history
    epochs = [row["epoch"] for row in rows]
    panels = [
        ("CTC loss", "nats an image", {"train_loss": "training", "loss": "validation"}),
        ("accuracy", "", {"word_accuracy": "words", "character_accuracy": "characters"}),
        ("sequence distance", "edits a word", {"sequence_distance": "validation"}),
    ]
    figure = Figure(figsize=(_INCHES, 2.5), layout="constrained")
    figure.set_label("Loss, accuracy and sequence distance of each epoch")
    for axes, (title, unit, lines) in zip(figure.subplots(1, 3), panels, strict=True):
        for (column, name), color in zip(lines.items(), (BLUE, ORANGE), strict=False):
            values = [row[column] for row in rows]
            axes.plot(epochs, values, color=color, marker="o", ms=3, label=name)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.set_ylabel(unit)
        axes.set_ylim(0, 1.02 if title == "accuracy" else None)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
    return figure


@_styled
@check_arguments(steps_per_epoch=COUNT)
def live_curves(
    losses: Sequence[tuple[int, float]],
    history: Iterable[Mapping[str, float]],
    steps_per_epoch: int,
    *,
    bands: pd.DataFrame | Iterable[Mapping[str, float]] = (),
) -> Figure:
    """Draws loss and accuracy of a training that is running.

    Args:
        losses: Tuples `(step, training loss)`, see `training.curves.TrainingCurves`.
        history: Dicts with the columns of `training.HISTORY_COLUMNS`, one for each epoch so far.
        steps_per_epoch: Steps in an epoch.
        bands: Rows with the columns `seed`, `step` and `loss`: other trainings, whose smallest and
            largest losses are a band behind that of this one. Defaults to none.

    Returns:
        `Figure`.
    """
    rows = list(history)
    epochs = [row["epoch"] for row in rows]
    figure = Figure(figsize=(_INCHES, 2.7), layout="constrained")
    figure.set_label("Loss and accuracy of the training so far")
    left, right = figure.subplots(1, 2)
    steps = [step / steps_per_epoch for step, _ in losses]
    values = [max(loss, _LEAST_LOSS) for _, loss in losses]
    left.plot(steps, values, color=BLUE, lw=1, label="training")
    _draw_loss_bands(left, bands, steps_per_epoch)
    values = [max(row["loss"], _LEAST_LOSS) for row in rows]
    left.plot(epochs, values, color=ORANGE, marker="o", ms=4, label="validation")
    left.set(title="CTC loss (nats an image)", yscale="log")
    _plain_log_ticks(left.yaxis, *left.get_ylim())
    lines = {"word_accuracy": "words", "character_accuracy": "characters"}
    for (column, name), color in zip(lines.items(), (BLUE, ORANGE), strict=True):
        values = [row[column] for row in rows]
        right.plot(epochs, values, color=color, marker="o", ms=4, label=name)
    right.set(title="accuracy of the validation", ylim=(0, 1.02))
    for axes in (left, right):
        axes.set(xlabel="epoch", xlim=(0, None))
        axes.legend()
    return figure


@_styled
def training_by_step(
    losses: Sequence[tuple[int, float]],
    rates: Sequence[tuple[int, float]],
    *,
    validation: Sequence[tuple[int, float]] = (),
    bands: pd.DataFrame | Iterable[Mapping[str, float]] = (),
    plateau: tuple[int, int] | None = None,
) -> Figure:
    """Draws the loss of a training against its steps, and below it the learning rate.

    Args:
        losses: Tuples `(step, training loss)`, see `training.curves.TrainingCurves`.
        rates: Tuples `(step, learning rate)`, see `training.schedules.rates_by_step`.
        validation: Tuples `(step, validation loss)`. Defaults to none.
        bands: Rows with the columns `seed`, `step` and `loss`: other trainings, whose smallest and
            largest losses are a band behind that of this one. Defaults to none.
        plateau: First and last step between which the network predicts almost only blanks: marked.
            Defaults to `None`: nothing is.

    Returns:
        `Figure`.
    """
    figure = Figure(figsize=(_INCHES, 4.6), layout="constrained")
    figure.set_label("Loss of the training and learning rate by step")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    if plateau:
        above.axvspan(*plateau, color=ORANGE, alpha=0.18, lw=0, label="almost only blanks")
    _draw_loss_bands(above, bands)
    for points, style in (
        (losses, {"color": BLUE, "lw": 1.2, "label": "training"}),
        (validation, {"color": ORANGE, "marker": "o", "ms": 4, "label": "validation"}),
    ):
        if points:
            steps, values = zip(*points, strict=True)
            above.plot(steps, [max(value, _LEAST_LOSS) for value in values], **style)
    above.set(title="CTC loss (nats an image)", yscale="log")
    _plain_log_ticks(above.yaxis, *above.get_ylim())
    above.legend()
    below.plot(*zip(*rates, strict=True), color=INK, lw=1.2)
    below.set(title="learning rate", xlabel="step", xlim=(0, None), ylim=(0, None))
    return figure


def _draw_loss_bands(axes: Axes, bands: Any, steps_per_unit: int = 1) -> None:
    """Draws the smallest, the largest and the middle loss of some trainings, by step."""
    found: dict[int, dict[int, float]] = {}
    for row in bands.to_dict("records") if hasattr(bands, "to_dict") else bands:
        found.setdefault(row["step"], {})[row["seed"]] = max(row["loss"], _LEAST_LOSS)
    if not found:
        return
    seeds = max(map(len, found.values()))
    # A training that has not come so far would bend the band.
    steps = sorted(step for step, losses in found.items() if len(losses) == seeds)
    values = [list(found[step].values()) for step in steps]
    places = [step / steps_per_unit for step in steps]
    labels = (f"{seeds} seeds", "their median") if seeds > 1 else (None, "another seed")
    lows, highs = map(min, values), map(max, values)
    axes.fill_between(places, list(lows), list(highs), color=INK, alpha=0.15, lw=0, label=labels[0])
    middles = [float(np.median(losses)) for losses in values]
    axes.plot(places, middles, color=INK, lw=0.8, ls=":", label=labels[1])


@_styled
@check_arguments(bound=Number(0))
def compare_trainings(
    losses: Mapping[str, Sequence[tuple[int, float]]],
    accuracies: Mapping[str, Sequence[tuple[int, float]]],
    *,
    bound: float = 0.0,
) -> Figure:
    """Draws loss and word accuracy of some trainings against the steps.

    Args:
        losses: Dict of `name: [(step, loss), ...]`, at most four. What is not finite is not drawn.
        accuracies: The same of word accuracies, from 0 to 1. A name has one color in both.
        bound: A loss that no training can go below, as a dashed line. Defaults to `0`: none.

    Returns:
        `Figure`.

    Raises:
        ValueError: `bound` is negative or no number.
    """
    names = list(dict.fromkeys([*losses, *accuracies]))
    styles = [(BLUE, "-"), (ORANGE, "-"), (INK, "--"), (GREY, "-.")]
    looks = dict(zip(names, styles, strict=False))
    figure = Figure(figsize=(_INCHES, 2.7), layout="constrained")
    figure.set_label(f"Loss and word accuracy by step: {', '.join(names)}")
    left, right = figure.subplots(1, 2)
    for axes, lines in ((left, losses), (right, accuracies)):
        for name, points in lines.items():
            color, style = looks[name]
            steps = [step for step, value in points if np.isfinite(value)]
            # A logarithm needs a floor.
            floor = 1e-2 if axes is left else 0
            values = [max(value, floor) for _, value in points if np.isfinite(value)]
            axes.plot(steps, values, color=color, ls=style, lw=1.6, label=drawable(name))
        axes.set(xlabel="step", xlim=(0, None))
        axes.xaxis.get_major_locator().set_params(integer=True, nbins=5)
    if bound:
        left.axhline(bound, color=INK, lw=0.8, ls=":", label="no lower")
    left.set(title="CTC loss (nats an image)", yscale="log")
    low, high = left.get_ylim()
    left.set_ylim(low, max(high, 20 * low))
    _plain_log_ticks(left.yaxis, *left.get_ylim())
    right.set(title="word accuracy", ylim=(-0.02, 1.02))
    # One legend below both: a curve may go anywhere.
    handles = {label: handle for axes in (left, right) for handle, label in _legend_of(axes)}
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=min(len(handles), 3)
    )
    return figure


def _legend_of(axes: Axes) -> Iterable[tuple[Any, str]]:
    """Pairs the lines of axes with their labels."""
    return zip(*axes.get_legend_handles_labels(), strict=True)


@_styled
@check_arguments(most=COUNT)
def confusion_matrix(confusions: Mapping[tuple[str, str], int], most: int = 14) -> Figure:
    """Draws the most frequent confusions: the characters of the labels against the predicted ones.

    Args:
        confusions: Dict of `(character of the label, predicted character): count`; `""` stands for
            a character that was inserted or deleted.
        most: Largest number of characters on each axis. Defaults to `14`.

    Returns:
        `Figure`.
    """
    ranked = sorted(confusions, key=confusions.get, reverse=True)[: 2 * most]
    labels = list(dict.fromkeys(pair[0] for pair in ranked))[:most]
    reads = list(dict.fromkeys(pair[1] for pair in ranked))[:most]
    counts = np.array([[confusions.get((a, b), 0) for b in reads] for a in labels])
    height, width = 0.3 * max(len(labels), 5) + 0.8, 0.3 * max(len(reads), 5) + 1.6
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.set_label("Confusions: characters of the labels against the predicted ones")
    axes = figure.subplots()
    if not counts.size:
        axes.text(0.5, 0.5, "no confusions", ha="center")
        axes.set_axis_off()
        return figure
    axes.imshow(counts, cmap="Oranges", vmin=0)
    for row, column in np.argwhere(counts):
        color = "white" if counts[row, column] > 0.6 * counts.max() else INK
        position = {"ha": "center", "va": "center"}
        axes.text(column, row, counts[row, column], color=color, **position)
    axes.set_yticks(range(len(labels)), [drawable(c) if c else "inserted" for c in labels])
    axes.set_xticks(range(len(reads)), [drawable(c) if c else "deleted" for c in reads])
    axes.set_ylabel("in the label")
    axes.set_xlabel("predicted")
    axes.tick_params(length=0)
    return figure


@_styled
def error_categories(table: pd.DataFrame) -> Figure:
    """Draws the fraction of the errors in each category, with their counts.

    Args:
        table: Table by category with the columns `images`, `errors` and `fraction_of_errors`, see
            `ErrorAnalysis.table`; categories without an error are not drawn.

    Returns:
        `Figure`.
    """
    table = table[table["errors"] > 0]
    height = 0.7 + 0.24 * max(len(table), 1)
    figure = Figure(figsize=(_INCHES, height), layout="constrained")
    figure.set_label("Fraction of the errors in each category")
    axes = figure.subplots()
    if not len(table):
        axes.text(0.5, 0.5, "no errors", ha="center")
        axes.set_axis_off()
        return figure
    percents = 100 * table["fraction_of_errors"]
    axes.barh(range(len(table)), percents, color=BLUE, height=0.7)
    rows = zip(percents, table["errors"], table["images"], strict=True)
    for row, (percent, errors, count) in enumerate(rows):
        axes.text(percent, row, f" {errors:,} of {count:,} images", va="center")
    axes.set_yticks(range(len(table)), table.index)
    axes.invert_yaxis()
    # Room for the text after the longest bar.
    axes.set_xlim(0, 1.5 * percents.max())
    axes.set_xlabel("% of all errors; an image may be in several categories")
    axes.tick_params(axis="y", length=0)
    return figure


@_styled
def histogram(values: Sequence[int], label: str) -> Figure:
    """Draws how often each integer occurs.

    Args:
        values: Integers.
        label: What they are, with their unit.

    Returns:
        `Figure`.
    """
    numbers, counts = np.unique(values, return_counts=True)
    figure = Figure(figsize=(5, 2), layout="constrained")
    figure.set_label(f"How often each value occurs: {label}")
    axes = figure.subplots()
    axes.bar(numbers, counts, color=BLUE, width=0.8)
    axes.set_xlabel(label)
    axes.set_ylabel("count")
    axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


@_styled
@check_arguments(most=COUNT)
def character_frequencies(counts: Mapping[str, int] | pd.Series, most: int = 50) -> Figure:
    """Draws how often each character occurs: a bar each, or a line for many characters.

    Args:
        counts: Dict or table column of `character: count`; characters that never occur are not
            drawn.
        most: Largest number of bars. With more characters, the counts are drawn against their rank
            on logarithmic axes. Defaults to `50`.

    Returns:
        `Figure`.
    """
    ranked = sorted(((n, c) for c, n in counts.items() if n), key=lambda pair: (-pair[0], pair[1]))
    figure = Figure(figsize=(_INCHES, 2.4), layout="constrained")
    figure.set_label("How often each character occurs")
    axes = figure.subplots()
    numbers, characters = [n for n, _ in ranked], [c for _, c in ranked]
    if len(ranked) > most:
        axes.plot(range(1, len(ranked) + 1), numbers, color=BLUE)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(f"rank of the character, of {len(ranked):,}")
        for rank in sorted({0, 9, 99, 999, len(ranked) - 1} & set(range(len(ranked)))):
            axes.plot(rank + 1, numbers[rank], "o", color=ORANGE, ms=4)
            axes.annotate(
                _sign(characters[rank], characters),
                (rank + 1, numbers[rank]),
                xytext=(3, 4),
                textcoords="offset points",
            )
    else:
        axes.bar(range(len(ranked)), numbers, color=BLUE, width=0.8)
        signs = [_sign(character, characters) for character in characters]
        axes.set_xticks(range(len(ranked)), signs)
        for label in axes.get_xticklabels():
            label.set_rotation(90 if len(label.get_text()) > 1 else 0)
        axes.set_xlim(-0.7, max(len(ranked), 1) - 0.3)
        axes.tick_params(axis="x", length=0)
        axes.set_xlabel("character")
    axes.set_ylabel("count")
    return figure


def _sign(character: str, others: Sequence[str]) -> str:
    """Returns a character as a tick label: by its code point if it cannot be told by its look."""
    if character == " ":
        return "space"
    name = drawable(character) if character.isprintable() else f"<U+{ord(character):04X}>"
    plain = unicodedata.normalize("NFKC", character)
    if name == character and plain != character and plain in others:
        # A full-width digit looks like the plain one.
        name += f" U+{ord(character):04X}"
    return name


@_styled
def learning_curves(
    table: pd.DataFrame | Iterable[Mapping[str, Any]],
    own: pd.DataFrame | Iterable[Mapping[str, Any]] = (),
) -> Figure:
    """Draws the word accuracy against the number of labelled images, a line for each series.

    A line goes through the means of the seeds. Its band reaches from the smallest to the largest.
    A series of no images, such as a reader that is not fine-tuned, is a horizontal line.

    Args:
        table: Rows with the columns `series`, `images`, `seed`, `correct` and `tested`, such as
            those of `measure_learning_curve`.
        own: Rows of the same form, drawn as points with their 95 % interval (Wilson). Defaults to
            none.

    Returns:
        `Figure`.
    """
    rows, points = (list(_series_of(found).items()) for found in (table, own))
    figure = Figure(figsize=(_INCHES, 3.8), layout="constrained")
    figure.set_label("Word accuracy against the number of labelled images")
    axes = figure.subplots()
    looks = [(BLUE, "o", "-"), (ORANGE, "s", "--"), (INK, "^", "-."), (GREY, "D", ":")]
    labels = []
    # Lines first: the last look, grey, is that of a reader that learns nothing.
    for index, (name, sizes) in enumerate(sorted(rows, key=lambda row: not max(row[1]))):
        color, marker, style = looks[index % len(looks)]
        count = max(sizes)
        mean, low, high = _spread(sizes[count])
        if count:
            drawn = sorted(sizes)
            means, lows, highs = zip(*(_spread(sizes[size]) for size in drawn), strict=True)
            axes.fill_between(drawn, lows, highs, color=color, alpha=0.18, lw=0)
            for edge in (lows, highs):
                axes.plot(drawn, edge, color=color, lw=0.5)
            axes.plot(drawn, means, color=color, marker=marker, ms=4, ls=style)
        else:
            axes.axhline(mean, color=color, lw=1, ls=style)
        span = f" ({low:.1f} to {high:.1f})" if len(sizes[count]) > 1 else ""
        labels.append((mean, f"{name}: {mean:.1f}{span}", color))
    for (name, sizes), marker in zip(points, "DPXv" * len(points), strict=False):
        for size, found in sizes.items():
            low, high = wilson_interval(*map(sum, zip(*found, strict=True)))
            axes.vlines(size, 100 * low, 100 * high, color=INK, lw=1.2, zorder=4)
            mean, *_ = _spread(found)
            axes.plot(size, mean, marker, color=INK, mec="white", ms=8, zorder=5)
            axes.annotate(
                drawable(f"{name}, {size:,}: {mean:.1f}"),
                (size, 100 * low),
                xytext=(4, 0),
                textcoords="offset points",
                va="top",
                parse_math=False,
            )
    _label_ends(axes, labels)
    ticks = sorted({size for _, sizes in rows or points for size in sizes if size})
    axes.set(xscale="log", ylim=(0, 101), xlabel="labelled images", ylabel="word accuracy (%)")
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.grid(axis="y", color=GREY, alpha=0.3, lw=0.5)
    return figure


def _series_of(table):
    """Returns a dict of `series: {images: [(correct, tested), ...]}` in the order of the table."""
    found: dict[str, dict[int, list[tuple[int, int]]]] = {}
    for row in table.to_dict("records") if hasattr(table, "to_dict") else table:
        sizes = found.setdefault(row["series"], {})
        sizes.setdefault(row["images"], []).append((row["correct"], row["tested"]))
    return found


def _spread(counts):
    """Returns the mean, the smallest and the largest accuracy of `(correct, tested)`, in %."""
    accuracies = [100 * correct / tested for correct, tested in counts]
    return sum(accuracies) / len(accuracies), min(accuracies), max(accuracies)


def _label_ends(axes: Axes, labels: Sequence[tuple[float, str, str]]) -> None:
    """Writes texts at the right of the axes, each as near to its height in % as there is room."""
    gap, lowest = 7, -float("inf")
    # From below, then back from above those that went too far.
    heights = [lowest := max(height, lowest + gap) for height, *_ in sorted(labels)]
    highest = 100 + gap
    heights = [highest := min(height, highest - gap) for height in reversed(heights)]
    for height, (_, text, color) in zip(reversed(heights), sorted(labels), strict=True):
        axes.text(
            1.02,
            height,
            drawable(text),
            color=_TEXT_COLORS.get(color, color),
            transform=axes.get_yaxis_transform(),
            va="center",
            parse_math=False,
        )


@_styled
def accuracy_and_time(points: Iterable[Mapping[str, Any]]) -> Figure:
    """Draws the word accuracy of readers against the milliseconds that they take for an image.

    A point is at the median of the times. Its lines reach from the least to the most time, and over
    the 95 % interval (Wilson) of the accuracy.

    Args:
        points: Dicts with the keys `name`, `own` (whether it stands out), `milliseconds` (one time
            or more), `correct` and `tested`.

    Returns:
        `Figure`.
    """
    figure = Figure(figsize=(_INCHES, 4.2), layout="constrained")
    figure.set_label("Word accuracy against the milliseconds of an image")
    axes = figure.subplots()
    placed: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda point: point["correct"] / point["tested"]):
        times, (hits, count) = point["milliseconds"], (point["correct"], point["tested"])
        low, high = (100 * bound for bound in wilson_interval(hits, count))
        time, accuracy = float(np.median(times)), 100 * hits / count
        color, marker = (BLUE, "o") if point["own"] else (ORANGE, "s")
        axes.hlines(accuracy, min(times), max(times), color=color, lw=1)
        axes.vlines(time, low, high, color=color, lw=1)
        axes.plot(time, accuracy, marker, color=color, mec="white", ms=8, zorder=3)
        # Above the names that it would lie on: those of points within a tenth and ten times.
        below = [height for other, height in placed if 0.1 < other / time < 10]
        height = max([accuracy, *(other + _NAME_GAP for other in below)])
        placed.append((time, height))
        axes.annotate(
            drawable(f"{point['name']}: {accuracy:.1f}"),
            (time, accuracy),
            xytext=(max(times) * 1.15, height),
            color=_TEXT_COLORS.get(color, color),
            va="center",
            parse_math=False,
        )
    axes.set(xscale="log", xlabel="milliseconds an image", ylabel="word accuracy (%)")
    axes.margins(x=0.05)
    # Room for the name of the slowest.
    axes.set_xlim(right=3.5 * axes.get_xlim()[1])
    _plain_log_ticks(axes.xaxis, *axes.get_xlim())
    axes.grid(axis="y", color=GREY, alpha=0.3, lw=0.5)
    return figure


@_styled
@check_arguments(size=COUNT)
def coverage(counts: Mapping[str, int], size: int) -> Figure:
    """Draws which fraction of a text the most frequent characters make up.

    Args:
        counts: Dict of `character: count`.
        size: Number of characters to mark.

    Returns:
        `Figure`.
    """
    falling = np.sort(np.array(list(counts.values()), float))[::-1]
    fractions = np.cumsum(falling) / falling.sum()
    size = min(size, len(fractions))
    figure = Figure(figsize=(5, 2.4), layout="constrained")
    figure.set_label("Fraction of the text that the most frequent characters make up")
    axes = figure.subplots()
    axes.plot(np.arange(1, len(fractions) + 1), 100 * fractions, color=BLUE)
    axes.plot([size], [100 * fractions[size - 1]], "o", color=ORANGE)
    axes.annotate(
        f"{size:,} characters: {fractions[size - 1]:.1%}",
        (size, 100 * fractions[size - 1]),
        xytext=(-8, 0),
        textcoords="offset points",
        ha="right",
    )
    axes.set(xscale="log", xlabel="most frequent characters", ylabel="% of text", ylim=(0, 102))
    _plain_log_ticks(axes.xaxis, 1, len(fractions))
    return figure


@_styled
def label_lengths(table: pd.DataFrame) -> Figure:
    """Draws the fraction of the labels of each length, a line for each split.

    Args:
        table: Table with the columns `split` and `length` (characters), such as `DataCheck.facts`.

    Returns:
        `Figure`.
    """
    figure = Figure(figsize=(5, 2.2), layout="constrained")
    figure.set_label("Lengths of the labels")
    axes = figure.subplots()
    splits = [
        (name, table.loc[table["split"] == name, "length"]) for name in table["split"].unique()
    ]
    longest = int(table["length"].max()) if len(table) else 1
    edges = np.arange(0.5, longest + 1) if longest <= 60 else np.linspace(0.5, longest + 0.5, 61)
    for (name, lengths), color in zip(splits, (BLUE, ORANGE, GREY, INK), strict=False):
        fractions = np.histogram(lengths, edges)[0] / max(len(lengths), 1)
        axes.stairs(fractions, edges, color=color, label=drawable(f"{name} ({len(lengths):,})"))
    axes.set_xlabel("characters in a label")
    axes.set_ylabel("fraction")
    axes.xaxis.get_major_locator().set_params(integer=True)
    if splits:
        axes.legend()
    return figure


@_styled
@check_arguments(canvas_height=_HEIGHT)
def image_sizes(table: pd.DataFrame, canvas_height: int = 32) -> Figure:
    """Draws the widths and the aspect ratios of images, with the canvases marked.

    Args:
        table: Table with the columns `width`, `height` and `canvas_width` (pixels), such as
            `DataCheck.facts`.
        canvas_height: Height of the canvas in pixels. Defaults to `32`.

    Returns:
        `Figure`.
    """
    canvases = sorted(set(table["canvas_width"]))
    panels = [
        (table["width"], "width of the image (pixels)", canvases),
        (table["width"] / table["height"], "width / height", [w / canvas_height for w in canvases]),
    ]
    figure = Figure(figsize=(_INCHES, 2.4), layout="constrained")
    figure.set_label("Widths and aspect ratios of the images, with the canvases marked")
    for axes, (values, title, marks) in zip(figure.subplots(1, 2), panels, strict=True):
        if len(values):
            low, high = values.min() * 0.95, max(values.max(), *marks) * 1.05
            axes.hist(values, np.geomspace(low, high, 50), color=BLUE)
            axes.set_xscale("log")
            _plain_log_ticks(axes.xaxis, low, high)
        for mark in marks:
            axes.axvline(mark, color=ORANGE, label="canvas" if mark == marks[0] else None)
        axes.set_xlabel(title)
        axes.set_ylabel("images")
        if marks:
            axes.legend()
    return figure


def _plain_log_ticks(axis: Axis, low: float, high: float) -> None:
    """Sets plain numbers as the ticks of a logarithmic axis: 1, 2, 5, 10, ..., or the powers."""
    digits = (1, 2, 5) if high / low < 1000 else (1,)
    steps = [digit * 10.0**power for power in range(-3, 6) for digit in digits]
    ticks = [step for step in steps if low <= step <= high]
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_ticks([], minor=True)


@_styled
@check_arguments(columns=_COLUMNS)
def image_pairs(pairs: Sequence[tuple[GrayImage, GrayImage, str]], columns: int = 3) -> Figure:
    """Draws pairs of images side by side, each pair under its title.

    Args:
        pairs: Tuples `(image, other image, title)`, see `DataCheck.pairs`: gray uint8 arrays or
            Pillow images of any sizes.
        columns: Pairs in a row; fewer if titles are wide. Defaults to `3`.

    Returns:
        `Figure`.
    """
    columns = _fit_columns(columns, [title for *_, title in pairs])
    rows = max(ceil_div(len(pairs), columns), 1)
    figure = Figure(figsize=(_INCHES, (1.1 / columns + 0.5) * rows), layout="constrained")
    figure.set_label("Pairs of images side by side")
    grid = figure.subplots(rows, 2 * columns, squeeze=False).reshape(-1, 2)
    for left, right in grid[len(pairs) :]:
        left.set_axis_off()
        right.set_axis_off()
    for (left, right), (image, other, title) in zip(grid, pairs, strict=False):
        _show_gray(left, image)
        _show_gray(right, other)
        # Two dollar signs are prices here, not a formula.
        left.set_title(drawable(title), fontsize=_POINTS, pad=3, parse_math=False)
    if not pairs:
        figure.text(0.5, 0.5, "no pairs", ha="center")
    return figure


@_styled
def reliability(
    panels: Mapping[str, tuple[Sequence[ReliabilityBin], Sequence[float]]],
) -> Figure:
    """Draws the accuracy of predictions against their confidence.

    Each bin is a point with the 95 % interval of its accuracy. On the diagonal, confidence is the
    chance of being correct; below it, the model is overconfident. The histogram under it shows how
    many predictions have which confidence.

    Args:
        panels: Dict of `title: (bins, confidences)`: the bins of `reliability_bins`, and the
            confidences from 0 to 1 that they were made of.

    Returns:
        `Figure`.
    """
    width = min(3.2 * len(panels), _INCHES)
    figure = Figure(figsize=(width, width / len(panels) + 1), layout="constrained")
    figure.set_label("Accuracy of the predictions against their confidence")
    rows = figure.subplots(2, len(panels), height_ratios=[4, 1], sharex=True, squeeze=False)
    for (title, (bins, confidences)), upper, lower in zip(panels.items(), *rows, strict=True):
        accuracies = [item.accuracy for item in bins]
        low, high = zip(*(item.interval for item in bins), strict=True)
        means = [item.confidence for item in bins]
        upper.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--", zorder=1)
        upper.vlines(means, low, high, color=BLUE, lw=1.2, alpha=0.6)
        upper.plot(means, accuracies, "o", color=BLUE, ms=4)
        upper.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), box_aspect=1)
        upper.set_title(drawable(title), parse_math=False)
        lower.hist(confidences, np.linspace(0, 1, 21), color=GREY, edgecolor="white", lw=0.5)
        lower.set_xlabel("confidence")
        lower.yaxis.get_major_locator().set_params(integer=True, nbins=2)
    rows[0, 0].set_ylabel("accuracy")
    rows[1, 0].set_ylabel("predictions")
    return figure


@_styled
def risk_coverage(
    curves: Mapping[str, RiskCoverage], marks: Mapping[str, Selection] | None = None
) -> Figure:
    """Draws the error rate of the predictions that are kept, against how many are kept.

    Args:
        curves: Dict of `name: RiskCoverage`, at most four.
        marks: Dict of `name: Selection` for some of the names: the point to mark, such as the
            threshold for an accuracy of 99 %. A selection that keeps nothing appears in the legend
            only. Defaults to `None`.

    Returns:
        `Figure`. The axis ends at the highest error rate beyond 5 % coverage: among the few
        predictions before that, one error would set the scale.
    """
    figure = Figure(figsize=(5.6, 3.2), layout="constrained")
    figure.set_label("Error rate of the predictions that are kept, against how many are kept")
    axes = figure.subplots()
    highest = 0.01
    for (name, curve), color in zip(curves.items(), (BLUE, ORANGE, INK, GREY), strict=False):
        label, mark = name, (marks or {}).get(name)
        if mark is not None and mark.count:
            label = f"{name}: {mark.accuracy:.1%} correct, {mark.coverage:.1%} kept"
            point = 100 * mark.coverage, 100 * (1 - mark.accuracy)
            axes.plot(*point, "o", color=color, ms=6, mec="white", clip_on=False, zorder=3)
            axes.vlines(point[0], 0, point[1], color=color, lw=0.8, ls=":")
        elif mark is not None:
            label = f"{name}: none kept"
        axes.plot(100 * curve.coverage, 100 * curve.risk, color=color, label=drawable(label))
        highest = max(highest, *curve.risk[curve.coverage >= 0.05])
    axes.set(xlim=(0, 101), ylim=(0, 105 * highest))
    axes.set_xlabel("% of the predictions kept, the most confident first")
    axes.set_ylabel("% of these wrong")
    axes.legend(loc="upper left")
    return figure


@check_arguments(canvas_height=_HEIGHT)
def data_check_figures(check: DataCheck, canvas_height: int = 32) -> list[Figure]:
    """Draws the figures of a data check's page.

    Args:
        check: A `DataCheck`.
        canvas_height: Height of the canvas in pixels. Defaults to `32`.

    Returns:
        List of `Figure`s: frequencies of the characters, lengths of the labels, sizes of the
        images.
    """
    return [
        character_frequencies(check.characters().set_index("character")["total"]),
        label_lengths(check.facts),
        image_sizes(check.facts, canvas_height),
    ]

"""Trains a shipped reader on rendered words: `python -m tools.readers train`.

The command renders, then starts this module in as many processes as train together.
"""

import argparse
import dataclasses
import pathlib

from crnn_keras.training import distribute

# Canvases of 1.5 million words, kept in memory from the first pass to the next.
_CACHE = 6 * 2**30


def parse(arguments=None):
    """The settings of a training.

    Args:
        arguments: list of strings; those of the command line if None.

    Returns:
        `argparse.Namespace`.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.readers train")
    parser.add_argument("--run", default="reader", help="folder in data/ (reader)")
    parser.add_argument("--also", nargs="*", default=[], help="runs whose words are seen as well")
    parser.add_argument("--characters", default="alphanumeric36", help="or ascii (alphanumeric36)")
    parser.add_argument("--canvas-mode", default="stretch", help="stretch or keep (stretch)")
    parser.add_argument("--canvas-width", type=int, default=128, help="pixels (128)")
    parser.add_argument("--preset", default="deep", help="shape of the network (deep)")
    parser.add_argument("--reader", help="to go on from, of this shape or of one that it deepens")
    parser.add_argument("--precision", default="float32", help="of the training (float32)")
    parser.add_argument("--words", type=int, default=3_000_000, help="words to render (3,000,000)")
    parser.add_argument("--passes", type=int, default=4, help="times each word is seen (4)")
    parser.add_argument("--steps", type=int, default=0, help="in a pass; 0: all words once (0)")
    parser.add_argument("--batch-size", type=int, default=128, help="images in a step (128)")
    parser.add_argument("--learning-rate", type=float, default=3e-3, help="the largest (0.003)")
    parser.add_argument("--augment", type=float, default=0.5, help="0 to 1 (0.5)")
    parser.add_argument("--random-erasing", type=float, default=0.0, help="fraction (0)")
    parser.add_argument("--seed", type=int, default=1, help="of images, weights and order (1)")
    parser.add_argument("--fonts", nargs="*", default=["data/fonts"], help="folders (data/fonts)")
    parser.add_argument("--any-fonts", action="store_true", help="train with the fonts there are")
    parser.add_argument("--processes", type=int, default=1, help="that train together (1)")
    return parser.parse_args(arguments)


def render_sets(given, folder):
    """Renders the words to learn and 4,000 others to watch the training with.

    What is there already stays; the rest goes on where it was stopped.

    Args:
        given: what `parse` gave.
        folder: the run's folder.

    Raises:
        ValueError: fonts of `fonts.tsv` are missing; the message names the packages.
    """
    from crnn_keras.char_dict import CharDict
    from crnn_keras.data import build
    from crnn_keras.images import make_canvas
    from tools.readers.recipe import find_fonts, make_recipe, write_words

    fonts, missing = find_fonts([name for name in given.fonts if pathlib.Path(name).is_dir()])
    if missing:
        count = sum(map(len, missing.values()))
        said = (
            f"{count} of {count + len(fonts)} fonts are missing, of: {' '.join(sorted(missing))}."
        )
        if not given.any_fonts:
            raise ValueError(
                f"{said} The readers' README says how to install them; --any-fonts goes on "
                "without, to another reader."
            )
        print(said)
    write_words(folder / "words.txt")
    # The images serve every reader: each takes of the labels what it writes.
    char_dict = CharDict.from_preset("ascii")
    canvas = make_canvas(given.canvas_mode, given.canvas_width)
    recipe = make_recipe(fonts, folder / "words.txt", given.seed)
    for part, words in (("train", given.words), ("validation", 4000)):
        # Another seed: the same index would be the same word.
        seed = given.seed + (part == "validation") * 1_000_000
        source = build.RenderedSource(dataclasses.replace(recipe, seed=seed), words)
        specification = build.Specification(source, char_dict, canvas)
        build.prepare(specification, folder / "records" / part)


def main(arguments=None):
    """Trains on what was rendered, in one of the processes; a run that was stopped goes on."""
    given = parse(arguments)
    folder = pathlib.Path("data") / given.run
    with distribute.scope() as group:
        from crnn_keras.char_dict import CharDict
        from crnn_keras.data.batches import Batches
        from crnn_keras.data.records import ConcatRecords, open_records
        from crnn_keras.images import make_canvas
        from crnn_keras.model.crnn import build_crnn
        from crnn_keras.training import train
        from crnn_keras.training.fine_tuning import load_for_fine_tuning

        char_dict = CharDict.from_preset(given.characters)
        canvas = make_canvas(given.canvas_mode, given.canvas_width)
        runs = [folder, *(folder.with_name(name) for name in given.also)]
        known = ConcatRecords([open_records(run / "records" / "train") for run in runs])
        unknown = open_records(folder / "records" / "validation")
        order = {"seed": given.seed, "shuffle": True}
        order |= {"augment": given.augment, "random_erasing": given.random_erasing}
        rule = {"protocol": "alphanumeric" if char_dict.fold_case else "exact"}
        common = {"batch_size": given.batch_size, **rule}
        order |= {"shard": group.part, "cache_bytes": _CACHE}
        batches = Batches(known, char_dict, canvas, **common, **order)
        validation = Batches(unknown, char_dict, canvas, **common)
        shape = {"preset": given.preset, "seed": given.seed, "precision": given.precision}
        if given.reader:
            model = load_for_fine_tuning(given.reader, char_dict, canvas, **shape)
        else:
            model = build_crnn(char_dict, canvas, **shape)
        train(
            model,
            batches,
            validation,
            group.run_folder(folder / given.characters),
            epochs=given.passes,
            steps_per_epoch=given.steps,
            learning_rate=given.learning_rate,
        )


if __name__ == "__main__":
    main()

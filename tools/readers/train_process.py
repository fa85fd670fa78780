"""One training process of a reader; `python -m tools.readers train` renders and starts it."""

import pathlib
from collections.abc import Sequence

from crnn_keras.training import distribute
from tools.readers.train import parse_arguments

# The canvases of 1.5 million words stay in memory from one epoch to the next.
_CACHE_BYTES = 6 * 2**30


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains on the rendered images, alone or with the other processes of the run.

    Args:
        arguments: List of strings, see `parse_arguments`. Defaults to None: those of the command
            line.
    """
    options = parse_arguments(arguments)
    folder = pathlib.Path("data") / options.run
    with distribute.scope() as group:
        # Imported here: on JAX, nothing may use JAX before `scope`.
        from crnn_keras.char_dict import CharDict
        from crnn_keras.data.batches import Batches
        from crnn_keras.data.records import ConcatRecords, open_records
        from crnn_keras.images import make_canvas
        from crnn_keras.model.crnn import build_crnn
        from crnn_keras.training import train
        from crnn_keras.training.fine_tuning import load_for_fine_tuning

        char_dict = CharDict.from_preset(options.characters)
        canvas = make_canvas(options.canvas_mode, options.canvas_width)
        runs = [folder, *(folder.with_name(name) for name in options.more_runs)]
        # Lines have several records a split.
        train_records, validation_records = (
            ConcatRecords(
                [open_records(path) for run in of for path in sorted(run.glob(f"records/{name}*"))]
            )
            for name, of in (("train", runs), ("validation", runs[:1]))
        )
        common = {
            "batch_size": options.batch_size,
            "protocol": "alphanumeric" if char_dict.fold_case else "exact",
        }
        batches = Batches(
            train_records,
            char_dict,
            canvas,
            seed=options.seed,
            shuffle=True,
            augment=options.augment,
            random_erasing=options.random_erasing,
            cache_bytes=_CACHE_BYTES,
            shard=group.shard,
            **common,
        )
        validation = Batches(validation_records, char_dict, canvas, **common)
        settings = {"seed": options.seed, "precision": options.precision}
        settings["architecture"] = options.architecture
        if options.model_path:
            model = load_for_fine_tuning(options.model_path, char_dict, canvas, **settings)
        else:
            model = build_crnn(char_dict, canvas, **settings)
        train(
            model,
            batches,
            validation,
            folder=group.run_folder(folder / options.characters),
            epochs=options.epochs,
            steps_per_epoch=options.steps_per_epoch,
            learning_rate=options.learning_rate,
        )


if __name__ == "__main__":
    main()

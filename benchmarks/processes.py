"""Training speed of two processes with a core each, against one process with both.

    make walkthrough PARAMS="--only 02"      # words to train on
    python benchmarks/processes.py data/walkthrough/records/train

Each trains alone, in turns, on the torch backend, with 64 images in a step for each core. Printed
are the median images a second over the turns, their range, and the ratio.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

WARM_UP, STEPS = 15, 60


def train(records, architecture):
    """Trains for some steps; process 0 prints the images a second."""
    from crnn_keras.training import distribute

    with distribute.scope() as group:
        from crnn_keras.char_dict import CharDict
        from crnn_keras.data.batches import Batches
        from crnn_keras.data.records import open_records
        from crnn_keras.images import Canvas
        from crnn_keras.model.crnn import build_crnn
        from crnn_keras.model.ctc import CTCLoss
        from crnn_keras.training import make_optimizer
        from crnn_keras.training.distribute.group import average_gradients
        from crnn_keras.utils.malloc import tune_malloc

        tune_malloc()
        found = open_records(records)
        char_dict, canvas = CharDict.from_config(found.info["char_dict"]), Canvas()
        batch = 64 * (os.cpu_count() or 1)
        order = {"shuffle": True, "augment": True, "shard": group.shard}
        batches = Batches(found, char_dict, canvas, batch_size=batch, **order)
        model = build_crnn(char_dict, canvas, architecture)
        model.compile(make_optimizer("adamw", 2e-3), CTCLoss())
        steps = iter(batches.train_dataset())
        with average_gradients(model.trainable_variables):
            for _ in range(WARM_UP):
                model.train_on_batch(*next(steps))
            started = time.perf_counter()
            for _ in range(STEPS):
                model.train_on_batch(*next(steps))
        if group.rank == 0:
            print(batch * STEPS / (time.perf_counter() - started))


def measure(processes, records, architecture):
    """Measures the images a second of so many processes."""
    command = [str(pathlib.Path(__file__)), records, "--architecture", architecture, "--train"]
    if processes > 1:
        launcher = pathlib.Path(sys.executable).with_name("crnn-keras")
        command = [str(launcher), "launch", "--local-processes", str(processes), *command]
    else:
        command = [sys.executable, *command]
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", help="folder of a set of records")
    parser.add_argument("--architecture", default="mobile")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        return train(options.records, options.architecture)
    cores = os.cpu_count() or 1
    speeds = {1: [], cores: []}
    for _ in range(options.rounds):
        for processes, found in speeds.items():
            found.append(measure(processes, options.records, options.architecture))
    for processes, found in speeds.items():
        low, high = min(found), max(found)
        print(f"{processes} processes: {statistics.median(found):.0f} ({low:.0f} to {high:.0f})")
    ratios = [many / one for one, many in zip(*speeds.values(), strict=True)]
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()

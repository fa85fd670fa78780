"""Makes the records of a specification.

    python -m crnn_keras.data.build data/run/specifications/train.json data/run/records/train

Run again it continues where it was stopped, and mends damaged shards of a set that stands. With
--beam the work is Apache Beam's (extra `beam`), and options that are not listed here are Beam's:

    python -m crnn_keras.data.build train.json gs://bucket/train --beam --runner=DataflowRunner ...
"""

import argparse
import sys

from crnn_keras.data.build import Specification, prepare


def main(arguments=None):
    """Reads the command line and prepares.

    Args:
        arguments: list of command line words; those of the process if None.
    """
    parser = argparse.ArgumentParser(
        prog="crnn_keras.data.build",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("specification", help="JSON file that Specification.save wrote")
    parser.add_argument("folder", help="folder of the set")
    parser.add_argument("--processes", type=int, help="as many as there are cores if not given")
    parser.add_argument("--beam", action="store_true", help="work by Apache Beam")
    options, others = parser.parse_known_args(arguments)
    if others and not options.beam:
        parser.error(f"unknown: {' '.join(others)}. Options of Beam need --beam.")
    try:
        specification = Specification.load(options.specification)
        if options.beam:
            try:
                from crnn_keras.data.build.beam import prepare_on_beam
            except ModuleNotFoundError as error:
                sys.exit(f"{error}: --beam needs the extra, pip install 'crnn_keras[beam]'.")
            prepare_on_beam(specification, options.folder, others)
            return
        content = prepare(specification, options.folder, options.processes)
    except (ValueError, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        sys.exit("Stopped. The same command continues where it was.")
    skipped, shards = content["skipped"], len(content["shards"])
    print(f"{content['records']:,} records in {shards} shards, {skipped:,} rows left out")


if __name__ == "__main__":
    main()

"""Uses a recognizer from many threads, from a forked process and from a new one.

python recognizer_worker.py OUT.json
"""

import concurrent.futures
import json
import os
import pickle
import sys

import loky

from crnn_keras import synth
from crnn_keras.inference.recognizer import Recognizer

WORDS = ["lantern", "mirror", "4711", "ocean", "door", "river", "42nd", "paper"]
THREADS, JOBS = 8, 5


def texts_of(recognizer, images):
    return [prediction.text for prediction in recognizer.read(images)]


def read_in_threads(recognizers, images):
    """Reads one to eight images in each of 40 jobs."""
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        jobs = [
            pool.submit(texts_of, recognizers[job % len(recognizers)], images[: 1 + job % 8])
            for job in range(THREADS * JOBS)
        ]
        return [job.result() for job in jobs]


def call_in_fork(function, *arguments):
    """Returns the RuntimeError of a call in a forked process; "" if there was none."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            function(*arguments)
        except RuntimeError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        error = pipe.read().decode()
    os.waitpid(child, 0)
    return error


def main(path):
    font = synth.bundled_fonts()[0]
    images = [synth.render_word(word, font, synth.Style.mild(), seed=1) for word in WORDS]
    recognizer = Recognizer.load("words")
    found = {"alone": texts_of(recognizer, images)}
    # Two of one model, which has one state.
    twins = [recognizer, Recognizer(recognizer.model)]
    found["threads"] = read_in_threads(twins, images)
    found["forks"] = [
        call_in_fork(recognizer.read, images),
        call_in_fork(Recognizer.load, "words"),
    ]
    found["pickled"] = texts_of(pickle.loads(pickle.dumps(recognizer)), images)  # noqa: S301
    with loky.ProcessPoolExecutor(1) as pool:
        found["process"] = pool.submit(texts_of, recognizer, images).result()
    with open(path, "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(*sys.argv[1:])

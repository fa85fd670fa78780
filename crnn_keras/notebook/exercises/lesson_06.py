"""Questions of notebook 06: signature, sizes of batches, comparison of readings, int8."""

from __future__ import annotations

import numpy as np

from crnn_keras.notebook.exercises.questions import (
    call,
    expect_number,
    expect_set,
    hint,
    question,
)

_PAIRS = (
    (["wring", "exit"], ["wring", "exit"]),
    (["wring", "exit", "book"], ["wiring", "exit", "Book"]),
    (["exit", "wring", "book"], ["wring", "exit", "blew"]),
)


@question
def q1(answer: object) -> str:
    """Checks shape and dtype of what a client sends to the SavedModel for three photographs.

    Args:
        answer: A pair of a shape and the name of a dtype.
    """
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        hint('Expected a pair of a shape and a dtype, such as `((1, 32, 100), "uint8")`.')
    shape, dtype = answer
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", "")
    if isinstance(shape, int):
        hint(f"A shape is a tuple. That of {shape} elements in a row is `({shape},)`.")
    if name in ("uint8", "float32", "int8"):
        hint("These are pixels. Who decodes a png or jpeg here, the client or the export?")
    if name in ("bytes", "str"):
        hint("That is Python's name. How does the output of the signature call it?")
    if name != "string":
        hint("The output of the cell above names the dtype of `image_bytes`.")
    if tuple(shape) == (None,):
        hint("`None` stands for any number. How many images does this client send?")
    if len(shape) > 1:
        hint("The bytes of an image are one element, however many pixels it has.")
    if tuple(shape) != (3,):
        hint("Each image is one element.")
    return "decoding and scaling are inside, so no client can do them in another way."


@question
def q2(answer: object) -> str:
    """Checks which sizes the batches have in which 1,000 images are read, 64 at a time.

    Args:
        answer: A list of whole numbers.
    """
    sizes = expect_set(answer, "[8, 2]")
    if sizes == {64}:
        hint("15 such batches hold 960 images, 16 hold 1,024. Which batch is different?")
    if sizes & {15, 16}:
        hint("That is a number of batches. Asked is how many images are in each.")
    if sizes == {62.5} or sizes == {62, 63}:
        hint("The batches are filled one after the other, not evenly.")
    if 24 in sizes:
        hint("So many images are missing in the last batch. How many are in it?")
    if sizes < {64, 40}:
        hint("Most batches have another size.")
    if sizes != {64, 40}:
        hint("Fill batches of 64 until fewer images are left. What is left is a batch, too.")
    return "an export of fixed batch size must fill up the last one, or refuses it."


@question
def q3(answer: object) -> str:
    """Checks a function that counts in how many places two lists of texts are equal.

    Args:
        answer: Function of two lists that returns a number, and raises a `ValueError` if they have
            different lengths.
    """
    for first, second in _PAIRS:
        equal = sum(a == b for a, b in zip(first, second, strict=True))
        hints = {
            len(first) - equal: "You count the texts that differ.",
            sum(a in second for a in first): "Equal texts of different images do not count.",
            sum(a.lower() == b.lower() for a, b in zip(first, second, strict=True)): (
                "*book* and *Book* are different texts."
            ),
            equal / len(first): "That is a fraction. Asked is a number.",
        }
        hints = {wrong: text for wrong, text in hints.items() if wrong != equal}
        otherwise = f"For {first} and {second} your number is another one."
        expect_number(call(answer, first, second), equal, hints, otherwise=otherwise)
    for first, second in ((["exit", "book"], ["exit"]), (["exit"], ["exit", "book"])):
        try:
            answer(first, second)
        except ValueError:
            continue
        # What a learner writes may end in any way.
        except (Exception, SystemExit) as error:
            hint(f"Lists of different length raise {type(error).__name__}. Raise a `ValueError`.")
        hint("Lists of 2 and 1 texts are compared without an error. Which image was left out?")
    return "`zip` alone ends with the shorter list, and all that it compared is equal."


@question
def q4(answer: object) -> str:
    """Checks a function that makes weights whole numbers from -127 to 127, and their step.

    Args:
        answer: Function of an array of weights. It returns an int8 array and a number.
    """
    for seed in range(3):
        weights = np.random.default_rng(seed).normal(0, 0.2 * (seed + 1), 64)
        # A positive one is the largest, so that one beyond 127 changes its sign.
        weights[0] = 1.2 * np.abs(weights).max()
        found = call(answer, weights)
        if not isinstance(found, tuple | list) or len(found) != 2:
            hint("Expected two results: the whole numbers, and the step between two of them.")
        whole, step = np.asarray(found[0]), float(found[1])
        if whole.shape != weights.shape:
            hint(f"{weights.size} weights became an array of shape {whole.shape}.")
        if whole.dtype == np.uint8:
            hint("uint8 has no negative numbers. What becomes of a weight of -0.1?")
        if whole.dtype != np.int8:
            hint(f"Your whole numbers are of {whole.dtype}, not of int8: the file gets no smaller.")
        _compare_weights(whole.astype(float), step, weights)
    return "a weight moves by half a step at most. What that does to texts must be measured."


@question
def q5(answer: object) -> str:
    """Checks how many texts an export has right at least: 200 texts, 198 equal, 193 right before.

    Args:
        answer: A whole number.
    """
    hints = {
        193: "So it is if both texts that differ were wrong before, and are wrong now.",
        195: "So it is at best. Asked is the worst.",
        192: "One more may have been right before.",
        198: "So many texts are equal. An equal text may be wrong.",
        189: "Only two texts differ.",
        2: "So many texts differ.",
    }
    expect_number(answer, 191, hints)
    return "equal texts bound the loss. Only labels say whether a different text is worse."


def _compare_weights(whole, step, weights):
    largest, error = np.abs(weights).max(), np.abs(whole * step - weights)
    if not step > 0:
        hint("The step must be above 0: what is a whole number of 1 worth?")
    if (whole * weights < -step).any():
        hint("The largest weight has changed its sign. Where does int8 end?")
    if step > 1.01 * largest / 127:
        hint("Your step is too wide: whole numbers are left over, so weights are less exact.")
    if error[np.abs(weights).argmax()] > step:
        hint("The largest weight is cut off. Which whole number must it become?")
    if error.max() > step:
        hint("Whole numbers times the step do not give the weights back.")
    if error.max() > 0.5001 * step:
        hint("A weight is off by nearly a whole step: `astype` cuts decimals off.")

"""What one image and its label are, found by opening the image once."""

import hashlib
import pathlib
from dataclasses import dataclass

import numpy as np

from crnn_keras.char_dict import frames_needed
from crnn_keras.data.check.hashes import perceptual_hash
from crnn_keras.data.labels import Problem, check_label
from crnn_keras.images import ImageError, to_gray


@dataclass(frozen=True)
class Facts:
    """What a usable sample is.

    Args:
        width: the image's width in pixels.
        height: the image's height in pixels.
        canvas_width: width in pixels of its canvas.
        inner_width: width in pixels of the image on its canvas, without padding.
        frames: frames that the network makes of it.
        frames_needed: frames that its label needs.
        length: number of characters in its label, as the char dict writes it.
        digest: 64 bits that are equal for equal gray pixels only, for all one can expect.
        hash: 32 bytes, see `hashes.perceptual_hash`.
    """

    width: int
    height: int
    canvas_width: int
    inner_width: int
    frames: int
    frames_needed: int
    length: int
    digest: int
    hash: bytes


def facts_of(samples, char_dict, canvas):
    """Opens images, in order.

    Args:
        samples: list of `Sample`s.
        char_dict: a `CharDict`.
        canvas: an `images.Canvas`.

    Returns:
        List with the `Facts` of each sample, or the `Problem` that keeps it from being used.
    """
    return [_facts(sample, char_dict, canvas) for sample in samples]


def _facts(sample, char_dict, canvas):
    try:
        gray = to_gray(sample.read())
    except (ImageError, OSError) as error:
        return _image_problem(sample, error)
    inner, outer = canvas.fit(gray.height, gray.width)
    frames = canvas.frames(gray.height, gray.width)
    problem = check_label(sample.text, char_dict, frames, sample.where)
    if problem:
        return problem
    ids = char_dict.encode(sample.text)
    if not ids:
        reason = f"nothing is left of {sample.text!r} as the char dict writes it. Give it a label."
        return Problem("empty label", sample.where, reason)
    size, needed = (gray.width, gray.height, outer, inner, frames), frames_needed(ids)
    return Facts(*size, needed, len(ids), _digest(gray), perceptual_hash(gray))


def _image_problem(sample, error):
    name = f"{sample.image}, {sample.key}" if sample.key else str(sample.image)
    if not pathlib.Path(sample.image).exists():
        return Problem("missing file", sample.where, f"{sample.image} does not exist.")
    reason = str(error).rstrip(".")
    if str(sample.image) not in reason:
        # Bytes have no name: `images` calls them "the image".
        reason = reason.replace("the image", name, 1) if "the image" in reason else reason
        reason = reason if name in reason else f"{name}: {reason}"
    return Problem("unreadable image", sample.where, f"{reason}.")


def _digest(gray):
    content = np.asarray(gray).tobytes() + repr(gray.size).encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")

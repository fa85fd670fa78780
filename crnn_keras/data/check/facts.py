"""Facts about one image and its label, found by opening the image once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from crnn_keras.char_dict import CharDict, frames_needed
from crnn_keras.data.check.hashes import perceptual_hash
from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.sample import Sample, check_label
from crnn_keras.images import Canvas, ImageError, measure_contrast, to_canvas, to_gray


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Holds facts about a usable sample.

    Args:
        width: int, width of the image in pixels.
        height: int, height of the image in pixels.
        canvas_width: int, width of its canvas in pixels.
        inner_width: int, width of the image on its canvas in pixels, without padding.
        frames: int, frames that the network makes of it.
        frames_needed: int, frames that its label needs.
        length: int, number of characters in its label, as the char dict writes it.
        contrast: float, gray levels, see `images.measure_contrast`.
        digest: int of 64 bits, a hash of the gray pixels: equal images have equal digests.
        hash: 32 bytes, see `hashes.perceptual_hash`.
    """

    width: int
    height: int
    canvas_width: int
    inner_width: int
    frames: int
    frames_needed: int
    length: int
    contrast: float
    digest: int
    hash: bytes


def collect_facts(
    samples: Iterable[Sample], char_dict: CharDict, canvas: Canvas
) -> list[Facts | Issue]:
    """Opens the images of samples, in order.

    Args:
        samples: iterable of `Sample`s.
        char_dict: a `CharDict`.
        canvas: a `Canvas`.

    Returns:
        List with the `Facts` of each sample, or the `Issue` that keeps it from being used.
    """
    return [_facts(sample, char_dict, canvas) for sample in samples]


def _facts(sample, char_dict, canvas):
    try:
        gray = to_gray(sample.read())
    except (ImageError, OSError) as error:
        return _image_issue(sample, error)
    inner_width, canvas_width = canvas.fit(gray.height, gray.width)
    frames = canvas.frames(gray.height, gray.width)
    issue = check_label(sample.text, char_dict, frames, where=sample.where, canvas=canvas)
    if issue:
        return issue
    ids = char_dict.encode(sample.text)
    if not ids:
        reason = f"Nothing is left of {sample.text!r} as the char dict writes it. Give it a label."
        return Issue("empty label", sample.where, reason)
    return Facts(
        width=gray.width,
        height=gray.height,
        canvas_width=canvas_width,
        inner_width=inner_width,
        frames=frames,
        frames_needed=frames_needed(ids),
        length=len(ids),
        contrast=measure_contrast(to_canvas(gray, canvas)),
        digest=_digest(gray),
        hash=perceptual_hash(gray),
    )


def _image_issue(sample, error):
    # Of a name that no file can have, this is False.
    if not os.path.exists(sample.image):
        return Issue("missing file", sample.where, f"{sample.image} does not exist.")
    name = f"{sample.image}, {sample.key}" if sample.key else str(sample.image)
    reason = str(error).rstrip(".")
    if str(sample.image) not in reason:
        # Bytes have no name: `images` calls them "the image".
        reason = reason.replace("the image", name, 1) if "the image" in reason else reason
        reason = reason if name in reason else f"{name}: {reason}"
    return Issue("unreadable image", sample.where, f"{reason}.")


def _digest(gray):
    content = np.asarray(gray).tobytes() + repr(gray.size).encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")

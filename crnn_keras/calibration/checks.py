"""Whether readings and their confidences can be reckoned with."""

import numpy as np


def checked_readings(confidences, right):
    """Both as arrays, of float64 and of bool, if they are what they must be."""
    confidences, right = np.asarray(confidences, np.float64), np.asarray(right)
    if confidences.ndim != 1 or confidences.shape != right.shape or not len(right):
        raise ValueError(
            "Expected one list of confidences and, for each, whether it was right, at least one; "
            f"got shapes {confidences.shape} and {right.shape}."
        )
    check_range(confidences)
    known = np.isin(right, [0, 1])
    if not known.all():
        position = int(np.argmin(known))
        raise ValueError(
            f"Reading #{position} is marked {right[position]!r}. Expected True where the text was "
            "right and False where it was wrong."
        )
    return confidences, right.astype(bool)


def check_range(confidences):
    """Refuses an array with a confidence that is not from 0 to 1."""
    valid = (confidences >= 0) & (confidences <= 1)
    if not valid.all():
        position = int(np.argmin(valid))
        raise ValueError(
            f"Confidence #{position} is {confidences.ravel()[position]}. Expected one from 0 to 1."
        )

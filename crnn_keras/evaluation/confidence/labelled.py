"""What a reader's readings of labelled images teach: a calibration, and what to keep."""

from crnn_keras.evaluation.confidence.measure import threshold_for
from crnn_keras.model.calibration import fit_calibration


def calibrate(readings, targets, protocol="exact"):
    """Learns a calibration from a reader's readings of labelled images.

    It is learnt from the raw confidences, so the reader may have a calibration already. Readings
    made with a lexicon give a calibration for readings with it. Images that could not be read
    have no confidence to learn from and are left out.

    Args:
        readings: list of `Prediction`s of images that the reader did not learn from; some
            hundreds.
        targets: their labels, in the same order.
        protocol: when a text is right, see `evaluate.evaluate`. With `"exact"`, give the labels as
            the char dict writes them (`char_dict.normalize`).

    Returns:
        `Calibration`; a reader uses it once it is its `calibration`.

    Raises:
        ValueError: the lists differ in length, no image could be read, or the protocol is
            unknown.

    Example:

        >>> recognizer.calibration = calibrate(recognizer.read(images), targets)
    """
    right = right_texts(readings, targets, protocol)
    pairs = [
        (reading.raw_confidence, is_right)
        for reading, is_right in zip(readings, right, strict=True)
        if reading.error is None
    ]
    if not pairs:
        raise ValueError(
            f"None of the {len(readings):,} images could be read, the first because: "
            f"{readings[0].error} Give images that the reader can open."
        )
    return fit_calibration(*zip(*pairs, strict=True))


def threshold_for_readings(readings, targets, accuracy, protocol="exact", cautious=False):
    """The confidence from which on a given share of the readings is right, and how many are left.

    Images that could not be read count as wrong, with a confidence of 0.

    Args:
        readings: list of `Prediction`s of images that the reader neither learnt from nor was
            calibrated with.
        targets: their labels, in the same order.
        accuracy: share of the kept readings that must be right, above 0, up to 1.
        protocol: see `calibrate`.
        cautious: see `threshold_for`.

    Returns:
        `Selection`, see `threshold_for`: its `threshold`, and as `coverage` the share that is kept.

    Raises:
        ValueError: the lists differ in length or are empty, the accuracy is not above 0 and up to
            1, or the protocol is unknown.

    Example:

        >>> sure = threshold_for_readings(recognizer.read(images), targets, accuracy=0.99)
        >>> sure.threshold, sure.coverage
        (0.93, 0.62)
    """
    right = right_texts(readings, targets, protocol)
    return threshold_for([reading.confidence for reading in readings], right, accuracy, cautious)


def right_texts(readings, targets, protocol):
    """Whether each text is right.

    Args:
        readings: list of `Prediction`s.
        targets: their labels, in the same order.
        protocol: see `calibrate`.

    Returns:
        List of bools; False for an image that could not be read.

    Raises:
        ValueError: the lists differ in length or are empty, or the protocol is unknown.
    """
    # Not above: an exported reader applies its calibration without the libraries of `evaluate`.
    from crnn_keras.evaluation.metrics import evaluate

    texts = [reading.text for reading in readings]
    cases = evaluate(targets, texts, protocol=protocol).cases
    return [
        case.distance == 0 and reading.error is None
        for case, reading in zip(cases, readings, strict=True)
    ]

"""Confusables: characters that people confuse too, where the other letters do not help."""

# Chosen by eye; 1 with 7 and c with g because the shipped reader `words`, at 60 % word accuracy on
# IIIT5K's training words, confused these most often. Characters count as confusable in either case,
# since labels in lower case hide the case: O, D, Q and 0; I, l and 1; C and G. Groups do not chain:
# 9 is like q, and q (as Q) like 0, but 9 is not like 0.
CONFUSABLES = (
    ("0", "o", "d", "q"),
    ("1", "l", "i", "j"),
    ("1", "7"),
    ("5", "s"),
    ("2", "z"),
    ("8", "b"),
    ("6", "g"),
    ("9", "g", "q"),
    ("u", "v"),
    ("c", "e"),
    ("c", "g"),
    ("rn", "m"),
    ("vv", "w"),
)
_PAIRS = tuple((a, b) for group in CONFUSABLES for a in group for b in group if a != b)


def only_confusables(target: str, text: str) -> bool:
    """Tells whether two texts differ in confusable characters alone.

    Args:
        target: The label.
        text: The predicted text.

    Returns:
        True if one text becomes the other by exchanging `CONFUSABLES`, in whatever case; False for
        texts that are equal or differ in case alone.

    Example:

        >>> from crnn_keras.evaluation.error_analysis.confusables import only_confusables
        >>> only_confusables("corn", "c0m")
        True
    """
    target, text = target.lower(), text.lower()
    if target == text:
        return False
    # Pairs of positions up to which both texts can be matched.
    reached, waiting = {(0, 0)}, [(0, 0)]
    while waiting:
        i, j = waiting.pop()
        steps = [(a, b) for a, b in _PAIRS if target.startswith(a, i) and text.startswith(b, j)]
        if i < len(target) and target[i : i + 1] == text[j : j + 1]:
            steps.append((target[i], text[j]))
        new = {(i + len(a), j + len(b)) for a, b in steps} - reached
        reached |= new
        waiting += new
    return (len(target), len(text)) in reached

"""Look-alikes: characters that an eye confuses as well, when no other letter helps."""

# Told by eye; 1 with 7 and c with g because the shipped `words` reader of 60 % word accuracy on
# IIIT5K's training words took them for each other most often there. Alike in one case or the
# other, as labels in lower case hide which it was: O, D, Q and 0; I, l and 1; C and G. Groups do
# not chain: 9 is like q, and q (as Q) like 0, but 9 is not like 0.
TWINS = (
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
_PAIRS = tuple((a, b) for group in TWINS for a in group for b in group if a != b)


def only_confusables(target, text):
    """Whether two texts differ in look-alikes alone.

    Args:
        target: the label.
        text: what was read.

    Returns:
        True if swapping look-alikes of `TWINS`, whatever their case, makes one of the other; False
        for texts that differ in case alone or not at all.

    Example:

        >>> only_confusables("corn", "c0m")
        True
    """
    target, text = target.lower(), text.lower()
    if target == text:
        return False
    # How much of both can be accounted for: pairs of positions, from the left.
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

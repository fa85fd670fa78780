"""The rules by which benchmarks compare texts."""

import string

_ALPHANUMERIC = set(string.digits + string.ascii_lowercase)


def alphanumeric(text):
    """The text by the rule of the field's benchmarks: lower case, letters a-z and digits only."""
    return "".join(character for character in text.lower() if character in _ALPHANUMERIC)


def exact(text):
    """The text as it is."""
    return text


PROTOCOLS = {"exact": exact, "alphanumeric": alphanumeric}

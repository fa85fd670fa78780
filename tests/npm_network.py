"""Skips a test where npm is missing or reaches no network."""

import contextlib
import shutil

import pytest

from tools.npm import NpmError

# What npm says where there is no network.
_NO_NETWORK = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH")


@contextlib.contextmanager
def skip_without_npm():
    """Returns a context in which npm fetches something."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    try:
        yield
    except NpmError as error:
        if any(code in str(error) for code in _NO_NETWORK):
            pytest.skip(f"npm reaches no registry: {str(error)[:200]}")
        raise

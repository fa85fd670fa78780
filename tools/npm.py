"""Lets npm fetch packages for pages. It runs none of their scripts."""

from __future__ import annotations

import os
import shutil
import subprocess


class NpmError(Exception):
    """Error for an npm that is missing or fails; its text says what to do."""


def run_npm(*arguments: str, folder: str | os.PathLike) -> None:
    """Runs npm in a folder.

    Args:
        *arguments: Words of its command line.
        folder: Path of the folder.

    Raises:
        NpmError: npm is missing or fails.
    """
    program = shutil.which("npm")
    if program is None:
        raise NpmError("npm is not on the path. Install Node.js 18 or newer, which brings it.")
    command = [program, *arguments, "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise NpmError(
            f"npm {arguments[0]} failed in {folder}: {done.stderr.strip()[-2000:]}. Expected a "
            "network that reaches the npm registry."
        )

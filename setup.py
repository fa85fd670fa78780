"""The two steps of a build that pyproject.toml has no words for.

A wheel gets the notebooks, as `crnn_keras/notebook/notebooks/`: git holds them once, at the top of
the repository. The description for an index is the README with links that work there.
"""

import pathlib
import posixpath
import re
import shutil
import tomllib

import setuptools
from setuptools.command.build_py import build_py

ROOT = pathlib.Path(__file__).resolve().parent
NOTEBOOKS = "crnn_keras/notebook/notebooks"
# The entry of [project.urls] that links of the README start from, once there is an address.
ADDRESS = "Repository"

_IMAGE = re.compile(r"!\[[^\]]*\]\((?P<path>[^)\s]+)\)")
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<path>[^)\s]+)\)")
_ABSOLUTE = re.compile(r"[a-z]+:|#")


class BuildWithNotebooks(build_py):
    """Copies the notebooks into the package that is built, but for an editable installation."""

    def run(self):
        super().run()
        for source, target in self._notebooks().items():
            pathlib.Path(target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def get_output_mapping(self):
        return super().get_output_mapping() | {b: a for a, b in self._notebooks().items()}

    def get_outputs(self, include_bytecode=True):
        return [*super().get_outputs(include_bytecode), *self._notebooks().values()]

    def _notebooks(self):
        if self.editable_mode:
            return {}
        paths = sorted(path for path in (ROOT / "notebooks").iterdir() if path.is_file())
        return {str(path): f"{self.build_lib}/{NOTEBOOKS}/{path.name}" for path in paths}


def describe(readme, address=None):
    """Returns a README for an index, on which no link is relative.

    Args:
        readme: Text of the README, in Markdown.
        address: Address of the repository's files, such as `"https://host/name/blob/v1.0.0"`;
            `?raw=true` behind a file's address gives the file itself. Defaults to None: there is
            no address, so an image is left out and a link becomes its text.

    Returns:
        The text. Links within the page and those that are absolute stay as they are.
    """

    def absolute(path, ending=""):
        return f"{address}/{posixpath.normpath(path)}{ending}"

    def image(match):
        if _ABSOLUTE.match(match["path"]):
            return match[0]
        path = match["path"]
        return match[0].replace(f"({path})", f"({absolute(path, '?raw=true')})") if address else ""

    def link(match):
        if _ABSOLUTE.match(match["path"]):
            return match[0]
        return f"[{match['text']}]({absolute(match['path'])})" if address else match["text"]

    blocks = re.split(r"(^```.*?^```$)", readme, flags=re.MULTILINE | re.DOTALL)
    # Every other one is a block of code.
    blocks[::2] = [_LINK.sub(link, _IMAGE.sub(image, block)) for block in blocks[::2]]
    return re.sub(r"\n{3,}", "\n\n", "".join(blocks))


def main():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = project["urls"].get(ADDRESS)
    source = (ROOT / "crnn_keras/__init__.py").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)[1]
    setuptools.setup(
        cmdclass={"build_py": BuildWithNotebooks},
        long_description=describe(
            (ROOT / "README.md").read_text(encoding="utf-8"),
            address and f"{address.rstrip('/')}/blob/v{version}",
        ),
        long_description_content_type="text/markdown",
    )


if __name__ == "__main__":
    main()

"""Settings of Sphinx for the site. `tools/website.py` gathers the pages and builds them."""

import os
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

from tools import chinese  # noqa: E402
from tools.website import SLIDES  # noqa: E402

# Signatures and docstrings are the same on each backend. This one is imported in a second.
os.environ.setdefault("KERAS_BACKEND", "numpy")

project = "crnn_keras"
author = "The crnn_keras authors"
project_copyright = author
release = re.search(
    r'^__version__ = "(.+)"$', (ROOT / "crnn_keras/__init__.py").read_text("utf-8"), re.M
)[1]
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "extension",
]
# A block without a language is output.
highlight_language = "none"
# README.md is a part of index.md.
exclude_patterns = ["README.md", "lessons.md"]

# The outputs are those in the repository, which the tests of the notebooks made.
nb_execution_mode = "off"
nb_merge_streams = True
# Solutions are what is folded.
nb_code_prompt_show = "Show the solution"
nb_code_prompt_hide = "Hide the solution"
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 4
myst_update_mathjax = False

autosummary_generate = False
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [
    ("Call arguments", "params_style"),
    ("Input shape", "notes_style"),
    ("Output shape", "notes_style"),
    ("Reference", "notes_style"),
]
napoleon_use_ivar = True
napoleon_use_rtype = False
python_use_unqualified_type_names = True
add_module_names = False
maximum_signature_line_length = 72

html_theme = "furo"
html_title = "crnn_keras"
html_favicon = str(HERE.parent / "demo" / "icon.svg")
html_static_path = [str(HERE / "static"), str(HERE.parent / "demo" / "icon.svg")]
html_css_files = ["site.css"]
templates_path = [str(HERE / "templates")]
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "mathml"
# What npm brings: slides, and the page that reads.
html_context = {"with_npm": tags.has("npm"), "slides": SLIDES}  # noqa: F821  Sphinx gives `tags`.
html_context["chinese"] = chinese.list_translated()
pygments_style = "a11y-light"
pygments_dark_style = "a11y-dark"
copybutton_exclude = ".linenos, .gp, .go"
_COLORS = {"brand-primary": ("#0b5fb0", "#7db8f5"), "brand-content": ("#0b5fb0", "#7db8f5")}
_COLORS |= {"brand-visited": ("#0b5fb0", "#7db8f5"), "api-name": ("#0b5fb0", "#7db8f5")}
html_theme_options = {
    f"{scheme}_css_variables": {
        "font-stack": 'system-ui, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", sans-serif',
        "font-stack--monospace": 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace',
        **{f"color-{name}": colors[index] for name, colors in _COLORS.items()},
    }
    for index, scheme in enumerate(("light", "dark"))
}

"""Names what is missing: `pip install crnn_keras` reads images, and all else comes as an extra.

pyproject.toml lists the packages of each extra. Code imports them as if they were there. If one is
not, the front doors (`attach`) and the command `crnn-keras` say which extra brings it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import lazy_loader as lazy

# What a module that may be missing is called on an index, and the extra that brings it.
PACKAGES = {
    "IPython": ("ipython", "notebooks"),
    "ai_edge_litert": ("ai-edge-litert", "export"),
    "apache_beam": ("apache-beam", "beam"),
    "bs4": ("beautifulsoup4", "notebooks"),
    "cv2": ("opencv-python-headless", "train"),
    "fastapi": ("fastapi", "serve"),
    "fontTools": ("fonttools", "data"),
    "h5py": ("h5py", "train"),
    "httptools": ("httptools", "serve"),
    "jax": ("jax", "jax"),
    "jinja2": ("jinja2", "data"),
    "jupyter_client": ("jupyter-client", "notebooks"),
    "jupyterlab": ("jupyterlab", "notebooks"),
    "keras": ("keras", "train"),
    "latex2mathml": ("latex2mathml", "notebooks"),
    "matplotlib": ("matplotlib", "data"),
    "nbclient": ("nbclient", "notebooks"),
    "nbconvert": ("nbconvert", "notebooks"),
    "nbformat": ("nbformat", "notebooks"),
    "onnx": ("onnx", "export"),
    "openvino": ("openvino", "export"),
    "pandas": ("pandas", "data"),
    "papermill": ("papermill", "notebooks"),
    "prometheus_client": ("prometheus-client", "serve"),
    "pyarrow": ("pyarrow", "parquet"),
    "python_multipart": ("python-multipart", "serve"),
    "scipy": ("scipy", "data"),
    "starlette": ("fastapi", "serve"),
    "tensorboard": ("tensorboard", "tensorboard"),
    "tensorflow": ("tensorflow", "train"),
    "tf2onnx": ("tf2onnx", "export"),
    "torch": ("torch", "torch"),
    "tqdm": ("tqdm", "data"),
    "uvicorn": ("uvicorn", "serve"),
    "yaml": ("pyyaml", "notebooks"),
}
# Extras that bring Keras with a backend other than TensorFlow.
_BACKENDS = ("torch", "jax")

_Attached = tuple[Callable[[str], object], Callable[[], list[str]], list[str]]


def attach(
    package: str,
    submodules: Sequence[str] = (),
    submod_attrs: Mapping[str, Sequence[str]] | None = None,
) -> _Attached:
    """Makes the names of a package that are loaded when they are first used.

    Args:
        package: The package's `__name__`.
        submodules: Names of modules of the package. Defaults to none.
        submod_attrs: Dict of `module: names`. Defaults to none.

    Returns:
        The package's `__getattr__`, `__dir__` and `__all__`. A name that needs a package that is
        not installed is a ModuleNotFoundError that says which extra to install.
    """
    load, list_names, names = lazy.attach(package, submodules, submod_attrs)

    def load_or_name_extra(name: str) -> object:
        with naming_extras(f"{package}.{name}"):
            return load(name)

    return load_or_name_extra, list_names, names


@contextlib.contextmanager
def naming_extras(who: str) -> Iterator[None]:
    """Returns a context, or a decorator, in which a missing package is named with its extra.

    Args:
        who: What needs the packages, such as `"crnn_keras.Recognizer"`.

    Raises:
        ModuleNotFoundError: See `describe_missing`.

    Example:

        >>> from crnn_keras.utils.extras import naming_extras
        >>> with naming_extras("crnn_keras.export_onnx"):
        ...     import onnx
    """
    try:
        yield
    except ModuleNotFoundError as error:
        text = describe_missing(error, who)
        if text is None:
            raise
        raise ModuleNotFoundError(text, name=error.name) from error


def describe_missing(
    error: ModuleNotFoundError, who: str, *, extras: str | None = None
) -> str | None:
    """Describes a missing package and how to install it.

    Args:
        error: What an import raised.
        who: What needs the package.
        extras: What to install, such as `"notebooks,train"`. Defaults to the extra that brings the
            package.

    Returns:
        Sentence such as `"crnn-keras train needs keras, which is not installed. Install it:
        pip install 'crnn_keras[train]'"`; None if the module is of no extra, or is a part of a
        package that is there.
    """
    module = (error.name or "").partition(".")[0]
    if module not in PACKAGES or (module != error.name and _is_installed(module)):
        return None
    package, extra = PACKAGES[module]
    extras = extras or extra
    backend = os.environ.get("KERAS_BACKEND")
    if backend in _BACKENDS and module != "tensorflow":
        extras = extras.replace("train", backend)
    return (
        f"{who} needs {package}, which is not installed. Install it: "
        f"pip install 'crnn_keras[{extras}]'"
    )


def choose_backend() -> None:
    """Chooses torch or JAX for Keras where TensorFlow, which Keras takes by itself, is missing.

    KERAS_BACKEND is set, for this process and those that it starts, unless it is set already,
    `keras.json` names another backend, or Keras has been imported.
    """
    if "keras" in sys.modules or os.environ.get("KERAS_BACKEND") or _is_installed("tensorflow"):
        return
    installed = [name for name in _BACKENDS if _is_installed(name)]
    if installed and _configured_backend() == "tensorflow":
        os.environ["KERAS_BACKEND"] = installed[0]


def _configured_backend() -> str:
    """Returns the backend that `keras.json` names. Keras says what is wrong with a damaged one."""
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    try:
        with open(os.path.join(home, "keras.json"), encoding="utf-8") as file:
            return json.load(file).get("backend", "tensorflow")
    except (OSError, ValueError, AttributeError):
        return "tensorflow"


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # It stands in `sys.modules` without a spec.
        return False

"""Compresses `.keras` files; Keras does not, but reads compressed ones too."""

import io
import os
import zipfile

import h5py

from crnn_keras.utils import files

_WEIGHTS = "model.weights.h5"
# The header of a compressed array is not worth it for smaller arrays.
_LARGE = 1024


def pack(path: str | os.PathLike) -> None:
    """Compresses a saved model without changing a bit of them.

    HDF5's shuffle filter sorts the bytes of numbers by their position first, so that the zeros at
    the end of rounded weights are next to each other.

    Args:
        path: A `.keras` file that `save_model` wrote; it is replaced.
    """
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries[_WEIGHTS] = _compress(entries[_WEIGHTS])
    with files.atomic(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content, zipfile.ZIP_DEFLATED)


def _compress(content):
    packed = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as source, h5py.File(packed, "w") as target:

        def copy(name, item):
            if isinstance(item, h5py.Group):
                made = target.create_group(name)
            elif item.size < _LARGE:
                made = target.create_dataset(name, data=item[()])
            else:
                options = {"shuffle": True, "compression": "gzip", "compression_opts": 9}
                made = target.create_dataset(name, data=item[()], chunks=item.shape, **options)
            made.attrs.update(item.attrs)

        source.visititems(copy)
    return packed.getvalue()

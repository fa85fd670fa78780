"""Smaller `.keras` files: Keras writes its weights as they are, and reads compressed ones too."""

import io
import zipfile

import h5py

from crnn_keras.utils import files

_WEIGHTS = "model.weights.h5"
# An array that is compressed has a head of its own; smaller ones do not repay it.
_LARGE = 1024


def pack(path):
    """Compresses the weights of a saved reader, which stay the same to the last bit.

    The bytes of numbers are sorted by their place first (HDF5's shuffle filter), so that the zeros
    at the end of rounded weights stand together.

    Args:
        path: a `.keras` file that `save_model` wrote; it is replaced.
    """
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[_WEIGHTS] = _compressed(parts[_WEIGHTS])
    with files.atomic(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def _compressed(content):
    packed = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as source, h5py.File(packed, "w") as target:

        def copy(name, item):
            if isinstance(item, h5py.ProcessGroup):
                made = target.create_group(name)
            elif item.size < _LARGE:
                made = target.create_dataset(name, data=item[()])
            else:
                options = {"shuffle": True, "compression": "gzip", "compression_opts": 9}
                made = target.create_dataset(name, data=item[()], chunks=item.shape, **options)
            made.attrs.update(item.attrs)

        source.visititems(copy)
    return packed.getvalue()

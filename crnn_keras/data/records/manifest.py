"""Samples as a set of records whose images stay where they are: nothing is copied.

So an LMDB of clovaai's form goes to training without a conversion.
"""

import hashlib
import pathlib

from crnn_keras.data.issues import Issue
from crnn_keras.data.records.record import make_record
from crnn_keras.data.records.record_set import (
    SIDECAR,
    Records,
    check_no_other_files,
    read_sidecar,
    sidecar,
)
from crnn_keras.data.records.sample_list import read_sample_list, sample_line, write_sample_list
from crnn_keras.images import ImageError
from crnn_keras.utils import files

_LIST = "samples.jsonl"


class ManifestRecords:
    """Samples as a set of records; each image is read where it lies, at every use.

    Args:
        samples: list of `samples.Sample`s.
        folder: name of the set, for messages.
        info: content of the sidecar, if there is one.

    Example:

        >>> train = ManifestRecords(read_samples("MJ/MJ_train").samples)
        >>> batches = Batches(train, char_dict, canvas, batch_size=64, shuffle=True)
    """

    def __init__(self, samples, folder="samples", info=None):
        self.samples = list(samples)
        self.folder = folder
        self.info = info or {}

    @classmethod
    def open(cls, folder):
        """Opens a view that `write_manifest` wrote.

        Args:
            folder: its folder.

        Returns:
            `ManifestRecords`.

        Raises:
            ValueError: there is none, or its list was changed.
        """
        folder = pathlib.Path(folder)
        info = read_sidecar(folder)
        return cls(read_sample_list(folder / _LIST, info["samples"]), folder, info)

    @property
    def fingerprint(self):
        """Names the set: which images and labels it lists, not the images' bytes."""
        digest = hashlib.sha256()
        for sample in self.samples:
            digest.update(sample_line(sample))
        return digest.hexdigest()

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, position):
        if not 0 <= position < len(self):
            raise IndexError(f"Record {position} of {len(self)}.")
        sample = self.samples[position]
        return make_record(sample.read(), sample.text, sample.where)

    def __iter__(self):
        return (self[position] for position in range(len(self)))

    def scan(self):
        """Goes through the set once and tells what cannot be read.

        Yields:
            For each position a `Record`, or a `Issue`.
        """
        for sample in self.samples:
            try:
                yield make_record(sample.read(), sample.text, sample.where)
            except ImageError as error:
                yield Issue("unreadable image", sample.where, f"{error}.")

    folders = Records.folders
    image = Records.image
    place = Records.place


def write_manifest(folder, samples, char_dict, canvas):
    """Writes a set that lists samples and leaves their images where they are.

    Args:
        folder: folder of the set. One that is there already is replaced when the new one is whole.
        samples: list of `samples.Sample`s that were checked.
        char_dict: the `CharDict` the labels were checked against.
        canvas: the `images.Canvas` the labels were checked against.

    Returns:
        The sidecar's content, a dict.

    Raises:
        ValueError: there are no samples, or `folder` holds something else than a set.
    """
    if not samples:
        raise ValueError(f"There are no samples to write to {folder}.")
    check_no_other_files(folder)
    with files.new_folder(folder) as part:
        listed = write_sample_list(part / _LIST, samples)
        content = sidecar([], char_dict.get_config(), canvas.get_config(), samples=listed)
        content["records"] = listed["rows"]
        files.write_json(part / SIDECAR, content)
    return content


def open_records(folder):
    """Opens a set, whether it holds its images or lists them.

    Args:
        folder: folder that `write_records`, `prepare` or `write_manifest` wrote.

    Returns:
        `Records` or `ManifestRecords`.

    Raises:
        ValueError: there is no set, or it is damaged.
    """
    info = read_sidecar(pathlib.Path(folder))
    return ManifestRecords.open(folder) if "samples" in info else Records(folder)

"""Samples on disk: TFRecord shards of encoded images, with a sidecar that says what they hold.

A set is a folder: `00000.tfrecord`, `00001.tfrecord`, ... and `set.json` with the counts and the
hash of each shard. It appears whole or not at all. Each record is a `tf.train.Example` with
`image/encoded`, `image/format`, `image/height`, `image/width`, `image/text` and `image/source`.
"""

import hashlib
import io
import itertools
import os
import pathlib
import shutil
import struct
from dataclasses import dataclass

import google_crc32c
import numpy as np

from crnn_keras import files, images, render
from crnn_keras.progress import progress

SIDECAR = "set.json"
_FORMAT = "crnn_keras.records"
# The formats that TensorFlow decodes as Pillow does; others are stored again as png.
_STORED_FORMATS = {"JPEG": "jpeg", "PNG": "png"}


class RecordError(ValueError):
    """A shard that is damaged or missing; the message names shard, record and byte."""


@dataclass(frozen=True)
class Record:
    """One labelled picture as it is stored.

    Args:
        encoded: bytes of a jpeg or png.
        text: the label.
        source: where the picture came from, for messages.
        height: height in pixels.
        width: width in pixels.
    """

    encoded: bytes
    text: str
    source: str
    height: int
    width: int


def make_record(encoded, text, source):
    """A record from the bytes of any picture that Pillow reads.

    Args:
        encoded: bytes of an encoded image. Stored as they are where they are a gray or RGB jpeg
            or png, else as a gray png.
        text: the label.
        source: where the picture came from.

    Returns:
        `Record`.

    Raises:
        ImageError: the bytes are no image that can be read.
    """
    with images.open_image(encoded) as image:
        kept = image.format in _STORED_FORMATS and image.mode in ("L", "RGB")
    gray = images.to_gray(encoded)
    if not kept:
        buffer = io.BytesIO()
        gray.save(buffer, "PNG")
        encoded = buffer.getvalue()
    return Record(encoded, text, source, gray.height, gray.width)


def _masked_crc(payload):
    crc = google_crc32c.value(payload)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _frame(payload):
    """A TFRecord frame: length, its checksum, payload, its checksum."""
    length = struct.pack("<Q", len(payload))
    return b"".join(
        [
            length,
            struct.pack("<I", _masked_crc(length)),
            payload,
            struct.pack("<I", _masked_crc(payload)),
        ]
    )


def _to_example(record):
    import tensorflow as tf

    def feature(value):
        if isinstance(value, int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    image_format = "jpeg" if record.encoded.startswith(b"\xff\xd8") else "png"
    values = {
        "image/encoded": record.encoded,
        "image/format": image_format.encode(),
        "image/height": record.height,
        "image/width": record.width,
        "image/text": record.text.encode(),
        "image/source": record.source.encode(),
    }
    features = tf.train.Features(feature={name: feature(v) for name, v in values.items()})
    return tf.train.Example(features=features).SerializeToString(deterministic=True)


def _from_example(payload):
    import tensorflow as tf

    feature = tf.train.Example.FromString(payload).features.feature
    return Record(
        encoded=feature["image/encoded"].bytes_list.value[0],
        text=feature["image/text"].bytes_list.value[0].decode(),
        source=feature["image/source"].bytes_list.value[0].decode(),
        height=feature["image/height"].int64_list.value[0],
        width=feature["image/width"].int64_list.value[0],
    )


def write_records(folder, records, char_dict, canvas, per_shard=8192):
    """Writes a set of records, whole or not at all.

    Args:
        folder: folder of the set. One that is there already is replaced when the new one is whole.
        records: iterable of `Record`s; held in memory one at a time.
        char_dict: the `CharDict` the labels were checked against.
        canvas: the `images.Canvas` the labels were checked against.
        per_shard: records in a shard.

    Returns:
        The sidecar's content, a dict.

    Raises:
        ValueError: there are no records, or `folder` holds something else than a set.
        OSError: the disk is full, and the like. What stood in `folder` before stands there still.
    """
    folder = pathlib.Path(folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / SIDECAR).exists():
        raise ValueError(
            f"{folder} holds files but no {SIDECAR}: writing records there would delete them. "
            "Give a new folder or remove this one."
        )
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        shards = []
        remaining = iter(records)
        while batch := list(itertools.islice(remaining, 1)):
            chunk = itertools.chain(batch, itertools.islice(remaining, per_shard - 1))
            shards.append(_write_shard(part / f"{len(shards):05d}.tfrecord", chunk))
        if not shards:
            raise ValueError(f"There are no records to write to {folder}.")
        content = {
            "format": _FORMAT,
            "records": sum(shard["records"] for shard in shards),
            "char_dict": char_dict.get_config(),
            "canvas": canvas.get_config(),
            "shards": shards,
        }
        files.write_json(part / SIDECAR, content)
        _replace_folder(part, folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return content


def _write_shard(path, records):
    digest, count = hashlib.sha256(), 0
    with open(path, "wb") as file:
        for record in records:
            frame = _frame(_to_example(record))
            file.write(frame)
            digest.update(frame)
            count += 1
        file.flush()
        os.fsync(file.fileno())
    size = path.stat().st_size
    return {"file": path.name, "records": count, "bytes": size, "sha256": digest.hexdigest()}


def _replace_folder(new, folder):
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.rename(folder, old)
    try:
        os.rename(new, folder)
    except OSError:
        if old.exists():
            os.rename(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


class Records:
    """A set of records opened for reading at any position.

    Args:
        folder: folder that `write_records` wrote.

    Raises:
        RecordError: no such set, a shard that is missing, cut short, or whose frames are damaged.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        path = self.folder / SIDECAR
        if not path.exists():
            raise RecordError(
                f"{self.folder} holds no records: {SIDECAR} is missing. Notebook 02 writes them."
            )
        self.info = files.read_json(path)
        if not isinstance(self.info, dict) or self.info.get("format") != _FORMAT:
            raise RecordError(f"{path} was not written by crnn_keras.")
        self._paths = [self.folder / shard["file"] for shard in self.info["shards"]]
        indexes = [self._index_shard(number) for number in range(len(self._paths))]
        self._index = np.concatenate(indexes)

    def __len__(self):
        return len(self._index)

    def _index_shard(self, number):
        """Shard number, offset and length of each payload of a shard."""
        path, shard = self._paths[number], self.info["shards"][number]
        if not path.exists():
            raise RecordError(f"{path} is missing. Prepare the records again (notebook 02).")
        size = path.stat().st_size
        if size != shard["bytes"]:
            raise RecordError(
                f"{path} has {size:,} bytes, {SIDECAR} says {shard['bytes']:,}: it was cut short "
                "or changed. Prepare the records again (notebook 02)."
            )
        rows, offset = [], 0
        with open(path, "rb") as file:
            while offset < size:
                file.seek(offset)
                header = file.read(12)
                (length,) = struct.unpack("<Q", header[:8])
                if struct.pack("<I", _masked_crc(header[:8])) != header[8:]:
                    raise self._damage(path, len(rows), offset)
                rows.append((number, offset + 12, length))
                offset += 16 + length
        return np.array(rows, np.int64).reshape(-1, 3)

    def _damage(self, path, record, offset):
        return RecordError(
            f"{path}, record {record}, byte {offset}: the checksum is wrong, so the file was "
            "damaged after it was written. Prepare the records again (notebook 02)."
        )

    def payload(self, position):
        """The serialised `tf.train.Example` at a position, its checksum verified.

        Args:
            position: from 0 to `len(self) - 1`.

        Returns:
            Bytes.

        Raises:
            RecordError: the record is damaged.
        """
        number, offset, length = (int(value) for value in self._index[position])
        with open(self._paths[number], "rb") as file:
            file.seek(offset)
            payload, crc = file.read(length), file.read(4)
        if struct.pack("<I", _masked_crc(payload)) != crc:
            first = int(np.searchsorted(self._index[:, 0], number))
            raise self._damage(self._paths[number], position - first, offset)
        return payload

    def __getitem__(self, position):
        if not 0 <= position < len(self):
            raise IndexError(f"Record {position} of {len(self)}.")
        return _from_example(self.payload(position))

    def __iter__(self):
        return (self[position] for position in range(len(self)))

    def verify(self):
        """Reads everything and checks it against the checksums and hashes.

        Returns:
            List of sentences, one for each bad shard; empty if all is well.
        """
        bad = []
        for path, shard in zip(self._paths, self.info["shards"], strict=True):
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != shard["sha256"]:
                bad.append(f"{path}: sha256 is {digest}, {SIDECAR} says {shard['sha256']}.")
        return bad

    def image(self, position):
        """The picture at a position.

        Args:
            position: from 0 to `len(self) - 1`.

        Returns:
            Gray Pillow image.
        """
        return images.to_gray(self[position].encoded)


def of_samples(samples):
    """Records from the files of samples.

    Args:
        samples: list of `samples.Sample`s that were checked.

    Yields:
        `Record`s.
    """
    for sample in progress(samples, "writing records"):
        yield make_record(pathlib.Path(sample.image).read_bytes(), sample.text, sample.where)


def of_words(texts, fonts, seed):
    """Records of words that are rendered on the way, by all cores.

    Args:
        texts: list of strings.
        fonts: list of paths of fonts that have their characters.
        seed: integer; the same gives the same records.

    Yields:
        `Record`s.
    """
    pictures = render.render_many(texts, fonts, seed=seed, processes=os.cpu_count())
    for number, text in enumerate(progress(texts, "rendering")):
        yield make_record(next(pictures), text, f"rendered {number}, seed {seed}")

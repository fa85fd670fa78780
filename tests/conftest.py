"""Fixtures that several test files share."""

import atexit
import builtins
import errno
import io
import os
import pathlib
import shutil
import struct
import tempfile
import zlib

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    # What one process has compiled, the others of the session need not.
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache = tempfile.mkdtemp(prefix="jax_cache_")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
    atexit.register(shutil.rmtree, _cache, ignore_errors=True)

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if os.environ.get("KERAS_BACKEND") == "torch":
    # Its threads spin while they wait for each other: on a loaded machine 40 times slower.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from PIL import Image  # noqa: E402

from crnn_keras import synth  # noqa: E402
from crnn_keras.char_dict import CharDict  # noqa: E402
from crnn_keras.data import build, records  # noqa: E402
from crnn_keras.data.labels import Sample  # noqa: E402
from crnn_keras.images import Canvas  # noqa: E402

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_collection_modifyitems(items):
    """Starts with the files that take minutes: no process waits for one of them at the end."""
    marks = ("notebooks", "backends", "slow")
    rank = {}
    for item in items:
        own = min((marks.index(m.name) for m in item.iter_markers() if m.name in marks), default=3)
        rank[item.path] = min(rank.get(item.path, 3), own)
    items.sort(key=lambda item: rank[item.path])


@pytest.fixture(scope="session")
def char_dict():
    return CharDict.from_preset("alphanumeric36")


@pytest.fixture(scope="session")
def data_folder():
    """Returns a function `(name)` that returns the folder of a real data set, or skips the test.

    The sets are no part of the repository: the environment variable CRNN_DATA names their folder.
    """

    def find(name):
        root = os.environ.get("CRNN_DATA")
        if not root:
            pytest.skip(f"CRNN_DATA is not set: it names the folder that holds {name}")
        path = pathlib.Path(root, name)
        if not path.is_dir():
            pytest.skip(f"CRNN_DATA={root} holds no folder {name}")
        return path

    return find


@pytest.fixture(scope="session")
def words():
    """60 words of 3 to 8 letters, the same at each call."""
    plain = [w.lower() for w in synth.read_words() if w.isascii() and w.isalpha()]
    return list(dict.fromkeys(w for w in plain if 3 <= len(w) <= 8))[::300][:60]


@pytest.fixture(scope="session")
def write_words(char_dict):
    """Function that draws texts, one font for all, and writes them as a set of records."""
    fonts = [font for font in synth.bundled_fonts() if font.endswith("DejaVuSans.ttf")]

    def write(folder, texts, drawn=None):
        images = synth.render_many(drawn or texts, fonts, seed=0)
        made = [
            records.make_record(image, text, f"word {index}")
            for index, (image, text) in enumerate(zip(images, texts, strict=True))
        ]
        records.write_records(folder, made, char_dict=char_dict, canvas=Canvas())
        return records.Records(folder)

    return write


@pytest.fixture(scope="session")
def word_sets(tmp_path_factory, words, write_words):
    """Folder of two sets of records: `train` (48 words) and `validation` (12)."""
    folder = tmp_path_factory.mktemp("word_sets")
    write_words(folder / "train", words[:48])
    write_words(folder / "validation", words[48:])
    return folder


@pytest.fixture(scope="session")
def encode():
    """Function `(Pillow image, format, **options)` that gives the bytes of an image's file."""

    def encoded(image, image_format, **options):
        buffer = io.BytesIO()
        image.save(buffer, image_format, **options)
        return buffer.getvalue()

    return encoded


@pytest.fixture(scope="session")
def tf_canvas():
    """Function `(bytes, canvas)`: the canvas that a traced TensorFlow function makes."""
    import tensorflow as tf

    from crnn_keras.images import tf_ops

    made = {}

    def make(encoded, canvas):
        if canvas not in made:
            signature = [tf.TensorSpec((), tf.string)]
            made[canvas] = tf.function(lambda own: tf_ops.to_canvas(own, canvas), signature)
        return made[canvas](tf.constant(encoded)).numpy()

    return make


@pytest.fixture(scope="session")
def jpeg_of_scans(encode):
    """Function `(scans)` that gives a small jpeg whose last scan comes again and again."""

    def jpeg(scans):
        encoded = encode(Image.new("L", (64, 32), 200), "JPEG", progressive=True)
        last = encoded[encoded.rindex(b"\xff\xda") : -2]
        return encoded[:-2] + last * (scans - encoded.count(b"\xff\xda")) + encoded[-2:]

    return jpeg


@pytest.fixture(scope="session")
def png_of_size():
    """Function `(width, height)` that gives a png whose header says so, with next to no pixels."""

    def chunk(name, content):
        crc = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + crc

    def png(width, height):
        header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
        parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0")), chunk(b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(parts)

    return png


@pytest.fixture
def tree(tmp_path):
    """Function `({name: content})`: a folder with these files; content None is an image."""

    def made(contents):
        for name, content in contents.items():
            path = tmp_path / "set" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                Image.new("L", (20, 10)).save(path, "PNG")
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / "set"

    return made


@pytest.fixture
def rendered(char_dict):
    """Specification of 40 rendered words in shards of ten."""
    recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:3]), seed=5)
    source = build.RenderedSource(recipe, rows=40, per_shard=10)
    return build.Specification(source, char_dict, Canvas())


@pytest.fixture
def noise_samples(tmp_path, encode):
    """Twelve samples: one whose file is missing, one with an unknown character, one too long."""
    samples = []
    for index in range(12):
        path = tmp_path / "images" / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        noise = np.random.default_rng(index).integers(0, 256, (20, 60), dtype=np.uint8)
        path.write_bytes(encode(Image.fromarray(noise), "PNG"))
        samples.append(Sample(str(path), f"word{index}", f"labels.tsv, line {index + 1}"))
    os.unlink(samples[3].image)
    samples[5] = Sample(samples[5].image, "省", "labels.tsv, line 6")
    samples[7] = Sample(samples[7].image, "a" * 13 + "b", "labels.tsv, line 8")
    return samples


@pytest.fixture
def listed(tmp_path, noise_samples, char_dict):
    """Specification of the twelve samples in shards of five."""
    sources = build.list_splits(tmp_path / "lists", {"train": noise_samples}, per_shard=5)
    return build.Specification(sources["train"], char_dict, Canvas())


@pytest.fixture
def fill_disk(monkeypatch):
    """Function `(module, room)`: what the module writes from now on finds `room` bytes of disk."""

    def fill(module, room):
        disk = {"room": room}

        def open_on_disk(path, mode="r", **options):
            if mode == "wb":
                return _FileOnFullDisk(path, disk)
            return builtins.open(path, mode, **options)

        monkeypatch.setattr(module, "open", open_on_disk, raising=False)

    return fill


class _FileOnFullDisk(io.FileIO):
    def __init__(self, path, disk):
        super().__init__(path, "wb")
        self._disk = disk

    def write(self, content):
        room = self._disk["room"]
        self._disk["room"] = max(room - len(content), 0)
        super().write(content[:room])
        if room < len(content):
            raise OSError(errno.ENOSPC, "No space left on device")
        return len(content)


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium, driven by playwright, that finds no host but this machine."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    with driver.sync_playwright() as playwright:
        # As root, which CI often is, Chromium starts only without its sandbox; it opens our page.
        options = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        started = playwright.chromium.launch(executable_path=path, args=options)
        yield started
        started.close()

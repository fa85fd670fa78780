"""Numbers that make no sense are refused by the name of their parameter, before any work."""

import numpy as np
import pytest

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data import build
from crnn_keras.data.batches import Batches
from crnn_keras.data.build import RenderedSource, list_splits, list_stream, make_shard
from crnn_keras.data.labels import Sample
from crnn_keras.data.open import open_batches
from crnn_keras.data.plan import BatchPlan
from crnn_keras.data.records import Records, write_records
from crnn_keras.images import Canvas

CANVAS = Canvas()
NO_COUNT = [0, -1, 1.5, 2.0, "2", None, True, float("nan"), float("inf")]
NO_NATURAL = [-1, 1.5, "2", None, True, float("nan")]
NO_SEED = [-1, 1.5, "2", None, 2**32]
NO_FRACTION = [-0.1, 1.1, "1", None, float("nan"), float("inf")]
NO_FLAG = [1, 0, "yes", None]


def cases(**bad):
    pairs = [(name, value) for name, values in bad.items() for value in values]
    return pytest.mark.parametrize(("name", "value"), pairs)


@cases(
    batch_size=NO_COUNT,
    seed=NO_SEED,
    shuffle=NO_FLAG,
    augment=NO_FRACTION,
    random_erasing=NO_FRACTION,
    cache_bytes=NO_NATURAL,
    protocol=["loose", None, 3, []],
    shard=[None, 3, (), (0,), (1, 1), (-1, 2), (0, 0), (0.0, 1), ("0", "1"), (0, 1, 2)],
)
def test_batches(word_sets, char_dict, name, value):
    options = {"batch_size": 6} | {name: value}
    with pytest.raises(ValueError, match=name):
        Batches(Records(word_sets / "train"), char_dict, CANVAS, **options)


@cases(batch_size=NO_COUNT, seed=NO_SEED, augment=NO_FRACTION, random_erasing=NO_FRACTION)
def test_open_batches(word_sets, name, value):
    with pytest.raises(ValueError, match=name):
        open_batches(word_sets, **{name: value})


def test_what_makes_sense_is_taken(word_sets, char_dict):
    records = Records(word_sets / "train")
    for options in (
        {"batch_size": np.int64(6), "seed": np.int32(3), "augment": True, "random_erasing": False},
        {"batch_size": 1, "seed": 2**32 - 1, "augment": 1, "random_erasing": np.float32(0.5)},
        {"shard": (1, 2), "cache_bytes": 0, "shuffle": True, "augment": 0},
    ):
        assert len(Batches(records, char_dict, CANVAS, **options)) == 48


@pytest.mark.parametrize("value", NO_NATURAL)
def test_steps_and_epochs(word_sets, char_dict, value):
    batches = Batches(Records(word_sets / "train"), char_dict, CANVAS, batch_size=6)
    plan = BatchPlan([64, 64, 100], batch_size=2)
    for name, use in {
        "epoch": batches.plan,
        "step": batches.describe_step,
        "start_step": batches.train_dataset,
    }.items():
        with pytest.raises(ValueError, match=f"^{name} is "):
            use(value)
    for name, use in {"epoch": plan.epoch, "step": plan.step}.items():
        with pytest.raises(ValueError, match=f"^{name} is "):
            use(value)


@cases(batch_size=NO_COUNT, seed=NO_SEED, shuffle=NO_FLAG)
def test_a_plan(name, value):
    with pytest.raises(ValueError, match=name):
        BatchPlan([64, 64], **{"batch_size": 2} | {name: value})


@pytest.mark.parametrize("widths", [[], [[64]], 64])
def test_a_plan_of_no_images(widths):
    with pytest.raises(ValueError, match="widths"):
        BatchPlan(widths, batch_size=2)


@pytest.mark.parametrize("per_shard", [value for value in NO_COUNT if value not in (0, -1)])
def test_rows_of_a_shard(tmp_path, word_sets, char_dict, per_shard):
    sample = Sample("1.png", "one", "labels.tsv, line 1")
    recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:1]))
    records = Records(word_sets / "train")
    for use in (
        lambda: list_splits(tmp_path / "a", {"train": [sample]}, per_shard=per_shard),
        lambda: list_stream(tmp_path / "a", [sample], {"train": 1.0}, per_shard=per_shard),
        lambda: RenderedSource(recipe, 3, per_shard=per_shard),
        lambda: write_records(
            tmp_path / "a", records, char_dict=char_dict, canvas=CANVAS, per_shard=per_shard
        ),
    ):
        with pytest.raises(ValueError, match="per_shard"):
            use()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rows", NO_COUNT)
def test_rows_to_render(tmp_path, rows):
    recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:1]), fractions={"train": 1.0})
    settings = {"char_dict": CharDict("ab"), "canvas": CANVAS, "folder": tmp_path / "run"}
    with pytest.raises(ValueError, match="rows"):
        build.prepare_rendered(recipe, **settings, rows=rows)
    with pytest.raises(ValueError, match="rows"):
        RenderedSource(recipe, rows)
    assert list(tmp_path.iterdir()) == []


@cases(seed=NO_SEED, fractions=[{"train": value} for value in [-0.1, "1", None, float("inf"), 0]])
def test_a_stream(tmp_path, name, value):
    options = {"fractions": {"train": 1.0}, "seed": 0} | {name: value}
    sample = Sample("1.png", "one", "labels.tsv, line 1")
    with pytest.raises(ValueError, match="seed|fraction"):
        list_stream(tmp_path / "a", [sample], **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("processes", [0, -1, 1.5, "2", True])
def test_processes(tmp_path, rendered, processes):
    rendered.save(tmp_path / "train.json")
    for use in (
        lambda: build.prepare(rendered, tmp_path / "set", processes=processes),
        lambda: build.prepare_from_file(
            tmp_path / "train.json", tmp_path / "set", processes=processes
        ),
    ):
        with pytest.raises(ValueError, match="processes"):
            use()
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("index", [-1, 4, 0.0, "0", None])
def test_a_shard(rendered, index):
    with pytest.raises(ValueError, match="index"):
        make_shard(rendered, index)


@pytest.mark.parametrize("in_place", NO_FLAG)
def test_in_place(tmp_path, in_place):
    settings = {"char_dict": CharDict("ab"), "canvas": CANVAS, "folder": tmp_path / "run"}
    with pytest.raises(ValueError, match="in_place"):
        build.prepare_samples({"train": []}, **settings, in_place=in_place)

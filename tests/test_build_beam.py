"""Apache Beam makes the same shards as one process does."""

import pytest

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data.build import RenderedSource, Specification, prepare
from crnn_keras.data.records import Records
from crnn_keras.images import Canvas

pytest.importorskip("apache_beam", reason="the extra 'beam' is not installed")

WORKERS = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]


@pytest.fixture
def specification():
    recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:3]), seed=5)
    char_dict = CharDict.from_preset("alphanumeric36")
    return Specification(RenderedSource(recipe, rows=25, per_shard=5), char_dict, Canvas())


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_two_workers_give_the_bytes_of_one_process(tmp_path, specification):
    from crnn_keras.data.build.beam import prepare_on_beam

    content = prepare_on_beam(specification, tmp_path / "beam", WORKERS)
    assert content == prepare(specification, tmp_path / "local")
    assert contents(tmp_path / "beam") == contents(tmp_path / "local")
    assert len(Records(tmp_path / "beam")) == 25


def test_a_stopped_pipeline_continues(tmp_path, specification):
    from crnn_keras.data.build.beam import prepare_on_beam

    folder = tmp_path / "beam"
    prepare_on_beam(specification, folder)
    complete = contents(folder)
    # What a pipeline leaves that was stopped in its fourth shard.
    from crnn_keras.data.build.beam import _write_shard

    work = {"config": specification.get_config(), "digest": specification.digest}
    for name in ("set.json", "00003.tfrecord", "00004.tfrecord"):
        (folder / name).unlink()
    for index in range(3):
        _write_shard(index, **work, folder=str(folder))
    # Notes of a damaged shard, and half of notes, do not count.
    (folder / "00003.json").write_bytes((folder / "00002.json").read_bytes())
    (folder / "00003.tfrecord").write_bytes(b"damaged")
    (folder / "00004.json").write_bytes(b'{"file": ')
    times = {n: (folder / f"0000{n}.tfrecord").stat().st_mtime_ns for n in range(3)}
    prepare_on_beam(specification, folder)
    assert contents(folder) == complete
    for index, written in times.items():
        assert (folder / f"0000{index}.tfrecord").stat().st_mtime_ns == written


def test_another_specification_is_refused(tmp_path, specification):
    from crnn_keras.data.build.beam import prepare_on_beam

    prepare_on_beam(specification, tmp_path / "beam")
    other = Specification(specification.source, specification.char_dict, Canvas("keep", 32, (64,)))
    with pytest.raises(ValueError, match=r"specification\.json"):
        prepare_on_beam(other, tmp_path / "beam")


def test_only_bad_shards_of_a_complete_set_are_made_again(tmp_path, specification):
    from crnn_keras.data.build.beam import prepare_on_beam

    folder = tmp_path / "beam"
    prepare_on_beam(specification, folder)
    complete = contents(folder)
    (folder / "00001.tfrecord").unlink()
    (folder / "00004.tfrecord").write_bytes(complete["00004.tfrecord"][:-1])
    # Left where a pipeline was stopped after its sidecar.
    (folder / "00002.json").write_text("{}")
    times = {name: (folder / name).stat().st_mtime_ns for name in ("00000.tfrecord", "set.json")}
    prepare_on_beam(specification, folder)
    assert contents(folder) == complete
    for name, written in times.items():
        assert (folder / name).stat().st_mtime_ns == written


def test_a_worker_that_would_render_other_pixels_is_refused(tmp_path, specification):
    from crnn_keras.data.build.beam import _write_shard

    work = {"config": specification.get_config(), "digest": "of another Pillow"}
    with pytest.raises(ValueError, match="Pillow"):
        _write_shard(0, **work, folder=str(tmp_path))
    assert list(tmp_path.iterdir()) == []

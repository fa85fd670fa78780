"""Two preparations into one folder at once: the second is refused, and no mixture is taken."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from crnn_keras import open_records, synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data import build
from crnn_keras.data.build import RenderedSource, Specification, local, make_shard
from crnn_keras.data.records import RecordError, Records, verify, write_records
from crnn_keras.images import Canvas
from crnn_keras.utils.locks import LockedError, lock

LETTERS = CharDict.from_preset("alphanumeric36")
CHECKED = {"char_dict": LETTERS, "canvas": Canvas()}

HOLD = "import sys, time; from crnn_keras.utils.locks import lock\n"
HOLD += "with lock(sys.argv[1], 'the records'): print('held', flush=True); time.sleep(60)"
PREPARE = """
import sys
from crnn_keras.data.build import local, prepare_from_file
write = local._write_shard
def slowly(index, **options):
    import time
    print("made", index, flush=True)
    time.sleep(0.2)
    return write(index, **options)
local._write_shard = slowly
prepare_from_file(sys.argv[1], sys.argv[2], processes=1)
"""


def specification(seed, rows=12):
    recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:1]), seed=seed)
    return Specification(RenderedSource(recipe, rows, per_shard=3), **CHECKED)


@pytest.fixture
def other_process(tmp_path):
    """Function that starts a preparation of a seed in another process, and waits for its start."""
    started = []

    def start(seed, folder):
        path = tmp_path / f"{seed}.json"
        specification(seed).save(path)
        arguments = [sys.executable, "-c", PREPARE, str(path), str(folder)]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "made 0\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("seed", [1, 2], ids=["the same", "another"])
def test_the_second_preparation_is_refused_and_the_first_is_whole(tmp_path, other_process, seed):
    process = other_process(1, tmp_path / "set")
    with pytest.raises(LockedError, match=rf"set: .*process {process.pid} on "):
        build.prepare(specification(seed), tmp_path / "set")
    assert process.wait() == 0
    assert verify(tmp_path / "set") == {}
    shards = [(tmp_path / "set" / f"0000{index}.tfrecord").read_bytes() for index in range(4)]
    assert shards == [make_shard(specification(1), index)[0] for index in range(4)]


def test_a_killed_preparation_holds_nothing(tmp_path, other_process):
    process = other_process(1, tmp_path / "set")
    process.send_signal(signal.SIGKILL)
    process.wait()
    build.prepare(specification(2), tmp_path / "set")
    assert verify(tmp_path / "set") == {} and not (tmp_path / "set.part").exists()
    assert Records(tmp_path / "set").info["specification"] == specification(2).digest


@pytest.fixture
def hold(tmp_path):
    """Function that lets another process hold the lock of a path."""
    holders = []

    def held(path):
        arguments = [sys.executable, "-c", HOLD, str(path)]
        holders.append(subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True))
        assert holders[-1].stdout.readline() == "held\n"

    yield held
    for process in holders:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("held", ["records", "records/train", "records/validation"])
@pytest.mark.parametrize("kind", ["rendered", "listed", "in place"])
def test_all_splits_of_a_run_are_locked(tmp_path, hold, noise_samples, kind, held):
    hold(tmp_path / "run" / held)
    usable = [noise_samples[index] for index in (0, 1, 2, 4)]
    with pytest.raises(LockedError, match=str(tmp_path / "run" / held)):
        if kind == "rendered":
            fractions = {"train": 0.5, "validation": 0.5}
            recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:1]), fractions=fractions)
            build.prepare_rendered(recipe, **CHECKED, folder=tmp_path / "run", rows=4)
        else:
            build.prepare_samples(
                {"train": usable[:2], "validation": usable[2:]},
                **CHECKED,
                folder=tmp_path / "run",
                in_place=kind == "in place",
            )
    assert not list((tmp_path / "run").rglob("set.json"))


def test_who_writes_records_by_hand_is_refused_too(tmp_path):
    build.prepare(specification(1), tmp_path / "set")
    records = list(Records(tmp_path / "set"))
    with lock(tmp_path / "set", "the records"), pytest.raises(LockedError, match="set: "):
        write_records(tmp_path / "set", records, **CHECKED)


def test_beam_locks_a_folder_of_this_machine(tmp_path):
    pytest.importorskip("apache_beam", reason="the extra 'beam' is not installed")
    from crnn_keras.data.build.beam import prepare_on_beam

    with lock(tmp_path / "set", "the records"), pytest.raises(LockedError, match="set: "):
        prepare_on_beam(specification(1), tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("notes_of", ["other", "none", "own, of another shard"])
def test_a_shard_of_another_specification_is_never_collected(tmp_path, notes_of):
    own, other = specification(1), specification(2)
    partial = tmp_path / "set.part"
    own.save(partial / "specification.json")
    local._write_shard(1, config=other.get_config(), folder=partial, digest=other.digest)
    notes = json.loads((partial / "00001.json").read_text())
    assert notes["specification"] == other.digest
    if notes_of == "none":
        del notes["specification"]
    elif notes_of != "other":
        notes |= {"specification": own.digest, "file": "00002.tfrecord"}
    (partial / "00001.json").write_text(json.dumps(notes))
    build.prepare(own, tmp_path / "set")
    assert (tmp_path / "set" / "00001.tfrecord").read_bytes() == make_shard(own, 1)[0]
    assert {shard["specification"] for shard in Records(tmp_path / "set").info["shards"]} == {
        own.digest
    }


def test_beam_collects_no_shard_of_another_specification(tmp_path):
    pytest.importorskip("apache_beam", reason="the extra 'beam' is not installed")
    from crnn_keras.data.build.beam import _write_shard

    own, other = specification(1), specification(2)
    for made in (other, own):
        work = {"config": made.get_config(), "digest": made.digest, "folder": str(tmp_path)}
        notes = _write_shard(1, **work)[1]
        assert notes["specification"] == made.digest
        assert (tmp_path / "00001.tfrecord").read_bytes() == make_shard(made, 1)[0]
    assert sorted(os.listdir(tmp_path)) == ["00001.json", "00001.tfrecord"]


def test_a_mixture_is_found(tmp_path):
    for name, seed in (("set", 1), ("other", 2)):
        build.prepare(specification(seed), tmp_path / name)
    info, other = (
        json.loads((tmp_path / name / "set.json").read_text()) for name in ("set", "other")
    )
    shutil.copy(tmp_path / "other" / "00002.tfrecord", tmp_path / "set")
    (sentence,) = verify(tmp_path / "set").values()
    assert "00002.tfrecord: sha256" in sentence
    # As a race wrote it once: the sidecar names what is there.
    info["shards"][2] = other["shards"][2]
    (tmp_path / "set" / "set.json").write_text(json.dumps(info))
    for use in (verify, open_records, Records):
        with pytest.raises(RecordError, match=r"set\.json .*00002\.tfrecord .*specification"):
            use(tmp_path / "set")


@pytest.mark.slow
def test_eight_starts_at_once_leave_one_whole_set(tmp_path):
    scripts = []
    for seed in range(8):
        specification(seed % 2).save(tmp_path / f"{seed}.json")
        code = (
            "import sys; from crnn_keras.data.build import prepare_from_file; "
            "prepare_from_file(sys.argv[1], sys.argv[2], processes=1)"
        )
        arguments = [sys.executable, "-c", code, str(tmp_path / f"{seed}.json")]
        scripts.append(
            subprocess.Popen([*arguments, str(tmp_path / "set")], stderr=subprocess.PIPE, text=True)
        )
        time.sleep(0.02)
    errors = [process.communicate()[1] for process in scripts]
    codes = [process.returncode for process in scripts]
    assert 0 in codes
    for code, error in zip(codes, errors, strict=True):
        assert code == 0 or "LockedError" in error, error
    assert verify(tmp_path / "set") == {}
    digest = Records(tmp_path / "set").info["specification"]
    own = next(made for made in map(specification, (0, 1)) if made.digest == digest)
    shards = [(tmp_path / "set" / f"0000{index}.tfrecord").read_bytes() for index in range(4)]
    assert shards == [make_shard(own, index)[0] for index in range(4)]

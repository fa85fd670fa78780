"""A preparation that is stopped, killed or damaged continues to the same bytes."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image
from processes import children_of, is_running

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data import build
from crnn_keras.data.build import RenderedSource, Specification, local, make_shard
from crnn_keras.data.records import RecordError, Records, verify
from crnn_keras.images import Canvas
from crnn_keras.utils import files

LETTERS = CharDict.from_preset("alphanumeric36")
CANVAS = Canvas()

SCRIPT = """
import sys
from crnn_keras.data.build import prepare_from_file
try:
    prepare_from_file(sys.argv[1], sys.argv[2], processes=int(sys.argv[3]))
except KeyboardInterrupt:
    sys.exit("stopped")
"""


def contents(folder):
    """Returns the bytes of each file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def start(tmp_path, *, rows, per_shard, processes, **options):
    """Prepares rendered words in a process of its own; returns it and the specification."""
    recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:3]), seed=6)
    source = RenderedSource(recipe, rows, per_shard=per_shard)
    specification = Specification(source, LETTERS, CANVAS)
    specification.save(tmp_path / "train.json")
    arguments = [tmp_path / "train.json", tmp_path / "set", str(processes)]
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], **options), specification


def test_a_killed_preparation_continues_to_the_same_bytes(tmp_path):
    process, specification = start(tmp_path, rows=300, per_shard=25, processes=1)
    partial = tmp_path / "set.part"
    while process.poll() is None and len(list(partial.glob("*.tfrecord"))) < 3:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    made = {path: path.stat().st_mtime_ns for path in partial.glob("*.tfrecord")}
    assert made and not (tmp_path / "set").exists()
    # The last may lack its notes; those that have them are kept.
    kept = [path for path in made if path.with_suffix(".json").exists()]
    times = {path.name: made[path] for path in kept}

    build.prepare(specification, tmp_path / "set")
    build.prepare(specification, tmp_path / "unbroken")
    assert contents(tmp_path / "set") == contents(tmp_path / "unbroken")
    assert kept
    for name, written in times.items():
        assert (tmp_path / "set" / name).stat().st_mtime_ns == written
    assert sorted(os.listdir(tmp_path)) == ["set", "train.json", "unbroken"]


def test_another_specification_does_not_continue_but_replaces(tmp_path, rendered):
    partial = tmp_path / "set.part"
    other = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:3]), seed=99)
    source = RenderedSource(other, 40, per_shard=10)
    Specification(source, LETTERS, CANVAS).save(partial / "specification.json")
    (partial / "00000.tfrecord").write_bytes(b"of another seed")
    build.prepare(rendered, tmp_path / "set")
    first = (tmp_path / "set" / "00000.tfrecord").read_bytes()
    assert first == make_shard(rendered, 0)[0]

    wider = Specification(rendered.source, LETTERS, Canvas("stretch", 32, (160,)))
    assert build.prepare(wider, tmp_path / "set")["canvas"]["widths"] == [160]


def test_only_bad_shards_are_written_again(tmp_path, rendered, capsys):
    folder = tmp_path / "set"
    build.prepare(rendered, folder)
    before = contents(folder)
    (folder / "00001.tfrecord").unlink()
    damaged = bytearray(before["00003.tfrecord"])
    damaged[len(damaged) // 2] ^= 1
    (folder / "00003.tfrecord").write_bytes(damaged)
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}

    build.prepare(rendered, folder)
    assert contents(folder) == before
    for name in ("00000.tfrecord", "00002.tfrecord", "set.json"):
        assert (folder / name).stat().st_mtime_ns == times[name]
    reported = capsys.readouterr().out
    assert "00001.tfrecord" in reported and "00003.tfrecord" in reported
    assert "00000" not in reported and verify(folder) == {}


def test_an_image_that_changed_since_is_not_a_repair(tmp_path, listed, noise_samples, encode):
    folder = tmp_path / "set"
    build.prepare(listed, folder)
    (folder / "00000.tfrecord").unlink()
    with open(noise_samples[0].image, "wb") as file:
        file.write(encode(Image.new("L", (50, 20), 9), "PNG"))
    with pytest.raises(RecordError, match=r"00000\.tfrecord"):
        build.prepare(listed, folder)


def test_a_full_disk_keeps_what_was_made(tmp_path, rendered, fill_disk, monkeypatch):
    size = len(make_shard(rendered, 0)[0])
    fill_disk(files, 3 * size)
    with pytest.raises(OSError) as caught:
        build.prepare(rendered, tmp_path / "set", processes=1)
    assert caught.value.errno == errno.ENOSPC
    assert (tmp_path / "set.part" / "00000.tfrecord").exists()
    monkeypatch.undo()
    build.prepare(rendered, tmp_path / "set")
    assert verify(tmp_path / "set") == {} and len(Records(tmp_path / "set")) == 40


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="processes are in /proc")
@pytest.mark.parametrize(
    ("sent", "to_all"),
    [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGKILL, False)],
    ids=["Ctrl-C in a terminal", "a kernel's interrupt", "killed"],
)
def test_stopped_it_ends_at_once_and_keeps_what_was_made(tmp_path, sent, to_all):
    process, _ = start(
        tmp_path,
        rows=6000,
        per_shard=300,
        processes=2,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell that runs the tests in the background has it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    partial = tmp_path / "set.part"
    # Until each process has made a shard: one that still starts would print that it is stopped.
    while process.poll() is None and len(list(partial.glob("*[0-9].json"))) < 4:
        time.sleep(0.01)
    workers = children_of(process.pid)
    assert len(workers) >= 2
    started = time.monotonic()
    if to_all:
        os.killpg(process.pid, sent)
    else:
        process.send_signal(sent)
    process.wait(timeout=10)
    while any(map(is_running, workers)) and time.monotonic() < started + 10:
        time.sleep(0.01)
    assert not any(map(is_running, workers))
    if sent == signal.SIGINT:
        assert process.stderr.read() == "stopped\n"
    assert list(partial.glob("*[0-9].json")) and not (tmp_path / "set").exists()


def test_a_process_that_was_killed_is_named_and_its_shards_stay(tmp_path, monkeypatch):
    recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()[:1]), seed=5)
    specification = Specification(RenderedSource(recipe, 12, per_shard=3), LETTERS, CANVAS)
    monkeypatch.setattr(local, "_ROWS_WORTH_A_PROCESS", 1)
    with monkeypatch.context() as patch:
        patch.setattr(local, "_write_shard", _die_at_the_third)
        with pytest.raises(ChildProcessError, match=r"killed.*memory.* 2.*set\.part"):
            build.prepare(specification, tmp_path / "set", processes=2)
    assert (tmp_path / "set.part" / "00000.json").exists()
    build.prepare(specification, tmp_path / "set", processes=1)
    assert len(Records(tmp_path / "set")) == 12


def _die_at_the_third(index, *, folder, **options):
    while index == 2 and not (folder / "00000.json").exists():
        time.sleep(0.01)
    if index == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return local._write_shard(index, folder=folder, **options)


@pytest.mark.parametrize("moment", ["first rename", "second rename", "notes removed", "sidecar"])
def test_killed_while_the_set_takes_its_name(tmp_path, rendered, monkeypatch, moment):
    wider = Specification(rendered.source, LETTERS, Canvas("stretch", 32, (160,)))
    build.prepare(wider, tmp_path / "set")
    build.prepare(rendered, tmp_path / "unbroken")
    calls = {"first rename": "rename", "second rename": "rename"}

    class Killed(BaseException):
        """Nothing runs after it, but for what is replaced on purpose below."""

    def die(*arguments, **options):
        raise Killed

    renames = []

    def rename(old, new):
        if len(renames) == (moment == "second rename"):
            # A process that was killed puts nothing back.
            patch.setattr(files, "restore_folder", lambda folder: None)
            raise Killed
        renames.append(new)
        real(old, new)

    real = os.rename
    with monkeypatch.context() as patch:
        # As on systems that exchange no names.
        patch.setattr(files, "_exchange", lambda *_: False)
        if moment in calls:
            patch.setattr(os, "rename", rename)
        elif moment == "notes removed":
            patch.setattr(files, "replace_folder", die)
        else:
            patch.setattr(local, "_publish", die)
        with pytest.raises(Killed):
            build.prepare(rendered, tmp_path / "set")
    assert (tmp_path / "set").exists() == (moment != "second rename")
    # Nothing is made again: every shard was there.
    monkeypatch.setattr(local, "_write_shard", die)
    build.prepare(rendered, tmp_path / "set")
    assert contents(tmp_path / "set") == contents(tmp_path / "unbroken")
    assert sorted(os.listdir(tmp_path)) == ["set", "unbroken"]


@pytest.mark.parametrize("notes", [b"", b'{"file": "000', b"[]", b"{}"])
def test_damaged_notes_are_made_again(tmp_path, rendered, notes):
    partial = tmp_path / "set.part"
    rendered.save(partial / "specification.json")
    (partial / "00000.tfrecord").write_bytes(make_shard(rendered, 0)[0])
    (partial / "00000.json").write_bytes(notes)
    # Half of a shard, and of notes, as a kill leaves them.
    (partial / "00001.tfrecord.part").write_bytes(b"half")
    (partial / "00002.tfrecord").write_bytes(make_shard(rendered, 2)[0])
    (partial / "00002.json.part").write_bytes(b"{")
    build.prepare(rendered, tmp_path / "set")
    build.prepare(rendered, tmp_path / "unbroken")
    assert contents(tmp_path / "set") == contents(tmp_path / "unbroken")


def test_all_bad_shards_are_repaired_before_one_that_changed_is_named(
    tmp_path, listed, noise_samples
):
    folder = tmp_path / "set"
    build.prepare(listed, folder)
    before = contents(folder)
    for name in ("00000.tfrecord", "00002.tfrecord"):
        (folder / name).unlink()
    os.unlink(noise_samples[0].image)
    with pytest.raises(RecordError, match=r"set: 00000\.tfrecord"):
        build.prepare(listed, folder)
    assert (folder / "00002.tfrecord").read_bytes() == before["00002.tfrecord"]
    assert list(verify(folder)) == [0]


def test_a_damaged_sidecar_says_what_to_do(tmp_path, rendered):
    build.prepare(rendered, tmp_path / "set")
    (tmp_path / "set" / "set.json").write_text('{"format": "crnn_ke')
    with pytest.raises(RecordError, match=r"set\.json .*JSON.*Remove .*set and .*notebook 02"):
        build.prepare(rendered, tmp_path / "set")


def test_the_current_folder_can_be_repaired(tmp_path, rendered, monkeypatch):
    build.prepare(rendered, tmp_path / "set")
    (tmp_path / "set" / "00001.tfrecord").unlink()
    monkeypatch.chdir(tmp_path / "set")
    build.prepare(rendered, ".")
    assert verify(tmp_path / "set") == {} and os.listdir(tmp_path) == ["set"]


def test_a_set_of_the_first_version_is_not_overwritten(tmp_path, rendered):
    folder = tmp_path / "set"
    build.prepare(rendered, folder)
    content = files.read_json(folder / "set.json")
    del content["version"]
    files.write_json(folder / "set.json", content)
    with pytest.raises(RecordError, match=r"set\.json .*version 1.*Remove .*set and .*notebook 02"):
        build.prepare(rendered, folder)

import errno
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import zipfile

import keras
import numpy as np
import pytest

from crnn_keras.training import Progress, RunState, run_state as run_state_module
from crnn_keras.training.settings import differing_settings
from crnn_keras.utils import files

FIRST = [np.arange(6.0).reshape(2, 3), 7]


def fresh_variables():
    return [keras.Variable(np.zeros((2, 3))), keras.Variable(0, dtype="int32", trainable=False)]


def saved_once(folder):
    """Saves a state after five steps; returns the `RunState` and its variables."""
    state = RunState(folder, {"seed": 1})
    variables = fresh_variables()
    for variable, value in zip(variables, FIRST, strict=True):
        variable.assign(value)
    state.save(variables, Progress(5, 0.1 + 0.2, [{"epoch": 1, "loss": 0.1 + 0.2}]))
    return state, variables


def assert_holds_the_first(state):
    variables = fresh_variables()
    assert state.load(variables) == Progress(5, 0.1 + 0.2, [{"epoch": 1, "loss": 0.1 + 0.2}])
    for variable, value in zip(variables, FIRST, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def names_in(state):
    return sorted(path.name for path in state.folder.iterdir())


def test_state_comes_back_to_the_last_bit(tmp_path):
    state, _ = saved_once(tmp_path)
    assert_holds_the_first(state)
    assert_holds_the_first(RunState(tmp_path, {"seed": 1}))


def test_folder_without_a_state_is_the_beginning_of_a_run(tmp_path):
    variable = keras.Variable(3.0)
    assert RunState(tmp_path / "nowhere", {}).load([variable]) is None
    assert float(variable.numpy()) == 3.0


def test_newest_state_and_the_one_before_are_kept(tmp_path):
    state, variables = saved_once(tmp_path)
    for step in (6, 6, 15, 5):
        state.save(variables, Progress(step))
    assert names_in(state) == ["000004", "000005"]
    assert RunState(tmp_path, {"seed": 1}).load(variables).step == 5


def test_states_beyond_six_digits_are_newer(tmp_path):
    state, variables = saved_once(tmp_path)
    os.rename(state.folder / "000001", state.folder / "999999")
    state = RunState(tmp_path, {"seed": 1})
    state.load(variables)
    state.save(variables, Progress(6))
    assert RunState(tmp_path, {"seed": 1}).load(variables).step == 6


DAMAGES = {
    "flip": (
        "variables.npz",
        lambda content: content[:-9] + b"~" + content[-8:],
    ),
    "cut": ("variables.npz", lambda content: content[: len(content) // 2]),
    "no weights": ("variables.npz", None),
    "no state": ("state.json", None),
    "not json": ("state.json", lambda content: content[:20]),
    "empty json": ("state.json", lambda content: b"{}"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_newest_state_falls_back_to_the_one_before(tmp_path, caplog, damage):
    state, variables = saved_once(tmp_path)
    variables[0].assign(np.ones((2, 3)))
    state.save(variables, Progress(6))
    name, change = DAMAGES[damage]
    file = state.folder / "000002" / name
    if change:
        file.write_bytes(change(file.read_bytes()))
    else:
        file.unlink()
    again = RunState(tmp_path, {"seed": 1})
    assert_holds_the_first(again)
    (message,) = caplog.messages
    assert f"{state.folder}/000002 is damaged" in message
    # The state that is kept beside a new one is the sound one.
    again.save(variables, Progress(6))
    assert names_in(again) == ["000001", "000003"]


class PlainVariable:
    """What `RunState` uses of a Keras variable, without the time that a backend takes."""

    path = "plain"

    def __init__(self, value):
        self.value = np.array(value)

    def numpy(self):
        return self.value

    def assign(self, value):
        self.value = value


SETTINGS = {"seed": 1, "canvas": {"widths": (100,)}, "learning_rate": 0.003}
PROGRESSES = [
    Progress(step, step / 10, [{"epoch": 1, "steps": 4, "loss": 0.1 + 0.2}]) for step in (5, 6)
]


def plain_variables():
    return [PlainVariable(np.zeros((2, 3), np.float32)), PlainVariable(np.int32(0))]


@pytest.fixture
def two_states(tmp_path):
    """Folder of a run with two states: 5 everywhere after step 5, and 6 after step 6."""
    state = RunState(tmp_path / "run", SETTINGS)
    for progress in PROGRESSES:
        variables = plain_variables()
        for variable in variables:
            variable.assign(np.full_like(variable.numpy(), progress.step))
        state.save(variables, progress)
    return tmp_path / "run"


def load(folder):
    """Loads a run; returns its step, after a look at everything that belongs to that step."""
    variables = plain_variables()
    progress = RunState(folder, SETTINGS).load(variables)
    assert progress in PROGRESSES
    assert all((variable.numpy() == progress.step).all() for variable in variables)
    return progress.step


def test_no_bit_of_a_state_can_flip_unnoticed(two_states, caplog):
    file = two_states / "state" / "000002" / "state.json"
    sound, unnoticed = file.read_bytes(), []
    # One or two bits of each byte, another place in each.
    for bit in range(0, 8 * len(sound), 5):
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        file.write_bytes(damaged)
        if load(two_states) == 6:
            unnoticed.append(bytes(damaged))
    # What is left says the same: the e of 1e-05 may become an E.
    assert all(json.loads(damaged) == json.loads(sound) for damaged in unnoticed)
    assert len(unnoticed) < 4
    assert {message.split(" ")[0] for message in caplog.messages} == {str(file.parent)}
    file.write_bytes(sound)
    assert load(two_states) == 6


def test_weights_damaged_anywhere_are_never_loaded(two_states):
    file = two_states / "state" / "000002" / "variables.npz"
    sound, random = file.read_bytes(), np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(sound)
        start, length = random.integers(len(sound)), random.integers(1, 40)
        kind = random.integers(4)
        if kind == 0:
            damaged[start] ^= 1 << random.integers(8)
        elif kind == 1:
            damaged[start : start + length] = random.bytes(length)
        elif kind == 2:
            del damaged[start : start + length]
        else:
            damaged[start:start] = random.bytes(length)
        file.write_bytes(damaged)
        assert load(two_states) == (6 if damaged == sound else 5)


def reseal(folder, change_state=None, weights=None):
    """Rewrites the newest state of a run by hand, with checksums that hold."""
    made = folder / "state" / "000002"
    state = files.read_json(made / "state.json")
    if weights is not None:
        (made / "variables.npz").write_bytes(weights)
        state["sha256"] = hashlib.sha256(weights).hexdigest()
    state.pop("checksum")
    if change_state:
        change_state(state)
    state["checksum"] = run_state_module._checksum(state)
    (made / "state.json").write_text(json.dumps(state))


def npz(arrays, *, compress=zipfile.ZIP_STORED, change=lambda member: member):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compress) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=True)
            archive.writestr(name, change(member.getvalue()))
    return buffer.getvalue()


SIX = {"arr_0.npy": np.full((2, 3), 6, np.float32), "arr_1.npy": np.int32(6)}


def test_a_state_rewritten_by_hand_is_loaded_where_it_is_whole(two_states):
    reseal(two_states, weights=npz(SIX))
    assert load(two_states) == 6


@pytest.mark.parametrize(
    "weights",
    [
        b"",
        b"not a zip file at all",
        npz(SIX, compress=zipfile.ZIP_DEFLATED),
        npz(SIX, compress=zipfile.ZIP_LZMA),
        npz(SIX, change=lambda member: member[:-3]),
        npz(SIX, change=lambda member: member[:9]),
        npz(SIX, change=lambda member: b"\x93NUMPY\x09\x00" + member[8:]),
        npz(SIX, change=lambda member: member.replace(b"'shape': (", b"'shape': (((")),
        npz({"arr_0.npy": SIX["arr_0.npy"], "weights.npy": np.int32(6)}),
        npz(SIX).replace(b"PK\x01\x02\x14\x03", b"PK\x01\x02\x14\x03"[:4] + b"\xff\x03"),
    ],
    ids=range(10),
)
def test_weights_made_by_hand_are_refused_as_damaged(two_states, caplog, weights):
    reseal(two_states, weights=weights)
    if load(two_states) == 5:
        assert caplog.messages[0].startswith(f"{two_states}/state/000002 is damaged: ")
    else:  # zipfile does not look at the version that the last one asks for
        assert weights.startswith(b"PK")


@pytest.mark.parametrize(
    ("arrays", "named"),
    [
        ({**SIX, "arr_0.npy": np.full((3, 2), 6, np.float32)}, r"plain .*\(3, 2\).*\(2, 3\)"),
        ({**SIX, "arr_0.npy": np.full((2, 3), 6.0)}, "plain .*float64.*float32"),
        ({**SIX, "arr_0.npy": np.array([[{}] * 3] * 2)}, "plain .*object.*float32"),
        ({"arr_0.npy": SIX["arr_0.npy"]}, "1 arrays, where 2"),
        ({**SIX, "arr_2.npy": np.int32(6)}, "3 arrays, where 2"),
        ({**SIX, "arr_0.npy": np.zeros((2000, 3), np.float32)}, "24,.* bytes, where at most 3,100"),
    ],
)
def test_state_of_a_model_of_other_shapes_is_named(two_states, arrays, named):
    reseal(two_states, weights=npz(arrays))
    with pytest.raises(
        ValueError, match=f"000002/variables.npz belongs to another model: .*{named}"
    ):
        load(two_states)


@pytest.mark.parametrize(
    "change",
    [
        {"step": "6"},
        {"step": -6},
        {"step": 6.5},
        {"step": True},
        {"step": None},
        {"seconds": "0.6"},
        {"seconds": float("nan")},
        {"seconds": -1},
        {"seconds": 10**400},
        {"history": {}},
        {"history": [["epoch", 1]]},
        {"history": [{"epoch": "1"}]},
        {"history": [{"epoch": None}]},
        {"sha256": 6},
        {"settings": []},
    ],
    ids=lambda change: repr(change)[:30],
)
def test_state_with_values_of_other_types_is_damaged(two_states, caplog, change):
    reseal(two_states, lambda state: state.update(change))
    assert load(two_states) == 5
    assert "000002 is damaged: " in caplog.messages[0]


@pytest.mark.parametrize(
    "content", [b"[]", b"6", b'"state"', b"[" * 100_000, b'{"step": 1' + b"0" * 5000 + b"}", b""]
)
def test_state_that_is_no_dict_is_damaged(two_states, content):
    (two_states / "state" / "000002" / "state.json").write_bytes(content)
    assert load(two_states) == 5


def test_state_of_brackets_of_any_depth_is_damaged(two_states):
    file = two_states / "state" / "000002" / "state.json"
    sound = file.read_text().rstrip().removesuffix("}")
    for depth in range(1, 1200, 7):
        file.write_text(f'{sound}, "more": {"[" * depth}{"]" * depth}}}')
        assert load(two_states) == 5


def test_state_that_is_too_long_or_no_file_is_not_read(two_states, monkeypatch):
    file = two_states / "state" / "000002" / "state.json"
    monkeypatch.setattr(run_state_module, "MAX_STATE_JSON_BYTES", 700)
    file.write_bytes(file.read_bytes() + b" " * 700)
    assert load(two_states) == 5
    # To open a pipe that nobody writes to would take for ever.
    for name in ("state.json", "variables.npz"):
        (file.parent / name).unlink()
        os.mkfifo(file.parent / name)
        assert load(two_states) == 5
    shutil.rmtree(file.parent)
    file.parent.write_bytes(b"a file with the name of a state")
    assert load(two_states) == 5
    state = RunState(two_states, SETTINGS)
    for step in (7, 8):
        state.save(plain_variables(), Progress(step))
    assert [path.name for path in sorted((two_states / "state").iterdir())] == ["000003", "000004"]


@pytest.mark.parametrize("found", [1, 2])
def test_state_of_an_earlier_format_is_named_at_once(two_states, caplog, found):
    file = two_states / "state" / "000002" / "state.json"
    state = files.read_json(file)
    state.pop("checksum")
    file.write_text(json.dumps({**state, "format": found}))
    with pytest.raises(ValueError, match=f"000002 has the format {found}, expected 4"):
        load(two_states)
    assert not caplog.messages


def test_state_of_a_later_format_is_named_rather_than_the_one_before_continued(two_states):
    reseal(two_states, lambda state: state.update(format=5))
    with pytest.raises(ValueError, match="000002 has the format 5, expected 4"):
        load(two_states)


def test_settings_take_the_numbers_of_numpy(tmp_path):
    saved = {"epochs": np.int64(4), "learning_rate": np.float64(0.1), "shuffle": np.True_}
    RunState(tmp_path, saved).save(plain_variables(), Progress(1))
    now = {"epochs": 4, "learning_rate": 0.1, "shuffle": True}
    assert RunState(tmp_path, now).load(plain_variables()) == Progress(1)


OWN, OWN_LAST = ", the run's own model.keras", ", the run's own last.keras"


@pytest.mark.parametrize(
    ("saved", "now", "same"),
    [
        ("reader a", "reader a", True),
        ("reader a", "reader b", False),
        ("fresh weights", "reader a" + OWN, False),
        # The run has replaced the file that it began with.
        ("reader a" + OWN, "reader b" + OWN, True),
        # A copy of that file, made before or after.
        ("reader a" + OWN, "reader a", True),
        ("reader a", "reader a" + OWN, True),
        ("reader a" + OWN, "reader b", False),
        ("reader a", "reader b" + OWN, False),
        ("reader a" + OWN_LAST, "reader b" + OWN_LAST, True),
        ("reader a" + OWN_LAST, "reader b" + OWN, False),
        ("reader a" + OWN_LAST, "reader a" + OWN, True),
    ],
)
def test_reader_that_a_run_began_with(saved, now, same):
    differ = differing_settings({"origin": saved, "seed": 1}, {"origin": now, "seed": 1})
    assert differ == ([] if same else ["origin"])


def test_states_that_are_all_damaged_are_refused(tmp_path):
    state, variables = saved_once(tmp_path)
    (state.folder / "000001" / "state.json").write_text("{}")
    with pytest.raises(ValueError, match=f"Every state in {state.folder}"):
        RunState(tmp_path, {"seed": 1}).load(variables)


def test_settings_that_differ_are_named_with_both_values(tmp_path):
    RunState(tmp_path, {"rate": 0.1, "seed": 1}).save([keras.Variable(1.0)], Progress(1))
    with pytest.raises(ValueError, match=r"rate: 0\.1 saved, 0\.2 now\n  extra: None saved, 3 now"):
        RunState(tmp_path, {"rate": 0.2, "seed": 1, "extra": 3}).load([keras.Variable(0.0)])


@pytest.mark.parametrize(
    "change", [lambda state: state.pop("format"), lambda s: s.update(format=5)]
)
def test_state_of_another_version_is_refused(tmp_path, change):
    state, variables = saved_once(tmp_path)
    file = state.folder / "000001" / "state.json"
    content = files.read_json(file)
    change(content)
    files.write_json(file, content)
    found = content.get("format")
    with pytest.raises(ValueError, match=f"{state.folder}/000001 .*{found}.* 4:.*model.keras"):
        RunState(tmp_path, {"seed": 1}).load(variables)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_not_saved(tmp_path, value):
    state, variables = saved_once(tmp_path)
    variables[0].assign([[0, 0, 0], [0, value, 0]])
    with pytest.raises(FloatingPointError, match="step 6 1 of 1 variables"):
        state.save(variables, Progress(6))
    assert names_in(state) == ["000001"]
    assert_holds_the_first(state)


@pytest.mark.parametrize(("weights", "rest"), [(0, 0), (0.5, 0), (1, 0), (1, 0.5)])
def test_disk_that_fills_while_a_state_is_saved_leaves_the_earlier_one(
    tmp_path, fill_disk, weights, rest
):
    state, variables = saved_once(tmp_path)
    variables[0].assign(np.ones((2, 3)))
    sizes = [
        (state.folder / "000001" / name).stat().st_size for name in ("variables.npz", "state.json")
    ]
    fill_disk(files, int(weights * sizes[0] + rest * sizes[1]))
    with pytest.raises(OSError, match="No space left") as error:
        state.save(variables, Progress(6, 0.0, [{"epoch": 1, "loss": 0.1 + 0.2}]))
    assert error.value.errno == errno.ENOSPC
    assert f"the state of the run takes {sizes[0]:,} bytes" in str(error.value)
    assert f"the disk of {state.folder} has " in str(error.value)
    assert names_in(state) == ["000001"]
    assert_holds_the_first(state)


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_disk_that_fills_at_the_end_of_a_state_leaves_the_earlier_one(tmp_path, monkeypatch, call):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    state, variables = saved_once(tmp_path)
    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        state.save(variables, Progress(6))
    monkeypatch.undo()
    assert names_in(state) == ["000001"]
    assert_holds_the_first(state)
    state.save(variables, Progress(6))
    assert state.load(variables) == Progress(6)


def test_other_errors_of_the_disk_keep_their_message(tmp_path, monkeypatch):
    def forbidden(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    state, variables = saved_once(tmp_path)
    monkeypatch.setattr(os, "rename", forbidden)
    with pytest.raises(PermissionError, match="Permission denied$"):
        state.save(variables, Progress(6))


def test_state_that_was_half_written_when_the_power_failed_is_skipped(tmp_path):
    state, variables = saved_once(tmp_path)
    half = state.folder / "000002.part"
    half.mkdir()
    (half / "variables.npz").write_bytes(b"half")
    assert_holds_the_first(state)
    state.save(variables, Progress(6))
    assert state.load(variables).step == 6
    assert names_in(state) == ["000001", "000002"]


def test_every_name_reaches_the_disk_before_the_oldest_state_goes(tmp_path, monkeypatch):
    """After a power cut, a name exists only if its folder was flushed after the renaming."""
    state, variables = saved_once(tmp_path)
    state.save(variables, Progress(6))
    done = []
    sync, rename, rmtree = os.fsync, os.rename, run_state_module.shutil.rmtree

    def name_of(descriptor):
        name = pathlib.Path(os.readlink(f"/proc/self/fd/{descriptor}")).name
        # Without the digits that keep two writers of one file apart.
        return re.sub(r"\.[0-9a-f]{16}\.part$", ".part", name)

    monkeypatch.setattr(
        os, "fsync", lambda file: (done.append(f"sync {name_of(file)}"), sync(file))
    )
    monkeypatch.setattr(
        os, "rename", lambda here, to: (done.append(f"rename to {to.name}"), rename(here, to))
    )
    monkeypatch.setattr(
        run_state_module.shutil,
        "rmtree",
        lambda path, **options: (done.append(f"remove {path.name}"), rmtree(path, **options)),
    )
    state.save(variables, Progress(7))
    assert done == [
        "sync variables.npz.part",
        "sync 000003.part",
        "sync state.json.part",
        "sync 000003.part",
        "rename to 000003",
        "sync state",
        f"sync {tmp_path.name}",
        "rename to 000001.part",
        "remove 000001.part",
    ]

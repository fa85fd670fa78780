import errno
import os
import pathlib

import keras
import numpy as np
import pytest

from crnn_keras.training import Progress, RunState, run_state as run_state_module
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
    "change", [lambda state: state.pop("format"), lambda s: s.update(format=3)]
)
def test_state_of_another_version_is_refused(tmp_path, change):
    state, variables = saved_once(tmp_path)
    file = state.folder / "000001" / "state.json"
    content = files.read_json(file)
    change(content)
    files.write_json(file, content)
    found = content.get("format")
    with pytest.raises(ValueError, match=f"{state.folder}/000001 .*{found}.* 2:.*model.keras"):
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
        return pathlib.Path(os.readlink(f"/proc/self/fd/{descriptor}")).name

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

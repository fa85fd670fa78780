"""Words that are drawn while a model trains: the same images whoever draws them, and when."""

import dataclasses
import gc
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from processes import is_running

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data.batches import Batches
from crnn_keras.data.build import prepare_rendered
from crnn_keras.data.drawn import DrawingError, SynthBatches
from crnn_keras.data.drawn.plan import PoolPlan
from crnn_keras.data.records import open_records
from crnn_keras.images import Canvas, to_canvas

STRETCH, KEEP = Canvas(), Canvas("keep", 32, (64, 96, 160))
ASCII = CharDict.from_preset("ascii")
IN_PROC = pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="processes are in /proc")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """Recipe of 400 words, of which 320 or so are to train on."""
    words = tmp_path_factory.mktemp("words") / "words.txt"
    words.write_text("\n".join(synth.read_words()[::98]))
    fonts = tuple(synth.bundled_fonts()[:3])
    options = {"split": "train", "fractions": {"train": 0.8, "validation": 0.2}}
    return synth.Recipe({"kind": "words", "file": str(words)}, fonts, seed=5, **options)


@pytest.fixture
def make(recipe):
    """Function that makes batches, by default 8 images of a pool of 24, drawn by this process."""
    made = []

    def make(canvas=STRETCH, char_dict=ASCII, **options):
        options = {"batch_size": 8, "pool_words": 24, "processes": 1, **options}
        made.append(SynthBatches(options.pop("recipe", recipe), char_dict, canvas, **options))
        return made[-1]

    yield make
    for batches in made:
        batches.close()


def assert_same_batch(here, there):
    assert len(here) == len(there) == 2
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one, other)


# ---- which words make up a batch ---------------------------------------------------------------


def test_words_come_in_order_and_then_again():
    plan = PoolPlan(4, 8, repeats=3, seed=1)
    assert plan.steps_per_pool == 6
    assert [plan.step(step).tolist() for step in (0, 1)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert plan.step(6).tolist() == [8, 9, 10, 11]
    pool = [plan.step(step).tolist() for step in range(6)]
    assert sorted(sum(pool, [])) == sorted([*range(8)] * 3)
    again = [sum(pool[2:4], []), sum(pool[4:6], [])]
    assert again[0] != again[1] and all(sorted(words) == [*range(8)] for words in again)
    assert PoolPlan(4, 8, repeats=3, seed=2).step(2).tolist() != pool[2]


def test_a_pool_is_rounded_up_to_whole_batches():
    assert PoolPlan(4, 9).pool_words == 12
    assert [PoolPlan(4, 9).pool(step) for step in (2, 3)] == [range(12), range(12, 24)]


def test_batches_of_several_widths_are_full_and_fair():
    # Half a batch of narrow words: in every second pool, and each word comes once on average.
    widths = np.array([64] * 4 + [96] * 12)
    plan = PoolPlan(8, 16, seed=3)
    counts, narrow = np.zeros(16), 0
    for step in range(800):
        words = plan.step(step, widths) - plan.pool(step).start
        assert len(words) == 8 and len(set(widths[words])) == 1
        counts += np.bincount(words, minlength=16)
        narrow += widths[words[0]] == 64
    assert narrow / 800 == pytest.approx(1 / 4, abs=0.03)
    assert counts / 400 == pytest.approx(np.ones(16), abs=0.15)


# ---- their images ------------------------------------------------------------------------------


@pytest.mark.parametrize("augment", [0.0, 1.0])
def test_images_are_those_of_records_that_were_rendered_before(tmp_path, make, recipe, augment):
    prepare_rendered(recipe, ASCII, STRETCH, folder=tmp_path, rows=60)
    records = open_records(tmp_path / "records" / "train")
    options = {"batch_size": 8, "augment": augment, "random_erasing": augment / 2}
    stored, drawn = Batches(records, ASCII, STRETCH, **options), make(**options)
    assert len(stored) == 48 and not stored.skipped
    for step in range(6):
        (canvases, labels), (here, ids) = stored.make_batch(step), drawn.make_batch(step)
        np.testing.assert_array_equal(canvases, here)
        np.testing.assert_array_equal(labels, ids[:, : labels.shape[1]])
        assert not ids[:, labels.shape[1] :].any()
    assert drawn.describe_step(0)[0] == f"rendered 0, seed 5, label {stored.texts[0]!r}"


def test_a_batch_holds_one_canvas_width_and_the_words_of_its_pool(make, recipe):
    recipe = dataclasses.replace(recipe, texts={**recipe.texts, "max_length": 5})
    batches, renderer, seen = make(KEEP, recipe=recipe, repeats=2), recipe.open(), set()
    for step in range(12):
        canvases, labels = batches.make_batch(step)
        seen.add(canvases.shape[2])
        named = {}
        for name in batches.describe_step(step):
            number, text = re.fullmatch("rendered ([0-9]+), seed 5, label '(.*)'", name).groups()
            assert step // 6 * 24 <= int(number) < (step // 6 + 1) * 24
            named.setdefault(text, []).append(to_canvas(renderer.sample(int(number))[0], KEEP))
        for canvas, row in zip(canvases, labels, strict=True):
            assert any(np.array_equal(canvas, own) for own in named[ASCII.decode(row)])
    assert len(seen) > 1


@pytest.mark.parametrize("canvas", [STRETCH, KEEP], ids=["stretch", "keep"])
@pytest.mark.parametrize("repeats", [1, 2])
def test_a_step_is_the_same_whatever_step_the_training_starts_with(make, canvas, repeats):
    options = {"repeats": repeats, "seed": 3, "augment": 1.0}
    unbroken = make(canvas, **options)
    expected = [unbroken.make_batch(step) for step in range(14)]
    for start in (1, 5, 7, 13):
        continued = make(canvas, **options)
        dataset = continued.train_dataset(start_step=start)
        assert_same_batch(dataset[0], expected[start])
    # Out of order too, and long after the words were forgotten.
    assert_same_batch(unbroken.make_batch(40), make(canvas, **options).make_batch(40))
    assert_same_batch(unbroken.make_batch(2), expected[2])


def test_the_number_of_processes_does_not_change_the_images(make):
    one, two = make(), make(processes=2)
    for step in (0, 1, 40):
        assert_same_batch(one.make_batch(step), two.make_batch(step))


def test_each_of_several_trainings_draws_its_own_words(make, recipe):
    whole = make(batch_size=8).make_batch(1)[1]
    parts = [make(batch_size=8, shard=(rank, 2)).make_batch(1)[1] for rank in (0, 1)]
    assert [len(part) for part in parts] == [4, 4]
    np.testing.assert_array_equal(whole[::2], parts[0])
    np.testing.assert_array_equal(whole[1::2], parts[1])
    with pytest.raises(ValueError, match=r"widths \(64, 96, 160\).*2 processes"):
        make(KEEP, shard=(0, 2))


# ---- labels that cannot be trained on ----------------------------------------------------------


def test_an_image_that_cannot_be_trained_on_is_replaced_and_counted(make, recipe):
    renderer, known = recipe.open(), CharDict("".join(sorted(set(ASCII.characters) - set("eE"))))

    def tries(number):
        """How many images word `number` replaces: the next is 2**40 further on."""
        return next(
            count
            for count in range(100)
            if not set("eE") & set(renderer.text(number + count * 2**40))
        )

    replaced = list(map(tries, range(48)))
    first = next(number for number in range(48) if replaced[number])
    assert sum(count > 1 for count in replaced) > 3
    batches = make(char_dict=known)
    indices = [number + replaced[number] * 2**40 for number in range(8)]
    assert batches.describe_step(0) == [
        f"rendered {index}, seed 5, label {renderer.text(index)!r}" for index in indices
    ]
    canvases, labels = batches.make_batch(0)
    assert canvases.shape == (8, 32, 100, 1) and (labels[:, 0] > 0).all()
    assert batches.skipped == []
    batches.close()
    count, drawn = map(int, re.findall(r"(\d+) (?:images|were)", batches.describe_replaced()))
    assert drawn in (24, 48) and count == sum(replaced[:drawn])
    said = f"The first: rendered {first}, seed 5: {renderer.text(first)!r} has "
    assert said in batches.describe_replaced()
    assert make().describe_replaced() == ""


def test_labels_that_are_too_long_for_their_canvas_are_replaced(make):
    # At 16 pixels a letter nearly every word is too long for 8 frames.
    narrow = make(Canvas(widths=(32,)))
    _, labels = narrow.make_batch(0)
    assert labels.shape == (8, 8) and (labels[:, 0] > 0).all()
    assert "frames, its image has 8" in narrow.describe_replaced()


def test_labels_follow_the_protocol_and_drop_what_is_unknown(make, recipe):
    marked = dataclasses.replace(recipe, texts={**recipe.texts, "marks": 1.0})
    plain = CharDict.from_preset("alphanumeric36")
    folded = make(recipe=marked, char_dict=plain, protocol="alphanumeric")
    dropped = make(recipe=marked, char_dict=plain, drop_unknown=True)
    expected = [marked.open().text(index) for index in range(8)]
    expected = ["".join(c for c in text.lower() if c.isalnum()) for text in expected]
    for batches in (folded, dropped):
        read = [plain.decode(row) for row in batches.make_batch(0)[1]]
        assert read == expected and not batches.describe_replaced()


def test_a_recipe_of_which_nothing_can_be_trained_on_says_why(make):
    batches = make(char_dict=CharDict("€"))
    with pytest.raises(DrawingError, match="None of 1,000.*outside the char dict of 1"):
        batches.make_batch(0)


# ---- memory, processes and errors --------------------------------------------------------------


def test_drawing_stops_when_the_memory_is_full(make):
    batches = make(pool_words=32, batch_size=8)
    pixels = 32 * 100
    # A pool has 4 steps, so 32 late ones reach over 8 pools; one process has 4 chunks of a pool's
    # size at hand.
    assert batches.memory_bytes == (10 * 32 + 4 * 32) * pixels
    most = 0
    for step in range(46):
        batches.make_batch(step)
        most = max(most, len(batches._stream._words))
    assert most * pixels <= batches.memory_bytes
    limit, stream = time.monotonic() + 30, batches._stream
    # Step 45 is in pool 11; pool 12 is drawn too.
    while stream.kept.stop < 13 * 32 and time.monotonic() < limit:
        time.sleep(0.01)
    time.sleep(0.5)
    assert stream.kept == range(3 * 32, 13 * 32) and len(stream._words) == 10 * 32


def test_an_image_that_cannot_be_drawn_is_named(make, recipe, tmp_path):
    font = shutil.copy(recipe.fonts[0], tmp_path / "own.ttf")
    one_font = dataclasses.replace(recipe, fonts=(str(font),))
    batches = make(recipe=one_font)
    os.unlink(font)
    text = recipe.open().text(0)
    with pytest.raises(DrawingError, match=f"rendered 0, seed 5, text '{text}', .*own.ttf"):
        batches.make_batch(0)


def _workers(parent):
    """Lists the processes that a thread of a process has started to draw."""
    found = []
    for path in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
        for process in map(int, path.read_text().split()):
            line = pathlib.Path(f"/proc/{process}/cmdline").read_text()
            if "loky" in line and "tracker" not in line and is_running(process):
                found.append(process)
    return found


def _assert_ended(processes):
    limit = time.monotonic() + 20
    while any(map(is_running, processes)) and time.monotonic() < limit:
        time.sleep(0.01)
    assert not any(map(is_running, processes))


@IN_PROC
@pytest.mark.slow
def test_a_killed_process_is_named_and_the_next_training_starts_others(make):
    batches = make(processes=2, pool_words=4000)
    first = batches.make_batch(0)
    workers = _workers(os.getpid())
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    with pytest.raises(DrawingError, match="Words from [0-9,]+ on.*killed.*memory"):
        for step in range(1000):
            batches.make_batch(step)
    _assert_ended(workers)
    assert_same_batch(batches.train_dataset(0)[0], first)
    batches.close()
    assert not _workers(os.getpid())


@IN_PROC
def test_no_process_is_left_when_the_batches_are_forgotten(recipe):
    batches = SynthBatches(recipe, ASCII, STRETCH, batch_size=8, processes=2)
    batches.make_batch(0)
    workers = _workers(os.getpid())
    assert len(workers) == 2
    del batches
    gc.collect()
    _assert_ended(workers)


SCRIPT = """
from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data.drawn import SynthBatches
from crnn_keras.images import Canvas
import os, sys, time
recipe = synth.Recipe(fonts=synth.bundled_fonts()[:3])
batches = SynthBatches(recipe, CharDict.from_preset("ascii"), Canvas(), processes=2)
batches.make_batch(0)
print(*[name for name in ("keras", "tensorflow") if name in sys.modules], "ready", flush=True)
if len(sys.argv) > 1:
    time.sleep(60)
"""


@IN_PROC
@pytest.mark.parametrize("sent", [None, signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_the_one_that_trains(tmp_path, sent):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, path, *(["sleep"] if sent else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    # Neither Keras nor TensorFlow is needed to draw.
    assert process.stdout.readline() == "ready\n"
    workers = _workers(process.pid)
    assert len(workers) == 2
    if sent == signal.SIGINT:
        os.killpg(process.pid, sent)
    elif sent:
        process.send_signal(sent)
    _, errors = process.communicate(timeout=30)
    _assert_ended(workers)
    if sent is None:
        assert (process.returncode, errors) == (0, "")
    if sent == signal.SIGINT:
        assert errors.strip().splitlines()[-1] == "KeyboardInterrupt"
        assert "leaked" not in errors


@IN_PROC
def test_closed_batches_start_no_process_until_they_train_again(make):
    batches = make(processes=2)
    before = batches.make_batch(0)
    batches.close()
    batches.close()
    assert_same_batch(batches.make_batch(0), before)
    assert not _workers(os.getpid())
    assert_same_batch(batches.train_dataset(0)[0], before)
    assert len(_workers(os.getpid())) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeats": 0}, "repeats is 0"),
        ({"pool_words": 0}, "pool_words is 0"),
        ({"processes": 0}, "processes is 0"),
        ({"protocol": "loose"}, "'loose'"),
        ({"augment": 2}, "augment is 2"),
        ({"recipe": "words"}, "recipe is 'words'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)

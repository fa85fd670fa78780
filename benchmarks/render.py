"""Compares the speed of rendering on one core with TextRecognitionDataGenerator (TRDG).

    python benchmarks/render.py [path of a python that has trdg]

TRDG 1.8.0 needs other versions of Pillow, so it runs in an environment of its own:

    python -m venv trdg && trdg/bin/pip install --no-deps trdg==1.8.0
    trdg/bin/pip install pillow numpy opencv-python-headless requests tqdm
    trdg/bin/pip install diffimg arabic-reshaper python-bidi wikipedia
    python benchmarks/render.py trdg/bin/python

Both render the same words in the same fonts, 32 pixels high, as jpeg in memory. TRDG's effects are
skew, blur, a background of noise and a wave. Our first line has similar effects, our second line
all effects of `Style()`. They take turns, so that a busy machine slows both, and each turn is
measured in processor time of one thread. Printed are medians in images a second, and medians of the
ratios, with the smallest and the largest value in brackets.

    python benchmarks/render.py pool [number of processes [style: mild, signs]]

measures the words that are drawn while a model trains on them (`SynthBatches`): as the pool of
processes sends them into this one, beside the same words drawn by plain calls, in one process and
in as many at once, which share the machine as the pool does. Canvases are 32 x 128. It needs Linux,
which counts the processor time of other processes.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROUNDS, IMAGES, WARM = 9, 400, 1000
HEIGHT = 32
TURNS, WORDS, BATCH = 7, 1024, 64

# Runs in TRDG's python: one turn for each line of its standard input.
TRDG = """
import io, json, sys, time
from PIL import ImageFont
# TRDG prints when it is imported.
answers, sys.stdout = sys.stdout, sys.stderr
# TRDG calls a method that Pillow 10 removed.
ImageFont.FreeTypeFont.getsize = lambda self, text, *a, **k: tuple(self.getbbox(text)[2:])
from trdg.generators import GeneratorFromStrings
texts, fonts, height = json.loads(sys.stdin.readline())
images = iter(GeneratorFromStrings(
    texts, fonts=fonts, size=height, skewing_angle=4, random_skew=True, blur=1, random_blur=True,
    background_type=0, fit=True, margins=(3, 3, 3, 3), distorsion_type=1, distorsion_orientation=0))
def draw(count):
    width = 0
    for _ in range(count):
        image, text = next(images)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=85)
        width += image.width
    return width / count
draw(50)
for line in sys.stdin:
    began = time.process_time()
    width = draw(int(line))
    print(json.dumps([int(line) / (time.process_time() - began), width]), file=answers, flush=True)
"""


def single_thread():
    """Returns the environment with one thread for every library."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return os.environ | dict.fromkeys(names, "1")


def start_trdg(python, texts, fonts):
    """Starts TRDG's process; returns None if this python has no trdg."""
    check = subprocess.run([python, "-c", "import trdg"], capture_output=True, check=False)
    if check.returncode:
        return None
    process = subprocess.Popen(
        [python, "-c", TRDG],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=single_thread(),
    )
    process.stdin.write(json.dumps([texts, fonts, HEIGHT]) + "\n")
    process.stdin.flush()
    return process


def trdg_turn(process, count):
    """Measures a turn of TRDG: images a second and their mean width."""
    process.stdin.write(f"{count}\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def our_turn(texts, fonts, style, *, start, count):
    """Measures a turn of ours: images a second and their mean width."""
    import io

    from PIL import Image

    from crnn_keras import synth

    began = time.process_time()
    images = [
        synth.render_jpeg(texts[i], fonts, style, index=i) for i in range(start, start + count)
    ]
    speed = count / (time.process_time() - began)
    widths = [Image.open(io.BytesIO(image)).width for image in images]
    return speed, statistics.mean(widths)


def show(name, turns):
    """Prints the speeds of one renderer."""
    speeds = [speed for speed, _ in turns]
    width = statistics.mean(width for _, width in turns)
    print(
        f"{name:28} {statistics.median(speeds):6.0f} [{min(speeds):.0f} to {max(speeds):.0f}] "
        f"images/s, {HEIGHT} x {width:.0f} on average",
        flush=True,
    )


def main(python):
    """Measures all renderers and prints their speeds."""
    from crnn_keras import synth

    words = synth.WordTexts(synth.read_words(), seed=1)
    texts = [words.text(i) for i in range(WARM + ROUNDS * IMAGES)]
    fonts = synth.bundled_fonts()
    similar = synth.Style.plain(
        height=HEIGHT, slope=0.07, blur=1, noise=16, curve=1, background=1, quality=85
    )
    styles = {"ours, similar effects": similar, "ours, all effects": synth.Style(height=HEIGHT)}
    trdg = start_trdg(python, texts, fonts)
    if trdg is None:
        instructions = __doc__.split("own:")[1].split("Both")[0]
        print(f"{python} has no trdg, so only our renderer is measured. {instructions}")
    print(f"{os.cpu_count()} cores, one used; n = {ROUNDS} turns of {IMAGES}, {len(fonts)} fonts")
    turns = {name: [] for name in styles}
    turns_of_trdg = []
    for style in styles.values():
        our_turn(texts, fonts, style, start=0, count=WARM)
    for turn in range(ROUNDS):
        for name, style in styles.items():
            start = WARM + turn * IMAGES
            turns[name].append(our_turn(texts, fonts, style, start=start, count=IMAGES))
        if trdg is not None:
            turns_of_trdg.append(trdg_turn(trdg, IMAGES // 4))
    for name in styles:
        show(name, turns[name])
    if trdg is not None:
        show("TRDG 1.8.0", turns_of_trdg)
        trdg.stdin.close()
        trdg.wait()
        for name, ours in turns.items():
            # Ratios of neighbouring turns: the machine was equally busy for both.
            ratios = [a / b for (a, _), (b, _) in zip(ours, turns_of_trdg, strict=True)]
            median = statistics.median(ratios)
            print(f"{name} / TRDG: {median:.1f} [{min(ratios):.1f} to {max(ratios):.1f}]")


def state_of(process):
    """Returns the state of a process, `"R"` if it works, and the processor time it has used."""
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def workers():
    """Lists the processes that the threads of this one have started."""
    tasks = pathlib.Path("/proc/self/task").glob("*/children")
    return [int(process) for path in tasks for process in path.read_text().split()]


def plain_turn(job):
    """Draws words by plain calls; returns the seconds of processor time that it took."""
    from crnn_keras.data.drawn.drawer import load_drawer

    content, numbers = job
    drawer = load_drawer(content)
    began = time.process_time()
    for number in numbers:
        drawer.draw(number)
    return time.process_time() - began


class Pool:
    """Draws words by a pool of processes into memory, as a training does."""

    def __init__(self, drawer, processes):
        from crnn_keras.data.drawn.stream import DrawnStream, Tally

        before = set(workers())
        self.stream = DrawnStream(drawer, 0, processes=processes, tally=Tally())
        self.end, self.processes, self.polling = 0, [], 0.0
        self.turn(WARM)
        self.processes = [process for process in workers() if process not in before]

    def turn(self, count):
        """Draws words and those ahead of them; returns the seconds that passed."""
        began = time.perf_counter()
        words = range(self.end, self.end + count)
        self.stream.allow(words)
        self.stream.take(words)
        self.end = words.stop
        # As many are drawn ahead of the next turn as were ahead of this one.
        polling = time.thread_time()
        while any(state_of(process)[0] == "R" for process in self.processes):
            time.sleep(0.02)
        self.polling += time.thread_time() - polling
        return time.perf_counter() - began

    def seconds(self):
        """Returns the processor time of the processes, and that of this one for them."""
        drawing = sum(state_of(process)[1] for process in self.processes)
        return drawing, time.process_time() - self.polling


def show_rate(name, rates):
    """Prints the median of some rates, with the smallest and the largest."""
    low, high = min(rates), max(rates)
    print(f"{name:48} {statistics.median(rates):8,.0f} [{low:,.0f} to {high:,.0f}]", flush=True)


def show_ratio(name, ratios):
    """Prints the median of some ratios, with the smallest and the largest."""
    print(f"{name:48} {statistics.median(ratios):8.2f} [{min(ratios):.2f} to {max(ratios):.2f}]")


def main_pool(processes, style):
    """Measures words that a pool of processes draws, and the same by plain calls."""
    from loky import ProcessPoolExecutor

    from crnn_keras import synth
    from crnn_keras.char_dict import CharDict
    from crnn_keras.data.drawn import SynthBatches
    from crnn_keras.data.drawn.drawer import Drawer
    from crnn_keras.images import make_canvas

    drawn = getattr(synth.Style, style)()
    recipe = synth.Recipe(fonts=synth.bundled_fonts(), style=drawn, seed=1)
    char_dict, canvas = CharDict.from_preset("ascii"), make_canvas("stretch", 128)
    drawer = Drawer(recipe, char_dict, canvas)
    content = drawer.to_json()
    print(f"{os.cpu_count()} cores, {processes} processes, style {style}; ", end="")
    print(f"n = {TURNS} turns of {WORDS} words")
    pool, plain = Pool(drawer, processes), ProcessPoolExecutor(processes)
    names = ("one", "several", "pool", "wall", "here")
    rates = {name: [] for name in names}
    plain_turn((content, range(WARM)))
    for turn in range(-1, TURNS):
        numbers = range(WORDS * (turn + 1), WORDS * (turn + 2))
        one = plain_turn((content, numbers[: WORDS // processes]))
        parts = [(content, numbers[rank::processes]) for rank in range(processes)]
        several = sum(plain.map(plain_turn, parts))
        before = pool.seconds()
        wall = pool.turn(WORDS)
        drawing, here = (after - own for after, own in zip(pool.seconds(), before, strict=True))
        if turn >= 0:  # the first turn fills the caches of the processes
            turns = (WORDS // processes / one, WORDS / several, WORDS / drawing)
            for name, rate in zip(names, (*turns, WORDS / wall, WORDS / here), strict=True):
                rates[name].append(rate)
    pool.stream.close()
    plain.shutdown()
    print("words for each second of one core's processor time:")
    show_rate("  plain calls, one process", rates["one"])
    show_rate(f"  plain calls, {processes} processes at once", rates["several"])
    show_rate(f"  pool of {processes} processes, into memory", rates["pool"])
    for name, own in (("one process", "one"), (f"{processes} processes at once", "several")):
        ratios = [a / b for a, b in zip(rates["pool"], rates[own], strict=True)]
        show_ratio(f"  pool / plain calls, {name}", ratios)
    show_rate("  taken from the pool, by this process", rates["here"])
    for augment in (0.0, 1.0):
        options = {"batch_size": BATCH, "augment": augment, "processes": processes}
        with SynthBatches(recipe, char_dict, canvas, **options) as batches:
            rates["batches"] = [batch_rate(batches) for _ in range(TURNS)]
        show_rate(f"  made into batches of {BATCH}, augment {augment:.0f}", rates["batches"])
    show_rate("words a second by the clock, all processes", rates["wall"])


def batch_rate(batches):
    """Returns the words of a second of processor time that makes batches of words in memory."""
    steps = range(WORDS // BATCH)
    for step in (steps[0], steps[-1]):
        batches.make_batch(step)
    began = time.thread_time()
    for step in steps:
        batches.make_batch(step)
    return WORDS / (time.thread_time() - began)


if __name__ == "__main__":
    if os.environ.get("OMP_NUM_THREADS") != "1":
        subprocess.run([sys.executable, *sys.argv], env=single_thread(), check=True)
    else:
        sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
        if sys.argv[1:2] == ["pool"]:
            count = int(sys.argv[2]) if len(sys.argv) > 2 else os.cpu_count()
            main_pool(count, sys.argv[3] if len(sys.argv) > 3 else "mild")
        else:
            main(sys.argv[1] if len(sys.argv) > 1 else sys.executable)

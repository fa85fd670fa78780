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


if __name__ == "__main__":
    if os.environ.get("OMP_NUM_THREADS") != "1":
        subprocess.run([sys.executable, *sys.argv], env=single_thread(), check=True)
    else:
        sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
        main(sys.argv[1] if len(sys.argv) > 1 else sys.executable)

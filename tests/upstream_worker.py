"""Runs the example for keras.io on a few captchas and prints what its functions give, as JSON."""

import json
import pathlib
import re
import sys

import numpy as np

SETTINGS = "num_images, batch_size, epochs = "

source = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
source, count = re.subn(f"^{SETTINGS}.*$", f"{SETTINGS}40, 4, 1", source, flags=re.MULTILINE)
example = {"__name__": "__main__"}
exec(compile(source, sys.argv[1], "exec"), example)

# Two texts, of three and of five frames: the logits of the first two frames after them read "x".
numpy = example["ops"].convert_to_numpy
blank, a, b, x = range(4)
frames = np.array([3, 5])
paths = [[a, blank, a, x, x, x], [b, b, blank, a, a, x]]
logits = np.zeros((2, example["max_width"] // 4, 20), "float32")
for row, path in enumerate(paths):
    logits[row, range(6), path] = 9.0
targets = np.zeros((2, 6), "int32")
targets[:, 0], targets[0, 1:3], targets[1, 1:4] = frames, [a, a], [b, a, a]
other = logits.copy()
for row, length in enumerate(frames):
    other[row, length:] = 5.0 * np.arange(20)
metric = example["TextAccuracy"]()
metric.update_state(targets, logits)
alone = [
    example["keras"].losses.CTC(reduction=None)(
        targets[[row], 1 : 1 + count], logits[[row], :length]
    )
    for row, (length, count) in enumerate(zip(frames, [2, 3], strict=True))
]
inputs, batch = example["train_dataset"][0]
print(
    json.dumps(
        {
            "settings": count,
            "loss": numpy(example["ctc_loss"](targets, logits)).tolist(),
            "loss_of_other_padding": numpy(example["ctc_loss"](targets, other)).tolist(),
            "loss_without_padding": [float(loss[0]) for loss in map(numpy, alone)],
            "decoded": numpy(example["decode"](logits, frames)).tolist(),
            "metric": float(metric.result()),
            "texts": [text for _, text in example["train_dataset"].samples[: len(batch)]],
            "widths": [image.width for image, _ in example["train_dataset"].samples[: len(batch)]],
            "batch": batch.tolist(),
            "shape": inputs.shape,
        }
    )
)

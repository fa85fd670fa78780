"""Speed of training and predicting: each preset on each backend, beside a plain PyTorch loop.

    python benchmarks/training.py
    python benchmarks/training.py --presets small --rounds 9
    python benchmarks/training.py --presets small --backends torch --precision mixed_bfloat16

Every contestant is a process of its own that has done its compiling; they take turns of some
seconds, so that a busy machine slows all of them. The plain loop has the same layers, which it
proves by giving the same logits from the same weights. Printed are medians of images a second,
smallest to largest in brackets, the ratio to the plain loop (median of the rounds' ratios), and
the arithmetic done as a share of what this machine multiplies matrices with, measured in the same
turns. Products and sums of convolutions, LSTM and dense layers are counted, a training step as
three times its forward pass. `predict` reads batches of 64, `one` single canvases; `onnx runtime`
is the exported reader.

The rows `records` give the batches that `dataset.Batches` makes of records, augmented: `train` from
encoded images, `predict` from the canvases that it keeps; their ratio is to the training of the
first backend. With `--precision` the readers compute in that; the plain loop stays in float32.
"""

import argparse
import importlib.util
import multiprocessing
import os
import statistics
import tempfile
import time

import numpy as np

BATCH, LONGEST = 64, 8
BACKENDS = ("torch", "tensorflow", "jax")
PLAIN = "plain torch"


def make_batch():
    """Canvases, labels and frame counts of one batch: noise costs what images cost."""
    rng = np.random.default_rng(0)
    return {
        "canvas": rng.integers(0, 256, (BATCH, 32, 100, 1)).astype("uint8"),
        "labels": rng.integers(1, 37, (BATCH, LONGEST)).astype("int32"),
        "frames": np.full(BATCH, 25, "int32"),
    }


def count_flops(model):
    """Products and sums of one image's forward pass."""
    total = 0
    for layer in model.layers:
        weights = [w for w in layer.weights if len(w.shape) > 1]
        # A convolution's kernel is used at each output pixel, a matrix at each frame.
        places = int(np.prod(layer.output.shape[1:-1]))
        total += sum(2 * places * int(np.prod(w.shape)) for w in weights)
    return total


class Matrices:
    """The machine's speed at multiplying matrices."""

    flops = 2 * 1024**3

    def __init__(self, preset):
        self.matrix = np.random.default_rng(0).normal(size=(1024, 1024)).astype("float32")

    def train(self):
        self.matrix @ self.matrix


class Ours:
    """A reader as `crnn_keras.training` trains it."""

    def __init__(self, preset, precision):
        import keras

        from crnn_keras import training
        from crnn_keras.char_dict import CharDict
        from crnn_keras.model.crnn import build_crnn
        from crnn_keras.utils.malloc import tune_malloc

        tune_malloc()  # as `train` does
        char_dict = CharDict.from_preset("alphanumeric36")
        self.reader = build_crnn(char_dict, preset=preset, precision=precision)
        self.model = training.training_model(self.reader, LONGEST)
        self.model.compile(
            training.make_optimizer("adamw", 2e-3), loss=lambda _, y: keras.ops.mean(y)
        )
        self.flops = count_flops(self.reader)
        self.batch = {name: keras.ops.convert_to_tensor(v) for name, v in make_batch().items()}
        self.zeros = keras.ops.zeros(BATCH)

    def train(self):
        self.model.train_on_batch(self.batch, self.zeros)

    def predict(self):
        self.reader.predict_on_batch(self.batch["canvas"])

    def one(self):
        self.reader.predict_on_batch(self.batch["canvas"][:1])


class Plain:
    """The same layers in a loop that a PyTorch user would write."""

    def __init__(self, preset):
        import torch

        from crnn_keras.char_dict import CharDict
        from crnn_keras.model.crnn import build_crnn

        reader = build_crnn(CharDict.from_preset("alphanumeric36"), preset=preset)
        self.flops = count_flops(reader)
        self.network = _translate(torch, reader)
        batch = make_batch()
        self.images = torch.tensor(batch["canvas"]).movedim(-1, 1).contiguous()
        self.labels = torch.tensor(batch["labels"])
        self.frames = torch.tensor(batch["frames"])
        self.lengths = torch.full((BATCH,), LONGEST)
        self.network.eval()
        with torch.inference_mode():
            here, there = self.network(self.images), reader(batch["canvas"], training=False)
        apart = float((here - there).abs().max())
        if apart > 1e-3:
            raise ValueError(f"The plain network's logits are {apart} apart: other layers.")
        self.optimizer = torch.optim.AdamW(self.network.parameters(), 2e-3)

    def train(self):
        import torch

        self.network.train()
        self.optimizer.zero_grad()
        log_probs = self.network(self.images).log_softmax(-1).transpose(0, 1)
        loss = torch.nn.functional.ctc_loss(log_probs, self.labels, self.frames, self.lengths)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        return loss.item()

    def predict(self, count=BATCH):
        import torch

        self.network.eval()
        with torch.inference_mode():
            return self.network(self.images[:count]).numpy()

    def one(self):
        return self.predict(1)


def _translate(torch, reader):
    """A torch module of a reader's layers and weights."""
    nn = torch.nn

    def tensor(weight):
        return weight.value.detach().clone()

    class Frames(nn.Module):
        def forward(self, x):
            return x.squeeze(2).transpose(1, 2)

    class Scale(nn.Module):
        def forward(self, x):
            return x.float() / 127.5 - 1

    class Recurrent(nn.LSTM):
        def forward(self, x):
            return super().forward(x)[0]

    def convolution(layer):
        made = []
        kernel = layer.kernel_size
        pads = (0, 0)
        if layer.padding == "same":
            total = [
                max((-(-size // stride) - 1) * stride + width - size, 0)
                for size, width, stride in zip(
                    layer.input.shape[1:3], kernel, layer.strides, strict=True
                )
            ]
            pads = tuple(rows // 2 for rows in total)
            if any(rows % 2 for rows in total):
                (top, left), (down, right) = pads, [t - p for t, p in zip(total, pads, strict=True)]
                made, pads = [nn.ZeroPad2d((left, right, top, down))], (0, 0)
        channels = layer.kernel.shape[2]
        convolve = nn.Conv2d(
            channels, layer.filters, kernel, layer.strides, pads, bias=layer.use_bias
        )
        convolve.weight.data = tensor(layer.kernel).permute(3, 2, 0, 1).contiguous()
        if layer.use_bias:
            convolve.bias.data = tensor(layer.bias)
        return [*made, convolve]

    def normalization(layer):
        made = nn.BatchNorm2d(layer.gamma.shape[0], layer.epsilon, 1 - layer.momentum)
        made.weight.data, made.bias.data = tensor(layer.gamma), tensor(layer.beta)
        return [made]

    def recurrent(layer):
        units = layer.forward_layer.units
        made = Recurrent(layer.input.shape[-1], units, batch_first=True, bidirectional=True)
        for suffix, part in (("", layer.forward_layer), ("_reverse", layer.backward_layer)):
            cell = part.cell
            getattr(made, f"weight_ih_l0{suffix}").data = tensor(cell.kernel).T.contiguous()
            getattr(made, f"weight_hh_l0{suffix}").data = tensor(
                cell.recurrent_kernel
            ).T.contiguous()
            getattr(made, f"bias_ih_l0{suffix}").data = tensor(cell.bias)
            getattr(made, f"bias_hh_l0{suffix}").data.zero_()
        return [made]

    def dense(layer):
        made = nn.Linear(*layer.kernel.shape)
        made.weight.data, made.bias.data = tensor(layer.kernel).T.contiguous(), tensor(layer.bias)
        return [made]

    def padding(layer):
        (top, down), (left, right) = layer.padding
        return [nn.ZeroPad2d((left, right, top, down))]

    ways = {
        "InputLayer": lambda layer: [],
        "Rescaling": lambda layer: [Scale()],
        "Conv2D": convolution,
        "BatchNormalization": normalization,
        "ReLU": lambda layer: [nn.ReLU()],
        "MaxPooling2D": lambda layer: [nn.MaxPool2d(layer.pool_size)],
        "ZeroPadding2D": padding,
        "Reshape": lambda layer: [Frames()],
        "Dropout": lambda layer: [nn.Dropout(layer.rate)],
        "Bidirectional": recurrent,
        "Dense": dense,
    }
    return nn.Sequential(
        *[part for layer in reader.layers for part in ways[type(layer).__name__](layer)]
    )


class Exported:
    """A reader as ONNX Runtime reads with it."""

    def __init__(self, preset):
        from crnn_keras.char_dict import CharDict
        from crnn_keras.inference.export import export_onnx
        from crnn_keras.inference.onnx_recognizer import OnnxRecognizer
        from crnn_keras.model.crnn import build_crnn
        from crnn_keras.model.saving import save_model

        reader = build_crnn(CharDict.from_preset("alphanumeric36"), preset=preset)
        self.flops = count_flops(reader)
        with tempfile.TemporaryDirectory() as folder:
            save_model(reader, f"{folder}/reader.keras")
            export_onnx(f"{folder}/reader.keras", f"{folder}/reader.onnx")
            self.reader = OnnxRecognizer.load(f"{folder}/reader.onnx")
        self.canvases = make_batch()["canvas"]

    def predict(self):
        self.reader.predict_logits(self.canvases)

    def one(self):
        self.reader.predict_logits(self.canvases[:1])


class FromRecords:
    """Batches of rendered words, from encoded images or from the canvases kept in memory."""

    flops = 0

    def __init__(self, preset):
        from crnn_keras import synth
        from crnn_keras.char_dict import CharDict
        from crnn_keras.data.batches import Batches
        from crnn_keras.data.records import Records, make_record, write_records
        from crnn_keras.images import Canvas

        fonts = synth.bundled_fonts()
        texts = synth.WordTexts(synth.read_words(), seed=0)
        self.folder = tempfile.TemporaryDirectory()
        rows = []
        for index in range(16 * BATCH):
            text = texts.text(index)
            rows.append(make_record(synth.render_jpeg(text, fonts, index=index), text, "word"))
        chars = CharDict.from_preset("alphanumeric36")
        write_records(self.folder.name, rows, char_dict=chars, canvas=Canvas())

        def batches(**options):
            records = Records(self.folder.name)
            order = {"shuffle": True, "augment": 1.0}
            made = Batches(records, chars, Canvas(), batch_size=BATCH, **order, **options)
            return made.train_dataset().as_numpy_iterator()

        self.encoded, self.kept = batches(cache_bytes=0), batches()
        for _ in range(20):
            next(self.kept)

    def train(self):
        next(self.encoded)

    def predict(self):
        next(self.kept)


MAKERS = {"matrices": Matrices, PLAIN: Plain, "onnx runtime": Exported, "records": FromRecords}
# Kinds of turns, and what a round of each costs in forward passes of images.
KINDS = {"train": 3 * BATCH, "predict": BATCH, "one": 1}


def serve(pipe, name, preset, precision):
    """A contestant's process: builds, warms up, then runs turns as they are asked for."""
    try:
        maker = MAKERS.get(name)
        contestant = maker(preset) if maker else Ours(preset, precision)
        kinds = [kind for kind in KINDS if hasattr(contestant, kind)]
        for kind in 2 * kinds:
            getattr(contestant, kind)()
        pipe.send((contestant.flops, kinds))
        while (turn := pipe.recv()) is not None:
            kind, seconds = turn
            work = getattr(contestant, kind)
            started, steps = time.perf_counter(), 0
            while time.perf_counter() - started < seconds:
                work()
                steps += 1
            pipe.send(steps / (time.perf_counter() - started))
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")
        raise


def start(name, preset, precision):
    """Starts a contestant's process on its backend."""
    settings = {"KERAS_BACKEND": name if name in BACKENDS else "torch"}
    if name == "records":
        settings["KERAS_BACKEND"] = "tensorflow"
    os.environ.update(settings)
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs, name, preset, precision), daemon=True
    )
    process.start()
    return process, ours


def compare(preset, precision, rounds, seconds, backends):
    """Runs all contestants of a preset in turns and prints their rows."""
    plain = [PLAIN] if "torch" in backends else []
    names = ["matrices", *plain, *backends, "onnx runtime", "records"]
    contestants, flops, kinds = {}, {}, {}
    for name in names:
        contestants[name] = start(name, preset, precision)
        # One after the other: compiling wants the whole machine.
        answer = contestants[name][1].recv()
        if isinstance(answer, str):
            raise SystemExit(f"{name}: {answer}")
        flops[name], kinds[name] = answer
    speeds = {}
    for _ in range(rounds):
        for kind in KINDS:
            for name in names:
                if kind in kinds[name]:
                    pipe = contestants[name][1]
                    pipe.send((kind, seconds))
                    speeds.setdefault((name, kind), []).append(pipe.recv())
    for process, pipe in contestants.values():
        pipe.send(None)
        process.join()
    machine = statistics.median(speeds["matrices", "train"]) * Matrices.flops
    print(f"{preset}: {flops[backends[0]] / 1e9:.3f} GFLOP an image forward, ", end="")
    print(f"matrices {machine / 1e9:.0f} GFLOP/s", flush=True)
    for name in names[1:]:
        for kind in kinds[name]:
            # Records come before training: their pace is held against the fastest of it.
            rival = (PLAIN, kind) if name != "records" else (backends[0], "train")
            row = describe(kind, speeds[name, kind], flops[name] / machine, speeds.get(rival))
            print(f"  {name:12} {row}", flush=True)


def describe(kind, found, of_machine, rivals):
    """A row: speed, share of the machine's arithmetic, ratio to the rival's turns."""
    median = statistics.median(found)
    if kind == "one":
        row = f"one {1000 / median:.2f} ms [{1000 / max(found):.2f} to {1000 / min(found):.2f}]"
    else:
        low, high = BATCH * min(found), BATCH * max(found)
        row = f"{kind} {BATCH * median:,.1f} images/s [{low:,.1f} to {high:,.1f}]"
    if of_machine:
        row += f", {median * KINDS[kind] * of_machine:.0%} of matrices"
    if rivals:
        ratio = statistics.median(a / b for a, b in zip(found, rivals, strict=True))
        row += f", ratio {ratio:.2f}"
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=["small", "paper"])
    parser.add_argument("--backends", nargs="+", default=None)
    parser.add_argument("--precision", default="float32", help="of the readers (float32)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="a contestant's turn")
    options = parser.parse_args()
    backends = options.backends or [b for b in BACKENDS if importlib.util.find_spec(b)]
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    print(f"{os.cpu_count()} cores, batches of {BATCH}, n = {options.rounds} rounds")
    for preset in options.presets:
        compare(preset, options.precision, options.rounds, options.seconds, backends)


if __name__ == "__main__":
    main()

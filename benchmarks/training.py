"""Speed of training and predicting: each architecture and backend, beside a plain PyTorch loop.

    python benchmarks/training.py
    python benchmarks/training.py --architectures small --rounds 9
    python benchmarks/training.py --architectures small --backends torch --precision mixed_bfloat16

Every contestant is a process of its own that has compiled before; they take turns of some seconds,
so that a busy machine slows all of them. The plain loop has the same layers, which it proves by
giving the same logits from the same weights. Printed are medians of images a second, smallest to
largest in brackets, the ratio to the plain loop (median of the rounds' ratios), and the arithmetic
done as a fraction of what this machine does when it multiplies matrices, measured in the same
turns. Products and sums of convolutions, LSTM and dense layers are counted, a training step as
three times its forward pass. `predict` reads batches of 64, `one` single canvases; `onnx runtime`
is the exported model.

The rows `records` are of the batches that `Batches` makes of records, augmented: `train` from
encoded images, `predict` from the canvases that it keeps; their ratio is to the training of the
first backend. With `--precision` the models compute in that; the plain loop stays in float32.
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
    """Returns the canvases and labels of one batch: noise costs what images cost."""
    rng = np.random.default_rng(0)
    canvases = rng.integers(0, 256, (BATCH, 32, 100, 1)).astype("uint8")
    return canvases, rng.integers(1, 37, (BATCH, LONGEST)).astype("int32")


def count_flops(model):
    """Counts the products and sums of one image's forward pass."""
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

    def __init__(self, architecture):
        self.matrix = np.random.default_rng(0).normal(size=(1024, 1024)).astype("float32")

    def train(self):
        self.matrix @ self.matrix


class Ours:
    """A model as `crnn_keras.training` trains it."""

    def __init__(self, architecture, precision):
        import keras

        from crnn_keras.char_dict import CharDict
        from crnn_keras.model.crnn import build_crnn
        from crnn_keras.model.ctc import CTCLoss
        from crnn_keras.training import make_optimizer
        from crnn_keras.utils.malloc import tune_malloc

        tune_malloc()  # as `train` does
        char_dict = CharDict.from_preset("alphanumeric36")
        self.model = build_crnn(char_dict, None, architecture, precision=precision)
        self.model.compile(make_optimizer("adamw", 2e-3), CTCLoss())
        self.flops = count_flops(self.model)
        self.canvases, self.labels = map(keras.ops.convert_to_tensor, make_batch())

    def train(self):
        self.model.train_on_batch(self.canvases, self.labels)

    def predict(self):
        self.model.predict_on_batch(self.canvases)

    def one(self):
        self.model.predict_on_batch(self.canvases[:1])


class Plain:
    """The same layers in a loop that a PyTorch user would write."""

    def __init__(self, architecture):
        import torch

        from crnn_keras.char_dict import CharDict
        from crnn_keras.model.crnn import build_crnn

        model = build_crnn(CharDict.from_preset("alphanumeric36"), None, architecture)
        self.flops = count_flops(model)
        self.network = _translate(torch, model)
        canvases, labels = make_batch()
        self.images = torch.tensor(canvases).movedim(-1, 1).contiguous()
        self.labels = torch.tensor(labels)
        self.lengths = torch.full((BATCH,), LONGEST)
        self.network.eval()
        with torch.inference_mode():
            here, there = self.network(self.images), model(canvases, training=False)
        self.frames = torch.full((BATCH,), here.shape[1])
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


def _translate(torch, model):
    """Makes a torch module of a model's layers and weights."""
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
        for suffix, lstm in (("", layer.forward_layer), ("_reverse", layer.backward_layer)):
            cell = lstm.cell
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
        *[module for layer in model.layers for module in ways[type(layer).__name__](layer)]
    )


class Exported:
    """A model as ONNX Runtime runs it."""

    def __init__(self, architecture):
        from crnn_keras.char_dict import CharDict
        from crnn_keras.inference.export import export_onnx
        from crnn_keras.inference.onnx_recognizer import OnnxRecognizer
        from crnn_keras.model.crnn import build_crnn
        from crnn_keras.model.saving import save_model

        model = build_crnn(CharDict.from_preset("alphanumeric36"), None, architecture)
        self.flops = count_flops(model)
        with tempfile.TemporaryDirectory() as folder:
            save_model(model, f"{folder}/model.keras")
            export_onnx(f"{folder}/model.keras", f"{folder}/model.onnx")
            self.recognizer = OnnxRecognizer.load(f"{folder}/model.onnx")
        self.canvases, _ = make_batch()

    def predict(self):
        self.recognizer.predict_logits(self.canvases)

    def one(self):
        self.recognizer.predict_logits(self.canvases[:1])


class FromRecords:
    """Batches of rendered words, from encoded images or from the canvases kept in memory."""

    flops = 0

    def __init__(self, architecture):
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


def serve(pipe, name, *, architecture, precision):
    """Is a contestant's process: builds, warms up, then runs turns on request."""
    try:
        maker = MAKERS.get(name)
        contestant = maker(architecture) if maker else Ours(architecture, precision)
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


def start(name, architecture, precision):
    """Starts a contestant's process on its backend; returns it and the pipe to it."""
    others = {"records": "tensorflow"}
    os.environ["KERAS_BACKEND"] = name if name in BACKENDS else others.get(name, "torch")
    ours, theirs = multiprocessing.Pipe()
    options = {"architecture": architecture, "precision": precision}
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs, name), kwargs=options, daemon=True
    )
    process.start()
    return process, ours


def compare(architecture, options, backends):
    """Runs all contestants of an architecture in turns and prints their rows."""
    plain = [PLAIN] if "torch" in backends else []
    names = ["matrices", *plain, *backends, "onnx runtime", "records"]
    contestants, flops, kinds = {}, {}, {}
    for name in names:
        contestants[name] = start(name, architecture, options.precision)
        # One after the other: compiling takes the whole machine.
        answer = contestants[name][1].recv()
        if isinstance(answer, str):
            raise SystemExit(f"{name}: {answer}")
        flops[name], kinds[name] = answer
    speeds = {}
    for _ in range(options.rounds):
        for kind in KINDS:
            for name in names:
                if kind in kinds[name]:
                    pipe = contestants[name][1]
                    pipe.send((kind, options.seconds))
                    speeds.setdefault((name, kind), []).append(pipe.recv())
    for process, pipe in contestants.values():
        pipe.send(None)
        process.join()
    machine = statistics.median(speeds["matrices", "train"]) * Matrices.flops
    print(f"{architecture}: {flops[backends[0]] / 1e9:.3f} GFLOP an image forward, ", end="")
    print(f"matrices {machine / 1e9:.0f} GFLOP/s", flush=True)
    for name in names[1:]:
        for kind in kinds[name]:
            # Records come before training: their pace is held against the fastest of it.
            rival = (PLAIN, kind) if name != "records" else (backends[0], "train")
            found, of_machine = speeds[name, kind], flops[name] / machine
            row = describe(kind, found, of_machine=of_machine, rivals=speeds.get(rival))
            print(f"  {name:12} {row}", flush=True)


def describe(kind, found, *, of_machine, rivals):
    """Describes a row: speed, fraction of the machine's arithmetic, ratio to the rival's turns."""
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
    parser.add_argument("--architectures", nargs="+", default=["small", "paper"])
    parser.add_argument("--backends", nargs="+", default=None)
    parser.add_argument("--precision", default="float32", help="of the models (float32)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="a contestant's turn")
    options = parser.parse_args()
    backends = options.backends or [b for b in BACKENDS if importlib.util.find_spec(b)]
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    print(f"{os.cpu_count()} cores, batches of {BATCH}, n = {options.rounds} rounds")
    for architecture in options.architectures:
        compare(architecture, options, backends)


if __name__ == "__main__":
    main()

"""Speed of training and predicting: each architecture and backend, beside plain PyTorch loops.

    python benchmarks/training.py
    python benchmarks/training.py --architectures small --rounds 9
    python benchmarks/training.py --backends torch jax --batch-size 256 1024 \\
        --precisions float32 mixed_bfloat16 --kinds train

Every contestant is a process of its own that has compiled before; they take turns of some seconds,
so that a busy machine slows all of them. All compute on the GPU if there is one, and time is taken
when it has finished. What needs a package that is not installed is left out, and named.

The plain loop has the same layers, which it proves by giving the same logits from the same weights
in float32. In `mixed_bfloat16` it is torch's autocast. On a GPU its memory is channels last, AdamW
is fused, and nothing of a step is copied to the host but what torch's CTC loss needs there.

Printed are medians of images a second, smallest to largest in brackets, the ratio to the plain loop
of the same precision (median of the rounds' ratios), and the arithmetic done as a fraction of what
this machine does when it multiplies matrices in that precision, measured in the same turns.
Products and sums of convolutions, LSTM and dense layers are counted, a training step as three times
its forward pass. `train` is `fit` on one batch of NumPy arrays again and again, `predict` reads
batches, `one` single canvases; `onnx runtime` is the exported model, on the CPU.

The rows `records` are of the batches that `Batches` makes of records, augmented, on all cores:
`encoded` from encoded images, `kept` from the canvases that it keeps in memory; their ratio is to
the training of the first backend.
"""

import argparse
import importlib.util
import itertools
import multiprocessing
import os
import statistics
import tempfile
import time

import numpy as np

LONGEST = 8
BACKENDS = ("torch", "tensorflow", "jax")
PLAIN = "plain torch"
# Images of the records: rendering more takes longer than reading them.
RECORDS = 1024
# The packages that contestants need.
NEEDS = {
    "torch": ["torch"],
    "tensorflow": ["tensorflow"],
    "jax": ["jax"],
    PLAIN: ["torch"],
    "onnx runtime": ["onnx", "onnxruntime", "tensorflow"],
}


def make_batch(count):
    """Returns the canvases and labels of one batch: noise costs what images cost."""
    rng = np.random.default_rng(0)
    canvases = rng.integers(0, 256, (count, 32, 100, 1)).astype("uint8")
    return canvases, rng.integers(1, 37, (count, LONGEST)).astype("int32")


def count_flops(model):
    """Counts the products and sums of one image's forward pass."""
    total = 0
    for layer in model.layers:
        weights = [w for w in layer.weights if len(w.shape) > 1]
        # A convolution's kernel is used at each output pixel, a matrix at each frame.
        places = int(np.prod(layer.output.shape[1:-1]))
        total += sum(2 * places * int(np.prod(w.shape)) for w in weights)
    return total


def find_cuda():
    """Returns torch's name of the GPU, or None where torch has none."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    return torch.device("cuda") if torch.cuda.is_available() else None


class Matrices:
    """The machine's speed at multiplying matrices, on the GPU if torch has one."""

    def __init__(self, options):
        self.device = find_cuda()
        size = 8192 if self.device else 1024
        self.flops = 2 * size**3
        self.matrix = np.random.default_rng(0).normal(size=(size, size)).astype("float32")
        if self.device:
            import torch

            # As convolutions do by default.
            torch.backends.cuda.matmul.allow_tf32 = True
            dtype = getattr(torch, options.precision.removeprefix("mixed_"))
            self.matrix = torch.tensor(self.matrix, device=self.device, dtype=dtype)

    def train(self, steps):
        for _ in range(steps):
            self.matrix @ self.matrix
        if self.device:
            import torch

            torch.cuda.synchronize()


class Ours:
    """A model as `crnn_keras.training` trains it."""

    def __init__(self, options):
        import keras

        from crnn_keras.char_dict import CharDict
        from crnn_keras.model.crnn import build_crnn
        from crnn_keras.model.ctc import CTCLoss
        from crnn_keras.training import make_optimizer
        from crnn_keras.training.distribute import detect_hardware
        from crnn_keras.utils.malloc import tune_malloc

        tune_malloc()  # as `train` does
        self.device = str(detect_hardware())
        char_dict = CharDict.from_preset("alphanumeric36")
        self.model = build_crnn(char_dict, None, options.architecture, precision=options.precision)
        rate = keras.optimizers.schedules.CosineDecay(2e-3, 1_000_000)
        self.model.compile(make_optimizer("adamw", rate), CTCLoss())
        self.flops = count_flops(self.model)
        self.batch = make_batch(options.batch_size)

    def train(self, steps):
        # Its result is the mean loss, for which it waits.
        # Keras takes a generator, but no iterator.
        batches = (self.batch for _ in itertools.count())
        self.model.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0)

    def predict(self, steps, count=None):
        for _ in range(steps):
            self.model.predict_on_batch(self.batch[0][:count])

    def one(self, steps):
        self.predict(steps, 1)


class Plain:
    """The same layers in a loop that a PyTorch user would write."""

    def __init__(self, options):
        import torch

        from crnn_keras.char_dict import CharDict
        from crnn_keras.model.crnn import build_crnn

        device = find_cuda() or torch.device("cpu")
        is_gpu = device.type == "cuda"
        self.device = torch.cuda.get_device_name() if is_gpu else "the CPU"
        self.autocast = torch.autocast(
            device.type, torch.bfloat16, enabled=options.precision == "mixed_bfloat16"
        )
        model = build_crnn(CharDict.from_preset("alphanumeric36"), None, options.architecture)
        self.flops = count_flops(model)
        self.network = _translate(torch, model).to(device)
        count = options.batch_size
        canvases, labels = make_batch(count)
        self.images = torch.tensor(canvases, device=device).movedim(-1, 1)
        if is_gpu:
            self.network = self.network.to(memory_format=torch.channels_last)
            self.images = self.images.contiguous(memory_format=torch.channels_last)
        else:
            self.images = self.images.contiguous()
        self.labels = torch.tensor(labels, device=device)
        self.lengths = torch.full((count,), LONGEST)
        frames = self._check(torch, model, canvases[:8])
        self.frames = torch.full((count,), frames)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), 2e-3, fused=is_gpu or None)

    def _check(self, torch, model, canvases):
        """Raises an error unless the network gives the model's logits; returns their frames."""
        before = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = False
        self.network.eval()
        with torch.inference_mode():
            here = self.network(self.images[: len(canvases)])
            there = model(canvases, training=False)
        torch.backends.cudnn.allow_tf32 = before
        apart = float((here - there).abs().max())
        if apart > 1e-3:
            raise ValueError(f"The plain network's logits are {apart} apart: other layers.")
        return here.shape[1]

    def train(self, steps):
        import torch

        self.network.train()
        for _ in range(steps):
            self.optimizer.zero_grad()
            with self.autocast:
                logits = self.network(self.images)
            log_probs = logits.float().log_softmax(-1).transpose(0, 1)
            loss = torch.nn.functional.ctc_loss(log_probs, self.labels, self.frames, self.lengths)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
            self.optimizer.step()
        return loss.item()

    def predict(self, steps, count=None):
        import torch

        self.network.eval()
        with torch.inference_mode(), self.autocast:
            for _ in range(steps):
                self.network(self.images[:count]).float().cpu().numpy()

    def one(self, steps):
        self.predict(steps, 1)


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

    def convolution(layer, sizes=None):
        made = []
        kernel = layer.kernel_size
        pads = (0, 0)
        if layer.padding == "same":
            total = [
                max((-(-size // stride) - 1) * stride + width - size, 0)
                for size, width, stride in zip(
                    sizes or layer.input.shape[1:3], kernel, layer.strides, strict=True
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

    class Residual(nn.Module):
        def __init__(self, layer):
            super().__init__()
            # Without strides the zeros around it do not depend on the size.
            made = convolution(layer.conv, (99, 99)) + normalization(layer.norm)
            self.branch = nn.Sequential(*made)

        def forward(self, x):
            return (x + self.branch(x)).relu()

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
        "ResidualConv2D": lambda layer: [Residual(layer)],
    }
    return nn.Sequential(
        *[module for layer in model.layers for module in ways[type(layer).__name__](layer)]
    )


class Exported:
    """A model as ONNX Runtime runs it."""

    def __init__(self, options):
        from crnn_keras.char_dict import CharDict
        from crnn_keras.inference.export import export_onnx
        from crnn_keras.inference.onnx_recognizer import OnnxRecognizer
        from crnn_keras.model.crnn import build_crnn
        from crnn_keras.model.saving import save_model

        model = build_crnn(CharDict.from_preset("alphanumeric36"), None, options.architecture)
        self.flops = count_flops(model)
        with tempfile.TemporaryDirectory() as folder:
            save_model(model, f"{folder}/model.keras")
            export_onnx(f"{folder}/model.keras", f"{folder}/model.onnx")
            self.recognizer = OnnxRecognizer.load(f"{folder}/model.onnx")
        self.canvases, _ = make_batch(options.batch_size)

    def predict(self, steps, count=None):
        for _ in range(steps):
            self.recognizer.predict_logits(self.canvases[:count])

    def one(self, steps):
        self.predict(steps, 1)


class FromRecords:
    """Batches of rendered words, from encoded images or from the canvases kept in memory."""

    flops = 0

    def __init__(self, options):
        from crnn_keras import synth
        from crnn_keras.char_dict import CharDict
        from crnn_keras.data.batches import Batches
        from crnn_keras.data.records import Records, make_record, write_records
        from crnn_keras.images import Canvas

        fonts = synth.bundled_fonts()
        texts = synth.WordTexts(synth.read_words(), seed=0)
        self.folder = tempfile.TemporaryDirectory()
        rows = []
        for index in range(max(RECORDS, options.batch_size)):
            text = texts.text(index)
            rows.append(make_record(synth.render_jpeg(text, fonts, index=index), text, "word"))
        chars = CharDict.from_preset("alphanumeric36")
        write_records(self.folder.name, rows, char_dict=chars, canvas=Canvas())

        def batches(**more):
            order = {"batch_size": options.batch_size, "shuffle": True, "augment": 1.0}
            made = Batches(Records(self.folder.name), chars, Canvas(), **order, **more)
            return iter(made.train_dataset())

        self.made = {"encoded": batches(cache_bytes=0), "kept": batches()}
        # After some epochs all canvases are kept.
        self.kept(20)

    def encoded(self, steps):
        for _ in range(steps):
            next(self.made["encoded"])

    def kept(self, steps):
        for _ in range(steps):
            next(self.made["kept"])

    def catch_up(self, kind):
        """Takes the batches that were made while others had their turns."""
        from crnn_keras.data.base_batches import MOST_AHEAD

        for _ in range(MOST_AHEAD + 1):
            next(self.made[kind])


MAKERS = {"matrices": Matrices, PLAIN: Plain, "onnx runtime": Exported, "records": FromRecords}
# Kinds of turns, and what a batch of each costs in forward passes of an image.
KINDS = {"train": 3, "predict": 1, "one": 1, "encoded": 0, "kept": 0}
# Those of contestants that do not do all of the first three.
KINDS_OF = {
    "matrices": ("train",),
    "onnx runtime": ("predict", "one"),
    "records": ("encoded", "kept"),
}


def kinds_of(name, asked):
    """Returns the kinds of turns that a contestant takes, of those asked for."""
    # Matrices are what the others are compared with.
    if name == "matrices":
        return ["train"]
    return [k for k in asked if k in KINDS_OF.get(name, ("train", "predict", "one"))]


def serve(pipe, name, options):
    """Is a contestant's process: builds, warms up, then runs turns until the pipe is closed."""
    try:
        contestant = MAKERS.get(name, Ours)(options)
        kinds = kinds_of(name, options.kinds)
        catch_up = getattr(contestant, "catch_up", lambda kind: None)
        # Seconds of a step, which decide how many a turn has.
        needed = {}
        for kind in kinds:
            work = getattr(contestant, kind)
            work(2)
            catch_up(kind)
            started = time.perf_counter()
            work(3)
            needed[kind] = (time.perf_counter() - started) / 3
        pipe.send((contestant.flops, kinds, getattr(contestant, "device", None)))
        while True:
            kind, seconds = pipe.recv()
            steps = max(1, round(seconds / needed[kind]))
            catch_up(kind)
            started = time.perf_counter()
            getattr(contestant, kind)(steps)
            needed[kind] = (time.perf_counter() - started) / steps
            pipe.send(1 / needed[kind])
    except EOFError:
        return
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}"[:1000])
        raise


def start(name, options):
    """Starts a contestant's process on its backend; returns it and the pipe to it."""
    backend = "torch" if name == PLAIN else options.backends[0]
    os.environ["KERAS_BACKEND"] = name if name in BACKENDS else backend
    ours, theirs = multiprocessing.Pipe()
    # No daemon: those may not start processes, as the records do.
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs, name, options)
    )
    process.start()
    theirs.close()
    return process, ours


def ask(name, pipe, *question):
    """Sends a contestant a question, if there is one, and returns the answer."""
    if question:
        pipe.send(question)
    try:
        answer = pipe.recv()
    except EOFError:
        answer = "its process has ended"
    if isinstance(answer, str):
        raise SystemExit(f"{name}: {answer}")
    return answer


def take_turns(names, options):
    """Runs all contestants; returns what each is (flops, kinds, device) and their turns' speeds."""
    contestants, answers, speeds = {}, {}, {}
    # One after the other where compiling takes the whole machine.
    together = os.cpu_count() >= 2 * len(names)
    try:
        for name in names:
            contestants[name] = start(name, options)
            if not together:
                answers[name] = ask(name, contestants[name][1])
        for name in names:
            answers[name] = answers.get(name) or ask(name, contestants[name][1])
        for _, kind, name in itertools.product(range(options.rounds), KINDS, names):
            if kind in answers[name][1]:
                speed = ask(name, contestants[name][1], kind, options.seconds)
                speeds.setdefault((name, kind), []).append(speed)
    finally:
        for _, pipe in contestants.values():
            pipe.close()
        for process, _ in contestants.values():
            process.join()
    return answers, speeds


def compare(names, options):
    """Runs all contestants of an architecture in turns and prints their rows."""
    answers, speeds = take_turns(names, options)
    first = options.backends[0]
    for name in (PLAIN, *options.backends):
        if name in answers:
            print(f"{name}: {answers[name][2]}")
    machine = statistics.median(speeds["matrices", "train"]) * answers["matrices"][0]
    flops = f"{answers[first][0] / 1e9:.3f} GFLOP an image forward, " if first in answers else ""
    print(
        f"{options.architecture}, {options.precision}, batches of {options.batch_size}: "
        f"{flops}matrices {machine / 1e9:,.0f} GFLOP/s",
        flush=True,
    )
    for name in names[1:]:
        for kind in answers[name][1]:
            # Records come before training: their pace is held against the fastest of it.
            rival = (first, "train") if name == "records" else (PLAIN, kind)
            row = describe(
                kind,
                speeds[name, kind],
                batch_size=options.batch_size,
                of_machine=answers[name][0] / machine,
                rivals=speeds.get(rival),
            )
            print(f"  {name:12} {row}", flush=True)


def describe(kind, found, *, batch_size, of_machine, rivals):
    """Describes a row: speed, fraction of the machine's arithmetic, ratio to the rival's turns."""
    median = statistics.median(found)
    images = 1 if kind == "one" else batch_size
    if kind == "one":
        row = f"one {1000 / median:.2f} ms [{1000 / max(found):.2f} to {1000 / min(found):.2f}]"
    else:
        low, high = images * min(found), images * max(found)
        row = f"{kind} {images * median:,.1f} images/s [{low:,.1f} to {high:,.1f}]"
    if of_machine:
        row += f", {median * images * KINDS[kind] * of_machine:.0%} of matrices"
    if rivals:
        ratio = statistics.median(a / b for a, b in zip(found, rivals, strict=True))
        row += f", ratio {ratio:.2f}"
    return row


def choose_contestants(backends):
    """Returns the names of what can run here, and of what cannot, each with what it lacks."""
    names, left_out = ["matrices"], {}
    for name in (PLAIN, *backends, "onnx runtime"):
        lacking = [package for package in NEEDS[name] if not importlib.util.find_spec(package)]
        if lacking:
            left_out[name] = ", ".join(lacking)
        # The plain loop is of no interest beside other backends alone.
        elif name != PLAIN or "torch" in backends or find_cuda():
            names.append(name)
    return [*names, "records"], left_out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architectures", nargs="+", default=["small", "paper"])
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--batch-size", nargs="+", type=int, default=[64])
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=["float32", "mixed_bfloat16"],
        default=["float32"],
        help="of the models and of the plain loop (float32)",
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="a contestant's turn")
    asked = parser.parse_args()
    names, left_out = choose_contestants(asked.backends)
    backends = [name for name in names if name in BACKENDS]
    if not backends:
        raise SystemExit(f"None of {', '.join(asked.backends)} is installed. Expected one of them.")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # All contestants share one GPU: none may take its whole memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    print(f"{os.cpu_count()} cores, n = {asked.rounds} rounds of {asked.seconds} s")
    for name, lacking in left_out.items():
        print(f"left out: {name} (not installed: {lacking})")
    for architecture, precision, batch_size in itertools.product(
        asked.architectures, asked.precisions, asked.batch_size
    ):
        options = argparse.Namespace(
            architecture=architecture,
            precision=precision,
            batch_size=batch_size,
            backends=backends,
            kinds=asked.kinds,
            rounds=asked.rounds,
            seconds=asked.seconds,
        )
        # The exported model is one, whatever precision it was trained in.
        chosen = [n for n in names if n != "onnx runtime" or precision == "float32"]
        compare([n for n in chosen if kinds_of(n, asked.kinds)], options)


if __name__ == "__main__":
    main()

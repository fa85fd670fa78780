"""Weights that plain PyTorch layers have learned, converted: the same logits, the same texts."""

import numpy as np
import pytest

from crnn_keras.char_dict import CharDict
from crnn_keras.data.labels import read_samples
from crnn_keras.evaluation import evaluate
from crnn_keras.images import Canvas
from crnn_keras.inference.recognizer import Recognizer
from crnn_keras.model.architectures import ARCHITECTURES
from crnn_keras.utils.math import ceil_div
from tools.readers import __main__ as command
from tools.readers.convert_torch import convert_torch, read_state

torch = pytest.importorskip("torch", reason="PyTorch is not installed: the extra `torch`")

CANVAS = Canvas(widths=(40,))
DIGITS = CharDict.from_preset("digits")
# Kernels, strides and residuals of each kind, and two BiLSTMs.
TINY = {
    "filters": [6, 8, 10],
    "kernel_sizes": [5, 3, [3, 5]],
    "strides": [[2, 2], [2, 2], [2, 1]],
    "pool_sizes": [[1, 1]] * 3,
    "residuals": [1, 0, 2],
    "batch_norm": [True] * 3,
    "frame_kernel_width": 3,
    "frame_batch_norm": True,
    "lstm_units": [7, 7],
    "dropout": 0.1,
    "padding": "same",
}


class Residual(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        convolution = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.f = torch.nn.Sequential(convolution, torch.nn.BatchNorm2d(channels))

    def forward(self, x):
        return torch.relu(x + self.f(x))


class Frames(torch.nn.Module):
    """One row of frames, `(batch, frames, channels)`."""

    def __init__(self, channels, height):
        super().__init__()
        kernel = (height, 3)
        self.c = torch.nn.Conv2d(channels, channels, kernel, padding=(0, 1), bias=False)
        self.b = torch.nn.BatchNorm2d(channels)

    def forward(self, x):
        return torch.relu(self.b(self.c(x)))[:, :, 0].transpose(1, 2)


class Lstm(torch.nn.Module):
    def __init__(self, features, units):
        super().__init__()
        options = {"bidirectional": True, "batch_first": True}
        self.l = torch.nn.LSTM(features, units[0], len(units), **options)

    def forward(self, x):
        return self.l(x)[0]


def torch_network(entry, num_classes, seed=0):
    """Returns a network of plain layers with random weights and batch statistics."""
    torch.manual_seed(seed)
    blocks, channels, height = [], 1, CANVAS.height
    lists = (entry[name] for name in ("filters", "kernel_sizes", "strides", "residuals"))
    for filters, kernel, strides, residuals in zip(*lists, strict=True):
        kernel = kernel if isinstance(kernel, list) else [kernel] * 2
        options = {"stride": strides, "padding": [size // 2 for size in kernel], "bias": False}
        convolution = torch.nn.Conv2d(channels, filters, kernel, **options)
        norm = torch.nn.BatchNorm2d(filters)
        blocks.append(torch.nn.Sequential(convolution, norm, torch.nn.ReLU()))
        blocks += [Residual(filters) for _ in range(residuals)]
        channels, height = filters, ceil_div(height, strides[0])
    blocks.append(Frames(channels, height))
    if entry["dropout"]:
        blocks.append(torch.nn.Dropout(entry["dropout"]))
    units = entry["lstm_units"]
    blocks += [Lstm(channels, units), torch.nn.Linear(2 * units[0], num_classes)]
    network = torch.nn.Sequential(*blocks).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight)
            torch.nn.init.normal_(module.bias)
            torch.nn.init.normal_(module.running_mean, std=0.3)
            # Some so small that the epsilon decides.
            module.running_var.copy_(10 ** torch.empty(module.num_features).uniform_(-4, 0))
    return network


def arrays_of(network):
    return {key: value.numpy() for key, value in network.state_dict().items()}


@pytest.fixture
def tiny(monkeypatch):
    """State dict of a network of the architecture `tiny`, as arrays."""
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)
    return arrays_of(torch_network(TINY, DIGITS.num_classes))


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_the_converted_network_gives_the_logits_of_torch(monkeypatch, dropout):
    entry = {**TINY, "dropout": dropout}
    monkeypatch.setitem(ARCHITECTURES, "tiny", entry)
    network = torch_network(entry, DIGITS.num_classes)
    canvases = np.random.default_rng(1).integers(0, 256, (3, 32, 40, 1), dtype=np.uint8)
    inputs = torch.from_numpy(canvases).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        expected = network(inputs).numpy()
    model = convert_torch(arrays_of(network), DIGITS, CANVAS, architecture="tiny")
    assert model.architecture == {**entry, "padding": "symmetric"}
    assert expected.std() > 0.1
    logits = Recognizer(model).predict_logits(canvases)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)


def test_a_missing_array_is_named(tiny):
    del tiny["1.f.1.running_var"]
    with pytest.raises(ValueError, match=r"'tiny'.* no '1\.f\.1\.running_var'"):
        convert_torch(tiny, DIGITS, CANVAS, architecture="tiny")


def test_arrays_that_no_layer_takes_are_named(tiny):
    tiny["0.0.bias"] = np.zeros(6)
    with pytest.raises(ValueError, match=r"'tiny'.* has 0\.0\.bias as well"):
        convert_torch(tiny, DIGITS, CANVAS, architecture="tiny")


def test_another_number_of_classes_is_refused_with_both_shapes(tiny):
    with pytest.raises(ValueError, match=r"logits .*\(14, 11\).* not .*\(14, 4\)"):
        convert_torch(tiny, CharDict("abc"), CANVAS, architecture="tiny")


def test_an_unknown_architecture_is_refused(tiny):
    with pytest.raises(ValueError, match="'huge' is unknown.*'wide', 'large'"):
        convert_torch(tiny, DIGITS, CANVAS, architecture="huge")


def test_the_command_converts_a_file_of_halves(tmp_path, tiny, capsys):
    halves = {key: torch.from_numpy(array.astype("float16")) for key, array in tiny.items()}
    torch.save(halves, tmp_path / "tiny.pt")
    arguments = ["convert-torch", str(tmp_path / "tiny.pt"), "--architecture", "tiny"]
    arguments += ["--characters", "digits", "--canvas-width", "40"]
    assert not command.main([*arguments, "-o", str(tmp_path / "tiny.keras")])
    model = Recognizer.load(tmp_path / "tiny.keras").model
    assert f"{model.count_params():,} weights" in capsys.readouterr().out
    assert (model.char_dict, model.canvas) == (DIGITS, CANVAS)
    bias = tiny["9.bias"].astype("float16").astype("float32")
    np.testing.assert_array_equal(model.get_layer("logits").get_weights()[1], bias)


@pytest.mark.parametrize("content", [b"", b"no archive", [1.5, 2.5], {"0.weight": "text"}])
def test_what_is_no_state_dict_is_refused(tmp_path, content):
    path = tmp_path / "odd.pt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(ValueError, match=r"odd\.pt is no state dict"):
        read_state(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "correct"), [("deep", 514), ("wide", 533), ("large", 543)]
)
def test_weights_of_a_gpu_read_street_view(data_folder, char_dict, architecture, correct):
    samples = read_samples(data_folder("svt_test") / "labels.tsv").samples
    path = data_folder("../weights") / f"{architecture}_h100.pt"
    if not path.is_file():
        pytest.skip(f"{path} does not exist")
    canvas = Canvas(widths=(128,))
    model = convert_torch(read_state(path), char_dict, canvas, architecture=architecture)
    texts = [prediction.text for prediction in Recognizer(model).read(samples)]
    targets = [sample.text for sample in samples]
    found = evaluate(targets, texts, protocol="alphanumeric").word_accuracy * len(samples)
    # Of 647; rounding may decide one.
    assert found == pytest.approx(correct, abs=1.5)

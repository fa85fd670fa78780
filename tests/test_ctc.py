import itertools
import math

import keras
import numpy as np
import pytest
from backend_worker import loss_and_gradient

from crnn_keras.char_dict import CharDict, frames_needed
from crnn_keras.model.crnn import build_crnn
from crnn_keras.model.ctc import CTCLayer, CTCLoss, ctc_loss, is_feasible, label_lengths


def log_probabilities(logits):
    """Log softmax in float64."""
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def collapse(path):
    return tuple(key for key, _ in itertools.groupby(path) if key)


def paths_of(label, frames):
    """Every path that spells the label. Other characters than its own cannot be on one."""
    classes = sorted({0, *label})
    every = itertools.product(classes, repeat=frames)
    return np.array([path for path in every if collapse(path) == tuple(label)])


def brute_force(logits, paths):
    """Minus the logarithm of the sum of the paths' probabilities, of one image, in float64."""
    log_probs = log_probabilities(logits)
    scores = log_probs[np.arange(paths.shape[1]), paths].sum(-1)
    return -(scores.max() + np.log(np.exp(scores - scores.max()).sum()))


def brute_force_gradient(logits, paths, step=1e-5):
    """Central differences, frame by frame and class by class."""
    logits = np.asarray(logits, np.float64)
    gradient = np.zeros_like(logits)
    for place in np.ndindex(logits.shape):
        above, below = logits.copy(), logits.copy()
        above[place] += step
        below[place] -= step
        change = brute_force(above, paths) - brute_force(below, paths)
        gradient[place] = change / (2 * step)
    return gradient


def padded(labels, length=None):
    length = length or max(1, *map(len, labels))
    return np.array([[*label, *[0] * (length - len(label))] for label in labels], np.int32)


# Two or three frames of three classes, each path written out.
HAND_WORKED = [
    # All nine paths are equally likely; 11, 01 and 10 spell the label.
    ([[1, 1, 1], [1, 1, 1]], [1], 3 / 9),
    ([[1, 1, 1], [1, 1, 1]], [1, 2], 1 / 9),
    ([[1, 1, 1], [1, 1, 1]], [], 1 / 9),
    # 11, 01, 10: .3 * .4 + .6 * .4 + .3 * .5
    ([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1]], [1], 0.51),
    # Two equal letters need the blank between them: 101 is the only path.
    ([[0.2, 0.5, 0.3], [0.7, 0.2, 0.1], [0.1, 0.6, 0.3]], [1, 1], 0.5 * 0.7 * 0.6),
    # 012, 102, 120, 112, 122
    (
        [[0.2, 0.5, 0.3], [0.7, 0.2, 0.1], [0.1, 0.6, 0.3]],
        [1, 2],
        0.2 * 0.2 * 0.3 + 0.5 * 0.7 * 0.3 + 0.5 * 0.1 * 0.1 + 0.5 * 0.2 * 0.3 + 0.5 * 0.1 * 0.3,
    ),
]


@pytest.mark.parametrize(("probabilities", "label", "likelihood"), HAND_WORKED)
def test_hand_worked_likelihood_and_its_gradient(probabilities, label, likelihood):
    logits = np.log(probabilities)[None]
    paths = paths_of(label, logits.shape[1])
    assert brute_force(logits[0], paths) == pytest.approx(-math.log(likelihood))
    losses, gradient = loss_and_gradient(logits, padded([label]), [logits.shape[1]])
    np.testing.assert_allclose(losses, [-math.log(likelihood)], rtol=1e-5)
    expected = brute_force_gradient(logits[0], paths)
    np.testing.assert_allclose(gradient[0], expected, rtol=1e-4, atol=1e-6)


def test_hand_worked_gradient_of_two_equal_frames():
    # In two thirds of the paths 11, 01, 10 a frame is 1, in one third it is blank.
    _, gradient = loss_and_gradient(np.zeros((1, 2, 3)), [[1]], [2])
    np.testing.assert_allclose(gradient[0], [[0, -1 / 3, 1 / 3]] * 2, atol=1e-6)


LABELS = [
    [1, 2, 3],
    [],
    [2],
    [1, 1],
    [3, 3, 3],
    [1, 2, 1, 2],
    [2, 2, 1],
    [1, 2, 3, 1, 2],
]


@pytest.mark.parametrize("frames", [5, 6])
@pytest.mark.parametrize("longest", [5, 9])
def test_values_and_gradients_are_those_of_all_paths(frames, longest):
    logits = np.random.default_rng(frames).normal(size=(len(LABELS), frames, 4)) * 2
    losses, gradient = loss_and_gradient(logits, padded(LABELS, longest), [frames] * len(LABELS))
    for row, label in enumerate(LABELS):
        paths = paths_of(label, frames)
        assert losses[row] == pytest.approx(brute_force(logits[row], paths), rel=1e-4)
        expected = brute_force_gradient(logits[row], paths)
        np.testing.assert_allclose(gradient[row], expected, rtol=1e-4, atol=2e-6)


def test_each_row_has_its_own_number_of_frames():
    rng = np.random.default_rng(7)
    labels = [[1, 2], [1], [], [2, 2], [3, 1, 2], [3]]
    frames = [2, 6, 3, 4, 3, 1]
    logits = rng.normal(size=(6, 6, 4)) * 2
    losses, gradient = loss_and_gradient(logits, padded(labels), frames)
    for row, (label, count) in enumerate(zip(labels, frames, strict=True)):
        paths = paths_of(label, count)
        assert losses[row] == pytest.approx(brute_force(logits[row, :count], paths), rel=1e-4)
        expected = brute_force_gradient(logits[row, :count], paths)
        np.testing.assert_allclose(gradient[row, :count], expected, rtol=1e-4, atol=2e-6)
        assert (gradient[row, count:] == 0).all()


def test_what_stands_in_the_frames_beyond_the_count_changes_nothing():
    rng = np.random.default_rng(8)
    logits = rng.normal(size=(3, 8, 5))
    labels, frames = padded([[1, 2], [4, 4], []]), [5, 4, 8]
    other = logits.copy()
    other[0, 5:] = rng.normal(size=(3, 5)) * 50
    other[1, 4:] = rng.normal(size=(4, 5)) * 50
    here, there = (loss_and_gradient(values, labels, frames) for values in (logits, other))
    np.testing.assert_array_equal(here[0], there[0])
    np.testing.assert_array_equal(here[1][0, :5], there[1][0, :5])
    np.testing.assert_array_equal(here[1][1, :4], there[1][1, :4])


def test_more_padding_of_labels_and_frames_changes_nothing():
    logits = np.random.default_rng(9).normal(size=(3, 6, 5))
    labels, frames = [[1, 2, 2], [4], []], [6, 5, 6]
    losses, gradient = loss_and_gradient(logits, padded(labels), frames)
    wide = np.pad(logits, ((0, 0), (0, 7), (0, 0)), constant_values=3.0)
    wide_losses, wide_gradient = loss_and_gradient(wide, padded(labels, 11), frames)
    np.testing.assert_allclose(wide_losses, losses, rtol=1e-6)
    np.testing.assert_allclose(wide_gradient[:, :6], gradient, rtol=1e-5, atol=1e-7)
    assert (wide_gradient[:, 6:] == 0).all()


def test_rows_do_not_depend_on_their_neighbours():
    logits = np.random.default_rng(10).normal(size=(len(LABELS), 6, 4))
    labels, frames = padded(LABELS), [6] * len(LABELS)
    losses, gradient = loss_and_gradient(logits, labels, frames)
    for row in range(len(LABELS)):
        alone = loss_and_gradient(logits[row : row + 1], labels[row : row + 1], [6])
        np.testing.assert_allclose(alone[0][0], losses[row], rtol=1e-6)
        np.testing.assert_allclose(alone[1][0], gradient[row], rtol=1e-5, atol=1e-7)


FIT_OR_NOT = [
    ([1, 2, 3], 3, True),
    ([1, 2, 3], 2, False),
    ([1, 1], 3, True),
    ([1, 1], 2, False),
    ([2, 2, 2], 5, True),
    ([2, 2, 2], 4, False),
    ([1, 2, 1, 2], 4, True),
    ([], 1, True),
    ([5], 1, True),
]


def test_is_feasible_counts_letters_and_the_blanks_between_equal_ones():
    labels = padded([label for label, _, _ in FIT_OR_NOT])
    frames = np.array([frames for _, frames, _ in FIT_OR_NOT], np.int32)
    found = keras.ops.convert_to_numpy(is_feasible(labels, frames))
    assert list(found) == [fit for _, _, fit in FIT_OR_NOT]
    assert list(found) == [frames_needed(label) <= n for label, n, _ in FIT_OR_NOT]


def test_label_lengths_do_not_count_the_padding():
    found = keras.ops.convert_to_numpy(label_lengths(padded([[1, 2], [], [3, 3, 3]])))
    assert list(found) == [2, 0, 3]


def test_label_that_does_not_fit_gives_exactly_zero_and_leaves_its_neighbours_alone():
    logits = np.random.default_rng(11).normal(size=(4, 4, 6))
    labels = padded([[1, 2, 3, 4, 5], [1, 2], [3, 3, 3], [4, 4]])
    frames = np.array([4, 4, 4, 2], np.int32)
    losses, gradient = loss_and_gradient(logits, labels, frames)
    assert list(losses[[0, 2, 3]]) == [0, 0, 0]
    assert (gradient[[0, 2, 3]] == 0).all()
    alone = loss_and_gradient(logits[1:2], labels[1:2], frames[1:2])
    np.testing.assert_allclose(losses[1], alone[0][0], rtol=1e-6)
    np.testing.assert_allclose(gradient[1], alone[1][0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("size", [1e4, 100.0])
def test_extreme_logits_stay_finite_and_right(size):
    logits = np.random.default_rng(12).choice([-size, 0.0, size], size=(len(LABELS), 6, 4))
    losses, gradient = loss_and_gradient(logits, padded(LABELS), [6] * len(LABELS))
    assert np.isfinite(losses).all()
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() < 1.01
    expected = [brute_force(row, paths_of(label, 6)) for row, label in zip(logits, LABELS)]  # noqa: B905
    np.testing.assert_allclose(losses, expected, rtol=1e-4, atol=1e-4)


def test_certain_and_right_has_no_loss():
    logits = np.full((1, 3, 3), -1e4)
    logits[0, [0, 1, 2], [1, 0, 1]] = 1e4
    losses, gradient = loss_and_gradient(logits, [[1, 1]], [3])
    np.testing.assert_allclose(losses, [0], atol=1e-6)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)


def test_thousands_of_classes():
    rng = np.random.default_rng(13)
    logits = rng.normal(size=(2, 5, 6600)) * 3
    labels = [[6599, 17, 17], [4000, 1]]
    losses, gradient = loss_and_gradient(logits, padded(labels), [5, 4])
    for row, (label, count) in enumerate(zip(labels, (5, 4), strict=True)):
        paths = paths_of(label, count)
        assert losses[row] == pytest.approx(brute_force(logits[row, :count], paths), rel=1e-4)
        # softmax minus the share of the paths that pass, for the classes of the label.
        probabilities = np.exp(log_probabilities(logits[row, :count]))
        scores = np.log(probabilities)[np.arange(count), paths].sum(-1)
        fractions = np.exp(scores) / np.exp(scores).sum()
        expected = probabilities
        for frame in range(count):
            np.subtract.at(expected[frame], paths[:, frame], fractions)
        np.testing.assert_allclose(gradient[row, :count], expected, rtol=1e-3, atol=1e-6)


def test_one_frame_and_one_column_are_enough():
    losses, _ = loss_and_gradient(np.zeros((2, 1, 4)), [[2], [0]], [1, 1])
    np.testing.assert_allclose(losses, [math.log(4)] * 2, rtol=1e-6)


def test_labels_without_a_column_are_empty_labels():
    losses, _ = loss_and_gradient(np.zeros((2, 3, 4)), np.zeros((2, 0)), [3, 2])
    np.testing.assert_allclose(losses, [3 * math.log(4), 2 * math.log(4)], rtol=1e-6)


def test_half_precision_logits_give_a_float32_loss():
    logits = np.random.default_rng(14).normal(size=(1, 4, 3)).astype(np.float16)
    losses = keras.ops.convert_to_numpy(ctc_loss(logits, padded([[1, 2]]), np.array([4])))
    assert losses.dtype == np.float32
    expected = brute_force(logits[0], paths_of([1, 2], 4))
    np.testing.assert_allclose(losses, [expected], rtol=1e-4)


def test_without_input_lengths_all_frames_count():
    logits = np.random.default_rng(16).normal(size=(len(LABELS), 6, 4)).astype(np.float32)
    labels = padded(LABELS)
    given, _ = loss_and_gradient(logits, labels, [6] * len(LABELS))
    losses = keras.ops.convert_to_numpy(ctc_loss(logits, labels))
    np.testing.assert_allclose(losses, given, rtol=1e-6)


def test_float64_logits_give_a_float64_loss():
    logits = np.random.default_rng(17).normal(size=(len(LABELS), 6, 4))
    losses = keras.ops.convert_to_numpy(
        ctc_loss(keras.ops.convert_to_tensor(logits), padded(LABELS))
    )
    if keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 unless it is told so at its start")
    assert losses.dtype == np.float64
    expected = [brute_force(row, paths_of(label, 6)) for row, label in zip(logits, LABELS)]  # noqa: B905
    np.testing.assert_allclose(losses, expected, rtol=1e-12)


def test_loss_is_the_mean_over_the_batch_and_takes_labels_as_floats():
    logits = np.random.default_rng(18).normal(size=(len(LABELS), 6, 4)).astype(np.float32)
    losses, _ = loss_and_gradient(logits, padded(LABELS), [6] * len(LABELS))
    for labels in (padded(LABELS), padded(LABELS).astype(np.float32)):
        value = float(keras.ops.convert_to_numpy(CTCLoss()(labels, logits)))
        assert value == pytest.approx(losses.mean(), rel=1e-6)
    none = keras.ops.convert_to_numpy(CTCLoss(reduction=None)(padded(LABELS), logits))
    np.testing.assert_allclose(none, losses, rtol=1e-6)


def test_ids_above_the_precision_of_16_bits_survive_a_policy_of_16_bits():
    logits = np.random.default_rng(19).normal(size=(1, 4, 4001)).astype(np.float32)
    expected, _ = loss_and_gradient(logits, [[4000, 3999]], [4])
    before = keras.config.floatx()
    keras.config.set_floatx("bfloat16")
    try:
        value = float(keras.ops.convert_to_numpy(CTCLoss()(np.array([[4000, 3999]]), logits)))
    finally:
        keras.config.set_floatx(before)
    assert value == pytest.approx(expected[0], rel=1e-5)


def test_fit_learns_from_canvases_and_labels():
    char_dict = CharDict("ab")
    model = build_crnn(char_dict)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=CTCLoss())
    canvases = np.random.default_rng(20).integers(0, 256, (8, 32, 100, 1), dtype=np.uint8)
    labels = padded([char_dict.encode(text) for text in ["ab", "ba", "a", "b"] * 2])
    losses = model.fit(canvases, labels, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_layer_trains_as_the_loss_does():
    char_dict = CharDict("ab")
    canvases = np.random.default_rng(21).integers(0, 256, (4, 32, 100, 1), dtype=np.uint8)
    labels = padded([char_dict.encode(text) for text in ["ab", "ba", "a", ""]])

    def built():
        model = build_crnn(char_dict, seed=1)
        for layer in model.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
        return model

    by_loss, by_layer = built(), built()
    by_loss.compile(optimizer=keras.optimizers.SGD(0.1), loss=CTCLoss())
    given = keras.Input((2,), dtype="int32", name="labels")
    training_model = keras.Model(
        [by_layer.input, given], CTCLayer(name="ctc")(given, by_layer.output)
    )
    training_model.compile(optimizer=keras.optimizers.SGD(0.1))
    one = by_loss.train_on_batch(canvases, labels)
    other = training_model.train_on_batch([canvases, labels])
    assert float(one) == pytest.approx(float(other), rel=1e-5)
    for here, there in zip(by_loss.weights, by_layer.weights, strict=True):
        np.testing.assert_allclose(here.numpy(), there.numpy(), rtol=1e-4, atol=1e-6)


def test_layer_passes_the_logits_through_and_comes_back_from_a_saved_model(tmp_path):
    labels, logits = keras.Input((5,), dtype="int32"), keras.Input((6, 4))
    output = CTCLayer(name="ctc")(labels, logits)
    assert (output.shape, output.dtype) == ((None, 6, 4), "float32")
    model = keras.Model([labels, logits], output)
    model.save(tmp_path / "loss.keras")
    loaded = keras.models.load_model(tmp_path / "loss.keras")
    assert isinstance(loaded.get_layer("ctc"), CTCLayer)
    values = np.random.default_rng(15).normal(size=(len(LABELS), 6, 4)).astype(np.float32)
    expected, _ = loss_and_gradient(values, padded(LABELS), [6] * len(LABELS))
    np.testing.assert_array_equal(loaded.predict_on_batch([padded(LABELS), values]), values)
    loaded.compile(optimizer="sgd")
    loss = loaded.evaluate([padded(LABELS), values], verbose=0)
    assert loss == pytest.approx(expected.mean(), rel=1e-5)


def test_layer_stays_float32_under_another_policy():
    layer = CTCLayer(dtype="float16")
    assert layer.compute_dtype == "float32"
    assert CTCLayer.from_config(layer.get_config()).compute_dtype == "float32"

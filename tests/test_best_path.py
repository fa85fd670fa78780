import numpy as np
import pytest

from crnn_keras.char_dict import CharDict
from crnn_keras.model.decoding.best_path import best_path
from crnn_keras.model.decoding.forward import log_softmax

ABC = CharDict("abc")


def logits_of(path, share=0.7):
    """Logits whose best path is `path`: each of its classes has the probability `share`."""
    rest = (1 - share) / (ABC.num_classes - 1)
    probabilities = np.full((len(path), ABC.num_classes), rest)
    probabilities[np.arange(len(path)), path] = share
    return np.log(probabilities)[None].astype(np.float32)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ([1, 2, 3], "abc"),
        ([1, 1, 2, 2, 2, 3], "abc"),
        ([0, 1, 0, 2, 0], "ab"),
        ([1, 0, 1], "aa"),
        ([1, 1, 0, 0, 1, 1], "aa"),
        ([1, 2, 1], "aba"),
        ([0, 0, 3, 3], "c"),
        ([3, 3, 0, 0], "c"),
        ([0, 0, 0], ""),
        ([0], ""),
        ([2], "b"),
    ],
)
def test_repeats_are_merged_and_blanks_skipped(path, text):
    assert best_path(logits_of(path), ABC)[0].text == text


@pytest.mark.parametrize(("count", "text"), [(1, "a"), (2, "a"), (3, "ab"), (4, "ab"), (5, "abb")])
def test_frames_beyond_the_count_are_ignored(count, text):
    read = best_path(logits_of([1, 0, 2, 0, 2]), ABC, input_lengths=[count])[0]
    assert read.text == text
    assert read.confidence == pytest.approx(0.7**count, rel=1e-5)


def test_each_row_has_its_own_count():
    logits = np.concatenate([logits_of([1, 2, 3]), logits_of([3, 2, 1])])
    assert [read.text for read in best_path(logits, ABC, input_lengths=np.array([2, 3]))] == [
        "ab",
        "cba",
    ]


def test_no_frames_read_as_an_empty_text_that_is_certain():
    read = best_path(logits_of([1, 2]), ABC, input_lengths=[0])[0]
    assert (read.text, read.confidence, read.spans) == ("", 1.0, ())


def test_confidence_is_the_product_of_the_largest_probabilities():
    logits = np.random.default_rng(0).normal(size=(3, 6, 4)) * 3
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = probabilities.max(-1).prod(-1)
    found = [read.confidence for read in best_path(logits, ABC, input_lengths=[6, 6, 6])]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_confidence_does_not_depend_on_a_constant_added_to_the_logits():
    logits = logits_of([1, 0, 2])
    here, there = (best_path(logits + shift, ABC, input_lengths=[3])[0] for shift in (0, 500))
    assert here.confidence == pytest.approx(there.confidence, rel=1e-3)


def test_spans_give_first_and_last_frame_and_the_largest_probability():
    logits = np.log([[[0.8, 0.1, 0.05, 0.05],
                      [0.2, 0.6, 0.1, 0.1],
                      [0.05, 0.9, 0.03, 0.02],
                      [0.1, 0.1, 0.7, 0.1],
                      [0.97, 0.01, 0.01, 0.01]]])  # fmt: skip
    read = best_path(logits, ABC, input_lengths=[5])[0]
    assert read.text == "ab"
    assert [span[:2] for span in read.spans] == [(1, 2), (3, 3)]
    np.testing.assert_allclose([span[2] for span in read.spans], [0.9, 0.7], rtol=1e-5)


def test_equal_letters_apart_have_a_span_each():
    read = best_path(logits_of([1, 1, 0, 1]), ABC, input_lengths=[4])[0]
    assert [span[:2] for span in read.spans] == [(0, 1), (3, 3)]


def test_extreme_logits_give_a_confidence_of_one_or_zero_not_nan():
    certain = best_path(logits_of([1, 2]) * 1e4, ABC, input_lengths=[2])[0]
    assert (certain.text, certain.confidence) == ("ab", 1.0)
    torn = best_path(np.zeros((1, 5000, 4)), ABC, input_lengths=[5000])[0]
    assert torn.confidence == 0.0


def test_log_softmax_rows_sum_to_one_and_keep_their_order():
    logits = np.array([[0.0, 1.0, 2.0], [1e4, -1e4, 0.0]])
    log_probs = log_softmax(logits)
    np.testing.assert_allclose(np.exp(log_probs).sum(-1), [1, 1], rtol=1e-6)
    np.testing.assert_allclose(log_probs[0], [-2.407606, -1.407606, -0.407606], rtol=1e-5)
    assert np.isfinite(log_probs).all()


@pytest.mark.parametrize("shape", [(1, 3, 5), (1, 3, 3), (3, 4)])
def test_logits_of_another_dictionary_are_refused_with_both_numbers(shape):
    with pytest.raises(ValueError, match=r"\(batch, frames, 4\).*got \(" + str(shape[0])):
        best_path(np.zeros(shape), ABC, input_lengths=[shape[-2]])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(value):
    logits = logits_of([1, 2])
    logits[0, 1, 2] = value
    with pytest.raises(ValueError, match="not finite"):
        best_path(logits, ABC, input_lengths=[2])


def test_fewer_counts_than_rows_are_refused():
    with pytest.raises(ValueError):
        best_path(np.zeros((2, 3, 4)), ABC, input_lengths=[3])


def test_no_rows_give_no_predictions():
    assert best_path(np.zeros((0, 3, 4)), ABC, input_lengths=[]) == []


def test_ids_are_those_of_the_frames_even_where_the_text_is_composed_anew():
    char_dict = CharDict("e\u0301a", normalization="nfc")
    (read,) = best_path(np.log(np.eye(4)[[1, 2, 3]] + 0.01)[None], char_dict)
    assert read.ids == (1, 2, 3)
    assert char_dict.decode(list(read.ids)) == read.text

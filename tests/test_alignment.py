"""Forced alignment agrees with a search through all paths."""

import itertools

import numpy as np
import pytest

from crnn_keras.char_dict import CharDict
from crnn_keras.model.decoding import align_ids, align_texts, best_path, log_likelihoods
from crnn_keras.model.decoding.forward import log_softmax


def runs_of(path):
    """Pairs of a class and the list of its frames, for each run of one class but the blank."""
    frames = itertools.groupby(range(len(path)), key=path.__getitem__)
    return [(own, list(run)) for own, run in frames if own]


def search(logits, ids):
    """The likeliest of all paths that spell a label, as spans; by trying each of them."""
    logs = log_softmax(logits).astype(float)
    frames, num_classes = logs.shape
    best, winner = -np.inf, None
    for path in itertools.product(range(num_classes), repeat=frames):
        found = runs_of(path)
        score = logs[range(frames), path].sum()
        if [own for own, _ in found] == list(ids) and score > best:
            best, winner = score, found
    return [(run[0], run[-1], np.exp(logs[run, own].max())) for own, run in winner]


@pytest.mark.parametrize("ids", [[1], [1, 2], [1, 1], [2, 1, 2], [1, 2, 2], [2, 1, 1, 2], []])
@pytest.mark.parametrize("seed", range(3))
def test_the_likeliest_path_is_that_of_a_search_through_all(ids, seed):
    logits = np.random.default_rng(seed).normal(size=(1, 6, 3)) * 2
    (aligned,) = align_ids(logits, [ids])
    expected = search(logits[0], ids)
    assert [span[:2] for span in aligned.spans] == [span[:2] for span in expected]
    np.testing.assert_allclose(
        [span[2] for span in aligned.spans], [span[2] for span in expected], rtol=1e-5
    )
    assert aligned.log_likelihood == pytest.approx(log_likelihoods(logits[0], [ids])[0])


def test_each_image_of_a_batch_is_aligned_to_its_own_label():
    logits = np.random.default_rng(5).normal(size=(5, 12, 6)) * 3
    ids_list = [[1, 2, 3], [], [5, 5, 5, 5, 5], [4], [1, 2, 1, 2, 1, 2, 1, 2]]
    together = align_ids(logits, ids_list)
    for row, ids, aligned in zip(logits, ids_list, together, strict=True):
        assert [aligned] == align_ids(row[None], [ids])
        assert len(aligned.spans) == len(ids)
        edges = [(first, last) for first, last, _ in aligned.spans]
        assert all(first <= last for first, last in edges)
        assert all(here[1] < there[0] for here, there in itertools.pairwise(edges))
        assert aligned.log_likelihood == pytest.approx(log_likelihoods(row, [ids])[0])


def test_the_text_of_the_best_path_is_aligned_where_the_best_path_is():
    char_dict = CharDict("abcde")
    logits = np.random.default_rng(1).normal(size=(20, 15, 6)) * 2
    for row, decoded in zip(logits, best_path(logits, char_dict), strict=True):
        ((text, aligned),) = align_texts(row[None], [decoded.text], char_dict)
        assert text == decoded.text
        assert [span[:2] for span in aligned.spans] == [span[:2] for span in decoded.spans]
        probabilities = [span[2] for span in aligned.spans]
        np.testing.assert_allclose(probabilities, [span[2] for span in decoded.spans], rtol=1e-5)


def test_likelihoods_too_faint_for_a_float_stay_finite():
    logits = np.zeros((1, 512, 2))
    logits[..., 0] = 90
    (aligned,) = align_ids(logits, [[1] * 200])
    assert -np.inf < aligned.log_likelihood < -15_000
    assert len(aligned.spans) == 200


def test_spans_follow_the_text_where_it_runs_from_right_to_left():
    hebrew = CharDict("אב1", direction="visual")
    ids = hebrew.encode("אב1")
    logits = np.eye(4)[[ids[0], 0, ids[1], 0, ids[2]]][None] * 9
    ((text, aligned),) = align_texts(logits, ["אב1"], hebrew)
    assert text == "אב1"
    assert [span[0] for span in aligned.spans] == [4, 2, 0]


def test_a_text_is_aligned_as_the_char_dict_writes_it():
    logits = np.zeros((1, 5, 37))
    ((text, _),) = align_texts(logits, ["Ab"], CharDict.from_preset("alphanumeric36"))
    assert text == "ab"


@pytest.mark.parametrize(
    ("ids_list", "named"),
    [
        ([[1, 1, 1]], "5 frames.* 4"),
        ([[1, 2, 1, 2, 1]], "5 frames.* 4"),
        ([[0]], "Label 0 is"),
        ([[3]], "from 1 to 2"),
        ([[1], [2]], "number of labels"),
    ],
)
def test_a_label_that_cannot_be_aligned_is_named(ids_list, named):
    with pytest.raises(ValueError, match=named):
        align_ids(np.zeros((1, 4, 3)), ids_list)


@pytest.mark.parametrize("logits", [np.full((1, 4, 3), np.nan), np.zeros((4, 3))])
def test_logits_that_are_broken_are_named(logits):
    with pytest.raises(ValueError, match="finite logits"):
        align_ids(logits, [[1]])


def test_no_frames_and_no_images_have_no_spans():
    assert [aligned.spans for aligned in align_ids(np.zeros((1, 0, 3)), [[]])] == [()]
    assert align_ids(np.zeros((0, 4, 3)), []) == []

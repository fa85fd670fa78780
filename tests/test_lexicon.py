import itertools
import math

import numpy as np
import pytest

from crnn_keras.char_dict import CharDict, frames_needed
from crnn_keras.model.ctc import ctc_loss
from crnn_keras.model.decoding import (
    Lexicon,
    likelihoods,
    log_likelihoods,
    read_with_lexicon,
)

ABC = CharDict("abc")
LETTERS = CharDict("abcdefghijklmnopqrstuvwxyz", fold_case=True)


def logits_of(text, char_dict=LETTERS, frames=9, sureness=6.0, seed=0):
    """A batch of one whose best path is `text`, with a blank after each character."""
    rng = np.random.default_rng(seed)
    logits = rng.uniform(0, 1, (1, frames, char_dict.num_classes)).astype(np.float32)
    path = [i for character in char_dict.encode(text) for i in (character, 0)]
    path = (path + [0] * frames)[:frames]
    logits[0, np.arange(frames), path] += sureness
    return logits


def log_probabilities(logits):
    """Log softmax in float64."""
    logits = np.asarray(logits, np.float64)
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def collapse(path):
    return tuple(key for key, _ in itertools.groupby(path) if key)


def all_labels(logits):
    """The log likelihood of every label that some path spells, summed path by path."""
    log_probs, found = log_probabilities(logits), {}
    for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        score = sum(log_probs[frame, i] for frame, i in enumerate(path))
        label = collapse(path)
        found[label] = np.logaddexp(found.get(label, -np.inf), score)
    return found


def edits(one, other):
    """Levenshtein's distance from its definition."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        before, row = row, [i]
        for j, b in enumerate(other, start=1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b)))
    return row[-1]


@pytest.mark.parametrize(
    ("label", "likelihood"),
    [
        # Two frames: a 0.5, b 0.2, blank 0.2, c 0.1; then a 0.1, b 0.6, blank 0.3.
        ([1], 0.5 * 0.1 + 0.5 * 0.3 + 0.2 * 0.1),
        ([2], 0.2 * 0.6 + 0.2 * 0.3 + 0.2 * 0.6),
        ([1, 2], 0.5 * 0.6),
        ([2, 1], 0.2 * 0.1),
        ([], 0.2 * 0.3),
    ],
)
def test_likelihoods_worked_by_hand(label, likelihood):
    probabilities = np.array([[0.2, 0.5, 0.2, 0.1], [0.3, 0.1, 0.6, 1e-12]])
    found = log_likelihoods(np.log(probabilities), [label])
    np.testing.assert_allclose(np.exp(found), [likelihood], rtol=1e-9)


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_every_label_has_the_sum_of_its_paths(frames):
    logits = np.random.default_rng(frames).normal(0, 3, (frames, 4))
    expected = all_labels(logits)
    found = log_likelihoods(logits, list(expected))
    np.testing.assert_allclose(found, list(expected.values()), rtol=1e-9)
    assert np.exp(found).sum() == pytest.approx(1)


def test_likelihoods_are_those_of_the_loss():
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, (25, 37)).astype(np.float32)
    labels = [rng.integers(1, 37, length).tolist() for length in rng.integers(1, 13, 60)]
    padded = np.array([label + [0] * (12 - len(label)) for label in labels], np.int32)
    losses = ctc_loss(np.repeat(logits[None], 60, 0), padded, np.full(60, 25, np.int32))
    losses = losses.detach().numpy() if hasattr(losses, "detach") else np.asarray(losses)
    np.testing.assert_allclose(log_likelihoods(logits, labels), -losses, rtol=1e-5)


def test_many_labels_have_the_likelihoods_of_each_alone():
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 3, (12, 6))
    labels = [rng.integers(1, 6, length).tolist() for length in rng.integers(0, 10, 2500)]
    together = log_likelihoods(logits, labels)
    for place in (0, 1023, 1024, 2047, 2048, 2499):
        alone = log_likelihoods(logits, [labels[place]])
        np.testing.assert_allclose(together[[place]], alone, rtol=1e-12)


def test_likelihoods_too_small_for_a_float_are_still_exact():
    logits = np.random.default_rng(3).normal(0, 400, (5, 4))
    expected = all_labels(logits)
    assert min(expected.values()) < -1500 < -10 < max(expected.values())
    found = log_likelihoods(logits, list(expected))
    np.testing.assert_allclose(found, list(expected.values()), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", [0.1, 3, 40])
def test_one_label_for_each_image_has_the_likelihood_of_its_own_logits(scale):
    rng = np.random.default_rng(7)
    logits = rng.normal(0, scale, (200, 12, 6)).astype(np.float32)
    labels = [rng.integers(1, 6, length).tolist() for length in rng.integers(0, 15, 200)]
    expected = [
        np.exp(log_likelihoods(row, [label])[0]) for row, label in zip(logits, labels, strict=True)
    ]
    found = likelihoods(logits, labels)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-300)
    # Longer than the frames, and empty.
    assert found[[len(label) > 12 for label in labels]].max() == 0
    assert found[[not label for label in labels]].max() > 0


def test_the_likelihood_of_what_is_sure_is_1_and_no_more():
    logits = np.concatenate([logits_of(text, sureness=200.0) for text in ("", "a", "abba", "aa")])
    found = likelihoods(logits, [LETTERS.encode(text) for text in ("", "a", "abba", "aa")])
    assert (found <= 1).all() and found == pytest.approx(1)
    assert likelihoods(logits[:0], []).shape == (0,)


@pytest.mark.parametrize("label", [[1, 2, 3, 1], [1, 1, 2], [1] * 40])
def test_labels_that_do_not_fit_the_frames_are_impossible(label):
    assert frames_needed(label) > 3
    found = log_likelihoods(np.zeros((3, 4)), [label, [1, 2, 3]])
    assert found[0] == -np.inf
    # One path of 64 spells abc.
    assert found[1] == pytest.approx(math.log(1 / 64))


def test_no_frames_spell_the_empty_label_only():
    assert log_likelihoods(np.zeros((0, 4)), [[], [1]]).tolist() == [0.0, -np.inf]


def test_no_labels_have_no_likelihoods():
    assert log_likelihoods(np.zeros((3, 4)), []).shape == (0,)


@pytest.mark.parametrize("ids", [[1, 0], [4], [-1]])
def test_ids_that_are_no_characters_are_refused_with_the_label(ids):
    with pytest.raises(ValueError, match="Label 1 is .* from 1 to 3"):
        log_likelihoods(np.zeros((3, 4)), [[1], ids])


@pytest.mark.parametrize("logits", [np.zeros((1, 3, 4)), np.full((3, 4), np.nan)])
def test_logits_of_another_shape_or_not_finite_are_refused(logits):
    with pytest.raises(ValueError, match="finite logits of shape"):
        log_likelihoods(logits, [[1]])


@pytest.mark.parametrize("delta", [0, 1, 2, 3, 9])
def test_candidates_are_the_words_within_the_distance(delta):
    rng = np.random.default_rng(delta)
    # Characters that share a bit of the set of letters are among these: they are 64 apart.
    char_dict = CharDict("abcÁ¡áx")
    characters = list(char_dict.characters)
    draw = lambda: "".join(rng.choice(characters, rng.integers(1, 8)))  # noqa: E731
    lexicon = Lexicon([draw() for _ in range(300)], char_dict)
    for text in [draw() for _ in range(30)] + [""]:
        expected = [word for word in lexicon.words if edits(text, word) <= delta]
        assert lexicon.candidates(text, delta) == expected


def test_all_words_are_candidates_without_a_distance():
    lexicon = Lexicon(["door", "a", "wild"], LETTERS)
    assert lexicon.candidates("zzz", None) == lexicon.words == ["a", "door", "wild"]


@pytest.mark.parametrize("text", ["DOOR", "Door", "door"])
def test_case_is_folded_in_words_and_texts(text):
    assert Lexicon([text], LETTERS).candidates(text, 0) == ["door"]


def test_normalization_is_that_of_the_char_dict():
    lexicon = Lexicon(["cafe\N{COMBINING ACUTE ACCENT}"], CharDict("acfé"))
    assert lexicon.words == ["café"]
    assert lexicon.candidates("cafe\N{COMBINING ACUTE ACCENT}", 0) == ["café"]


def test_a_word_is_kept_once():
    lexicon = Lexicon(["The", "THE", "door", "the", "door"], LETTERS)
    assert (lexicon.words, len(lexicon)) == (["the", "door"], 2)


def test_words_that_cannot_be_written_are_named():
    lexicon = Lexicon(["it's", "door", "", "4you", "it's"], LETTERS)
    assert lexicon.words == ["door"]
    assert lexicon.skipped == ("it's", "", "4you")
    assert repr(lexicon) == "Lexicon(1 words, 3 skipped)"


def test_a_text_with_foreign_characters_still_has_neighbours():
    assert Lexicon(["door"], LETTERS).candidates("d00r", 2) == ["door"]


@pytest.mark.parametrize("words", [[], ["1", "2"]])
def test_an_empty_lexicon_is_refused(words):
    with pytest.raises(ValueError, match=rf"none of {len(words)}\."):
        Lexicon(words, ABC)


def test_a_string_in_place_of_a_list_is_refused():
    with pytest.raises(ValueError, match="one string 'words.txt'"):
        Lexicon("words.txt", LETTERS)


def test_a_negative_distance_is_refused():
    with pytest.raises(ValueError, match="Delta is -1"):
        Lexicon(["door"], LETTERS).candidates("door", -1)


def test_the_likeliest_candidate_wins_not_the_nearest():
    # "a" and "cb" are one edit from the best path's "ab"; the first frame is almost a c.
    probabilities = np.array([[[0.01, 0.5, 0.04, 0.45], [0.97, 0.01, 0.01, 0.01],
                               [0.01, 0.01, 0.97, 0.01]]])  # fmt: skip
    logits = np.log(probabilities).astype(np.float32)
    lexicon = Lexicon(["a", "cb", "cc"], ABC)
    (read,) = read_with_lexicon(logits, lexicon, delta=1, input_lengths=[3])
    assert (read.text, read.best_path.text, read.candidates) == ("cb", "ab", 2)
    both = log_likelihoods(logits[0], [[3, 2], [1]])
    assert read.log_likelihood == pytest.approx(both[0], rel=1e-12)
    assert read.probability == pytest.approx(1 / (1 + math.exp(both[1] - both[0])), rel=1e-9)
    # With more edits "cc" takes part, which is two away.
    assert read_with_lexicon(logits, lexicon, delta=2, input_lengths=[3])[0].candidates == 3


def test_each_row_has_its_own_frames_and_result():
    logits = np.concatenate([logits_of("dog"), logits_of("cat"), logits_of("dogs")])
    lexicon = Lexicon(["dog", "dogs", "cat"], LETTERS)
    reads = read_with_lexicon(logits, lexicon, delta=1, input_lengths=np.array([9, 9, 6]))
    assert [read.text for read in reads] == ["dog", "cat", "dog"]
    assert [read.candidates for read in reads] == [2, 1, 2]


def test_the_winner_has_the_largest_likelihood_of_all_words():
    rng = np.random.default_rng(5)
    words = ["".join(rng.choice(list("abc"), rng.integers(1, 6))) for _ in range(80)]
    lexicon = Lexicon(words, ABC)
    logits = rng.normal(0, 2, (20, 6, 4))
    for row, read in zip(
        logits, read_with_lexicon(logits, lexicon, input_lengths=[6] * 20), strict=True
    ):
        expected = all_labels(row)
        possible = {w: expected.get(tuple(ABC.encode(w)), -np.inf) for w in lexicon.words}
        assert read.text == max(possible, key=possible.get)
        assert read.log_likelihood == pytest.approx(possible[read.text], rel=1e-6)
        total = np.exp(list(possible.values())).sum()
        assert read.probability == pytest.approx(np.exp(possible[read.text]) / total, rel=1e-6)
        assert read.candidates == np.isfinite(list(possible.values())).sum()


def test_without_a_candidate_the_best_path_stands_and_says_so():
    (read,) = read_with_lexicon(
        logits_of("zebra"), Lexicon(["door"], LETTERS), delta=2, input_lengths=[9]
    )
    assert (read.text, read.candidates, read.probability) == ("zebra", 0, 0.0)
    own = log_likelihoods(logits_of("zebra")[0], [LETTERS.encode("zebra")])
    assert read.log_likelihood == own[0]


def test_a_letter_and_an_accent_stand_though_they_would_melt_into_another():
    char_dict = CharDict("e\N{COMBINING ACUTE ACCENT}xyz")
    logits = np.array([[[0, 5, 0, 0, 0, 0], [0, 0, 5, 0, 0, 0]]], np.float32)
    (read,) = read_with_lexicon(logits, Lexicon(["xyz"], char_dict), delta=0, input_lengths=[2])
    assert read.text == "e\N{COMBINING ACUTE ACCENT}"
    assert read.log_likelihood == log_likelihoods(logits[0], [[1, 2]])[0]


def test_delta_of_zero_keeps_a_word_of_the_list_only():
    lexicon = Lexicon(["door", "doors"], LETTERS)
    (word,) = read_with_lexicon(logits_of("dor"), lexicon, delta=0, input_lengths=[9])
    assert (word.text, word.candidates) == ("dor", 0)
    (other,) = read_with_lexicon(
        logits_of("wild"), Lexicon(["wild"], LETTERS), delta=0, input_lengths=[9]
    )
    assert (other.text, other.candidates, other.probability) == ("wild", 1, 1.0)


def test_an_empty_text_can_become_a_word():
    lexicon = Lexicon(["a", "door"], LETTERS)
    (read,) = read_with_lexicon(logits_of("", frames=4), lexicon, delta=1, input_lengths=[4])
    assert (read.best_path.text, read.text, read.candidates) == ("", "a", 1)


def test_words_longer_than_the_frames_are_no_candidates():
    lexicon = Lexicon(["cats", "catss"], LETTERS)
    (read,) = read_with_lexicon(
        logits_of("cats", frames=9)[:, :5:2], lexicon, delta=3, input_lengths=[3]
    )
    assert (read.best_path.text, read.text, read.candidates) == ("cat", "cat", 0)


def test_extreme_logits_give_numbers_not_nan():
    lexicon = Lexicon(["door", "wild"], LETTERS)
    (read,) = read_with_lexicon(logits_of("zebra", sureness=1e5), lexicon, input_lengths=[9])
    assert read.text in lexicon.words
    assert -np.inf < read.log_likelihood < -1e5
    assert 0.5 <= read.probability <= 1


def test_logits_of_another_dictionary_are_refused():
    with pytest.raises(ValueError, match=r"\(batch, frames, 4\)"):
        read_with_lexicon(np.zeros((1, 3, 5)), Lexicon(["a"], ABC), input_lengths=[3])


def test_no_rows_give_no_readings():
    assert (
        read_with_lexicon(np.zeros((0, 3, 4)), Lexicon(["a"], ABC), delta=1, input_lengths=[]) == []
    )

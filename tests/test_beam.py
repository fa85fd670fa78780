"""The beam against brute force, and against a slow prefix search of dicts."""

import itertools
import math
import re
import warnings

import numpy as np
import pytest

from crnn_keras.char_dict import CharDict, frames_needed
from crnn_keras.model.decoding import (
    LanguageModelSettings,
    Pattern,
    beam_search,
    best_path,
    completions,
    likelihoods,
    log_softmax,
    train_language_model,
)
from crnn_keras.model.decoding.beam import _Search

ABC = CharDict("abc")
WIDE = {"width": 200, "classes": 3}
PATTERNS = ["a?", "ab|c", "(ab)*", "[ab]+c?", "aa|bb|c", "a.{2}", "[^a]*"]


@pytest.fixture(autouse=True)
def broken_numbers_are_errors():
    with warnings.catch_warnings(), np.errstate(divide="raise", over="raise", invalid="raise"):
        warnings.simplefilter("error")
        yield


@pytest.fixture(scope="module")
def language_model():
    texts = {"abc": 9, "abba": 5, "cab": 4, "b": 2, "acc": 1}
    settings = LanguageModelSettings(weight=0.8, length_bonus=1.1)
    return train_language_model(texts, ABC, order=3, settings=settings).bind(ABC)


def random_log_probabilities(seed, *, batch=3, frames=4, scale=2.0, num_classes=4):
    """float64, so that sums of paths are exact."""
    logits = np.random.default_rng(seed).normal(0, scale, (batch, frames, num_classes))
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def texts_of(beam, image=0):
    """Dict of text, as a tuple of ids: what the language model gives to it."""
    found = {}
    for row in np.flatnonzero(beam.is_used[image]):
        ids = beam.ids[image, row]
        length = beam.lengths[image, row]
        assert (ids[:length] > 0).all() and (ids[length:] == 0).all()
        text = tuple(ids[:length].tolist())
        assert text not in found
        found[text] = float(beam.log_weights[image, row])
    return found


def brute_force(log_probabilities):
    """Dict of text: its CTC likelihood, by all paths of one image."""
    found = {}
    for path in itertools.product(range(log_probabilities.shape[1]), repeat=len(log_probabilities)):
        text = tuple(key for key, _ in itertools.groupby(path) if key)
        mass = math.exp(sum(row[i] for row, i in zip(log_probabilities, path, strict=True)))
        found[text] = found.get(text, 0.0) + mass
    return found


def log_weight(language_model, text, *, has_end=True):
    """What a language model gives to a text, one character after the other."""
    settings, states = language_model.settings, np.array([language_model.start])
    characters = (*text, 0) if has_end else text
    language = 0.1
    for i in characters:
        scores, states = language_model.advance(states, np.array([i]))
        language *= math.exp(scores[0])
    # Or it is a code of evenly likely characters.
    code = 0.9 * language_model.char_dict.num_classes ** -len(characters)
    return settings.weight * math.log(language + code) + settings.length_bonus * len(text)


def matching(expression, texts):
    return {text for text in texts if re.fullmatch(expression, ABC.decode(text))}


def exact(log_probabilities, texts):
    """The likelihoods of texts of one image, in the order of the dict."""
    texts = list(texts)
    repeated = np.broadcast_to(log_probabilities, (len(texts), *log_probabilities.shape))
    return likelihoods(repeated, texts)


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
@pytest.mark.parametrize("num_classes", [2, 3, 4])
def test_a_wide_beam_finds_all_texts(frames, num_classes):
    logs = random_log_probabilities(frames, frames=frames, num_classes=num_classes)
    beam = beam_search(logs, **WIDE)
    for image, own in enumerate(logs):
        found, expected = texts_of(beam, image), brute_force(own)
        assert found.keys() == expected.keys()
        assert set(found.values()) == {0.0}
        np.testing.assert_allclose(exact(own, found), [expected[text] for text in found])


@pytest.mark.parametrize("expression", [None, *PATTERNS])
@pytest.mark.parametrize("has_language_model", [False, True])
def test_a_wide_beam_finds_what_brute_force_finds(expression, has_language_model, language_model):
    logs = random_log_probabilities(len(expression or ""), batch=4)
    language_model = language_model if has_language_model else None
    pattern = expression and Pattern(expression, ABC)
    beam = beam_search(logs, language_model, pattern, **WIDE)
    for image, own in enumerate(logs):
        expected = brute_force(own)
        if expression:
            expected = {text: expected[text] for text in matching(expression, expected)}
        found = texts_of(beam, image)
        assert found.keys() == expected.keys()
        weights = dict.fromkeys(expected, 0.0)
        if has_language_model:
            weights = {text: log_weight(language_model, text) for text in expected}
        assert found == pytest.approx(weights, abs=1e-9)
        scores = np.log(exact(own, found)) + list(found.values())
        best = max(expected, key=lambda text: math.log(expected[text]) + weights[text])
        assert list(found)[scores.argmax()] == best


@pytest.mark.parametrize("has_language_model", [False, True])
def test_the_masses_of_a_wide_beam_are_the_likelihoods(has_language_model, language_model):
    logs = random_log_probabilities(8, batch=5)
    model = language_model if has_language_model else None
    search = _Search(logs, model, None, **WIDE)
    for frame in range(4):
        search.read_frame(frame)
    beam = search.finish()
    masses = search.after_blank + search.after_class
    for image, own in enumerate(logs):
        texts = [tuple(ids[ids > 0].tolist()) for ids in beam.ids[image][beam.is_used[image]]]
        masses_of = masses[image][beam.is_used[image]]
        np.testing.assert_allclose(masses_of / masses_of.sum(), exact(own, texts))


def slow_prefix_search(log_probabilities, *, width, language_model, pattern):
    """Algorithm 1 of Hannun et al. for one image, with dicts: the texts of the last beam."""
    probabilities = np.exp(log_probabilities)
    if pattern is not None:
        rests = completions(log_probabilities[None], pattern)

    def state_of(text):
        state = 0
        for i in text:
            state = pattern.transitions[state, i]
            if state < 0:
                break
        return state

    def rank(text, masses, frame):
        after_blank, after_class = masses
        if pattern is not None:
            state = state_of(text)
            if state < 0:
                return 0.0
            after_blank *= math.exp(rests.after_blank[frame, 0, state])
            node = pattern.lattice.node_of[state, text[-1]] if text else -1
            after_class *= math.exp(rests.after_node[frame, 0, node])
        factor = 1.0
        if language_model is not None:
            factor = math.exp(log_weight(language_model, text, has_end=False))
        return (after_blank + after_class) * factor

    beam = {(): (1.0, 0.0)}
    for frame, own in enumerate(probabilities, 1):
        following = {}
        for text, (after_blank, after_class) in beam.items():
            both = after_blank + after_class
            blank, same = following.get(text, (0.0, 0.0))
            same += after_class * own[text[-1]] if text else 0.0
            following[text] = blank + both * own[0], same
            for i in range(1, len(own)):
                blank, same = following.get((*text, i), (0.0, 0.0))
                mass = after_blank if text and text[-1] == i else both
                following[*text, i] = blank, same + mass * own[i]
        ranks = {text: rank(text, masses, frame) for text, masses in following.items()}
        kept = sorted(ranks, key=ranks.get, reverse=True)[:width]
        beam = {text: following[text] for text in kept if ranks[text] > 0}
    return set(beam)


@pytest.mark.parametrize("width", [1, 2, 3, 6])
@pytest.mark.parametrize("expression", [None, "[ab]+c?", "(ab)*|c+", "a.{2,4}"])
@pytest.mark.parametrize("has_language_model", [False, True])
def test_a_narrow_beam_keeps_what_a_slow_one_keeps(
    width, expression, has_language_model, language_model
):
    logs = random_log_probabilities(width, batch=12, frames=9)
    arguments = {
        "language_model": language_model if has_language_model else None,
        "pattern": expression and Pattern(expression, ABC),
    }
    beam = beam_search(logs, **arguments, width=width, classes=3)
    for image, own in enumerate(logs):
        expected = slow_prefix_search(own, width=width, **arguments)
        assert texts_of(beam, image).keys() == expected


def test_alone_in_a_batch_and_in_another_order_the_beam_is_the_same(language_model):
    logs = random_log_probabilities(3, batch=9, frames=12)
    # Images with ties: all classes, and two of them, are equally likely.
    logs[0] = -math.log(4)
    logs[1, ::2, 1] = logs[1, ::2, 2]
    order = np.random.default_rng(0).permutation(len(logs))
    for arguments in [
        (),
        (language_model,),
        (None, Pattern("[ab]{3,}c?", ABC)),
        (language_model, Pattern("[ab]*c[ab]*", ABC)),
    ]:
        together = beam_search(logs, *arguments, width=5)
        turned = beam_search(logs[order], *arguments, width=5)
        for image in range(len(logs)):
            expected = list(texts_of(together, image).items())
            alone = beam_search(logs[image : image + 1], *arguments, width=5)
            assert list(texts_of(alone).items()) == expected
            place = int(np.flatnonzero(order == image)[0])
            assert list(texts_of(turned, place).items()) == expected


@pytest.mark.parametrize("width", [1, 3, 12])
def test_a_pattern_that_allows_everything_changes_nothing(width, language_model):
    logs = random_log_probabilities(5, batch=6, frames=10)
    for model in (None, language_model):
        plain = beam_search(logs, model, width=width)
        for expression in (".*", r"(a|[^a])*"):
            found = beam_search(logs, model, Pattern(expression, ABC), width=width)
            for image in range(len(logs)):
                assert texts_of(found, image) == pytest.approx(texts_of(plain, image))


def test_probabilities_of_alternatives_sum_to_one_at_most():
    logs = random_log_probabilities(6, batch=8, frames=7)
    narrow, wide = beam_search(logs), beam_search(logs, width=1500, classes=3)
    for image, own in enumerate(logs):
        assert exact(own, texts_of(narrow, image)).sum() <= 1 + 1e-12
        assert exact(own, texts_of(wide, image)).sum() == pytest.approx(1)


def sure(*classes, num_classes=4):
    """Log probabilities of one image that are nearly certain of a class in each frame."""
    logits = np.full((1, len(classes), num_classes), 0.0)
    logits[0, np.arange(len(classes)), classes] = 12
    return log_softmax(logits)


def likeliest(logs, **arguments):
    texts = list(texts_of(beam_search(logs, **arguments)))
    return ABC.decode(texts[exact(logs[0], texts).argmax()])


@pytest.mark.parametrize("width", [1, 12])
@pytest.mark.parametrize(
    "classes, text",
    [
        ((0,), ""),
        ((0, 0, 0, 0), ""),
        ((2,), "b"),
        ((1, 1), "a"),
        ((1, 0, 1), "aa"),
        ((1, 0, 0, 1, 1, 2, 2, 0, 2), "aabb"),
        ((3, 1, 2), "cab"),
    ],
)
def test_repeats_need_a_blank(classes, text, width):
    assert likeliest(sure(*classes), width=width) == text


def test_a_repeat_is_found_only_where_it_fits():
    logs = np.full((1, 3, 2), math.log(0.5))
    assert texts_of(beam_search(logs)).keys() == {(), (1,), (1, 1)}
    assert texts_of(beam_search(logs[:, :2])).keys() == {(), (1,)}
    assert texts_of(beam_search(logs, pattern=Pattern("aa", CharDict("a")))).keys() == {(1, 1)}


def test_the_beam_sums_paths_where_the_best_path_does_not():
    # "a" by three paths is likelier than the blanks of the likeliest one.
    logs = np.log(np.array([[[0.6, 0.4], [0.6, 0.4]]]))
    assert best_path(logs, CharDict("a"))[0].text == ""
    assert likeliest(logs) == "a"


def test_with_sure_frames_the_beam_is_the_best_path():
    logs = log_softmax(np.random.default_rng(2).normal(0, 40, (20, 15, 4)))
    greedy = best_path(logs, ABC)
    for width in (1, 4):
        beam = beam_search(logs, width=width)
        for image, expected in enumerate(greedy):
            texts = list(texts_of(beam, image))
            assert texts[exact(logs[image], texts).argmax()] == tuple(expected.ids)


def test_a_pattern_that_does_not_fit_finds_nothing(language_model):
    logs = random_log_probabilities(1, frames=3)
    for expression in ("a{4,}", "aa{2}", "(bb){3}"):
        for model in (None, language_model):
            beam = beam_search(logs, model, Pattern(expression, ABC))
            assert not beam.is_used.any()
            assert beam.ids.shape[:2] == beam.is_used.shape == (3, 12)


@pytest.mark.parametrize("scale", [100, 1e4])
@pytest.mark.parametrize("has_language_model", [False, True])
def test_extreme_logits_give_a_text(scale, has_language_model, language_model):
    rng = np.random.default_rng(4)
    model = language_model if has_language_model else None
    for logits in (
        rng.normal(0, scale, (16, 12, 4)),
        rng.choice([-scale, scale], (16, 12, 4)),
        np.full((2, 12, 4), -scale),
    ):
        logs = log_softmax(logits)
        beam = beam_search(logs, model)
        assert beam.is_used.any(1).all() and np.isfinite(beam.log_weights).all()
        if model is None and scale > 100:
            for image in range(len(logs)):
                # Up to ties, what is likeliest.
                texts = list(texts_of(beam, image))
                assert exact(logs[image], texts).max() > 0
        for expression in PATTERNS:
            beam = beam_search(logs, model, Pattern(expression, ABC))
            assert beam.is_used.any(1).all() and np.isfinite(beam.log_weights).all()
            for image in range(len(logs)):
                texts = texts_of(beam, image)
                assert matching(expression, texts) == texts.keys()


def test_a_pattern_is_found_beside_a_sure_other_text():
    # The reader is certain of c in all frames; of the pattern's texts "ab" is the likeliest.
    logits = np.zeros((1, 60, 4))
    logits[..., 3] = 90
    logits[:, 10:30, 1], logits[:, 30:, 2] = 30, 30
    logs = log_softmax(logits)
    beam = beam_search(logs, pattern=Pattern("(ab|ba){1,2}", ABC))
    assert (1, 2) in texts_of(beam)
    assert matching("(ab|ba){1,2}", texts_of(beam)) == texts_of(beam).keys()


def test_one_long_text_beside_unused_rows_survives_a_strict_language_model():
    settings = LanguageModelSettings(weight=10.0, length_bonus=-10.0)
    strict = train_language_model(["b"], ABC, settings=settings).bind(ABC)
    logs = sure(*[1, 0] * 40)
    beam = beam_search(logs, strict, Pattern("a{40}", ABC))
    assert list(texts_of(beam)) == [(1,) * 40]
    assert beam.log_weights[beam.is_used] == pytest.approx(log_weight(strict, (1,) * 40))


def test_a_language_model_decides_between_equal_characters(language_model):
    logs = sure(1, 0, 2, 0, 3, 0).astype(np.float64)
    logs[0, 2, 2] = logs[0, 2, 3] = math.log(0.49)
    beam = beam_search(logs, language_model)
    found = texts_of(beam)
    scores = np.log(exact(logs[0], found)) + list(found.values())
    assert ABC.decode(list(found)[scores.argmax()]) == "abc"


def test_only_the_likeliest_classes_extend():
    logs = np.log(np.array([[[0.1, 0.2, 0.3, 0.4]]]))
    assert texts_of(beam_search(logs, classes=1)).keys() == {(), (3,)}
    assert texts_of(beam_search(logs, classes=2)).keys() == {(), (3,), (2,)}
    # Of those that a pattern allows.
    beam = beam_search(logs, pattern=Pattern("[ab]", ABC), classes=1)
    assert texts_of(beam).keys() == {(2,)}


@pytest.mark.parametrize("batch, frames", [(0, 5), (2, 0), (0, 0)])
def test_no_images_and_no_frames(batch, frames, language_model):
    logs = np.zeros((batch, frames, 4))
    for arguments in [(), (language_model,), (language_model, Pattern("a*", ABC))]:
        beam = beam_search(logs, *arguments)
        assert beam.is_used.sum() == batch
        assert all(texts_of(beam, image).keys() == {()} for image in range(batch))
    assert not beam_search(logs, None, Pattern("a+", ABC)).is_used.any()


def test_other_classes_and_broken_numbers_are_refused(language_model):
    logs = np.full((1, 2, 5), math.log(0.2))
    for arguments in [(language_model,), (None, Pattern("a", ABC))]:
        with pytest.raises(ValueError, match="4"):
            beam_search(logs, *arguments)
    with pytest.raises(ValueError, match="width"):
        beam_search(logs, width=0)
    with pytest.raises(ValueError, match="classes"):
        beam_search(logs, classes=0)
    with pytest.raises(ValueError, match="shape"):
        beam_search(logs[0])
    logs[0, 1, 2] = math.nan
    with pytest.raises(ValueError, match="1 nan"):
        beam_search(logs)


def test_an_impossible_class_is_none_of_the_likely_texts():
    with np.errstate(divide="ignore"):
        logs = np.log(np.array([[[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]]))
    assert texts_of(beam_search(logs, width=2)).keys() == {(), (1,)}


def test_texts_fit_their_frames():
    logs = random_log_probabilities(2, batch=4, frames=6, scale=0.1)
    beam = beam_search(logs, width=300, classes=3)
    for image in range(4):
        assert max(frames_needed(text) for text in texts_of(beam, image)) == 6


def test_many_classes_and_large_ids(language_model):
    chinese = CharDict.from_preset("common_chinese")
    logits = np.random.default_rng(9).normal(0, 1, (2, 8, chinese.num_classes))
    logits[0, [1, 3, 5], [chinese.num_classes - 1, 5000, 5000]] = 30
    logits[0, [0, 2, 4, 6, 7], 0] = 30
    texts = texts_of(beam_search(log_softmax(logits)))
    assert (chinese.num_classes - 1, 5000, 5000) in texts
    assert len(texts) == 12

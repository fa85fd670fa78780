"""`decode_texts` by brute force: with patterns, alternatives, lexicons and language models."""

import collections
import itertools
import math

import numpy as np
import pytest

from crnn_keras.char_dict import CharDict
from crnn_keras.model.decoding import (
    Constraint,
    LanguageModelSettings,
    Lexicon,
    Pattern,
    align_ids,
    best_path,
    decode_texts,
    likelihoods,
    log_likelihoods,
    log_softmax,
    train_language_model,
)

pytestmark = pytest.mark.filterwarnings("error")

LETTERS = CharDict("abc")
FRAMES = 5


@pytest.fixture(scope="module")
def language_model():
    return train_language_model(["ab", "abc", "cab", "bab"], LETTERS, order=3)


def random_logits(seed=0, batch=12, frames=FRAMES, scale=2.0, num_classes=4):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(batch, frames, num_classes)) * scale).astype(np.float32)


def all_texts(row):
    """Returns the probability of every text of one image, by all paths."""
    probabilities = np.exp(log_softmax(row).astype(np.float64))
    found = collections.Counter()
    for path in itertools.product(range(row.shape[1]), repeat=len(row)):
        ids = [c for c, _ in itertools.groupby(path) if c]
        found[LETTERS.decode(ids)] += math.prod(probabilities[range(len(row)), list(path)])
    return found


def likeliest(found):
    return sorted(found.items(), key=lambda item: -item[1])


def matching(found, pattern):
    return collections.Counter({t: p for t, p in found.items() if pattern.matches(t)})


@pytest.mark.parametrize("constraints", [None, [Constraint()] * 12])
def test_without_what_it_may_know_it_is_the_best_path_with_its_likelihood(constraints):
    logits = random_logits()
    decoded = decode_texts(logits, LETTERS, constraints)
    best_paths = best_path(logits, LETTERS)
    masses = likelihoods(logits, [best.ids for best in best_paths]).tolist()
    for found, best, mass in zip(decoded, best_paths, masses, strict=True):
        assert (found.text, found.raw_confidence, found.spans) == (best.text, mass, best.spans)
        assert (found.alternatives, found.choice, found.error) == ((), None, None)


def test_no_images_give_no_texts():
    assert decode_texts(np.zeros((0, 5, 4)), LETTERS) == []
    assert decode_texts(np.zeros((0, 5, 4)), LETTERS, [], alternatives=3) == []


@pytest.mark.parametrize("expression", ["a?[bc]{1,2}", "ab|ba|cc?", "[ab]*", "c.*", "aa", ".+"])
@pytest.mark.parametrize("scale", [0.5, 4.0])
def test_with_a_pattern_the_text_is_the_likeliest_that_matches(expression, scale):
    pattern, logits = Pattern(expression, LETTERS), random_logits(1, scale=scale)
    decoded = decode_texts(logits, LETTERS, [Constraint(None, pattern)] * len(logits))
    for row, found in zip(logits, decoded, strict=True):
        texts = matching(all_texts(row), pattern)
        assert found.text == likeliest(texts)[0][0]
        expected = texts[found.text] / texts.total()
        assert found.raw_confidence == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("characters", ["a", "ab", "cb"])
def test_allowed_characters_are_those_of_a_masked_softmax(characters):
    logits = random_logits(2, batch=30, frames=12)
    masked = logits.copy()
    masked[:, :, [i for i, c in enumerate("abc", 1) if c not in characters]] = -1e4
    pattern = Pattern.allow(characters, LETTERS)
    allowed = decode_texts(logits, LETTERS, [Constraint(None, pattern)] * 30, alternatives=3)
    plain = decode_texts(masked, LETTERS, alternatives=3)
    for found, expected in zip(allowed, plain, strict=True):
        assert found.text == expected.text and set(found.text) <= set(characters)
        assert found.raw_confidence == pytest.approx(expected.raw_confidence, rel=1e-5)
        assert [t for t, _ in found.alternatives] == [t for t, _ in expected.alternatives]


@pytest.mark.parametrize("has_model", [False, True])
@pytest.mark.parametrize("alternatives", [0, 3])
@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_a_pattern_that_allows_everything_changes_nothing(
    language_model, has_model, alternatives, scale
):
    logits = random_logits(3, batch=100, frames=20, scale=scale)
    options = {"alternatives": alternatives}
    options |= {"language_model": language_model if has_model else None}
    plain = decode_texts(logits, LETTERS, **options)
    for pattern in (Pattern(".*", LETTERS), Pattern("(a|b|c)*", LETTERS)):
        assert decode_texts(logits, LETTERS, [Constraint(None, pattern)] * 100, **options) == plain


def test_a_pattern_leaves_a_sure_text_that_matches_as_it_is():
    logits = random_logits(4, batch=50, scale=12.0)
    pattern = Pattern("[ab].*", LETTERS)
    decoded = decode_texts(logits, LETTERS, [Constraint(None, pattern)] * 50)
    kept = 0
    for found, best in zip(decoded, best_path(logits, LETTERS), strict=True):
        if pattern.matches(best.text) and best.confidence > 0.9:
            kept += 1
            assert (found.text, found.spans) == (best.text, best.spans)
    assert kept > 10


@pytest.mark.parametrize("count", [1, 4, 40])
@pytest.mark.parametrize("expression", [None, "[ab].*"])
def test_alternatives_are_the_likeliest_texts(count, expression):
    logits = random_logits(5, frames=4)
    pattern = expression and Pattern(expression, LETTERS)
    decoded = decode_texts(
        logits, LETTERS, [Constraint(None, pattern)] * len(logits), alternatives=count
    )
    for row, found in zip(logits, decoded, strict=True):
        texts, chances = zip(*found.alternatives, strict=True)
        assert (texts[0], chances[0]) == (found.text, found.raw_confidence)
        assert len(set(texts)) == len(texts) <= count and sum(chances) <= 1 + 1e-9
        assert list(chances) == sorted(chances, reverse=True)
        expected = all_texts(row)
        if pattern:
            expected = matching(expected, pattern)
        expected = {text: chance / expected.total() for text, chance in expected.items()}
        assert chances == pytest.approx([expected[text] for text in texts], rel=1e-4)
        if count < 5:
            assert texts == tuple(text for text, _ in likeliest(expected)[:count])


def test_with_a_language_model_alternatives_share_what_they_have_together(language_model):
    logits = random_logits(6, batch=40, frames=6)
    model = language_model.with_settings(LanguageModelSettings(1.0, 1.0, 1.0))
    plain = decode_texts(logits, LETTERS, alternatives=30)
    decoded = decode_texts(logits, LETTERS, language_model=model, alternatives=30)
    assert sum(a.text != b.text for a, b in zip(plain, decoded, strict=True)) > 3
    bound = model.bind(LETTERS)
    for row, found in zip(logits, decoded, strict=True):
        texts, chances = map(list, zip(*found.alternatives, strict=True))
        assert texts[0] == found.text and chances == sorted(chances, reverse=True)
        assert 0 < sum(chances) <= 1 + 1e-9 and len(set(texts)) == len(texts)
        scores = log_likelihoods(row, [LETTERS.encode(text) for text in texts])
        for n, text in enumerate(texts):
            states, total = np.array([bound.start]), 0.0
            for index in (*LETTERS.encode(text), 0):
                gain, states = bound.advance(states, np.array([index]))
                total += gain[0]
            scores[n] += bound.weigh(np.array(total), np.array(len(text)), is_ended=True)
        ratios = scores - scores[0]
        # Relative to the likeliest, chances are as scores.
        assert np.log(np.array(chances) / chances[0]) == pytest.approx(ratios, abs=1e-3)


def test_asking_for_alternatives_does_not_change_a_text_that_the_model_is_not_asked_for(
    language_model,
):
    model = language_model.with_settings(LanguageModelSettings(5.0, 9.0, 0.55))
    logits = random_logits(7, batch=60, scale=5.0)
    plain = decode_texts(logits, LETTERS)
    few = decode_texts(logits, LETTERS, language_model=model)
    many = decode_texts(logits, LETTERS, language_model=model, alternatives=3)
    sure = [n for n, found in enumerate(plain) if found.raw_confidence >= 0.55]
    assert 10 < len(sure) < 60
    for n in sure:
        assert few[n] == plain[n] and many[n].text == plain[n].text
        assert many[n].raw_confidence == pytest.approx(plain[n].raw_confidence, rel=1e-5)
    assert any(few[n].text != plain[n].text for n in range(60))


def test_weight_0_and_threshold_0_are_no_model_and_threshold_1_asks_for_all(language_model):
    logits = random_logits(8, batch=40, scale=4.0)
    pattern = [Constraint(None, Pattern("[ab].*", LETTERS))] * 40
    for constraints in (None, pattern):
        for alternatives in (0, 2):
            options = {"alternatives": alternatives}
            plain = decode_texts(logits, LETTERS, constraints, **options)
            for settings in (
                LanguageModelSettings(0.0, 5.0, 1.0),
                LanguageModelSettings(1.0, 5.0, 0.0),
            ):
                options["language_model"] = language_model.with_settings(settings)
                assert decode_texts(logits, LETTERS, constraints, **options) == plain
    # The length bonus makes every text longer that is asked for.
    model = language_model.with_settings(LanguageModelSettings(0.001, 10.0, 1.0))
    decoded = decode_texts(random_logits(8, batch=40), LETTERS, language_model=model)
    assert {len(found.text) for found in decoded} == {FRAMES}


@pytest.mark.parametrize("expression", [None, "[ab]{1,3}", "b.?c*"])
@pytest.mark.parametrize("has_model", [False, True])
@pytest.mark.parametrize("has_lexicon", [False, True])
def test_spans_belong_to_the_text(language_model, expression, has_model, has_lexicon):
    logits = random_logits(9, batch=30, frames=8)
    pattern = expression and Pattern(expression, LETTERS)
    lexicon = Lexicon(["ab", "ba", "bc", "aab"], LETTERS) if has_lexicon else None
    model = language_model if has_model else None
    decoded = decode_texts(
        logits, LETTERS, [Constraint(lexicon, pattern)] * 30, language_model=model, delta=1
    )
    for row, best, found in zip(logits, best_path(logits, LETTERS), decoded, strict=True):
        assert len(found.spans) == len(found.text)
        assert [start for start, _, _ in found.spans] == sorted({s for s, _, _ in found.spans})
        if found.text == best.text:
            assert found.spans == best.spans
        else:
            (aligned,) = align_ids(row[None], [LETTERS.encode(found.text)])
            assert found.spans == aligned.spans


def test_spans_of_a_visual_char_dict_are_in_the_order_of_reading():
    hebrew = CharDict("אבג", direction="visual")
    logits = np.full((1, 6, 4), -6.0, np.float32)
    for frame, index in enumerate((1, 0, 2, 0, 3, 0)):
        logits[0, frame, index] = 6
    logits[0, 2, [2, 1]] = 0.1, 0
    plain = decode_texts(logits, hebrew)[0]
    found = decode_texts(logits, hebrew, [Constraint(None, Pattern.allow("אג", hebrew))])[0]
    assert plain.text == "גבא" and found.text == "גאא"
    assert [start for start, _, _ in found.spans] == [4, 2, 0]


def test_with_a_lexicon_alternatives_are_its_words():
    logits = random_logits(10, batch=20)
    lexicon = Lexicon(["a", "ab", "cb", "bca", "cccccc"], LETTERS)
    decoded = decode_texts(logits, LETTERS, [Constraint(lexicon)] * 20, alternatives=4)
    for row, found in zip(logits, decoded, strict=True):
        expected = likeliest({word: all_texts(row)[word] for word in lexicon.words})[:4]
        assert [text for text, _ in found.alternatives] == [text for text, _ in expected]
        chances = [chance for _, chance in found.alternatives]
        assert chances == pytest.approx([chance for _, chance in expected], rel=1e-4)
        assert (found.text, found.raw_confidence) == found.alternatives[0]
        assert found.choice.candidates == 4 and found.choice.text == found.text


def test_a_lexicon_and_a_pattern_give_words_that_match():
    logits, pattern = random_logits(11, batch=20), Pattern("[bc].*", LETTERS)
    lexicon = Lexicon(["a", "ab", "cb", "bca"], LETTERS)
    decoded = decode_texts(logits, LETTERS, [Constraint(lexicon, pattern)] * 20, alternatives=4)
    for row, found in zip(logits, decoded, strict=True):
        texts = all_texts(row)
        expected = likeliest({word: texts[word] for word in ("cb", "bca")})
        assert [text for text, _ in found.alternatives] == [text for text, _ in expected]
        allowed = matching(texts, pattern).total()
        assert found.raw_confidence == pytest.approx(expected[0][1] / allowed, rel=1e-4)


@pytest.mark.parametrize("words", [["aaa"], ["bcbcbcbc"]])
def test_a_lexicon_without_a_candidate_leaves_the_text_of_the_pattern(words):
    logits, pattern = random_logits(12, batch=20), Pattern("[bc].*", LETTERS)
    plain = decode_texts(logits, LETTERS, [Constraint(None, pattern)] * 20, alternatives=2)
    constraints = [Constraint(Lexicon(words, LETTERS), pattern)] * 20
    decoded = decode_texts(logits, LETTERS, constraints, alternatives=2)
    for found, expected in zip(decoded, plain, strict=True):
        assert (found.text, found.spans) == (expected.text, expected.spans)
        assert found.raw_confidence == expected.raw_confidence
        assert found.alternatives == expected.alternatives
        assert found.choice.candidates == 0 and found.choice.best_path.text == expected.text


@pytest.mark.parametrize("has_model", [False, True])
def test_a_pattern_too_long_for_the_frames_gives_an_error_and_the_others_are_read(
    language_model, has_model
):
    logits = random_logits(13, batch=4)
    options = {"alternatives": 2, "language_model": language_model if has_model else None}
    patterns = [None, Pattern("aa[bc]{2,}a", LETTERS), Pattern("aaa", LETTERS), None]
    lexicon = Lexicon(["ab"], LETTERS)
    decoded = decode_texts(logits, LETTERS, [Constraint(lexicon, p) for p in patterns], **options)
    plain = decode_texts(logits, LETTERS, [Constraint(lexicon)] * 4, **options)
    assert decoded[0] == plain[0] and decoded[3] == plain[3] and decoded[2].text == "aaa"
    long = decoded[1]
    assert (long.text, long.raw_confidence, long.spans, long.alternatives) == (None, 0.0, (), ())
    for word in (repr("aa[bc]{2,}a"), "6 frames", "the image has 5"):
        assert word in long.error
    assert [bool(found.error) for found in decoded] == [False, True, False, False]


def test_patterns_of_a_batch_read_as_each_alone(language_model):
    logits = random_logits(14, batch=200, frames=10)
    patterns = [Pattern(e, LETTERS) for e in ("a.*", "[bc]{2,4}", "(ab|c)+", ".*", ".{30}")]
    lexicons = [None, Lexicon(["ab", "cab", "bca"], LETTERS)]
    pairs = itertools.islice(itertools.cycle(itertools.product(lexicons, [None, *patterns])), 200)
    constraints = list(itertools.starmap(Constraint, pairs))
    options = {"alternatives": 3, "language_model": language_model, "delta": 2}
    together = decode_texts(logits, LETTERS, constraints, **options)
    for row, constraint, found in zip(logits, constraints, together, strict=True):
        (alone,) = decode_texts(row[None], LETTERS, [constraint], **options)
        assert (alone.text, alone.spans, alone.error) == (found.text, found.spans, found.error)
        assert [t for t, _ in alone.alternatives] == [t for t, _ in found.alternatives]
        assert alone.raw_confidence == pytest.approx(found.raw_confidence, rel=1e-5)


def test_texts_too_faint_for_a_float_have_spans_too(language_model):
    char_dict = CharDict("abcdefghij")
    logits = random_logits(15, batch=2, frames=500, scale=0.01, num_classes=11)
    assert not any(found.raw_confidence for found in decode_texts(logits, char_dict))
    constraints = [Constraint(None, Pattern(e, char_dict)) for e in ("[ab]+", ".+")]
    for model in (None, language_model):
        for found in decode_texts(logits, char_dict, constraints, language_model=model):
            assert found.text and len(found.spans) == len(found.text) and not found.error


def test_extreme_logits_give_chances(language_model):
    logits = random_logits(16, batch=30, scale=1e4)
    constraints = [Constraint(None, Pattern("[ab]+c?", LETTERS))] * 30
    options = {"language_model": language_model, "alternatives": 3}
    for found in decode_texts(logits, LETTERS, constraints, **options):
        chances = [chance for _, chance in found.alternatives]
        assert min(chances) >= 0 and sum(chances) <= 1 + 1e-9 and not found.error


@pytest.mark.parametrize("options", [{"alternatives": -1}, {"delta": 0.5}, {"alternatives": None}])
def test_wrong_numbers_are_refused(options):
    with pytest.raises(ValueError, match=f"^{next(iter(options))} is "):
        decode_texts(random_logits(), LETTERS, **options)


def test_a_pattern_of_other_classes_is_refused():
    constraints = [Constraint(None, Pattern("a", CharDict("ab")))] * 12
    with pytest.raises(ValueError, match=r"\(batch, frames, 3\).*Pattern\('a'"):
        decode_texts(random_logits(), LETTERS, constraints)


def test_an_image_without_text_is_not_given_one_by_the_language_model(language_model):
    logits = np.zeros((2, 6, LETTERS.num_classes), np.float32)
    # A blank image, nearly; and a doubtful letter.
    logits[0, :, 0], logits[1, :, 0] = 3.0, 3.0
    logits[1, 2, 1:3] = 4.0
    eager = language_model.with_settings(LanguageModelSettings(0.5, 9.0, 1.0))
    empty, letter = decode_texts(logits, LETTERS, language_model=eager)
    assert empty == decode_texts(logits, LETTERS)[0] and empty.text == ""
    assert letter.text

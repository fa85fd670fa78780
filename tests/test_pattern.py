import itertools
import re
import time

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from crnn_keras.char_dict import CharDict, frames_needed
from crnn_keras.model.decoding import (
    Pattern,
    completions,
    log_likelihoods,
    pattern_log_likelihoods,
)
from crnn_keras.model.decoding.lattice import LOGARITHMS, PROBABILITIES, iter_backward
from crnn_keras.utils.limits import MAX_PATTERN_EDGES, MAX_PATTERN_STATES

ABC = CharDict("abc")
ASCII = CharDict.from_preset("ascii")
FOLDED = CharDict.from_preset("alphanumeric36")
CHINESE = CharDict.from_preset("common_chinese")
ABC_TEXTS = ["".join(text) for n in range(6) for text in itertools.product("abc", repeat=n)]
SIGNS = r"""!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~"""

ATOMS = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", "[b-c]", r"\w", "()", "[^bc]"])
COUNTS = st.sampled_from(["?", "*", "+", "{2}", "{0}", "{1,}", "{0,2}", "{1,3}", "{,2}"])
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.tuples(inner, COUNTS).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
    ),
    max_leaves=8,
)
PATTERNS = hypothesis.settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.filter_too_much],
)


def compiled(expression, char_dict=ABC):
    """The pattern, and the texts of up to five letters that Python matches."""
    matching = {text for text in ABC_TEXTS if re.fullmatch(expression, text)}
    hypothesis.assume(matching != {""} or re.fullmatch(expression, "a" * 6))
    return Pattern(expression, char_dict), matching


def softmax_logs(logits):
    logits = np.asarray(logits, np.float64)
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def collapse(path):
    return tuple(key for key, _ in itertools.groupby(path) if key)


def probability_of_texts(logits, matching, char_dict=ABC):
    """The sum over all paths of one image that collapse to a matching text."""
    probabilities, total = np.exp(softmax_logs(logits)), 0.0
    for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        if char_dict.decode(collapse(path)) in matching:
            total += np.prod([row[i] for row, i in zip(probabilities, path, strict=True)])
    return total


@hypothesis.given(expression=EXPRESSIONS)
@PATTERNS
def test_any_pattern_matches_what_python_matches(expression):
    pattern, matching = compiled(expression)
    assert {text for text in ABC_TEXTS if pattern.matches(text)} == matching


@hypothesis.given(expression=EXPRESSIONS)
@PATTERNS
def test_any_automaton_is_minimal_and_has_no_dead_end(expression):
    pattern, _ = compiled(expression)
    states = range(len(pattern.accepting))
    assert (pattern.transitions[:, 0] == -1).all()
    assert set(states) <= {0, *pattern.transitions.ravel().tolist()}
    # States are told apart by the texts that they accept; none accepts nothing.
    languages = np.zeros((len(states), 0), bool)
    step = pattern.accepting[:, None]
    for _ in states:
        languages = np.concatenate([languages, step], axis=1)
        padded = np.concatenate([languages, np.zeros_like(languages[:1])])
        step = np.unique(
            np.concatenate(padded[pattern.transitions[:, 1:]].swapaxes(0, 1), 1), axis=1
        )
    assert languages.any(1).all()
    assert len(np.unique(languages, axis=0)) == len(states)


@hypothesis.given(expression=EXPRESSIONS, frames=st.integers(0, 5), seed=st.integers(0, 99))
@hypothesis.settings(PATTERNS, max_examples=60)
def test_the_likelihood_is_the_sum_over_all_paths(expression, frames, seed):
    pattern, matching = compiled(expression)
    logits = np.random.default_rng(seed).normal(0, 4, (2, frames, 4))
    found = pattern_log_likelihoods(logits, pattern)
    expected = [probability_of_texts(image, matching) for image in logits]
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-12, atol=0)


@hypothesis.given(expression=EXPRESSIONS)
@PATTERNS
def test_the_shortest_text_is_the_first_that_has_a_likelihood(expression):
    pattern, matching = compiled(expression)
    hypothesis.assume(matching)
    assert pattern.shortest == min(frames_needed(ABC.encode(text)) for text in matching)
    found = [pattern_log_likelihoods(np.zeros((1, frames, 4)), pattern)[0] for frames in range(6)]
    assert np.isfinite(found).tolist() == [frames >= pattern.shortest for frames in range(6)]


def test_the_likelihood_is_that_of_the_texts():
    texts = ["aab", "abb", "cc", "b"]
    logits = np.random.default_rng(1).normal(0, 3, (5, 9, 4))
    found = pattern_log_likelihoods(logits, Pattern("aab|abb|cc|b", ABC))
    expected = [
        np.logaddexp.reduce(log_likelihoods(image, list(map(ABC.encode, texts))))
        for image in logits
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("scale", [1, 30, 3000])
def test_allowed_characters_renormalize_each_frame(scale):
    logits = np.random.default_rng(2).normal(0, scale, (6, 20, FOLDED.num_classes))
    pattern = Pattern.allow("0123456789", FOLDED)
    assert len(pattern.accepting) == 1 and pattern.shortest == 0
    allowed = np.logaddexp.reduce(softmax_logs(logits)[..., :11], axis=-1).sum(1)
    found = pattern_log_likelihoods(logits, pattern)
    np.testing.assert_allclose(found, np.minimum(allowed, 0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("frames", [0, 1, 40])
def test_a_pattern_that_allows_everything_is_certain(frames):
    logits = np.random.default_rng(3).normal(0, 5, (3, frames, ASCII.num_classes))
    for expression in (".*", r"(\w|\W)*", "[a-z]*([^a-z][a-z]*)*"):
        found = pattern_log_likelihoods(logits, Pattern(expression, ASCII))
        assert (found <= 0).all() and found == pytest.approx(0, abs=1e-12)


def test_what_is_too_faint_for_a_float_is_still_exact():
    logits = np.random.default_rng(4).normal(0, 400, (8, 5, 4))
    pattern = Pattern("ab|ca?|bb", ABC)
    found = pattern_log_likelihoods(logits, pattern)
    labels = [ABC.encode(text) for text in ("ab", "ca", "c", "bb")]
    expected = [np.logaddexp.reduce(log_likelihoods(image, labels)) for image in logits]
    assert min(expected) < -1000
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    last = completions(softmax_logs(logits), pattern).after_blank[0, :, 0]
    np.testing.assert_allclose(last, expected, rtol=1e-12)


def test_a_rare_repeat_beside_a_sure_class_does_not_cancel():
    # a is nearly certain in all frames: "aa" lives from the 1e-30 of the blank.
    logits = np.full((1, 3, 4), -200.0)
    logits[..., 1], logits[..., 0] = 0, -70
    found = pattern_log_likelihoods(logits, Pattern("a{2}", ABC))
    np.testing.assert_allclose(found, log_likelihoods(logits[0], [[1, 1]]), rtol=1e-14)


@pytest.mark.parametrize("expression", ["[ab]{2}c?", "(a|bc)*", "a{2}|b", ".*a"])
@pytest.mark.parametrize("scale", [2, 300])
def test_completions_are_the_sums_over_the_rest_of_each_path(expression, scale):
    pattern, frames = Pattern(expression, ABC), 4
    log_probabilities = softmax_logs(np.random.default_rng(5).normal(0, scale, (3, frames, 4)))
    found, lattice = completions(log_probabilities, pattern), pattern.lattice
    assert found.after_blank.shape == (frames + 1, 3, len(pattern.accepting))
    assert found.after_node.shape == (frames + 1, 3, len(lattice.node_states))
    np.testing.assert_allclose(
        found.after_blank[0, :, 0],
        pattern_log_likelihoods(log_probabilities, pattern),
        rtol=1e-12,
        atol=1e-12,
    )

    def brute(frame, image, state, last):
        """The log probability of all paths from a state and the last class."""
        sums = [-np.inf]
        for path in itertools.product(range(4), repeat=frames - frame):
            now, before = state, last
            for index in path:
                if index not in (0, before) and now >= 0:
                    now = pattern.transitions[now, index]
                before = index
            if now >= 0 and pattern.accepting[now]:
                rows = log_probabilities[image, frame:]
                sums.append(sum(row[i] for row, i in zip(rows, path, strict=True)))
        return np.logaddexp.reduce(sums)

    for frame, image in itertools.product(range(frames + 1), range(3)):
        blank = [brute(frame, image, state, 0) for state in range(len(pattern.accepting))]
        nodes = zip(lattice.node_states, lattice.node_classes, strict=True)
        node = [brute(frame, image, state, index) for state, index in nodes]
        # What is under 1e-80 of all matching texts may be lost, of the classes that may come.
        mass = np.logaddexp.reduce(log_probabilities[image][:, lattice.classes], axis=-1)
        lowest = mass[frame:].sum() + np.log(1e-280)
        for own, expected in (
            (found.after_blank[frame, image], blank),
            (found.after_node[frame, image], node),
        ):
            own, expected = np.maximum(own, lowest), np.maximum(expected, lowest)
            np.testing.assert_allclose(own, expected, rtol=1e-12, atol=1e-12)


def test_nodes_are_found_by_state_and_class():
    pattern = Pattern(r"[ab]c+|b", ABC)
    lattice = pattern.lattice
    for node, pair in enumerate(zip(lattice.node_states, lattice.node_classes, strict=True)):
        assert lattice.node_of[pair] == node
    assert np.count_nonzero(lattice.node_of >= 0) == len(lattice.node_states)
    sources, classes = np.nonzero(pattern.transitions >= 0)
    entered = set(zip(pattern.transitions[sources, classes], classes, strict=True))
    assert entered == set(zip(lattice.node_states, lattice.node_classes, strict=True))


def test_probabilities_and_logarithms_agree():
    lattice = Pattern(r"(\d{2}[a-c]?)+-?|x", ASCII).lattice
    logs = softmax_logs(np.random.default_rng(6).normal(0, 3, (30, 4, len(lattice.classes))))
    logs = logs.swapaxes(1, 2)
    plain = iter_backward(lattice, np.exp(logs), PROBABILITIES)
    for step, log_step in zip(plain, iter_backward(lattice, logs, LOGARITHMS), strict=True):
        for own, log_own in zip(step, log_step, strict=True):
            np.testing.assert_allclose(own, np.exp(log_own), rtol=1e-11)


def test_images_of_a_large_batch_have_the_likelihoods_of_each_alone():
    pattern = Pattern(r".{1,9}\d", ASCII)
    logits = np.random.default_rng(7).normal(0, 3, (70, 12, ASCII.num_classes))
    together = pattern_log_likelihoods(logits, pattern)
    for image in (0, 31, 69):
        alone = pattern_log_likelihoods(logits[[image]], pattern)
        np.testing.assert_allclose(together[[image]], alone, rtol=1e-12)
    assert pattern_log_likelihoods(logits[:0], pattern).shape == (0,)


def test_too_few_frames_fit_nothing():
    pattern = Pattern("a{3}", ABC)
    assert pattern.shortest == 5
    assert pattern_log_likelihoods(np.zeros((2, 4, 4)), pattern).tolist() == [-np.inf] * 2
    found = completions(softmax_logs(np.zeros((2, 4, 4))), pattern)
    assert found.after_blank[0, :, 0].tolist() == [-np.inf] * 2
    # One frame is enough where one a lacks.
    assert np.isfinite(found.after_blank[3]).sum() == 2 * 2


@pytest.mark.parametrize("sum_of", [pattern_log_likelihoods, completions])
def test_arrays_of_another_shape_or_not_finite_are_refused(sum_of):
    pattern = Pattern("a", ABC)
    with pytest.raises(ValueError, match=r"\(batch, frames, 4\).*\(1, 5, 5\)"):
        sum_of(np.zeros((1, 5, 5)), pattern)
    with pytest.raises(ValueError, match="finite"):
        sum_of(np.full((1, 5, 4), np.nan), pattern)


@pytest.mark.parametrize(
    ("expression", "matching", "other"),
    [
        (r"[A-Z]{2}-\d{4}", ["KA-1234"], ["ka-1234", "KA1234", "KA-123", "KA-12345"]),
        (r"\d{2,8}", ["12", "12345678"], ["1", "123456789", "1a"]),
        (r"(?:Mon|Tue)s?", ["Mon", "Tues"], ["MonTue", ""]),
        (r"^\$\d+(\.\d\d)?$", ["$5", "$12.50"], ["$", "$1.5", "5"]),
        (r"[]^\-a]+", ["]^-a", "-"], ["b", "[", "\\"]),
        (r"[^\W\d_]+", ["aZ"], ["a1", "_"]),
        (r"[^^]", ["a", "]"], ["^"]),
        ("a|", ["a", ""], ["aa"]),
        (re.escape(SIGNS), [SIGNS], [SIGNS[1:]]),
        (f"[{re.escape(SIGNS)}]+", [SIGNS, SIGNS[::-1]], ["a" + SIGNS]),
    ],
)
def test_patterns_of_ascii(expression, matching, other):
    pattern = Pattern(expression, ASCII)
    assert all(re.fullmatch(expression, text) and pattern.matches(text) for text in matching)
    assert not any(pattern.matches(text) or re.fullmatch(expression, text) for text in other)


@pytest.mark.parametrize("source", [r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", ".", "[^-a-f]"])
def test_classes_hold_what_they_hold_for_python(source):
    for char_dict in (ASCII, CHINESE, CharDict("aé١二_ \u3000²Ж")):
        expected = "".join(re.findall(source, char_dict.characters))
        if not expected:
            with pytest.raises(ValueError, match=re.escape(repr(source))):
                Pattern(source, char_dict)
            continue
        ids = np.flatnonzero(Pattern(source, char_dict).transitions[0] >= 0)
        assert char_dict.decode(ids.tolist()) == expected


def test_case_is_folded_as_the_char_dict_folds_it():
    pattern = Pattern(r"[A-Z]{2}\d[^A-F]", FOLDED)
    assert pattern.matches("ab1z") and pattern.matches("AB1Z")
    assert not pattern.matches("ab1f") and not pattern.matches("ab1-")
    assert Pattern("AbC", FOLDED).matches("abc")
    assert Pattern("[İΣ]", CharDict("iσ", fold_case=True)).matches("Σ")


def test_characters_are_written_as_the_char_dict_writes_them():
    half = CharDict("A1()é", normalization="half_width")
    assert Pattern("（[Ａ-Ｃ]１）", half).matches("(A1)")
    for spelled in ("é", "e\u0301"):
        assert Pattern(f"{spelled}+", half).matches("éé")
        assert Pattern.allow(spelled, half).matches("e\u0301")


def test_chinese_plates():
    plates = CharDict.from_source("common_chinese", extra_characters="ascii")
    pattern = Pattern(r"[京沪粤][A-Z]\.?[A-HJ-NP-Z0-9]{5}", plates)
    assert pattern.matches("京A.12345") and pattern.matches("沪B8K999")
    assert not pattern.matches("渝A12345") and not pattern.matches("京A1234I")
    assert len(pattern.accepting) == 9 and pattern.shortest == 7
    logits = np.random.default_rng(8).normal(0, 1, (2, 16, plates.num_classes))
    logits[0, range(0, 14, 2), plates.encode("京A12345")] += 30
    logits[0, [*range(1, 14, 2), 14, 15], 0] += 30
    found = pattern_log_likelihoods(logits.astype(np.float32), pattern)
    assert found[0] > -0.01 and -np.inf < found[1] < -20


@pytest.mark.parametrize(
    ("expression", "position"),
    [
        ("a(?=b)", 1),
        ("(?P<x>a)", 0),
        ("(?i)a", 0),
        (r"(a)\1", 3),
        (r"a\b", 1),
        (r"[\b]", 0),
        (r"\Aa", 0),
        ("a*?", 2),
        ("a{2}+", 4),
        ("a**", 2),
        ("*a", 0),
        ("a|+", 2),
        ("a^b", 1),
        ("a$b", 1),
        ("(a", 0),
        ("a)", 1),
        ("[a", 0),
        ("[]", 0),
        ("[b-a]", 0),
        ("[[a]", 0),
        ("[a&&b]", 0),
        ("a{", 1),
        ("a{x}", 1),
        ("a{}", 1),
        ("a{3,2}", 1),
        ("ab\\", 2),
        ("(" * 60 + "a" + ")" * 60, 50),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_is_not_supported_is_named_with_its_position(expression, position):
    with pytest.raises(ValueError, match=rf"position {position}, .*Supported are"):
        Pattern(expression, ASCII)


def test_characters_that_cannot_be_written_are_named():
    with pytest.raises(ValueError, match="'-_'"):
        Pattern(r"[a-z]{2}-\d_", FOLDED)
    with pytest.raises(ValueError, match="'é'"):
        Pattern.allow("aé", ASCII)
    with pytest.raises(ValueError, match=r"impossible.*'\[X-Z\]'"):
        Pattern("a[X-Z]", ABC)
    with pytest.raises(ValueError, match=r"impossible.*'\[\^a-z\]'"):
        Pattern("a[^a-z]", ABC)
    assert not Pattern("a", ABC).matches("ä")


@pytest.mark.parametrize("expression", ["", "()", "a{0}", "^$", "(|())*"])
def test_patterns_of_the_empty_text_only_are_refused(expression):
    with pytest.raises(ValueError, match="empty text"):
        Pattern(expression, ABC)
    with pytest.raises(ValueError, match="none"):
        Pattern.allow("", ABC)


@pytest.mark.parametrize(
    "expression",
    [
        "((a{100}){100}){100}",
        "[ab]*a[ab]{30}",
        "(a|b|ab)*a.{40}(a|c)",
        "a{99999999999}",
        "a" * 20_000,
        "(a|){2000}",
        "(a?){30000}",
        "[a]" * 3000,
        "((a{0,31}){0,31}){2}",
    ],
)
def test_patterns_that_would_grow_large_are_refused_at_once(expression):
    start = time.perf_counter()
    with pytest.raises(ValueError, match="too large"):
        Pattern(expression, ABC)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    "expression",
    ["a?" * 500, "(a{0,20}){25}", "((a*)*)*" * 99, "[a]" * 500, "(){999999999}a", ".{0,500}"],
)
def test_large_patterns_compile_at_once(expression):
    start = time.perf_counter()
    pattern = Pattern(expression, ABC)
    assert pattern.matches("a" * pattern.transitions.shape[0]) or len(pattern.accepting) > 1
    assert pattern.shortest <= 2 * MAX_PATTERN_STATES
    assert time.perf_counter() - start < 2


def test_thousands_of_characters_compile_at_once():
    start = time.perf_counter()
    others = "".join(f"[^{character}]" for character in CHINESE.characters[:90])
    for expression in (".*", ".{0,99}", others, CHINESE.characters[:300]):
        pattern = Pattern(expression, CHINESE)
        assert np.count_nonzero(pattern.transitions >= 0) <= MAX_PATTERN_EDGES
        assert pattern.shortest <= 300
    assert Pattern.allow(CHINESE.characters, CHINESE).transitions.shape == (1, 6706)
    assert time.perf_counter() - start < 3
    with pytest.raises(ValueError, match="too large"):
        Pattern(".{0,500}", CHINESE)


def test_a_pattern_is_small_and_says_what_it_is():
    assert repr(Pattern(r"\d{2}", ASCII)) == r"Pattern('\\d{2}', 3 states)"
    assert len(Pattern("foo|fob|bo[ob]", ASCII).accepting) == 4
    assert len(Pattern("(a|b|c)*", ABC).accepting) == 1


def test_right_to_left_characters_may_be_allowed_but_not_ordered():
    hebrew = CharDict("אב12 ", direction="visual")
    with pytest.raises(ValueError, match="right-to-left"):
        Pattern("אב", hebrew)
    assert Pattern.allow("אב1", hebrew).matches("אב11")
    assert Pattern(r"[12]\s?2", hebrew).matches("1 2")
    assert Pattern("אב", CharDict("אב")).matches("אב")

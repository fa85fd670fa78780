"""N-grams against a slow model of dicts; what damaged files do; lookups and shares."""

import base64
import itertools
import json
import math
import pickle
import random
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

from crnn_keras.char_dict import CharDict
from crnn_keras.model.decoding import (
    LanguageModel,
    LanguageModelSettings,
    ngrams as training,
    train_language_model,
)
from crnn_keras.model.decoding.language_model import BOUNDARY, Ngrams, fold
from crnn_keras.synth import read_words
from crnn_keras.utils.limits import MAX_NGRAM_LENGTH, MAX_NGRAMS

ABC = CharDict("abc")
ASCII = CharDict.from_preset("ascii")
# A quarter of a nat is the step of what is stored: half of it is the rounding of one logarithm.
ROUNDING = 1 / 8 + 1e-9


def random_texts(seed, count=40, characters="abc"):
    """A dict of texts with frequencies that have no ties."""
    rng = random.Random(seed)
    texts = ("".join(rng.choices(characters, k=rng.randint(1, 7))) for _ in range(count))
    return {text: rng.uniform(1, 9) for text in texts}


def grams_of(ngrams):
    """All n-grams by walking the arrays node by node: a list of tuples of symbols."""
    grams = [()]
    for node in range(len(ngrams.symbols)):
        for _ in range(ngrams.child_counts[node]):
            grams.append((*grams[node], int(ngrams.symbols[len(grams)])))
    return grams


def table_of(ngrams, *, is_rounded=True):
    """Dict of n-gram: (log probability, backoff), in nats."""
    logs, backoffs = ngrams.log_probabilities, ngrams.backoffs
    if is_rounded:
        logs, backoffs = logs / -4.0, 2 - backoffs / 4.0
    return dict(zip(grams_of(ngrams), zip(logs, backoffs, strict=True), strict=True))


def suffix_of(table, gram):
    """The longest proper suffix that is in a table."""
    return next(gram[i:] for i in range(1, len(gram) + 1) if gram[i:] in table)


def look_up(table, history, symbol):
    """The log probability by backing off one n-gram at a time."""
    context = history if history in table else suffix_of(table, history)
    added = 0.0
    while (*context, symbol) not in table:
        added += table[context][1]
        context = suffix_of(table, context)
    return table[*context, symbol][0] + added


def slow_model(texts, *, kinds, order, max_ngrams):
    """Witten and Bell's interpolation, pruned and renormalized, with dicts: see `table_of`."""
    counts = {}
    for text, weight in texts.items():
        row = (BOUNDARY, *text, BOUNDARY)
        for end in range(1, len(row)):
            for start in range(max(end - order + 1, 0), end + 1):
                gram = row[start : end + 1]
                counts[gram] = counts.get(gram, 0) + weight
    totals, seen = {}, {}
    for gram, count in counts.items():
        totals[gram[:-1]] = totals.get(gram[:-1], 0) + count
        seen[gram[:-1]] = seen.get(gram[:-1], 0) + 1
    probabilities, gains = {}, {}
    for gram in sorted(counts, key=lambda gram: (len(gram), gram)):
        context, unseen = gram[:-1], 5 * seen[gram[:-1]]
        shorter = probabilities[gram[1:]] if context else 1 / kinds
        backed_off = unseen * shorter / (totals[context] + unseen)
        probabilities[gram] = counts[gram] / (totals[context] + unseen) + backed_off
        gains[gram] = counts[gram] * math.log(probabilities[gram] / backed_off)
    for gram in sorted(gains, key=len, reverse=True):
        if len(gram) == 1:
            gains[gram] = math.inf
        else:
            gains[gram[:-1]] = max(gains[gram[:-1]], gains[gram])
    kept = sorted(gains, key=lambda gram: -gains[gram])[: max(max_ngrams - 1, kinds)]
    kept.sort(key=len)
    table = {(): (-math.inf, 0.0), **{gram: (math.log(probabilities[gram]), 0.0) for gram in kept}}
    for context in kept:
        own = [gram for gram in kept if gram[:-1] == context]
        if own:
            left = 1 - sum(probabilities[gram] for gram in own)
            suffix = suffix_of(table, context)
            given = 1 - sum(math.exp(look_up(table, suffix, gram[-1])) for gram in own)
            backoff = math.log(max(left, 1e-7) / max(given, 1e-7))
            table[context] = (table[context][0], backoff)
    return table


@pytest.fixture
def unrounded(monkeypatch):
    """Function `(texts of symbols, kinds, order, max_ngrams)`: the table of the estimate."""
    monkeypatch.setattr(training, "quantize", lambda *logarithms: logarithms)

    def estimate(texts, *, kinds, order, max_ngrams):
        counts = training._count(texts, {i: i for i in range(1, kinds)}, order)
        return table_of(training._estimate(counts, max_ngrams), is_rounded=False)

    return estimate


def test_three_words_by_hand(unrounded):
    # ab, ab, b: with their ends 8 symbols of 3 kinds, and 5 for each kind that was seen.
    found = unrounded({(1, 2): 2.0, (2,): 1.0}, kinds=3, order=2, max_ngrams=99)
    probabilities = {gram: math.exp(log) for gram, (log, _) in found.items() if gram}
    assert probabilities == pytest.approx(
        {
            (0,): (3 + 15 / 3) / (8 + 15),
            (1,): (2 + 15 / 3) / (8 + 15),
            (2,): (3 + 15 / 3) / (8 + 15),
            (0, 1): (2 + 10 * 7 / 23) / (3 + 10),
            (0, 2): (1 + 10 * 8 / 23) / (3 + 10),
            (1, 2): (2 + 5 * 8 / 23) / (2 + 5),
            (2, 0): (3 + 5 * 8 / 23) / (3 + 5),
        }
    )
    backoffs = {gram: math.exp(backoff) for gram, (_, backoff) in found.items() if len(gram) == 1}
    assert backoffs == pytest.approx({(0,): 10 / 13, (1,): 5 / 7, (2,): 5 / 8})


@pytest.mark.parametrize("order", range(1, 7))
@pytest.mark.parametrize("max_ngrams", [1, 20, 60, 10**6])
def test_the_estimate_is_that_of_a_slow_model(unrounded, order, max_ngrams):
    texts = {tuple(map(int, text)): n for text, n in random_texts(order, 25, "123").items()}
    arguments = {"kinds": 4, "order": order, "max_ngrams": max_ngrams}
    found, expected = unrounded(texts, **arguments), slow_model(texts, **arguments)
    assert found.keys() == expected.keys()
    for gram in found.keys() - {()}:
        assert found[gram] == pytest.approx(expected[gram], abs=1e-9), gram


@pytest.mark.parametrize("order", range(1, 7))
@pytest.mark.parametrize("max_ngrams", [1, 30, 10**6])
def test_the_probabilities_behind_a_context_sum_to_one(unrounded, order, max_ngrams):
    texts = {tuple(map(int, text)): n for text, n in random_texts(9 - order, 30, "123").items()}
    table = unrounded(texts, kinds=4, order=order, max_ngrams=max_ngrams)
    for context in {gram[:-1] for gram in table if gram}:
        total = sum(math.exp(look_up(table, context, symbol)) for symbol in range(4))
        assert total == pytest.approx(1, abs=1e-9), context


@pytest.mark.parametrize("order", range(1, 7))
def test_stored_probabilities_sum_to_one_but_for_the_rounding(order):
    model = train_language_model(random_texts(order), ABC, order=order, max_ngrams=50)
    contexts = np.flatnonzero(model.ngrams.child_counts)
    totals = sum(np.exp(model.advance(contexts, np.full(len(contexts), s))[0]) for s in range(4))
    assert (np.abs(np.log(totals)) < order * ROUNDING).all()


def test_pruning_keeps_all_characters_and_all_prefixes():
    texts = random_texts(3)
    whole = train_language_model(texts, ABC, order=5)
    for count in (1, 5, 6, 40, 100, len(whole), len(whole) + 1):
        model = train_language_model(texts, ABC, order=5, max_ngrams=count)
        assert len(model) == min(max(count, 5), len(whole))
        assert set(grams_of(model.ngrams)) <= set(grams_of(whole.ngrams))
        assert (model.ngrams.symbols[1:5] == range(4)).all()


def test_equal_texts_are_counted_and_frequencies_are_raised_to_the_power():
    def arrays(texts, power):
        return b"".join(a.tobytes() for a in train_language_model(texts, ABC, power=power).ngrams)

    listed = arrays(iter(["ab", "b", "ab", "ab", "ab"]), 1)
    assert listed == arrays({"ab": 4.0, "b": 1}, 1) == arrays({"ab": 0.2, "b": 0.05}, 1)
    assert listed == arrays({"ab": 16, "b": 1}, 0.5) == arrays({"ab": 2, "b": 1}, 2)
    assert listed != arrays({"ab": 1, "b": 1}, 1) == arrays({"ab": 9, "b": 2}, 0)


def test_what_the_char_dict_cannot_write_is_not_counted():
    model = train_language_model(["ab", "aé", "", "xyz"], ABC)
    assert model.characters == ("a", "b")
    assert model.log_probability("ab") == train_language_model(["ab"], ABC).log_probability("ab")
    with pytest.raises(ValueError, match="c"):
        model.log_probability("abc")


@pytest.mark.parametrize("texts", [[], {}, ["xyz"], [""], {"": 2.0}])
def test_no_text_left_is_an_error(texts):
    with pytest.raises(ValueError, match=f"none of {len(texts)}"):
        train_language_model(texts, ABC)


@pytest.mark.parametrize(
    "texts", ["abc", [1], {"a": 0}, {"a": -1.0}, {"a": math.nan}, {"a": math.inf}, {"a": "1"}]
)
def test_what_is_no_list_of_texts_or_no_frequency_is_refused(texts):
    with pytest.raises(ValueError):
        train_language_model(texts, ABC)


@pytest.mark.parametrize(
    "argument",
    [
        {"order": 0},
        {"order": MAX_NGRAM_LENGTH + 1},
        {"order": 2.5},
        {"max_ngrams": 0},
        {"max_ngrams": MAX_NGRAMS + 1},
        {"power": -1},
        {"power": 3},
        {"codes": 1},
        {"source": None},
        {"settings": 0.6},
    ],
)
def test_an_argument_out_of_range_is_refused_by_name(argument):
    with pytest.raises(ValueError, match=next(iter(argument))):
        train_language_model(["ab"], ABC, **argument)


def test_more_characters_than_two_bytes_count_are_refused():
    many = CharDict([chr(0x20000 + i) for i in range(2**16)], normalization="none")
    with pytest.raises(ValueError, match="65,534"):
        train_language_model([many.characters], many, order=1)


def test_frequencies_far_apart_stay_numbers():
    model = train_language_model({"ab": 1e50, "b": 1e-50}, ABC, power=2)
    assert model.log_probability("ab") > model.log_probability("b") > -40


def test_case_and_the_values_of_digits_are_not_modelled():
    assert [fold(c) for c in "aA09éÉΣ"] == ["a", "a", "0", "0", "é", "é", "σ"]
    model = train_language_model(["Room12"], ASCII, codes=0)
    assert model.characters == ("0", "m", "o", "r")
    assert model.log_probability("ROOM98") == model.log_probability("Room12")


def test_codes_make_numbers_likelier():
    words = [*read_words()[:2000], "room 1"]
    without, with_codes = (train_language_model(words, ASCII, codes=codes) for codes in (0, 0.1))
    assert with_codes.log_probability("48213") > without.log_probability("48213") + 3
    # Without digits in the char dict there are no codes: c would be in one.
    assert train_language_model(["ab"], ABC).characters == ("a", "b")


def test_chinese_with_few_ngrams():
    chinese = CharDict.from_preset("common_chinese")
    rng = random.Random(1)
    texts = ["".join(rng.choices(chinese.characters[:900], k=5)) for _ in range(300)]
    model = train_language_model([*texts, "你好你好"], chinese, max_ngrams=1500, order=4)
    assert len(model) == 1500
    bound = model.bind(chinese)
    classes = np.arange(chinese.num_classes)
    scores, _ = bound.advance(np.full(len(classes), bound.start), classes)
    assert np.exp(scores).sum() == pytest.approx(1, abs=0.1)


def test_a_visual_char_dict_is_modelled_in_the_order_of_the_image():
    visual = CharDict("אבג", direction="visual")
    model = train_language_model(["אבג"], visual)
    symbols = {character: i for i, character in enumerate(model.characters, 1)}
    grams = grams_of(model.ngrams)
    assert (BOUNDARY, symbols["ג"]) in grams and (BOUNDARY, symbols["א"]) not in grams
    assert model.log_probability("גבא") > model.log_probability("אבג")


@pytest.mark.parametrize("order, max_ngrams", [(1, 99), (2, 8), (3, 40), (4, 60), (6, 999)])
def test_lookups_are_those_of_a_dict(order, max_ngrams):
    model = train_language_model(random_texts(order), ABC, order=order, max_ngrams=max_ngrams)
    table = table_of(model.ngrams)

    def expected(history, symbol):
        known = history[-(order - 1) :] if order > 1 else ()
        return min(look_up(table, known, symbol), 0)

    rows = np.random.default_rng(order).integers(1, 4, (50, 12))
    states = np.full(len(rows), model.start)
    for position, symbols in enumerate(rows.T):
        histories = [(BOUNDARY, *row[:position].tolist()) for row in rows]
        scores, states = model.advance(states, symbols)
        wanted = [expected(history, int(s)) for history, s in zip(histories, symbols, strict=True)]
        np.testing.assert_allclose(scores, wanted, rtol=0, atol=1e-12)
    row = (BOUNDARY, *rows[0].tolist(), BOUNDARY)
    text = "".join(model.characters[symbol - 1] for symbol in row[1:-1])
    total = sum(expected(row[:end], row[end]) for end in range(1, len(row)))
    assert model.log_probability(text) == pytest.approx(total, abs=1e-9)


def test_classes_of_one_symbol_share_its_probability():
    model = train_language_model(["Abba", "a7b"], CharDict("AaBb7"), codes=0)
    readers = CharDict("aAbB0123456789é?")
    bound = model.bind(readers)
    states = np.full(readers.num_classes, bound.start)
    scores, following = bound.advance(states, np.arange(readers.num_classes))
    probabilities = dict(zip("_" + readers.characters, np.exp(scores), strict=True))
    assert probabilities["a"] == probabilities["A"] and probabilities["3"] == probabilities["9"]
    # Unknown characters are as likely as if all were; behind them there is no context.
    assert probabilities["é"] == probabilities["?"] == pytest.approx(1 / 17)
    # What is left has a floor of 3 percent, shared evenly.
    floor, left = 0.03 / 17, 0.97 * 15 / 17
    assert following[-1] == following[-2] == 0 != following[1]
    known, _ = model.advance(np.array([model.start]), np.array([model.characters.index("a") + 1]))
    assert probabilities["a"] == pytest.approx(left * np.exp(known[0]) / 2 + floor)
    digit, _ = model.advance(np.array([model.start]), np.array([model.characters.index("0") + 1]))
    assert probabilities["3"] == pytest.approx(left * np.exp(digit[0]) / 10 + floor)


def test_with_only_known_classes_the_lookups_are_the_same():
    model = train_language_model(random_texts(2), ABC)
    small, large = model.bind(ABC), model.bind(CharDict("abcx"))
    states, classes = np.array([small.start, 3, 0, 2]), np.array([1, 2, 0, 3])
    scores, following = small.advance(states, classes)
    others, same = large.advance(states, classes)
    assert (following == same).all()
    np.testing.assert_allclose((np.exp(others) - 0.03 / 5) / 0.8, np.exp(scores) - 0.03 / 4)


@pytest.mark.parametrize("readers", ["abc", "abcABCé", "ab", "xyz"])
def test_the_classes_of_a_reader_have_no_more_than_all_probability(readers):
    model = train_language_model(random_texts(5), ABC, max_ngrams=60)
    bound = model.bind(CharDict(readers))
    for state in np.flatnonzero(model.ngrams.child_counts):
        classes = np.arange(len(readers) + 1)
        total = np.exp(bound.advance(np.full(len(classes), state), classes)[0]).sum()
        assert total <= math.exp(6 * ROUNDING)


def test_texts_are_weighed_as_language_or_code_with_a_bonus_for_each_character():
    settings = LanguageModelSettings(weight=2.0, length_bonus=0.5)
    bound = train_language_model(["ab"], ABC, settings=settings).bind(ABC)
    found = bound.weigh(np.log([0.5, 1e-9]), np.array([1, 2]))
    # A tenth is of the language; a code has one of four classes after the other.
    expected = [2 * math.log(0.05 + 0.9 / 4) + 0.5, 2 * math.log(1e-10 + 0.9 / 16) + 1.0]
    np.testing.assert_allclose(found, expected)
    ended = bound.weigh(np.log([0.5]), np.array([1]), is_ended=True)
    np.testing.assert_allclose(ended, 2 * math.log(0.05 + 0.9 / 16) + 0.5)


def test_other_settings_share_the_ngrams_and_bind_anew():
    model = train_language_model(["ab"], ABC, source="own")
    bound = model.bind(ABC)
    assert model.bind(ABC) is bound and model.bind(CharDict("abc")).char_dict is not ABC
    other = model.with_settings(LanguageModelSettings(weight=0))
    assert other.ngrams is model.ngrams and (other.order, other.source) == (6, "own")
    assert (other.settings.weight, model.settings.weight) == (0, 0.6)
    assert other.bind(ABC).settings.weight == 0 and model.bind(ABC).settings.weight == 0.6
    assert other.get_config()["settings"]["weight"] == 0
    with pytest.raises(ValueError):
        model.with_settings(0.5)


@pytest.mark.parametrize("name", ["weight", "length_bonus", "threshold"])
@pytest.mark.parametrize("value", [math.nan, math.inf, 1e308, "1", None, True])
def test_settings_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name.replace("_", " ")):
        LanguageModelSettings(**{name: value})


# What is saved, and what is damaged.


@pytest.fixture(scope="module")
def model():
    settings = LanguageModelSettings(weight=0.7, length_bonus=-0.5, threshold=0.9)
    texts = random_texts(7, 60, "abC1é ")
    return train_language_model(
        texts, CharDict("abcC0123é "), settings=settings, order=4, source="a list, CC0"
    )


def assert_same(found, model):
    for own, array in zip(found.ngrams, model.ngrams, strict=True):
        assert own.dtype == array.dtype and own.tobytes() == array.tobytes()
    for name in ("characters", "order", "settings", "source"):
        assert getattr(found, name) == getattr(model, name)
    assert found.log_probability("abc") == model.log_probability("abc")


def test_a_config_comes_back_through_json(model):
    config = json.loads(json.dumps(model.get_config()))
    found = LanguageModel.from_config(config)
    assert_same(found, model)
    assert found.get_config() == model.get_config() == config


def test_a_saved_file_comes_back(model, tmp_path):
    model.save(tmp_path / "model.npz")
    assert_same(LanguageModel.load(tmp_path / "model.npz"), model)
    # A model of one character and order 1 is the smallest.
    smallest = train_language_model(["a"], CharDict("a"), order=1)
    smallest.save(tmp_path / "model.npz")
    found = LanguageModel.load(tmp_path / "model.npz")
    assert len(found) == 3 and found.log_probability("a") == smallest.log_probability("a")


def unpack(config):
    """The arrays of a config, which can be written to."""
    content = zlib.decompress(base64.b64decode(config["ngrams"]))
    count = len(content) // 6
    parts = np.split(np.frombuffer(content, np.uint8), [2 * count, 4 * count, 5 * count])
    return Ngrams(*(p.view("<u2").copy() for p in parts[:2]), *(p.copy() for p in parts[2:]))


def pack(config, ngrams):
    packed = zlib.compress(b"".join(np.asarray(array).tobytes() for array in ngrams))
    return {**config, "ngrams": base64.b64encode(packed).decode()}


def with_array(name, change):
    """A damage: one of the arrays changed."""

    def damage(config):
        ngrams = unpack(config)
        changed = change(getattr(ngrams, name).copy())
        return pack(config, ngrams._replace(**{name: changed}))

    return damage


def put(index, value):
    def change(array):
        array[index] = value
        return array

    return change


def packed_bytes(content):
    return lambda config: {**config, "ngrams": base64.b64encode(content).decode()}


def with_value(**values):
    return lambda config: {**config, **values}


def with_setting(**values):
    return lambda config: {**config, "settings": {**config["settings"], **values}}


def without(name):
    return lambda config: {key: value for key, value in config.items() if key != name}


def swap_siblings(config):
    """The last two n-grams behind the first of several that end a level."""
    ngrams = unpack(config)
    kinds = len(config["characters"]) + 1
    ngrams.symbols[kinds + 1], ngrams.symbols[kinds + 2] = ngrams.symbols[kinds + 1 : kinds + 3][
        ::-1
    ].copy()
    assert ngrams.child_counts[1] > 1
    return pack(config, ngrams)


def chain(config):
    """A trie that is nearly as deep as it is long."""
    kinds = len(config["characters"]) + 1
    count = 2**20
    symbols, child_counts = np.zeros(count, np.uint16), np.ones(count, np.uint16)
    symbols[1 : kinds + 1] = range(kinds)
    child_counts[0], child_counts[1:kinds], child_counts[-1] = kinds, 0, 0
    rest = np.zeros(count, np.uint8)
    return pack(config, Ngrams(symbols, child_counts, rest, rest))


DAMAGES = {
    "base64 that is cut": lambda config: {**config, "ngrams": config["ngrams"][:-3]},
    "a half": lambda config: {
        **config,
        "ngrams": config["ngrams"][: len(config["ngrams"]) // 8 * 4],
    },
    "signs in base64": lambda config: {**config, "ngrams": "!?" + config["ngrams"]},
    "bytes for text": lambda config: {**config, "ngrams": config["ngrams"].encode()},
    "a number for text": with_value(ngrams=7),
    "nothing": with_value(ngrams=""),
    "no zlib": packed_bytes(b"abc" * 99),
    "zlib of nothing": packed_bytes(zlib.compress(b"")),
    "no multiple of six": packed_bytes(zlib.compress(b"abcdefg")),
    "a checksum that is cut": lambda config: packed_bytes(base64.b64decode(config["ngrams"])[:-4])(
        config
    ),
    "zeros": packed_bytes(zlib.compress(bytes(6000))),
    "a bomb": packed_bytes(zlib.compress(bytes(6 * MAX_NGRAMS + 6))),
    "counts that loop": with_array("child_counts", put(slice(0, 8), 0)),
    "counts that are all one": with_array("child_counts", put(slice(None), 1)),
    "counts that add up to more": with_array("child_counts", put(-1, 1)),
    "counts that are huge": with_array("child_counts", put(slice(None), 2**16 - 1)),
    "a symbol out of range": with_array("symbols", put(-1, 60_000)),
    "the root's symbol out of range": with_array("symbols", put(0, 99)),
    "unigrams in disorder": with_array("symbols", put(1, 2)),
    "siblings in disorder": swap_siblings,
    "a chain": chain,
    "depth over the order": with_value(order=2),
    "an order of 0": with_value(order=0),
    "a huge order": with_value(order=10**9),
    "an order of text": with_value(order="4"),
    "another character": lambda config: {**config, "characters": [*config["characters"], "x"]},
    "a character less": lambda config: {**config, "characters": config["characters"][1:]},
    "a character twice": lambda config: {
        **config,
        "characters": [*config["characters"][1:], config["characters"][-1]],
    },
    "numbers for characters": lambda config: {
        **config,
        "characters": list(range(len(config["characters"]))),
    },
    "no list of characters": with_value(characters=5),
    "no characters": with_value(characters=[]),
    "many characters": with_value(characters=list(map(chr, range(1, 70_000)))),
    "a weight of nan": with_setting(weight=math.nan),
    "a weight of text": with_setting(weight="1"),
    "a weight below 0": with_setting(weight=-1),
    "a bonus that overflows": with_setting(length_bonus=1e9),
    "a threshold over 1": with_setting(threshold=1.5),
    "an unknown setting": with_setting(width=3),
    "settings of another kind": with_value(settings=[1]),
    "an unknown key": with_value(kind="trie"),
    "a source of another kind": with_value(source=3),
    **{f"no {name}": without(name) for name in ("ngrams", "characters", "order", "settings")},
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_config_is_refused(model, damage):
    config = DAMAGES[damage](json.loads(json.dumps(model.get_config())))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="crnn_keras saved"):
            LanguageModel.from_config(config)
        # The bomb is unpacked up to the largest model, and joined.
        assert tracemalloc.get_traced_memory()[1] < 13 * MAX_NGRAMS
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("config", [None, [], "abc", 5])
def test_what_is_no_config_is_refused(config):
    with pytest.raises(ValueError, match="crnn_keras saved"):
        LanguageModel.from_config(config)


def walk_all(model):
    """Looks up every symbol in every state: it ends, and finds states and numbers."""
    kinds = len(model.characters) + 1
    states = np.repeat(np.arange(len(model)), kinds)
    scores, following = model.advance(states, np.tile(np.arange(kinds), len(model)))
    assert np.isfinite(scores).all() and (scores <= 0).all()
    assert (following >= 0).all() and (following < len(model)).all()
    assert 0 <= model.start < len(model)


def test_any_byte_may_be_damaged(model):
    config, rng = model.get_config(), random.Random(11)
    content = zlib.decompress(base64.b64decode(config["ngrams"]))
    loaded = 0
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(rng.choice([1, 1, 2, 8])):
            damaged[rng.randrange(len(damaged))] ^= rng.randrange(1, 256)
        try:
            found = LanguageModel.from_config(packed_bytes(zlib.compress(damaged, 1))(config))
        except ValueError:
            continue
        loaded += 1
        walk_all(found)
    assert 30 < loaded < 270
    # What is packed has a checksum.
    packed = base64.b64decode(config["ngrams"])
    for _ in range(50):
        damaged = bytearray(packed)
        damaged[rng.randrange(2, len(packed))] ^= rng.randrange(1, 256)
        with pytest.raises(ValueError):
            LanguageModel.from_config(packed_bytes(damaged)(config))


def entries(model, without=None):
    """What `save` writes, but for one of them."""
    facts = {key: value for key, value in model.get_config().items() if key != "ngrams"}
    settings = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    found = {**model.ngrams._asdict(), "settings": settings}
    return {name: array for name, array in found.items() if name != without}


ENTRY_DAMAGES = {
    "texts": lambda model: {"symbols": model.ngrams.symbols.astype(str)},
    "signed": lambda model: {"symbols": model.ngrams.symbols.astype(np.int16)},
    "wider": lambda model: {"child_counts": model.ngrams.child_counts.astype(np.uint64)},
    "floats": lambda model: {"log_probabilities": model.ngrams.log_probabilities.astype(float)},
    "nan": lambda model: {"backoffs": np.full(len(model), np.nan)},
    "shorter": lambda model: {"backoffs": model.ngrams.backoffs[:-1]},
    "empty": lambda model: {name: array[:0] for name, array in model.ngrams._asdict().items()},
    "two axes": lambda model: {"symbols": model.ngrams.symbols[:, None]},
    "a scalar": lambda model: {"symbols": np.uint16(3)},
    "settings that are no json": lambda model: {"settings": np.arange(9, dtype=np.uint8)},
    "settings that are deep": lambda model: {"settings": np.full(10**5, ord("["), np.uint8)},
    "settings that are long": lambda model: {"settings": np.full(2**23, 32, np.uint8)},
    "settings that are a list": lambda model: {"settings": np.frombuffer(b"[1]", np.uint8)},
}


@pytest.mark.parametrize("damage", ENTRY_DAMAGES)
def test_a_damaged_file_is_refused(model, tmp_path, damage):
    np.savez_compressed(tmp_path / "a.npz", **{**entries(model), **ENTRY_DAMAGES[damage](model)})
    with pytest.raises(ValueError, match="a.npz cannot be loaded"):
        LanguageModel.load(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["settings", *Ngrams._fields])
def test_a_missing_array_is_named(model, tmp_path, name):
    np.savez(tmp_path / "a.npz", **entries(model, without=name))
    with pytest.raises(ValueError, match=name):
        LanguageModel.load(tmp_path / "a.npz")


def test_nothing_is_unpickled(model, tmp_path):
    class Loud:
        def __reduce__(self):
            return (pytest.fail, ("it was unpickled",))

    np.savez(tmp_path / "a.npz", **{**entries(model), "symbols": np.array([Loud()], object)})
    with pytest.raises(ValueError, match="unpickled"):
        LanguageModel.load(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["symbols", "settings", "other"])
def test_a_file_that_unpacks_to_too_much_is_refused_before(model, tmp_path, name):
    np.savez(tmp_path / "a.npz", **entries(model, without=name))
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open(f"{name}.npy", "w", force_zip64=True) as file,
    ):
        for _ in range(48):
            file.write(bytes(2**20))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=f"{name}.npy"):
            LanguageModel.load(tmp_path / "a.npz")
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_a_shape_that_is_not_in_the_file_costs_no_memory(model, tmp_path):
    np.savez(tmp_path / "a.npz", **entries(model, without="symbols"))
    header = b"{'descr': '<u2', 'fortran_order': False, 'shape': (99999999999999,), }"
    header += b" " * (117 - len(header)) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("symbols.npy", content + bytes(64))
    with pytest.raises(ValueError, match="a.npz"):
        LanguageModel.load(tmp_path / "a.npz")


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "text").write_text("no zip")
    np.save(tmp_path / "array.npy", np.arange(9))
    for path in (tmp_path / "missing.npz", tmp_path, tmp_path / "text", tmp_path / "array.npy"):
        with pytest.raises(ValueError, match="crnn_keras saved"):
            LanguageModel.load(path)


def test_cut_files_are_refused(model, tmp_path):
    model.save(tmp_path / "a.npz")
    content = (tmp_path / "a.npz").read_bytes()
    for size in itertools.chain(range(0, len(content), 97), [len(content) - 1]):
        (tmp_path / "b.npz").write_bytes(content[:size])
        with pytest.raises(ValueError):
            LanguageModel.load(tmp_path / "b.npz")


def test_a_pickled_model_is_small_and_the_same():
    model = train_language_model(random_texts(4, 400), ABC, source="own")
    before = len(pickle.dumps(model))
    states, symbols = np.full(3, model.start), np.array([1, 2, 3])
    expected = model.advance(states, symbols)
    packed = pickle.dumps(model)
    assert len(packed) == before < 4 * len(model)
    again = pickle.loads(packed)  # noqa: S301
    assert again.get_config() == model.get_config()
    for here, there in zip(again.advance(states, symbols), expected, strict=True):
        np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("max_ngrams", [30, 200, 10_000])
def test_a_table_of_all_lookups_gives_what_the_trie_gives(max_ngrams):
    model = train_language_model(random_texts(5, 300), ABC, max_ngrams=max_ngrams)
    contexts = np.flatnonzero(model.ngrams.child_counts)
    states, symbols = (values.ravel() for values in np.meshgrid(contexts, np.arange(4)))
    assert model._table is not None
    scores, following = model.advance(states, symbols)
    # As for an alphabet whose table would be large.
    model.__dict__["_table"] = None
    others, same = model.advance(states, symbols)
    np.testing.assert_allclose(scores, others, atol=1e-6)
    np.testing.assert_array_equal(following, same)


def test_the_arrays_of_a_file_are_mapped_into_memory(tmp_path):
    model = train_language_model(random_texts(6, 300), ABC)
    model.save(tmp_path / "abc.npz")
    loaded = LanguageModel.load(tmp_path / "abc.npz")
    for here, there in zip(loaded.ngrams, model.ngrams, strict=True):
        assert isinstance(here, np.memmap) and not here.flags.writeable
        np.testing.assert_array_equal(here, there)

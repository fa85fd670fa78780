"""Texts to render: words, numbers, codes, marks and Chinese lines, each in one split only."""

import collections
import re
import string

import numpy as np
import pytest

from crnn_keras.synth import (
    ChineseTexts,
    LineTexts,
    WordTexts,
    bundled_fonts,
    fonts_with,
    read_words,
)

FRACTIONS = {"train": 0.8, "validation": 0.05, "test": 0.15}
WORDS = ["tree", "oak", "hornbeam", "ash", "sycamore", "rhododendron", "wellingtonia"]
HAN = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))


def take(texts, count, start=0):
    return [texts.text(index) for index in range(start, start + count)]


# Words.


def test_the_bundled_words_are_distinct_and_lower_case():
    words = read_words()
    assert len(words) > 30_000
    assert len({word.lower() for word in words}) == len(words)
    assert set("".join(words)) == set(string.ascii_lowercase)
    assert fonts_with("".join(words).upper(), bundled_fonts()) == (bundled_fonts(), {})


def test_words_are_read_once_each_from_any_text_file(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes("\ufefftree\r\n\r\n oak \r\ntree\r\n省".encode())
    assert read_words(path) == ["tree", "oak", "省"]


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_a_word_list_without_a_word_is_refused(tmp_path, content):
    (tmp_path / "words.txt").write_text(content)
    with pytest.raises(ValueError, match=r"words\.txt"):
        read_words(tmp_path / "words.txt")


def test_texts_are_the_same_for_the_same_seed_only():
    texts = take(WordTexts(WORDS, seed=5), 200)
    assert texts == take(WordTexts(WORDS, seed=5), 200)
    assert texts != take(WordTexts(WORDS, seed=6), 200)


@pytest.mark.parametrize(
    "make",
    [
        lambda: WordTexts(WORDS, numbers=0.3, codes=0.3, split="train", fractions=FRACTIONS),
        lambda: LineTexts(WORDS, split="train", fractions=FRACTIONS),
        lambda: ChineseTexts(HAN, split="train", fractions=FRACTIONS),
        lambda: ChineseTexts(HAN, corpus=[HAN[:50], HAN[30:]], split="test", fractions=FRACTIONS),
    ],
    ids=["words", "lines", "chinese", "corpus"],
)
def test_a_text_does_not_depend_on_those_drawn_before(make):
    forward = take(make(), 120)
    texts, order = make(), np.random.default_rng(0).permutation(120)
    assert [texts.text(int(index)) for index in order] == [forward[index] for index in order]


def test_texts_are_words_in_the_cases_of_signs():
    texts = take(WordTexts(["oak", "McAsh"], numbers=0, codes=0), 400)
    assert set(texts) == {"oak", "OAK", "Oak", "mcash", "MCASH", "Mcash", "McAsh"}
    fractions = collections.Counter(text[:2].isupper() for text in texts)
    assert 0.2 < fractions[True] / 400 < 0.4


def test_words_have_the_requested_cases():
    cases = {"upper": 0.6, "capital": 0.25}
    texts = take(WordTexts(["oak"], numbers=0, codes=0, **cases), 4000)
    fractions = {text: count / 4000 for text, count in collections.Counter(texts).items()}
    # One in ten is in lower case, one in twenty as in the list: also "oak".
    assert fractions == pytest.approx({"OAK": 0.6, "Oak": 0.25, "oak": 0.15}, abs=0.03)


@pytest.mark.parametrize("upper, capital", [(0.8, 0.2), (-0.1, 0.5), (0.5, -0.1)])
def test_cases_that_leave_nothing_for_the_list_are_refused(upper, capital):
    with pytest.raises(ValueError, match=f"{upper} .*{capital}"):
        WordTexts(["oak"], upper=upper, capital=capital)


def test_numbers_and_codes_have_their_lengths_and_characters():
    numbers = take(WordTexts(WORDS, numbers=1, codes=0), 300)
    assert set("".join(numbers)) == set(string.digits)
    assert {len(text) for text in numbers} == set(range(1, 9))
    codes = take(WordTexts(WORDS, numbers=0, codes=1), 300)
    assert {len(text) for text in codes} == set(range(3, 9))
    assert all(text in (text.lower(), text.upper()) for text in codes)
    assert not set("".join(codes)) & set("01oilOIL")


@pytest.mark.parametrize("max_length", [3, 4, 8, 12])
def test_no_text_is_longer_than_max_length(max_length):
    texts = take(WordTexts(WORDS, seed=1, numbers=0.3, codes=0.3, max_length=max_length), 400)
    assert max(map(len, texts)) == max_length


def test_words_that_are_all_too_long_are_refused():
    with pytest.raises(ValueError, match=" 2 characters"):
        WordTexts(WORDS, max_length=2)


@pytest.mark.parametrize(
    "split, fractions", [("test", {"train": 1}), ("test", None), ("a", {"a": 0})]
)
def test_a_split_without_a_fraction_is_refused(split, fractions):
    with pytest.raises(ValueError, match=re.escape(f"'{split}'")):
        WordTexts(WORDS, split=split, fractions=fractions)


def test_a_split_without_a_word_is_refused():
    with pytest.raises(ValueError, match="'test' of"):
        WordTexts(["oak"], split="test", fractions={"train": 1e9, "test": 1e-9})


def test_splits_have_no_text_in_common_in_any_case():
    # Words that could be codes or numbers, and one whose capitals are another word.
    words = [a + b + c for a in "abcd234" for b in "efgh567" for c in "jkmn89"] + ["straße"]
    common = {"seed": 3, "numbers": 0.3, "codes": 0.3, "max_length": 5, "fractions": FRACTIONS}
    drawn = {name: take(WordTexts(words, split=name, **common), 3000) for name in FRACTIONS}
    lower = {name: {text.lower() for text in texts} for name, texts in drawn.items()}
    assert all(len(texts) > 10 for texts in lower.values())
    assert not lower["train"] & lower["test"]
    assert not lower["train"] & lower["validation"]
    assert not lower["validation"] & lower["test"]
    union = set().union(*lower.values())
    assert len(union & set(words)) > 0.9 * len(words)


def test_numbers_that_all_belong_to_another_split_become_words():
    fractions = {"train": 0.999, "test": 0.001}
    words = [str(i) * 3 + "x" for i in range(5000)]
    texts = take(WordTexts(words, numbers=1, max_length=14, split="test", fractions=fractions), 5)
    assert all(texts)
    training = set(take(WordTexts(words, numbers=1, split="train", fractions=fractions), 500))
    assert not training & set(texts)


@pytest.mark.parametrize("numbers, codes", [(0, 0), (0.1, 0), (0, 0.1), (0.2, 0.2)])
def test_the_characters_include_those_of_all_texts(numbers, codes):
    texts = WordTexts(["straße", "Oak"], numbers=numbers, codes=codes)
    assert set("".join(take(texts, 300))) <= set(texts.characters)


@pytest.mark.parametrize(
    "common, first",
    # The logarithm of 1 + 100 / common over that of 1 + 1600 / common.
    [(0, 1 / 16), (1, 0.6254), (20, 0.4077), (100, 0.2447), (10**9, 1 / 16)],
)
def test_words_at_the_front_of_the_list_are_more_frequent(common, first):
    words = [f"{i:04}x" for i in range(1600)]
    texts = take(WordTexts(words, numbers=0, codes=0, common=common), 3000)
    fraction = sum(text.lower() < "0100x" for text in texts) / 3000
    assert abs(fraction - first) < 0.03


def test_a_negative_common_is_refused():
    with pytest.raises(ValueError, match="-1"):
        WordTexts(WORDS, common=-1)


def test_marks_change_neither_letters_nor_digits_nor_the_longest_length():
    common = {"seed": 7, "numbers": 0.3, "codes": 0.2, "max_length": 9}
    plain = take(WordTexts(WORDS, **common), 600)
    marked = take(WordTexts(WORDS, **common, marks=1), 600)
    assert ["".join(filter(str.isalnum, text)) for text in marked] == plain
    assert max(map(len, marked)) == 9
    changed = [text for text, before in zip(marked, plain, strict=True) if text != before]
    assert len(changed) > 400
    assert len(set("".join(changed)) - set(string.ascii_letters + string.digits)) > 20


def test_marks_have_their_fraction():
    texts = take(WordTexts(["oak"], numbers=0, codes=0, marks=0.25), 2000)
    assert abs(sum(not text.isalpha() for text in texts) / 2000 - 0.25) < 0.03
    assert set("".join(texts)) <= set(WordTexts(["oak"], marks=0.25).characters)


# Lines.


def test_lines_are_drawn_as_they_are_with_single_spaces():
    written = ["Total  12.50 ", "McAsh & Söhne", "¿Qué?", "¿Qué?", "", "\t"]
    lines = LineTexts(written, seed=1)
    assert set(take(lines, 60)) == {"Total 12.50", "McAsh & Söhne", "¿Qué?"}
    assert lines.characters == "".join(sorted(set("Total 12.50McAsh & Söhne¿Qué?")))


def test_a_line_is_in_one_split_in_any_case():
    written = [f"line {number}" for number in range(200)]
    written += [line.upper() for line in written]
    drawn = {
        name: set(take(LineTexts(written, split=name, fractions=FRACTIONS), 600))
        for name in FRACTIONS
    }
    assert all(drawn.values())
    folded = [{line.lower() for line in lines} for lines in drawn.values()]
    assert len(set().union(*folded)) == sum(map(len, folded))


@pytest.mark.parametrize(
    ("lines", "settings", "message"),
    [
        ([], {}, "No line has 1 to 60 characters"),
        (["", "  "], {}, "No line has 1 to 60 characters"),
        (["a line"], {"max_length": 5}, "No line has 1 to 5 characters"),
        ("a line", {}, "Expected a list of lines"),
        (["oak"], {"split": "test", "fractions": {"train": 1.0, "test": 1e-9}}, "No line belongs"),
        (["oak"], {"split": "test"}, "no fraction"),
    ],
)
def test_lines_that_cannot_be_drawn_are_refused(lines, settings, message):
    with pytest.raises(ValueError, match=message):
        LineTexts(lines, **settings)


# Chinese.


@pytest.mark.parametrize("count", [1, 7, 300])
@pytest.mark.parametrize("rare", [0.1, 0.3, 1])
@pytest.mark.parametrize("shortest, longest", [(1, 20), (1, 1), (4, 6)])
def test_every_character_appears_in_the_first_lines(count, rare, shortest, longest):
    lines = ChineseTexts(HAN[:count], frequencies={HAN[0]: 1}, rare=rare, shortest=shortest,
                         longest=longest)  # fmt: skip
    assert set("".join(take(lines, lines.cycle))) == set(HAN[:count])


def test_rare_characters_are_equally_frequent():
    lines = ChineseTexts(HAN, frequencies={HAN[0]: 1}, rare=0.5)
    counts = collections.Counter("".join(take(lines, 3000)))
    del counts[HAN[0]]
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("split", FRACTIONS)
def test_every_character_appears_in_each_split(split):
    lines = ChineseTexts(HAN, frequencies={HAN[0]: 9, HAN[1]: 1}, split=split, fractions=FRACTIONS)
    assert len(set("".join(take(lines, lines.cycle)))) >= 0.99 * len(HAN)


def test_splits_of_chinese_lines_have_none_in_common():
    drawn = {
        name: set(take(ChineseTexts(HAN[:4], 1, split=name, fractions=FRACTIONS), 500))
        for name in FRACTIONS
    }
    assert not drawn["train"] & drawn["test"]
    assert not drawn["train"] & drawn["validation"]
    assert not drawn["validation"] & drawn["test"]


@pytest.mark.parametrize("shortest, longest", [(1, 20), (5, 5), (3, 9)])
@pytest.mark.parametrize("split", [None, "test"])
def test_lines_have_the_requested_lengths(shortest, longest, split):
    lines = ChineseTexts(HAN, shortest=shortest, longest=longest, split=split, fractions=FRACTIONS)
    assert {len(text) for text in take(lines, 800)} == set(range(shortest, longest + 1))


def test_a_corpus_is_cut_at_all_positions():
    corpus = ["甲乙丙丁戊己庚辛壬癸", "一x二 三四五六七八九十"]
    lines = ChineseTexts("甲乙丙丁戊己庚辛壬癸一二三四五六七八九十 ", corpus=corpus, rare=0,
                         shortest=2, longest=4)  # fmt: skip
    texts = take(lines, 400)
    assert all(any(text in line for line in corpus) for text in texts)
    assert {text[0] for text in texts} >= set("甲丙庚壬二三九")
    assert "一" not in "".join(texts), "a run shorter than the shortest line"
    assert not [text for text in texts if text != text.strip() or len(text) < 2]


def test_a_corpus_may_be_a_file(tmp_path):
    (tmp_path / "corpus.txt").write_text("甲乙丙丁\n戊己", encoding="utf-8")
    lines = ChineseTexts("甲乙丙丁戊己", corpus=tmp_path / "corpus.txt", rare=0)
    assert take(lines, 50) == take(
        ChineseTexts("甲乙丙丁戊己", corpus=["甲乙丙丁", "戊己"], rare=0), 50
    )


def test_characters_have_their_frequencies():
    lines = ChineseTexts("甲乙丙", frequencies={"甲": 6, "乙": 3, "丁": 9}, rare=0)
    counts = collections.Counter("".join(take(lines, 800)))
    assert set(counts) == {"甲", "乙"}
    assert 1.7 < counts["甲"] / counts["乙"] < 2.3


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"characters": " "}, "at least one"),
        ({"shortest": 0}, "shortest is 0 and longest 20"),
        ({"shortest": 5, "longest": 4}, "shortest is 5 and longest 4"),
        ({"rare": 1.5}, "1.5"),
        ({"corpus": ["xyz"]}, "no 1 of the 2 characters"),
        ({"frequencies": {"x": 1}}, "frequency above 0"),
    ],
)
def test_impossible_lines_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ChineseTexts(**{"characters": "甲乙"} | arguments)


def test_a_split_without_a_line_is_refused():
    fractions = {"train": 1e6, "test": 1}
    with pytest.raises(ValueError, match="'test'.* 2000 tries"):
        ChineseTexts("甲", longest=1, split="test", fractions=fractions).text(0)

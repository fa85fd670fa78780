"""The moving lattice of notebook 03: its numbers beside NumPy's, and the page in Chromium."""

import itertools
import pathlib
import re

import keras
import numpy as np
import pytest
from backend_worker import loss_and_gradient
from contrast import contrast

from crnn_keras.model.ctc import ctc_loss, is_feasible
from crnn_keras.model.decoding import log_likelihoods, path_posteriors
from crnn_keras.model.decoding.forward import PROBABILITIES, iter_forward
from crnn_keras.notebook import walkthrough

PAGE = pathlib.Path(__file__).parent.parent / "notebooks" / "03_lattice.html"
SIGNS, FRAMES = "_ab", 6
PRESETS = ("example", "uniform", "confident", "blanks", "sharp", "zero")
# A text that needs 7 frames does not fit.
TEXTS = ("aab", "a", "ab", "bb", "aba", "abba", "aabb", "aaaa")


@pytest.fixture
def open_page(browser):
    """Function that opens the page; what it complains about or asks for fails the test."""
    tabs, complaints = [], []

    def open_tab(query="", **options):
        tab = browser.new_page(**options)
        tabs.append(tab)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("console", lambda said: complaints.append(said.text))
        tab.on("request", lambda asked: complaints.append(asked.url) if is_other(asked.url) else 0)
        tab.goto(PAGE.as_uri() + query)
        return tab

    yield open_tab
    for tab in tabs:
        tab.close()
    assert not complaints


def is_other(address):
    return not address.startswith((PAGE.as_uri(), "data:,"))


def computed(tab, **values):
    """Sets the page's text, probabilities or step, and returns what it computed."""
    return compute_many(tab, [values])[0]


def compute_many(tab, cases):
    """Sets a text, and probabilities or a preset, for each case; returns what was computed."""
    states = tab.evaluate(
        """cases => cases.map(({ preset, ...values }) => {
          lattice.set(values);
          if (preset) {
            document.getElementById("preset").value = preset;
            document.getElementById("preset").dispatchEvent(new Event("change"));
          }
          return lattice.state();
        })""",
        [{k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in c.items()} for c in cases],
    )
    return [{k: np.array(v) if isinstance(v, list) else v for k, v in s.items()} for s in states]


def read(path):
    """Merges equal neighbours and removes blanks."""
    return "".join(SIGNS[k] for k, _ in itertools.groupby(path) if k)


PATHS = np.array(list(itertools.product(range(3), repeat=FRAMES)))
READ = np.array([read(path) for path in PATHS])


def by_hand(text, probabilities):
    """CTC of one text: each path is tried, and alpha and beta are the sums of the course."""
    states = [0]
    for sign in text:
        states += [SIGNS.index(sign), 0]
    alpha, beta = np.zeros((2, FRAMES, len(states)))
    alpha[0, :2], beta[-1, -2:] = probabilities[0, states[:2]], 1
    for t in range(1, FRAMES):
        for s, sign in enumerate(states):
            near = alpha[t - 1, max(s - 1, 0) : s + 1].sum()
            if s > 1 and sign != 0 and sign != states[s - 2]:
                near += alpha[t - 1, s - 2]
            alpha[t, s] = near * probabilities[t, sign]
    for t in reversed(range(FRAMES - 1)):
        for s, sign in enumerate(states):
            ways = [s, s + 1] + [s + 2] * (sign != 0 and s + 2 < len(states))
            ways = [w for w in ways if w < len(states) and (w < s + 2 or states[w] != sign)]
            beta[t, s] = sum(probabilities[t + 1, states[w]] * beta[t + 1, w] for w in ways)
    spelled = np.isin(READ, text)
    weights = probabilities[np.arange(FRAMES), PATHS].prod(1) * spelled
    # How much of what spells the text has a sign in a frame: without any lattice.
    shares = [np.bincount(PATHS[:, t], weights, 3) for t in range(FRAMES)]
    return states, alpha, beta, weights.sum(), np.array(shares), spelled.sum()


def ids_of(text):
    return [SIGNS.index(sign) for sign in text]


def logarithms(probabilities):
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(probabilities), -1e4)


def check(state, text, probabilities):
    """Compares what the page computed with NumPy and with the package, to 1e-9."""
    close = {"rtol": 1e-9, "atol": 1e-12}
    states, alpha, beta, p, shares, count = by_hand(text, probabilities)
    assert (state["text"], state["classes"].tolist(), state["paths"]) == (text, states, count)
    np.testing.assert_allclose(state["alpha"], alpha, **close)
    np.testing.assert_allclose(state["beta"], beta, **close)
    assert state["p"] == pytest.approx(p, rel=1e-9)
    np.testing.assert_allclose((alpha * beta).sum(1), p, **close)
    best = probabilities.argmax(1)
    assert (state["bestPath"].tolist(), state["bestText"]) == (best.tolist(), read(best))
    assert state["bestProbability"] == pytest.approx(probabilities.max(1).prod(), rel=1e-9)
    (likelihood,) = log_likelihoods(logarithms(probabilities), [ids_of(text)])
    if p == 0:
        assert state["loss"] == np.inf and state["posterior"] is None is state["gradient"]
        assert likelihood < -1e4 + 10
        return
    assert state["loss"] == pytest.approx(-np.log(p), rel=1e-9)
    assert state["loss"] == pytest.approx(-likelihood, rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(state["posterior"], alpha * beta / p, **close)
    np.testing.assert_allclose(state["ofSigns"], shares / p, **close)
    np.testing.assert_allclose(state["gradient"], probabilities - shares / p, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(state["alpha"], by_package(text, probabilities), **close)
    # The package takes the softmax in float32.
    posteriors = path_posteriors(logarithms(probabilities), ids_of(text))
    np.testing.assert_allclose(state["posterior"], posteriors, atol=1e-5)


def by_package(text, probabilities):
    """Alpha by the recursion that the package decodes and aligns with."""
    ids, rows = np.array([ids_of(text)]), []
    frames = ((row[0], row[ids.T]) for row in probabilities)
    for blanks, characters in itertools.islice(iter_forward(frames, ids, PROBABILITIES), 1, None):
        rows.append(np.zeros(2 * len(text) + 1))
        rows[-1][::2], rows[-1][1::2] = blanks[:, 0], characters[:, 0]
    return rows


@pytest.fixture(scope="module")
def drawn():
    """Twelve draws of probabilities, from nearly uniform to very sharp."""
    rng = np.random.default_rng(21)
    return [rng.dirichlet([sharpness] * 3, FRAMES) for sharpness in (9, 1, 0.2) * 4]


def test_presets_and_random_probabilities_give_the_numbers_of_numpy_and_the_package(
    open_page, drawn
):
    tab = open_page()
    cases = [{"preset": preset, "text": text} for preset in PRESETS for text in TEXTS]
    for case, state in zip(cases, compute_many(tab, cases), strict=True):
        np.testing.assert_allclose(state["probabilities"].sum(1), 1, atol=1e-12)
        check(state, case["text"], state["probabilities"])
    assert tab.input_value("#preset") == PRESETS[-1]
    cases = zip(drawn, itertools.cycle(TEXTS), strict=False)
    cases = [{"probabilities": own, "text": text} for own, text in cases]
    for case, state in zip(cases, compute_many(tab, cases), strict=True):
        check(state, case["text"], case["probabilities"])


def test_the_loss_and_the_gradient_are_those_of_the_package(open_page, drawn):
    states = compute_many(open_page(), [{"probabilities": own} for own in drawn[:3]])
    logits = np.log(drawn[:3])
    labels = np.array([ids_of("aab")] * len(logits))
    losses, gradients = loss_and_gradient(logits, labels, [FRAMES] * len(logits))
    exact = keras.ops.convert_to_numpy(ctc_loss(logits, labels))
    # JAX has no float64 unless it is asked to.
    precision = 1e-9 if exact.dtype == np.float64 else 1e-5
    assert [state["loss"] for state in states] == pytest.approx(exact, rel=precision)
    assert losses == pytest.approx(exact, rel=1e-5)
    np.testing.assert_allclose([state["gradient"] for state in states], gradients, atol=1e-5)


def test_a_training_step_is_gradient_descent(open_page):
    tab = open_page()
    tab.select_option("#preset", "blanks")
    before = computed(tab)
    tab.get_by_role("button", name="Take a training step").click()
    after = computed(tab)
    stepped = before["probabilities"] * np.exp(-before["gradient"])
    stepped /= stepped.sum(1, keepdims=True)
    np.testing.assert_allclose(after["probabilities"], stepped, rtol=1e-9)
    check(after, "aab", stepped)
    assert after["loss"] < before["loss"] - 1
    said = f"from {before['loss']:.3f} to {after['loss']:.3f} nats"
    assert said in tab.text_content("#trained")
    tab.evaluate("() => { for (let i = 0; i < 30; i++) document.getElementById('train').click() }")
    assert computed(tab)["bestText"] == "aab" and "right" in tab.text_content("#verdict")


def test_without_a_path_there_is_no_posterior_and_no_gradient(open_page):
    tab = open_page()
    tab.select_option("#preset", "zero")
    state = computed(tab)
    assert (state["probabilities"][1:5, 0] == 0).all()
    assert (state["p"], state["loss"], state["bestText"]) == (0, np.inf, "ab")
    assert state["alpha"][-1, -2:].tolist() == [0, 0]
    tab.get_by_role("button", name="gradient").click()
    assert computed(tab)["stage"] == "none" and "0 / 0" in tab.text_content("#words")
    assert tab.text_content("#loss") == "∞"
    assert tab.get_attribute("#step", "aria-disabled") == "true"
    tab.locator("#train").dispatch_event("click")  # the keyboard reaches it, and it says why
    assert "no gradient" in tab.text_content("#trained")
    # Without equal neighbours the same frames spell the text.
    assert computed(tab, text="ab")["p"] > 0.1
    # What does not fit has no path at all, and the package gives it a loss of 0.
    tab.select_option("#preset", "uniform")
    assert computed(tab, text="aaaa")["paths"] == 0
    assert "7 frames" in tab.text_content("#needs")
    labels, lengths = np.array([[1, 1, 1, 1]]), np.array([FRAMES])
    assert not is_feasible(labels, lengths)[0]
    assert float(ctc_loss(np.zeros((1, FRAMES, 3)), labels)[0]) == 0


def test_uniform_probabilities_count_the_paths(open_page):
    tab = open_page()
    tab.select_option("#preset", "uniform")
    state = computed(tab)
    count = (READ == "aab").sum()
    assert state["paths"] == count == 28
    assert state["p"] == pytest.approx(count / 3**FRAMES, rel=1e-12)
    assert f"{count} of 729" in tab.text_content("#note")


def test_each_cell_is_explained_in_words_and_numbers(open_page):
    tab = open_page()
    state = computed(tab)

    def said(step):
        tab.evaluate("step => lattice.set({ step })", step)
        return tab.text_content("#equations"), tab.text_content("#words")

    equation, words = said(1 + 2 * 7 + 3)  # the second a in frame 3
    assert equation == "alpha(3, a₃) = (0 + 0.06) × 0.3 = 0.018"
    assert "The skip from a₁ to a₃ is forbidden" in words and words.startswith("Two ways")
    equation, words = said(1 + 2 * 7 + 5)
    assert equation == "alpha(3, b₅) = (0 + 0 + 0) × 0.1 = 0" and words.startswith("Three ways")
    equation, _ = said(43)
    ends = [f"{value:.3g}" for value in state["alpha"][-1, -2:]]
    assert equation == f"p = alpha(6, b₅) + alpha(6, _₆) = {ends[0]} + {ends[1]} = {state['p']:.3g}"
    equation, words = said(44 + 7 + 5)  # the first a in frame 5: too late
    assert equation == "beta(5, a₁) = 0.1 × 0 + 0.6 × 0 = 0" and "forbidden" in words
    equation, words = said(87 + 3 * 7 + 3)
    numbers = [f"{state[own][3, 3]:.3g}" for own in ("alpha", "beta", "posterior")]
    assert equation == "posterior(4, a₃) = {} × {} / {:.3g} = {}".format(
        *numbers[:2], state["p"], numbers[2]
    )
    equation, words = said(129 + 3 * 3 + 1)
    assert equation.endswith(f" = −{-state['gradient'][3, 1]:.3g}") and "raises" in words
    tab.check("[name=scale][value=logs]")
    equation, _ = said(1 + 2 * 7 + 2)
    assert equation == "ln alpha(3, _₂) = logsumexp(−2.81, −0.46) − 0.51 = −0.88"
    tab.check("[name=unit][value=column]")
    assert tab.locator("#equations li").count() == 7


def test_the_table_shows_what_is_computed_and_no_more(open_page):
    tab = open_page()
    state = computed(tab)
    tab.evaluate("lattice.set({ step: 10 })")
    rows = tab.locator("#states tr:not(.title)")
    shown = [row.locator("td").all_text_contents() for row in rows.all()]
    assert [sum(map(bool, column)) for column in zip(*shown, strict=True)] == [7, 3, 0, 0, 0, 0]
    # States go up, as in the notebook's figure.
    assert [float(row[0]) for row in shown[::-1]] == pytest.approx(state["alpha"][0], abs=6e-4)
    assert tab.text_content("#p").startswith("…") and tab.text_content("#loss").startswith("…")
    tab.evaluate("lattice.set({ step: 999 })")
    shown = [row.locator("td").all_text_contents() for row in rows.all()]
    shown = np.array(shown[::-1], float).T
    np.testing.assert_allclose(shown, state["posterior"], atol=6e-4)
    gradients = tab.locator("#gradients tr:not(.title) td").all_text_contents()
    gradients = np.array([own.replace("−", "-") for own in gradients], float).reshape(3, -1).T
    np.testing.assert_allclose(gradients, state["gradient"], atol=6e-4)
    # A disc's area is the posterior.
    radii = tab.locator("#drawing .disc").evaluate_all("own => own.map(o => +o.getAttribute('r'))")
    areas = (np.array(radii).reshape(FRAMES, -1) / 13) ** 2
    np.testing.assert_allclose(areas, state["posterior"], atol=2e-3)
    assert tab.text_content("#loss") == f"{state['loss']:.3f} nats"


def test_the_keyboard_goes_through_all_steps(open_page):
    tab = open_page()
    focused = "document.activeElement.id || document.activeElement.value"
    order = []
    for _ in range(40):
        tab.keyboard.press("Tab")
        order.append(tab.evaluate(focused))
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert tab.evaluate(outline) == "solid"
        if order[-1] == "train":
            break
    assert {"language", "text", "preset", "cell", "plain", "0", "slider-0"} <= set(order)
    assert order.index("step") < order.index("position") < order.index("train")
    tab.focus("[name=unit]:checked")
    tab.keyboard.press("ArrowRight")
    assert tab.is_checked("[name=unit][value=column]")
    tab.focus("#step")
    kinds = []
    while tab.get_attribute("#step", "aria-disabled") != "true":
        tab.keyboard.press("Enter")
        kinds.append(tab.evaluate("lattice.state().stage"))
    columns = [[kind] * 6 for kind in ("alpha", "beta", "posterior", "gradient")]
    assert kinds == [*columns[0], "total", *columns[1], "check", *columns[2], *columns[3], "end"]
    assert tab.evaluate(focused) == "step"
    tab.focus("#back")
    tab.keyboard.press("Enter")
    assert tab.evaluate("lattice.state().stage") == "gradient"
    tab.focus("#reset")
    tab.keyboard.press("Space")
    assert tab.evaluate("lattice.state().stage") == "start"
    before = computed(tab)["probabilities"]
    tab.focus("#frames input:checked")
    tab.keyboard.press("ArrowRight")
    tab.focus("#slider-1")
    tab.keyboard.press("ArrowLeft")
    row = computed(tab)["probabilities"][1]
    assert row == pytest.approx([0.2 * 0.31 / 0.3, 0.69, 0.1 * 0.31 / 0.3]) != before[1]
    assert tab.input_value("#preset") == "own"


def test_each_step_is_said_by_the_live_region(open_page):
    tab = open_page()
    said = tab.evaluate(
        """() => {
          const said = [], [step, live] = ["step", "live"].map(id => document.getElementById(id));
          for (; step.ariaDisabled !== "true"; said.push(live.textContent)) step.click();
          return said;
        }"""
    )
    assert len(said) == len(set(said)) == computed(tab)["steps"] == 147
    assert said[0].startswith("alpha, frame 1, state 0: blank. alpha(1, _₀) = 0.6. A path starts")


def test_play_goes_on_by_itself_and_stops_at_the_end(open_page):
    tab = open_page()
    tab.clock.install()
    tab.get_by_role("button", name="Play").click()
    tab.clock.run_for(5_600)
    assert tab.evaluate("lattice.state().step") == 6
    tab.get_by_role("button", name="Pause").click()
    tab.clock.run_for(5_000)
    assert tab.evaluate("lattice.state().step") == 6
    tab.evaluate("lattice.set({ step: 146 })")
    tab.get_by_role("button", name="Play").click()
    assert tab.text_content("#play") == "Play" and computed(tab)["stage"] == "end"


def test_other_texts_are_refused_with_a_reason(open_page):
    tab = open_page()
    for wrong in ("abc", "", "a b"):
        tab.fill("#text", wrong)
        assert "1 to 4 letters" in tab.text_content("#needs")
        assert tab.get_attribute("#text", "aria-invalid") == "true"
        assert tab.evaluate("lattice.state().text") == "aab"
    tab.fill("#text", "ABBA")
    assert tab.get_attribute("#text", "aria-invalid") == "false"
    assert "at least 5 frames" in tab.text_content("#needs")
    assert tab.locator("#states tr:not(.title)").count() == 9


def test_chinese_says_all_that_english_does(open_page):
    tab = open_page("?lang=zh")
    strings = tab.evaluate("lattice.strings")
    assert list(strings["en"]) == list(strings["zh"])
    for key, english in strings["en"].items():
        places = [set(re.findall(r"\{\w+\}", text)) for text in (english, strings["zh"][key])]
        assert places[0] == places[1], key
    used = set(re.findall(r'(?:say\(|data-t=)"(\w+)"', PAGE.read_text(encoding="utf-8")))
    assert used <= set(strings["en"])
    assert tab.title() == tab.text_content("h1") == strings["zh"]["title"]
    assert tab.get_attribute("html", "lang") == "zh-Hans"
    shown = tab.evaluate(
        "[...Array(50).keys()].map(i => (lattice.set({ step: 3 * i }), document.body.innerText))"
    )
    assert not any(re.search(r"undefined|[{}]|NaN", text) for text in shown)
    assert tab.text_content("#what") == strings["zh"]["endWhat"]
    tab.click("#language")
    assert tab.get_attribute("html", "lang") == "en" and tab.title() == strings["en"]["title"]
    assert tab.text_content("#what") == "Done"
    assert open_page("#lang=zh").title() == strings["zh"]["title"]


def test_it_fits_and_can_be_read_and_every_control_has_a_name(open_page):
    tab = open_page(reduced_motion="reduce")
    snapshot = tab.locator("body").aria_snapshot()
    controls = re.findall(r"- (?:button|slider|radio|combobox|textbox|table)\b.*", snapshot)
    assert len(controls) >= 25
    assert all(re.search(r'\w "\S', line) for line in controls), controls
    assert tab.get_attribute("#live", "aria-live") == "polite"
    texts = ("h1", "header p", "#needs", "#note", "#step", "#back", ".stages button", ".title th")
    texts += ("#what", "#equations li", "#words", "#probabilities td", "#states td span", "sub")
    texts += (".legend li", "dt", "dd", "#train", ".title span", "#gradients td", "thead th")
    for width, scheme in itertools.product((360, 1280), ("light", "dark")):
        tab.set_viewport_size({"width": width, "height": 740})
        tab.emulate_media(color_scheme=scheme)
        widths = "step => (lattice.set({ step }), document.documentElement.scrollWidth)"
        assert {tab.evaluate(widths, step) for step in (0, 18, 87, 999)} == {width}
        tab.evaluate("lattice.set({ step: 140 })")
        for selector in (*texts, "#states .used span", "#probabilities .used"):
            assert contrast(tab, selector) >= 4.5, (selector, width, scheme)
    tab.emulate_media(media="print")
    assert tab.is_hidden("#step") and tab.is_visible("#words") and tab.is_visible("#states")
    moving = "getComputedStyle(document.querySelector('.bar')).transitionDuration"
    tab.emulate_media(media="screen")
    assert tab.evaluate(moving) == "0s"
    tab.emulate_media(reduced_motion="no-preference")
    assert tab.evaluate(moving) != "0s"


def test_no_other_file_is_asked_for():
    page = PAGE.read_text(encoding="utf-8")
    assert not re.search(r"https?:|@import|url\(|<script src|import\(|fetch\(", page)
    assert "default-src 'none'" in page


def test_a_run_keeps_the_page_beside_the_notebook_that_shows_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(walkthrough, "_execute", lambda *_, **__: None)
    monkeypatch.setattr(walkthrough, "write_page", lambda folder: None)
    folder = walkthrough.run_notebooks("mine", {}, only=["03"])
    assert (folder / PAGE.name).read_bytes() == PAGE.read_bytes()
    folder = walkthrough.run_notebooks("other", {}, only=["01"])
    assert not list(folder.glob("*.html"))

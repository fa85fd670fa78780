"""The page for labelling in a real browser: keys, files, themes, a narrow screen."""

import os
import threading

import pytest
from contrast import contrast
from PIL import Image, ImageDraw

from crnn_keras.data.labels import read_samples
from crnn_keras.inference import Prediction
from crnn_keras.labelling import LabelServer, LabelSession, LabelStore, list_images

pytestmark = pytest.mark.slow
READINGS = {f"{name}.png": (f"{name}word", 0.1 * i + 0.3) for i, name in enumerate("abcdef")}


class Reader:
    """Reads what it was told to."""

    class char_dict:
        normalize = staticmethod(str.lower)

    def stream(self, paths, *, batch_size):
        for path in paths:
            text, confidence = READINGS[os.path.basename(path)]
            yield Prediction(text, confidence, path)


class Sitting:
    """A server of six images in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.store = LabelStore(folder / "labels.tsv")
        self.session = LabelSession(self.store, list_images(folder, self.store.path).items)
        self.session.start_reading(Reader())
        self.session.join()
        self.server = LabelServer(self.session, "crops")
        self.thread = threading.Thread(target=self.server.serve)
        self.thread.start()

    def end(self):
        self.session.close()
        if self.thread.is_alive():
            self.server.stop()
        self.thread.join()
        self.store.__exit__()

    def labels(self):
        path = self.folder / "labels.tsv"
        if not path.exists() or not path.stat().st_size:
            return {}
        return {os.path.basename(s.image): s.text for s in read_samples(path).samples}

    def status(self):
        lines = (self.folder / "labels.status.tsv").read_text().splitlines()
        return dict(line.split("\t") for line in lines[1:])


@pytest.fixture
def sitting(tmp_path):
    for name in READINGS:
        image = Image.new("RGB", (120, 32), "white")
        ImageDraw.Draw(image).text((10, 10), name, fill="black")
        image.save(tmp_path / name)
    begun = Sitting(tmp_path)
    yield begun
    begun.end()


@pytest.fixture
def page(browser, sitting):
    """Function that opens the page in a new tab; what a tab logs or asks elsewhere fails."""
    contexts, complaints = [], []

    def open_page(**options):
        options = {"viewport": {"width": 1000, "height": 700}} | options
        context = browser.new_context(**options)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(10_000)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("console", lambda said: complaints.append(said.text) if said.type == "error" else 0)
        tab.on(
            "request",
            lambda asked: (
                complaints.append(asked.url)
                if not asked.url.startswith((sitting.server.address, "data:"))
                else None
            ),
        )
        tab.goto(sitting.server.address)
        wait_for(tab, "a.png")
        return tab

    yield open_page
    for context in contexts:
        context.close()
    # The browser itself logs each answer that is an error, and each that does not come.
    assert not [text for text in complaints if "Failed to load resource" not in text]


def wait_for(tab, name):
    """Waits until an image is shown and can be decided about."""
    tab.wait_for_function(
        "name => document.getElementById('name').textContent === name && !busy && isLoaded",
        arg=name,
    )


def typed(tab):
    return tab.input_value("#text")


def test_a_sitting_with_every_key(page, sitting):
    tab = page()
    assert typed(tab) == "aword"
    assert tab.evaluate("document.activeElement.id") == "text"
    assert tab.locator("#image").get_attribute("alt") == "Image a.png"
    assert tab.evaluate("document.getElementById('image').naturalWidth") == 120
    assert "30.0 %" in tab.text_content("#sure") and tab.text_content("#left") == "0 of 6 done"
    tab.keyboard.press("Enter")
    wait_for(tab, "b.png")
    assert sitting.labels() == {"a.png": "aword"}
    assert "aword" in tab.text_content("#status") and tab.text_content("#left") == "1 of 6 done"
    tab.fill("#text", "mended  <b>é省")
    tab.keyboard.press("Enter")
    wait_for(tab, "c.png")
    assert sitting.labels() == {"a.png": "aword", "b.png": "mended  <b>é省"}
    tab.keyboard.press("Escape")
    wait_for(tab, "d.png")
    tab.keyboard.press("Alt+u")
    wait_for(tab, "e.png")
    assert sitting.status() == {"c.png": "skipped", "d.png": "unreadable"}
    tab.fill("#text", "wrong")
    tab.keyboard.press("Enter")
    wait_for(tab, "f.png")
    tab.keyboard.press("Alt+z")
    wait_for(tab, "e.png")
    assert typed(tab) == "wrong" and "e.png" not in sitting.labels()
    tab.keyboard.press("Alt+r")
    assert typed(tab) == "eword"
    tab.reload()
    wait_for(tab, "e.png")
    assert typed(tab) == "eword"
    assert sitting.labels() == {"a.png": "aword", "b.png": "mended  <b>é省"}
    assert sitting.status() == {"c.png": "skipped", "d.png": "unreadable"}
    assert (sitting.folder / "labels.tsv").read_bytes() == (
        "a.png\taword\nb.png\tmended  <b>é省\n".encode()
    )


def test_to_look_around_decides_nothing(page, sitting):
    tab = page()
    tab.keyboard.press("PageDown")
    wait_for(tab, "b.png")
    tab.fill("#text", "half")
    tab.keyboard.press("PageUp")
    wait_for(tab, "a.png")
    tab.keyboard.press("PageUp")
    wait_for(tab, "f.png")
    assert not (sitting.folder / "labels.tsv").exists()
    # What was typed is still there, also after the page is loaded again.
    tab.reload()
    wait_for(tab, "a.png")
    tab.keyboard.press("PageDown")
    wait_for(tab, "b.png")
    assert typed(tab) == "half" and "bword" in tab.text_content("#reading")
    tab.keyboard.press("Enter")
    wait_for(tab, "c.png")
    assert sitting.labels() == {"b.png": "half"}


def test_skipped_images_come_again_and_the_end_says_so(page, sitting):
    tab = page()
    for name in "bcdef":
        tab.keyboard.press("Escape" if name in "bc" else "Enter")
        wait_for(tab, f"{name}.png")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#end:not([hidden])")
    assert len(sitting.labels()) == 4
    tab.click("#look-again")
    wait_for(tab, "a.png")
    tab.keyboard.press("Enter")
    wait_for(tab, "b.png")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#end:not([hidden])")
    assert len(sitting.labels()) == 6 and sitting.status() == {}
    tab.select_option("#view", "labelled")
    wait_for(tab, "a.png")
    tab.fill("#text", "again")
    tab.keyboard.press("Enter")
    wait_for(tab, "b.png")
    assert sitting.labels()["a.png"] == "again"


def test_a_text_that_is_refused_stays_in_the_field(page, sitting):
    tab = page()
    tab.fill("#text", "   ")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#alert:not([hidden])")
    assert "empty" in tab.text_content("#alert") and typed(tab) == "   "
    assert not (sitting.folder / "labels.tsv").exists()


def test_two_tabs_in_conflict_keep_both_texts(page, sitting):
    first, second = page(), page()
    first.fill("#text", "first")
    second.fill("#text", "second")
    first.keyboard.press("Enter")
    wait_for(first, "b.png")
    second.keyboard.press("Enter")
    second.wait_for_selector("#alert:not([hidden])")
    assert "'first'" in second.text_content("#alert") and typed(second) == "second"
    assert sitting.labels() == {"a.png": "first"}
    second.wait_for_function("!busy")
    second.keyboard.press("Enter")
    wait_for(second, "b.png")
    assert sitting.labels() == {"a.png": "second"}


def test_on_a_full_disk_the_text_stays_and_can_be_saved_later(page, sitting, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    tab = page()
    tab.fill("#text", "precious")
    monkeypatch.setattr(os, "fsync", full)
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#alert:not([hidden])")
    assert "Not saved" in tab.text_content("#alert") and "No space" in tab.text_content("#alert")
    assert typed(tab) == "precious" and sitting.labels() == {}
    monkeypatch.undo()
    tab.wait_for_function("!busy")
    tab.keyboard.press("Enter")
    wait_for(tab, "b.png")
    assert sitting.labels() == {"a.png": "precious"}
    assert tab.is_hidden("#alert")


def test_when_the_program_has_ended_the_text_stays_in_the_field(page, sitting):
    tab = page()
    tab.fill("#text", "precious")
    sitting.end()
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#alert:not([hidden])")
    assert "Not saved" in tab.text_content("#alert") and typed(tab) == "precious"


def test_the_page_ends_the_program(page, sitting):
    tab = page()
    tab.click("#finish")
    tab.wait_for_selector("#work", state="hidden")
    sitting.thread.join(10)
    assert not sitting.thread.is_alive() and "Finished" in tab.text_content("#status")


def test_a_character_that_is_being_put_together_is_not_a_decision(page, sitting):
    tab = page()
    tab.evaluate(
        "document.getElementById('text').dispatchEvent(new KeyboardEvent('keydown', "
        "{key: 'Enter', code: 'Enter', isComposing: true, bubbles: true}))"
    )
    tab.wait_for_timeout(200)
    assert sitting.labels() == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_and_can_be_read(page, scheme, width):
    tab = page(viewport={"width": width, "height": 740}, color_scheme=scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    # Everything that is needed for a decision is on the screen.
    box = tab.locator("#save").bounding_box()
    assert box["y"] + box["height"] < 740
    tab.click("#help summary")
    for selector in ("h1", "#counts", "#name", "#text", "#reading", "#save", "#skip", "dd"):
        assert contrast(tab, selector) >= 4.5, selector


def test_every_control_has_a_name(page):
    tab = page()
    unnamed = tab.evaluate(
        """() => [...document.querySelectorAll('button, input, select, progress, img')]
          .filter(own => !own.closest('[hidden]') && !(own.textContent.trim() || own.ariaLabel
            || own.alt || own.labels && own.labels.length)).map(own => own.outerHTML)"""
    )
    assert unnamed == []
    assert tab.get_attribute("#status", "aria-live") == "polite"
    assert tab.get_attribute("#alert", "role") == "alert"

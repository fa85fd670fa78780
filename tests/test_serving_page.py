"""The page of the server in a real browser: drop an image, see its text and its boxes."""

import os
import time

import pytest
from served import draw, serving

pytestmark = pytest.mark.slow
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def page(browser):
    """A page that notes what it complains of and whom it asks."""
    context = browser.new_context(viewport={"width": 400, "height": 800})
    page = context.new_page()
    page.complaints, page.asked = [], []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    yield page
    context.close()


def files_of(images):
    return [
        {"name": f"{n}.jpg", "mimeType": "image/jpeg", "buffer": image}
        for n, image in enumerate(images)
    ]


def test_chosen_images_are_shown_with_texts_and_boxes(page):
    with serving() as server:
        page.goto(server.address)
        assert page.title() == "Read an image" and page.inner_text("#name") == "words"
        page.set_input_files("#files", files_of([*draw(["door", "exit"]), b"no image"]))
        page.wait_for_selector(".card .text")
        page.wait_for_selector("#results .card:nth-of-type(3)")
        assert [own.inner_text() for own in page.query_selector_all(".text")] == ["door", "exit"]
        cards = page.query_selector_all("#results .card")
        assert "confidence 9" in cards[0].inner_text() and "2.jpg: image 2" in cards[2].inner_text()
        assert len(cards[0].query_selector_all("li")) == 2
        # The boxes are drawn in two colors in turns.
        count = """(canvas) => {
          const own = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          let blue = 0, red = 0;
          for (let i = 0; i < own.length; i += 4) {
            if (own[i] === 11 && own[i + 1] === 127 && own[i + 2] === 208) blue++;
            if (own[i] === 209 && own[i + 1] === 73 && own[i + 2] === 91) red++;
          }
          return [blue, red];
        }"""
        assert min(page.eval_on_selector("canvas", count)) > 100
        if folder := os.environ.get("CRNN_KERAS_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/serving.png", full_page=True)
        page.fill("#allow", "0123456789")
        page.press("#allow", "Tab")
        deadline = time.monotonic() + 20
        while set(page.inner_text(".text")) - set("0123456789"):
            assert time.monotonic() < deadline
            page.wait_for_timeout(50)
        page.fill("#pattern", "a")
        page.press("#pattern", "Tab")
        page.wait_for_selector("#alert:not([hidden])")
        assert "both" in page.inner_text("#alert")
        narrow = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert page.evaluate(narrow)
        assert all(url.startswith((server.address, "data:", "blob:")) for url in page.asked)
        # A refused request is an error of the console, the rest is none.
        assert [own for own in page.complaints if "400" not in own] == []


def test_the_page_asks_for_the_token(page):
    with serving(environment={"CRNN_KERAS_TOKEN": TOKEN}) as server:
        page.goto(server.address)
        assert page.is_hidden("#token")
        page.set_input_files("#files", files_of(draw(["door"])))
        page.wait_for_selector("#token", state="visible")
        assert "token" in page.inner_text("#alert")
        page.fill("#token", TOKEN)
        page.press("#token", "Tab")
        page.wait_for_selector(".card .text")
        assert page.inner_text(".text") == "door" and page.is_hidden("#alert")


def test_the_interface_is_listed(page):
    with serving() as server:
        page.goto(f"{server.address}/docs")
        page.wait_for_selector("details")
        listed = [own.inner_text() for own in page.query_selector_all("summary code")]
        assert "POST /read" in listed and "POST /v2/models/{name}/infer" in listed
        page.click("summary >> text=/read")
        assert page.is_visible("text=characters that a text may have")
        assert page.complaints == []
        assert all(url.startswith((server.address, "data:")) for url in page.asked)

"""The page that reads in a browser: its numbers beside the package's, and the page in Chromium."""

import base64
import functools
import http.server
import importlib.util
import io
import itertools
import json
import pathlib
import re
import shutil
import subprocess
import threading
import time

import numpy as np
import pytest
from contrast import contrast
from npm_network import skip_without_npm
from PIL import Image

from crnn_keras import Canvas, CharDict, OnnxRecognizer, render_word
from crnn_keras.images import to_canvas
from crnn_keras.inference.onnx_recognizer import SHIPPED
from crnn_keras.synth import bundled_fonts, read_words

ROOT = pathlib.Path(__file__).parent.parent
PAGE = ROOT / "docs" / "demo"
READ = re.compile("^Read ")
# Reads images with the page's own worker.
READ_MANY = """async ([files, useLanguageModel]) => {
  const { ReaderClient } = await import("./client.js");
  const reader = new ReaderClient(), readings = [];
  await reader.ready;
  for (const file of files) {
    const bytes = Uint8Array.from(atob(file), letter => letter.charCodeAt(0));
    const { canvas, ...reading } = await reader.read(new Blob([bytes]), { useLanguageModel });
    readings.push({ ...reading, pixels: Array.from(canvas.pixels) });
  }
  reader.worker.terminate();
  return JSON.stringify(readings);
}"""


@pytest.fixture(scope="module")
def demo():
    """The module `tools/demo.py`."""
    spec = importlib.util.spec_from_file_location("demo", ROOT / "tools" / "demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def recognizer():
    return OnnxRecognizer.load("words", cores=1)


@pytest.fixture(scope="module")
def site(demo, tmp_path_factory):
    """Folder of the page as it is served."""
    folder = tmp_path_factory.mktemp("site")
    with skip_without_npm():
        demo.build(folder)
    return folder


class Handler(http.server.SimpleHTTPRequestHandler):
    """The server of `python -m http.server`, which notes what it was asked for."""

    def log_message(self, *_):
        pass

    def end_headers(self):
        self.server.asked.append(self.path)
        for name, value in self.server.headers_of.get(self.path, {}).items():
            self.send_header(name, value)
        super().end_headers()


class Server:
    """A server on the loopback."""

    def __init__(self, folder, headers_of=()):
        handler = functools.partial(Handler, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.asked, self.server.headers_of = [], dict(headers_of)
        self.address = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    @property
    def asked(self):
        return self.server.asked

    def stop(self):
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()


@pytest.fixture
def serve():
    """Function that serves a folder until the test ends."""
    servers = []

    def start(*arguments):
        servers.append(Server(*arguments))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def server(site):
    server = Server(site)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def context(browser):
    """A browser that has seen the page before: it is loaded from what was kept."""
    context = browser.new_context(viewport={"width": 1000, "height": 800})
    yield context
    context.close()


@pytest.fixture
def open_page(context, server):
    """Function that opens the page in a new tab; what a tab complains about fails the test."""
    tabs, complaints = [], []

    def open_tab(own=context, address=server.address):
        tab = own.new_page()
        tabs.append(tab)
        tab.set_default_timeout(30_000)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("console", lambda said: complaints.append(said.text) if said.type == "error" else 0)
        tab.on("request", lambda asked: complaints.append(asked.url) if is_foreign(asked) else 0)
        tab.goto(address)
        wait_until_read(tab)
        return tab

    open_tab.complaints = complaints
    yield open_tab
    for tab in tabs:
        tab.close()
    assert not complaints


def is_foreign(request):
    return not request.url.startswith(("http://127.0.0.1:", "blob:http://127.0.0.1:"))


def wait_until_read(tab, text=READ):
    from playwright.sync_api import expect

    expect(tab.locator("#status")).to_have_text(text, timeout=60_000)


def png_of(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def choose(tab, content, text=READ, name="word.png"):
    """Chooses an image file, and waits until it is read."""
    tab.evaluate("document.getElementById('status').textContent = ''")
    tab.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": content})
    wait_until_read(tab, text)


def colored(gray, rng):
    """Gives a gray image two colors, one for black and one for white."""
    dark, light = rng.integers(0, 256, (2, 3))
    share = np.asarray(gray, float)[..., None] / 255
    return Image.fromarray((dark * (1 - share) + light * share).astype(np.uint8))


@pytest.fixture(scope="module")
def fifty():
    """50 rendered images: 30 gray, 8 in colors, 4 that are partly transparent, 8 jpegs."""
    fonts, rng = bundled_fonts(), np.random.default_rng(7)
    plain = [word.lower() for word in read_words() if word.isascii() and word.isalpha()]
    words = [word for word in plain if 3 <= len(word) <= 10][::211][:50]
    files = []
    for i, word in enumerate(words):
        image = render_word(word, fonts[i % len(fonts)], seed=3, index=i)
        buffer = io.BytesIO()
        if 30 <= i < 38 or i >= 42:
            image = colored(image, rng)
        elif i >= 38:
            alpha = Image.fromarray(rng.integers(0, 256, image.size[::-1], dtype=np.uint8))
            image = Image.merge("LA", [image, alpha]).convert("RGBA")
        image.save(buffer, "JPEG" if i >= 42 else "PNG")
        files.append(buffer.getvalue())
    return files


def encoded(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def compare(reading, prediction, likeliest):
    """Compares a reading of the page with what the package read; returns the largest difference."""
    assert reading["text"] == prediction.text
    texts, chances = zip(*likeliest.alternatives, strict=True)
    assert [own["text"] for own in reading["alternatives"]] == list(texts)
    own = [reading["confidence"], reading["rawConfidence"]]
    own += [row["chance"] for row in reading["alternatives"]]
    expected = [prediction.confidence, prediction.raw_confidence, *chances]
    return np.abs(np.subtract(own, expected)).max()


def test_the_modules_compute_what_the_package_computes(recognizer, tmp_path):
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    rng = np.random.default_rng(0)
    canvases = [
        Canvas("stretch", 32, (128,)),
        Canvas("keep", 32, (64, 96, 144)),
        Canvas("keep", 48, (96, 300)),
    ]
    cases, expected = [], []
    for i in range(40):
        pixels = rng.integers(0, 256, (*rng.integers(1, [150, 400]), 4), dtype=np.uint8)
        if i % 3:
            pixels[..., 3] = 255
        if i % 5 == 0:
            pixels[..., :3] = 224 + pixels[..., :3] // 8  # light, on black paper
        canvas = canvases[i % 3]
        width = pixels.shape[1]
        cases.append({"rgba": encoded(pixels), "width": width, "canvas": canvas.get_config()})
        expected.append(to_canvas(Image.fromarray(pixels), canvas))
    logits = rng.normal(size=(40, 32, 37)) * rng.uniform(0.3, 4, (40, 1, 1))
    logits[:, :, 0] += rng.uniform(0, 6, (40, 1))
    logits[0] = 0
    logits = logits.astype(np.float32)
    path = tmp_path / "cases.json"
    path.write_text(json.dumps({"canvases": cases, "logits": list(map(encoded, logits))}))
    worker = pathlib.Path(__file__).parent / "demo_worker.mjs"
    command = ["node", str(worker), str(PAGE), str(SHIPPED["words"]), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for own, canvas in zip(found["canvases"], expected, strict=True):
        assert base64.b64decode(own) == canvas.tobytes()
    asked = 0
    for which, options in enumerate(({}, {"language_model": None})):
        predictions = recognizer.decode(logits, **options)
        likeliest = recognizer.decode(logits, alternatives=4, **options)
        for own, *rows in zip(found["decoded"], predictions, likeliest, strict=True):
            assert compare(own[which], *rows) < 1e-6
            asked += own[which]["languageModel"]["isAsked"]
    assert 25 < asked <= 40


def read_many(tab, files, **options):
    files = [base64.b64encode(file).decode() for file in files]
    use_language_model = options.get("language_model", True) is not None
    # As one text: of lists of thousands of numbers playwright would make objects for a minute.
    return json.loads(tab.evaluate(READ_MANY, [files, use_language_model]))


@pytest.mark.slow
def test_fifty_images_are_read_alike(open_page, recognizer, fifty):
    tab = open_page()
    began = time.perf_counter()
    readings = read_many(tab, fifty)
    seconds = time.perf_counter() - began
    predictions = recognizer.read(fifty), recognizer.read(fifty, alternatives=4)
    largest = max(map(compare, readings, *predictions))
    gaps = [
        np.abs(np.int64(own["pixels"]) - to_canvas(file, recognizer.canvas).ravel()).max()
        for own, file in zip(readings, fifty, strict=True)
    ]
    print(f"largest difference {largest:.1e}, {seconds / 50:.3f} s an image, canvases {max(gaps)}")
    assert largest < 1e-3
    # Opaque pngs are decoded alike everywhere; a 2D canvas rounds what is partly transparent.
    assert max(gaps[:38]) == 0 and max(gaps[38:42]) <= 1 and max(gaps[42:]) <= 2
    assert any(own["languageModel"]["isAsked"] for own in readings)
    assert any(own["text"] != own["path"]["text"] for own in readings)
    few, options = fifty[::3], {"language_model": None}
    readings = read_many(tab, few, **options)
    predictions = recognizer.read(few, **options), recognizer.read(few, alternatives=4, **options)
    assert max(map(compare, readings, *predictions)) < 1e-3
    assert all(own["text"] == own["path"]["text"] for own in readings)


@pytest.mark.slow
def test_the_page_shows_how_an_image_was_read(open_page, recognizer):
    tab = open_page()
    image = png_of(render_word("hello", bundled_fonts()[0], seed=3))
    choose(tab, image)
    (prediction,) = recognizer.read([image])
    assert tab.text_content("#text") == prediction.text == "hello"
    assert float(tab.get_attribute("#meter", "value")) == pytest.approx(prediction.confidence, 1e-3)
    assert tab.evaluate("[canvas.width, canvas.height]") == [128, 32]
    names = tab.locator("#heat tbody th").all_text_contents()
    assert names[0] == "h" and names[-1] == "–" and {"h", "e", "l", "o"} <= set(names)
    for row in tab.locator("#heat tbody tr").all():
        assert row.locator("td").count() == 32
    columns = tab.evaluate(
        "Array.from({ length: 32 }, (_, i) => [...document.querySelectorAll("
        "`#heat tbody td:nth-child(${i + 2})`)].reduce((sum, own) => sum + +own.textContent, 0))"
    )
    assert all(70 <= total <= 102 for total in columns)
    path = tab.text_content("#path")
    assert path == "".join(tab.locator("#heat tfoot td").all_text_contents()) and len(path) == 32
    merged = re.sub(r"(.)\1+", r"\1", path)
    assert tab.text_content("#runs") == merged
    assert tab.text_content("#folded") == merged.replace("–", "") == "hello"
    rows = tab.locator("#alternatives tr").all()
    assert len(rows) == 4 and rows[0].locator("td").first.text_content() == "hello"


@pytest.mark.slow
def test_the_language_model_can_be_switched_off(open_page, demo):
    tab = open_page()
    tab.get_by_alt_text("Example: garden").click()
    wait_until_read(tab, re.compile("^Read “garden”"))
    assert "prefers “garden”" in tab.text_content("#decided")
    tab.uncheck("#language-model")
    wait_until_read(tab, re.compile("^Read “ganden”"))
    tab.check("#language-model")
    wait_until_read(tab, re.compile("^Read “garden”"))
    # Every example is read as it is written.
    for text, *_ in demo.EXAMPLES:
        tab.get_by_alt_text(f"Example: {text}").click()
        wait_until_read(tab, re.compile(f"^Read “{text}”"))
        assert tab.locator("#examples [aria-pressed=true] img").get_attribute("alt").endswith(text)


@pytest.mark.slow
def test_images_come_by_drop_and_by_paste_and_others_are_refused(open_page):
    tab = open_page()
    transfer = """([kind, content, type]) => {
      const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
      const transfer = new DataTransfer();
      if (content) transfer.items.add(new File([bytes], "word.png", { type }));
      else transfer.setData("text/plain", "a text");
      document.body.dispatchEvent(kind === "paste"
        ? new ClipboardEvent(kind, { clipboardData: transfer, bubbles: true })
        : new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }"""
    for kind, word in (("drop", "market"), ("paste", "hotel")):
        image = png_of(render_word(word, bundled_fonts()[0], seed=1))
        tab.evaluate(transfer, [kind, base64.b64encode(image).decode(), "image/png"])
        wait_until_read(tab, re.compile(f"^Read “{word}”"))
    assert tab.locator("#examples [aria-pressed=true]").count() == 0
    tab.evaluate(transfer, ["paste", "", ""])
    tab.wait_for_selector("#alert:not([hidden])")
    assert "no image" in tab.text_content("#alert")
    tab.set_input_files(
        "#file", {"name": "word.png", "mimeType": "image/png", "buffer": b"no image at all"}
    )
    tab.locator("#alert", has_text="PNG, JPEG or WebP").wait_for()
    assert tab.text_content("#text") == "hotel"
    choose(tab, png_of(render_word("market", bundled_fonts()[0], seed=1)))
    assert tab.is_hidden("#alert") and tab.text_content("#text") == "market"


@pytest.mark.slow
def test_the_keyboard_reaches_everything(open_page):
    tab = open_page()
    focused = "document.activeElement.id || document.activeElement.ariaLabel"
    tab.keyboard.press("Tab")
    assert tab.evaluate(focused) == "file"
    tab.keyboard.press("Tab")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    wait_until_read(tab, re.compile("^Read “keras”"))
    for _ in range(5):
        tab.keyboard.press("Tab")
    assert tab.evaluate(focused) == "language-model"
    tab.keyboard.press("Space")
    tab.locator("#decided", has_text="not used").wait_for()
    tab.keyboard.press("Tab")
    assert tab.evaluate(focused) == "scroll"
    tab.keyboard.press("Tab")
    assert tab.evaluate(focused) == "frame"
    before = int(tab.input_value("#frame"))
    tab.keyboard.press("ArrowRight")
    assert int(tab.input_value("#frame")) == before + 1
    assert tab.text_content("#frame-text").startswith(f"{before + 1} of 32: ")
    tab.keyboard.press("End")
    assert tab.get_attribute("#frame", "aria-valuetext").startswith("32 of 32: blank over 99.9")
    # A pointer over the heat map does the same.
    tab.hover("#heat tbody tr:last-child td:nth-child(6)")
    assert tab.input_value("#frame") == "5"


@pytest.mark.slow
def test_it_fits_and_can_be_read_and_every_control_has_a_name(open_page):
    tab = open_page()
    unnamed = tab.evaluate(
        """() => [...document.querySelectorAll('button, input, meter, img, canvas, table, [role]')]
          .filter(own => !own.closest('[hidden]') && !(own.textContent.trim() || own.ariaLabel
            || own.alt || own.querySelector('[alt]') || own.labels && own.labels.length))
          .map(own => own.outerHTML)"""
    )
    assert unnamed == []
    assert tab.get_attribute("#status", "role") == "status"
    assert tab.get_attribute("#alert", "role") == "alert"
    for width, scheme in itertools.product((360, 1280), ("light", "dark")):
        tab.set_viewport_size({"width": width, "height": 740})
        tab.emulate_media(color_scheme=scheme)
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        for selector in ("h1", "header p", ".button", "#text", "#status", ".blank", "#decided"):
            assert contrast(tab, selector) >= 4.5, (selector, width, scheme)


@pytest.mark.slow
def test_it_reads_without_a_network(browser, open_page, site, serve):
    context, server = browser.new_context(), serve(site)
    tab = open_page(context, server.address)
    assert "reads without a network" in tab.text_content("#offline")
    # Each file came once, by the service worker; the page itself came before it.
    heavy = [path for path in server.asked if path.endswith((".onnx", ".gz"))]
    assert sorted(heavy) == ["/ort/ort.wasm.gz", "/reader.onnx"]
    server.stop()
    tab.close()
    tab = open_page(context, server.address)
    choose(tab, png_of(render_word("hotel", bundled_fonts()[0], seed=1)))
    assert tab.text_content("#text") == "hotel"
    context.close()


@pytest.mark.slow
def test_no_other_host_is_asked(open_page, serve, tmp_path):
    other = serve(tmp_path)
    tab = open_page()
    ask = f"fetch('{other.address}', {{ mode: 'no-cors' }}).then(() => 1, () => 0)"
    # The page has its policy, and the worker, which has none on a static host, the service worker.
    assert tab.workers[0].evaluate(ask) == 0
    assert open_page.complaints == []
    assert tab.evaluate(ask) == 0
    assert other.asked == []
    assert any("Content Security Policy" in text for text in open_page.complaints)
    open_page.complaints.clear()


@pytest.mark.slow
def test_a_newer_version_takes_over_when_it_is_asked_to(browser, open_page, site, serve, tmp_path):
    folder = tmp_path / "site"
    shutil.copytree(site, folder)
    context, server = browser.new_context(), serve(folder)
    tab = open_page(context, server.address)
    page = (folder / "index.html").read_text()
    (folder / "index.html").write_text(page.replace("<h1>Read a word", "<h1>Read it anew"))
    worker = (folder / "sw.js").read_text()
    (folder / "sw.js").write_text(re.sub('VERSION = "', 'VERSION = "new', worker))
    tab.reload()
    tab.wait_for_selector("#update:not([hidden])")
    assert tab.text_content("h1") == "Read a word"
    tab.click("#take-over")
    tab.locator("h1", has_text="Read it anew").wait_for()
    wait_until_read(tab)
    assert len(tab.evaluate("caches.keys()")) == 1
    context.close()


@pytest.mark.slow
def test_a_server_may_unpack_the_runtime_on_the_way(browser, open_page, site, serve):
    context = browser.new_context(service_workers="block")
    server = serve(site, {"/ort/ort.wasm.gz": {"Content-Encoding": "gzip"}})
    tab = open_page(context, server.address)
    assert "needs its network" in tab.text_content("#offline")
    context.close()


def test_the_service_worker_keeps_every_file(demo, site):
    lines = (site / "sw.js").read_text()
    names = json.loads(re.search(r"const FILES = (\[.*\]);", lines)[1])
    paths = [path for path in site.rglob("*") if path.is_file() and path.name != "sw.js"]
    files = {path.relative_to(site).as_posix(): path.read_bytes() for path in paths}
    assert set(names) == {"./", *files} and len(names) == len(set(names))
    assert files["reader.onnx"] == SHIPPED["words"].read_bytes()
    version = re.search(r'VERSION = "([0-9a-f]{16})"', lines)[1]
    files["sw.js"] = (PAGE / "sw.js").read_bytes()
    assert demo._keep_offline(files).decode() == lines
    files["style.css"] += b" "
    assert version not in demo._keep_offline(files).decode()


def test_what_cannot_be_built_is_refused(demo, tmp_path, monkeypatch):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(demo.DemoError, match="holds other files"):
        demo.build(tmp_path)
    with pytest.raises(demo.DemoError, match=r"missing\.onnx does not exist"):
        demo.build(tmp_path / "new", "missing.onnx")
    with pytest.raises(demo.DemoError, match="the hash sha512-.*Expected sha512-of-another"):
        demo._check_hash(b"damaged", "sha512-of-another")
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(demo.NpmError, match=r"npm is not on the path.*Node\.js"):
        demo.build(tmp_path / "new")
    hebrew = CharDict("אב", direction="visual")
    monkeypatch.setattr(OnnxRecognizer, "load", lambda *_, **__: Reader(hebrew))
    with pytest.raises(demo.DemoError, match="'visual'"):
        demo.build(tmp_path / "other")
    assert demo.main(["build", str(tmp_path)]) == 1


class Reader:
    """A recognizer of which the char dict is all that matters."""

    def __init__(self, char_dict):
        self.char_dict = char_dict


def test_the_pinned_version_has_a_hash():
    pinned = json.loads((PAGE / "package.json").read_text())["dependencies"]["onnxruntime-web"]
    packages = json.loads((PAGE / "package-lock.json").read_text())["packages"]
    locked = packages["node_modules/onnxruntime-web"]
    assert locked["version"] == pinned and re.fullmatch(r"\d+\.\d+\.\d+", pinned)
    assert all(own["integrity"].startswith("sha512-") for name, own in packages.items() if name)
    # What npm fetches is named by its hash, wherever it comes from.
    assert not any("resolved" in own for own in packages.values())

"""One text as one image, and many of them on all cores."""

import io

import numpy as np

from crnn_keras.synth.background import add_bar, make_paper, slant_light, soft_noise
from crnn_keras.synth.degrade import photograph
from crnn_keras.synth.fonts import is_han
from crnn_keras.synth.letters import draw_letters
from crnn_keras.synth.style import Style
from crnn_keras.synth.warp import bend
from crnn_keras.utils.parallel import in_processes

# Size of the font as a share of the image's height: most texts are then scaled by 0.6 to 1.2.
_FONT_SHARE = 1.2
_DEFAULT = Style()


def _colors(style, rng):
    """Greys of ink and paper, at least the style's contrast apart."""
    if rng.random() < style.clean:
        dark = 50 * min(rng.random(), rng.random())
        light = 255 - 50 * min(rng.random(), rng.random())
        return (dark, light) if rng.random() < 0.6 else (light, dark)
    paper = 255 * rng.random()
    below, above = max(paper - style.contrast, 0.0), max(255 - style.contrast - paper, 0.0)
    # The larger of two draws: signs are made to be read.
    far = max(rng.random(), rng.random())
    if rng.random() * (below + above) < below:
        return below * (1 - far), paper
    return paper + style.contrast + above * far, paper


def render_word(text, font, style=_DEFAULT, seed=0, index=0, photographs=()):
    """Draws one word or line.

    Args:
        text: what to write.
        font: path of a font that has its characters.
        style: a `Style`.
        seed: integer from 0.
        index: which image of this seed it is; each has its own random numbers.
        photographs: paths of images that may lie behind the text.

    Returns:
        Gray Pillow image, `style.height` pixels high and as wide as the text needs.

    Raises:
        ValueError: the text is empty, or a font or photograph cannot be read.
    """
    return _draw(text, font, style, photographs, np.random.default_rng([seed, 3, index]))


def _draw(text, font, style, photographs, rng):
    if not text.strip():
        raise ValueError(f"Nothing to draw: the text is {text!r}. Expected at least one character.")
    color, level = _colors(style, rng)
    span = abs(color - level)
    size = max(int(style.height * _FONT_SHARE), 12)
    sheet = draw_letters(text, font, size, style, (color, level), rng)
    layers, scale = bend(sheet, style, rng)
    # Small letters, as on an arc, bear less blur, and so do dense ones.
    detail = min(scale * sheet.box[3] / (0.7 * style.height), 1.0)
    if any(map(is_han, text)):
        detail *= 0.55
    count, height, width = layers.shape
    layers *= np.float32(1 / 255)
    coverage = layers[-1]
    if rng.random() < style.worn:
        # Faint ink that fades as well would be gone.
        strength = np.float32((0.3 + 0.5 * rng.random()) * min(span / 120, 1.0))
        patches = np.abs(soft_noise(max(height // 4, 2), max(width // 4, 2), (width, height), rng))
        layers *= np.float32(1) - strength * np.minimum(patches, np.float32(1))
    image = make_paper((width, height), level, span, style, photographs, rng)
    if count == 1:
        ink = np.float32(color)
        if rng.random() < style.shading:
            # Half of the way to the paper at most, so that the text can be read.
            share = np.float32(0.25) * (slant_light((width, height), rng) + np.float32(1))
            ink = ink + np.float32(level - color) * share
        image += (ink - image) * coverage
    else:
        image += layers[0] * np.float32(255) - image * coverage
    if rng.random() < style.bar:
        add_bar(image, rng)
    return photograph(image, span, detail, style, rng)


def render_jpeg(text, fonts, style=_DEFAULT, seed=0, index=0, photographs=()):
    """Draws one word or line in a font chosen by `(seed, index)` and encodes it.

    Args:
        text, style, seed, index, photographs: as in `render_word`.
        fonts: list of font paths that have the characters.

    Returns:
        Bytes of a gray jpeg of a quality from `style.quality` to 95, more often of a high one.
    """
    # One source of chance for font, image and quality: each takes its time to begin.
    rng = np.random.default_rng([seed, 4, index])
    font = fonts[int(rng.random() * len(fonts))]
    image = _draw(text, font, style, photographs, rng)
    quality = 95 - int((95 - style.quality) * min(rng.random(), rng.random()))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _render_chunk(start, texts, fonts, style, seed, photographs):
    return [
        render_jpeg(text, fonts, style, seed, start + i, photographs)
        for i, text in enumerate(texts)
    ]


def render_many(texts, fonts, style=_DEFAULT, seed=0, processes=1, chunk=250, photographs=()):
    """Draws many words, on all cores if told to.

    Args:
        texts: list of strings.
        fonts: list of font paths that have the characters.
        style: a `Style`.
        seed: integer. Image `i` is `render_jpeg(texts[i], fonts, style, seed, i, photographs)`.
        processes: how many processes draw. The images do not depend on it.
        chunk: images handed to a process at a time. A few chunks a process are under way, so
            memory does not grow with the number of texts.
        photographs: paths of images that may lie behind the texts.

    Yields:
        Bytes of a jpeg for each text, in order.
    """
    jobs = (
        (start, texts[start : start + chunk], fonts, style, seed, photographs)
        for start in range(0, len(texts), chunk)
    )
    # A process takes a second or two to start.
    processes = min(processes, len(texts) // 1000)
    for images in in_processes(_render_chunk, jobs, processes):
        yield from images

"""How well a text of a page can be read, as WCAG defines it."""


def contrast(tab, selector):
    """Returns the contrast of a text and its ground: 1 to 21."""
    colors = tab.evaluate(
        """selector => {
          let own = document.querySelector(selector), ground = own, found;
          while ((found = getComputedStyle(ground).backgroundColor) === 'rgba(0, 0, 0, 0)')
            ground = ground.parentElement;
          return [getComputedStyle(own).color, found].map(c => c.match(/[\\d.]+/g).map(Number));
        }""",
        selector,
    )
    lights = sorted(_luminance(color[:3]) for color in colors)
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(color):
    parts = [c / 255 for c in color]
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), parts, strict=True))

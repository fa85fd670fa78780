"""The style of rendered images: a probability or a largest strength for every effect."""

from dataclasses import dataclass, fields

from crnn_keras.utils.checks import Number

# Smallest and largest value of each setting. A range of 0 to 1 is mostly a probability. No ink
# differs by more than 127 from a background of middle gray.
_LIMITS = {
    "height": (8, 256),
    "contrast": (0, 127),
    "clean": (0, 1),
    "tilt": (0, 0.4),
    "slope": (0, 0.5),
    "slant": (0, 0.6),
    "curve": (0, 1),
    "squeeze": (0, 0.6),
    "crop": (0, 1),
    "spacing": (0, 1),
    "weight": (0, 1),
    "border": (0, 1),
    "shadow": (0, 1),
    "block": (0, 1),
    "initial": (0, 1),
    "relief": (0, 1),
    "shading": (0, 1),
    "rules": (0, 1),
    "worn": (0, 1),
    "neighbours": (0, 1),
    "background": (0, 1),
    "photographs": (0, 1),
    "panel": (0, 1),
    "bar": (0, 1),
    "light": (0, 1),
    "sharp": (0, 1),
    "halo": (0, 1),
    "blur": (0, 8),
    "motion": (0, 1),
    "resolution": (0, 1),
    "noise": (0, 100),
    "salt": (0, 1),
    "quality": (1, 95),
}


@dataclass(frozen=True, kw_only=True)
class Style:
    """Sets how strongly rendered images are varied.

    Every setting is the fraction of the images that show an effect, or the largest strength of an
    effect that is drawn at random for each image.

    Args:
        height: int, height of the images in pixels. Defaults to `36`.
        contrast: int, smallest difference between ink and background in gray levels, 0 to 127.
            Defaults to `30`.
        clean: float, fraction of images in full contrast, as in print and on screens. Defaults to
            `0.3`.
        tilt: float, perspective: the largest shift of each corner, as a fraction of the text's
            height. Defaults to `0.1`.
        slope: float, largest rise of the baseline over its run. Defaults to `0.12`.
        slant: float, largest lean of upright strokes, as a fraction of their height. Defaults to
            `0.3`.
        curve: float, fraction of images whose baseline is an arc or a wave. Defaults to `0.15`.
        squeeze: float, largest stretch or squeeze of the width, as a fraction of it. Defaults to
            `0.32`.
        crop: float, fraction of images that are cropped loosely or into the ink. Defaults to
            `0.25`.
        spacing: float, fraction of texts whose letters are set wider or tighter than the font
            sets them. Defaults to `0.3`.
        weight: float, fraction of texts whose strokes are made bolder or thinner. Defaults to
            `0.35`.
        border: float, fraction of texts with an outline; a quarter of them are hollow inside.
            Defaults to `0.15`.
        shadow: float, fraction of texts with a shadow. Defaults to `0.2`.
        block: float, fraction of texts with sides, as thick letters show them from an angle.
            Defaults to `0.05`.
        initial: float, fraction of texts in capitals whose first letter is larger than the
            others. Defaults to `0.1`.
        relief: float, fraction of texts in the gray of the background, of which only the lit and
            the shaded edges are visible. Defaults to `0.04`.
        shading: float, fraction of texts whose ink fades into another gray, like chrome. Defaults
            to `0.08`.
        rules: float, fraction of texts with a line under or over them. Defaults to `0.06`.
        worn: float, fraction of texts whose ink has faded in patches. Defaults to `0.1`.
        neighbours: float, fraction of images with the edge of another word or line. Defaults to
            `0.15`.
        background: float, fraction of images whose background is not plain: a gradient, blotches,
            stripes, an edge or a photograph. Defaults to `0.6`.
        photographs: float, fraction of these backgrounds that are photographs, if any are passed.
            Defaults to `0.6`.
        panel: float, fraction of images that show a frame or the edge of the sign. Defaults to
            `0.08`.
        bar: float, fraction of images with a bar in front of the text: a pole, a branch, a wire.
            Defaults to `0.02`.
        light: float, fraction of images in uneven light. Defaults to `0.25`.
        sharp: float, fraction of images without blur, motion or loss of resolution, like
            screenshots. Defaults to `0.3`.
        halo: float, fraction of images with bright and dark fringes, as sharpening leaves them.
            Defaults to `0.1`.
        blur: float, largest radius of the Gaussian blur in pixels of the finished image. Defaults
            to `1.1`.
        motion: float, fraction of images with motion blur of 2 to 4 pixels. Defaults to `0.08`.
        resolution: float, fraction of images scaled down to 0.4 to 0.8 of their size and up again.
            Defaults to `0.3`.
        noise: float, largest standard deviation of the noise in gray levels of 255. Defaults to
            `16.0`.
        salt: float, fraction of images with white and black specks. Defaults to `0.04`.
        quality: int, lowest jpeg quality, 1 to 95; the highest is 95. Defaults to `30`.

    Raises:
        ValueError: A setting is outside its limits.

    Example:

        >>> Style(blur=3).quality, Style.plain(blur=3).quality
        (30, 90)
    """

    height: int = 36
    contrast: int = 30
    clean: float = 0.3
    tilt: float = 0.1
    slope: float = 0.12
    slant: float = 0.3
    curve: float = 0.15
    squeeze: float = 0.32
    crop: float = 0.25
    spacing: float = 0.3
    weight: float = 0.35
    border: float = 0.15
    shadow: float = 0.2
    block: float = 0.05
    initial: float = 0.1
    relief: float = 0.04
    shading: float = 0.08
    rules: float = 0.06
    worn: float = 0.1
    neighbours: float = 0.15
    background: float = 0.6
    photographs: float = 0.6
    panel: float = 0.08
    bar: float = 0.02
    light: float = 0.25
    sharp: float = 0.3
    halo: float = 0.1
    blur: float = 1.1
    motion: float = 0.08
    resolution: float = 0.3
    noise: float = 16.0
    salt: float = 0.04
    quality: int = 30

    def __post_init__(self):
        for field in fields(self):
            value, (low, high) = getattr(self, field.name), _LIMITS[field.name]
            is_whole = field.type is int
            if not Number(low, high, is_whole=is_whole).accepts(value):
                kind = "a whole number from" if is_whole else "a number from"
                raise ValueError(f"{field.name} is {value!r}. Expected {kind} {low} to {high}.")
            # 0 and 0.0 are the same style, in JSON too.
            object.__setattr__(self, field.name, field.type(value))

    @classmethod
    def mild(cls) -> "Style":
        """Returns a style for words that a small model learns in minutes.

        Signs and photographs need `Style()`.

        Returns:
            `Style`.
        """
        return cls.plain(
            tilt=0.08,
            slope=0.05,
            slant=0.2,
            squeeze=0.2,
            spacing=0.25,
            shadow=0.15,
            background=0.2,
            contrast=60,
            blur=0.9,
            noise=12,
        )

    @classmethod
    def signs(cls) -> "Style":
        """Returns the style of the images that the shipped readers were trained on.

        Some photographs are as sharp as a screenshot, some blurred; few are noisy. The fractions
        were chosen so that blur, contrast, ink, short words and cut letters are about as frequent
        as in the images of `iiit5k_train` and `svt_train`, measured with `categorize_errors`.

        Returns:
            `Style`.
        """
        return cls(
            contrast=18,
            clean=0.25,
            spacing=0.35,
            worn=0.08,
            neighbours=0.3,
            panel=0.15,
            bar=0.08,
            block=0.1,
            initial=0.2,
            light=0.3,
            sharp=0.3,
            blur=1.8,
            noise=11.0,
            salt=0.015,
        )

    @classmethod
    def plain(cls, **settings: float) -> "Style":
        """Returns a style in which every effect that is not named is off.

        Args:
            **settings: settings of `Style`. `height` defaults to `36`, `contrast` to `60`,
                `quality` to `90`, all others to `0`.

        Returns:
            `Style`.
        """
        off = dict.fromkeys(_LIMITS, 0) | {"height": 36, "contrast": 60, "quality": 90}
        return cls(**off | settings)

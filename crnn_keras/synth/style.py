"""How rough the rendered images are: a share or a largest strength for every effect."""

from dataclasses import dataclass, fields

# What each setting may be. Shares are probabilities.
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


@dataclass(frozen=True)
class Style:
    """How rough the rendered images are: fractions of images, or the largest strength drawn.

    Args:
        height: height of the images in pixels.
        contrast: smallest difference between ink and paper in grey levels, 127 at most.
        clean: share of images in full contrast, as print and screens have it.
        tilt: perspective: largest shift of each corner, as a share of the text's height.
        slope: largest rise of the baseline over its run.
        slant: largest lean of upright strokes, as a share of their height.
        curve: share of images whose baseline is an arc or a wave.
        squeeze: largest stretch or squeeze of the width, as a share of it.
        crop: share of images that are cropped loosely or into the ink.
        spacing: share of texts whose letters are set wider or tighter than the font has them.
        weight: share of texts whose strokes are made bolder or thinner.
        border: share of texts with an outline, a quarter of them hollow inside.
        shadow: share of texts that throw a shadow.
        block: share of texts with sides, as thick letters have them that are seen from beside.
        initial: share of texts in capitals whose first letter is larger than the others.
        relief: share of texts in the grey of the paper, seen by their lit and shaded edges only.
        shading: share of texts whose ink goes over into another grey, as chrome does.
        rules: share of texts with a line under or over them.
        worn: share of texts whose ink has faded in patches.
        neighbours: share of images with the edge of another word or line.
        background: share of images on a gradient, blotches, boards, the corner of something or
            a photograph, not plain paper.
        photographs: share of these on a photograph, if there are any.
        panel: share of images that show a frame or the edge of the sign.
        bar: share of images with a bar in front of the text: a pole, a branch, a wire.
        light: share of images in uneven light.
        sharp: share of images without blur, motion or loss of resolution, as screens have them.
        halo: share of images with bright and dark fringes, as sharpening leaves them.
        blur: largest radius of the Gaussian blur in pixels of the finished image.
        motion: share of images smeared by motion, by 2 to 4 pixels.
        resolution: share of images taken at 0.4 to 0.8 of their size and scaled up.
        noise: largest standard deviation of the noise in grey levels of 255.
        salt: share of images with white and black specks.
        quality: lowest quality of the jpeg, 95 at most; the highest is 95.

    Raises:
        ValueError: a setting is outside its limits.
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
        if not 0 <= self.contrast <= 127:
            raise ValueError(
                f"Contrast {self.contrast} is outside 0 to 127: on middle grey paper no ink has it."
            )
        for field in fields(self):
            value, (low, high) = getattr(self, field.name), _LIMITS[field.name]
            if not low <= value <= high:
                raise ValueError(f"Style's {field.name} is {value}. Expected {low} to {high}.")
            # 0 and 0.0 are the same style, also as JSON.
            object.__setattr__(self, field.name, field.type(value))

    @classmethod
    def mild(cls):
        """Words that a small reader learns in minutes; signs and photographs need `Style()`.

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
    def plain(cls, **settings):
        """Evenly coloured text on even paper, nothing bent; give the effects that you want.

        Args:
            **settings: those of `Style`. Effects that are not named are off.

        Returns:
            `Style`.
        """
        off = dict.fromkeys(_LIMITS, 0) | {"height": 36, "contrast": 60, "quality": 90}
        return cls(**off | settings)

"""The networks' sizes as plain data: one entry of `ARCHITECTURES` is a network.

Each entry holds the arguments of `CRNN` that decide its layers. The lists `filters`,
`kernel_sizes`, `strides`, `pool_sizes`, `residuals` and `batch_norm` have one value for each
convolution. A new architecture is one more entry: no code changes.
"""

from __future__ import annotations

from typing import Any

# Strides instead of pooling: little arithmetic, so that two cores train on many words in a minute.
_SMALL = {
    "filters": [24, 48, 64, 96, 96, 128],
    "kernel_sizes": [5, 3, 3, 3, 3, 3],
    "strides": [[2, 2], [2, 2], [1, 1], [2, 1], [1, 1], [2, 1]],
    "pool_sizes": [[1, 1]] * 6,
    "residuals": [0] * 6,
    "batch_norm": [True] * 6,
    "frame_kernel_width": 3,
    "frame_batch_norm": True,
    "lstm_units": [96],
    "dropout": 0.2,
    "padding": "same",
}
# Half of the arithmetic is in the LSTM, which gains more from it than wider convolutions.
_MOBILE = {
    "filters": [16, 32, 64, 64, 128],
    "kernel_sizes": [5, 3, 3, 3, 3],
    "strides": [[2, 2], [2, 2], [2, 1], [1, 1], [2, 1]],
    "pool_sizes": [[1, 1]] * 5,
    "residuals": [0] * 5,
    "batch_norm": [True] * 5,
    "frame_kernel_width": 3,
    "frame_batch_norm": True,
    "lstm_units": [192],
    "dropout": 0.1,
    "padding": "same",
}
# The strides of `_MOBILE`, twice its channels and seven residual layers. ONNX Runtime computes 16
# channels at once.
_WIDE = {
    "filters": [32, 64, 128, 192],
    "kernel_sizes": [5, 3, 3, 3],
    "strides": [[2, 2], [2, 2], [2, 1], [2, 1]],
    "pool_sizes": [[1, 1]] * 4,
    "residuals": [0, 2, 3, 2],
    "batch_norm": [True] * 4,
    "frame_kernel_width": 3,
    "frame_batch_norm": True,
    "lstm_units": [192],
    "dropout": 0.1,
    "padding": "symmetric",
}
# VGG-7 with batch normalization where the paper has it.
_PAPER = {
    "filters": [64, 128, 256, 256, 512, 512],
    "kernel_sizes": [3] * 6,
    "strides": [[1, 1]] * 6,
    "pool_sizes": [[2, 2], [2, 2], [1, 1], [2, 1], [1, 1], [2, 1]],
    "residuals": [0] * 6,
    "batch_norm": [False, False, False, False, True, True],
    "frame_kernel_width": 2,
    "frame_batch_norm": False,
    "lstm_units": [256, 256],
    "dropout": 0.0,
    "padding": "same",
}

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "small": _SMALL,
    "mobile": _MOBILE,
    # The layers of `mobile` and some that change nothing before they have learned: a reader of
    # `mobile` can be trained on as `deep`.
    "deep": {**_MOBILE, "residuals": [1, 1, 0, 1, 1]},
    "wide": _WIDE,
    "large": {
        **_WIDE,
        "filters": [48, 96, 192, 320],
        "residuals": [1, 3, 4, 2],
        "lstm_units": [256, 256],
    },
    "paper": _PAPER,
}


def find_architecture(config: dict[str, Any]) -> str:
    """Names the architecture that a model's config has.

    Args:
        config: Dict with the keys of an entry of `ARCHITECTURES`, such as `CRNN.get_config()`.

    Returns:
        A name in `ARCHITECTURES`, or `"custom"`.
    """
    for name, entry in ARCHITECTURES.items():
        if all(config.get(key) == value for key, value in entry.items()):
            return name
    return "custom"

"""Wrong numbers are refused by name at every public function, method and parameter."""

import dataclasses
import importlib
import inspect
import math
import pkgutil
import re

import numpy as np
import pytest

import crnn_keras
from crnn_keras import (
    CRNN,
    Batches,
    Calibration,
    Canvas,
    CharDict,
    FineTuningSettings,
    LanguageModel,
    Lexicon,
    OnnxRecognizer,
    Recipe,
    Style,
    best_path,
    make_canvas,
)
from crnn_keras.data.drawn import SynthBatches
from crnn_keras.images.augmentation import Augmentation
from crnn_keras.inference import load_images
from crnn_keras.model.architectures import ARCHITECTURES
from crnn_keras.model.decoding import LanguageModelSettings, read_with_lexicon
from crnn_keras.model.decoding.language_model import Ngrams
from crnn_keras.model.layers import Augment, ResidualConv2D
from crnn_keras.synth import bundled_fonts

WRONG = {
    "-1": -1,
    "-0.1": -0.1,
    "1.5": 1.5,
    "nan": math.nan,
    "inf": math.inf,
    "'3'": "3",
    "True": True,
    "10**30": 10**30,
    "10**400": 10**400,
    "[3]": [3],
}

# What functions of the package return. Nobody passes these numbers.
RESULTS = {
    "Accelerator",
    "Advice",
    "Alignment",
    "Baseline",
    "Case",
    "DataCheck",
    "Decoded",
    "DecodedText",
    "ErrorAnalysis",
    "ExportFigures",
    "FineTuning",
    "GlyphBox",
    "ImageFacts",
    "LexiconChoice",
    "Machine",
    "Prediction",
    "ProcessGroup",
    "Progress",
    "Reading",
    "Record",
    "ReliabilityBin",
    "Report",
    "RiskCoverage",
    "Sample",
    "Selection",
    "Step",
    "Verdict",
}


def small_crnn(**arguments):
    return CRNN(CharDict("ab"), Canvas(), **{**ARCHITECTURES["small"], **arguments})


# What checks its numbers inside, or passes them to what checks them: how it is called, and for
# each parameter the wrong values of the above that it takes.
CHECKED_INSIDE = {
    "Augment": (lambda seed: Augment(Augmentation(), seed=seed), {}),
    "Batches": (
        lambda **arguments: Batches(None, None, None, **arguments),
        # All or none of it.
        {"augment": {"True"}, "random_erasing": {"True"}},
    ),
    "CRNN": (small_crnn, {}),
    "Calibration": (
        Calibration,
        {"slope": {"1.5", "10**30"}, "offset": {"-1", "-0.1", "1.5", "10**30"}},
    ),
    "Canvas": (Canvas, {}),
    "Canvas.frames": (
        lambda **arguments: Canvas().frames(**{"height": 32, "width": 100, **arguments}),
        {"height": {"10**30", "10**400"}, "width": {"10**30", "10**400"}},
    ),
    "FineTuningSettings": (
        FineTuningSettings,
        {
            "patience": {"10**30", "10**400"},
            "batch_size": {"10**30", "10**400"},
            "replay_images": {"10**30", "10**400"},
            "learning_rate": {"1.5", "10**30"},
        },
    ),
    "LanguageModel": (
        lambda order: LanguageModel("ab", Ngrams(*[np.zeros(1)] * 4), order=order),
        {},
    ),
    "LanguageModelSettings": (
        LanguageModelSettings,
        {"weight": {"1.5"}, "length_bonus": {"-1", "-0.1", "1.5"}},
    ),
    "Lexicon.candidates": (
        lambda delta: LEXICON.candidates("ab", delta),
        {"delta": {"10**30", "10**400"}},
    ),
    "Lexicon.choose": (
        lambda delta: LEXICON.choose(LOGITS[0], best_path(LOGITS, LETTERS)[0], delta),
        {"delta": {"10**30", "10**400"}},
    ),
    "OnnxRecognizer.load": (
        lambda cores: OnnxRecognizer.load("words", cores=cores),
        {"cores": {"10**30", "10**400"}},
    ),
    "Recipe": (lambda seed: Recipe(fonts=tuple(bundled_fonts()[:1]), seed=seed), {}),
    "ResidualConv2D": (ResidualConv2D, {"kernel_size": {"10**30", "10**400", "[3]"}}),
    "Style": (Style, {field.name: {"-1", "-0.1", "1.5"} for field in dataclasses.fields(Style)}),
    "SynthBatches": (
        lambda **arguments: SynthBatches(
            Recipe(fonts=tuple(bundled_fonts()[:1])), LETTERS, Canvas(), **arguments
        ),
        {"augment": {"True"}, "random_erasing": {"True"}},
    ),
    "load_images": (
        lambda start: load_images([], Canvas(), start=start),
        {"start": {"10**30", "10**400"}},
    ),
    "make_canvas": (make_canvas, {}),
    "read_with_lexicon": (
        lambda delta: read_with_lexicon(LOGITS, LEXICON, delta=delta),
        {"delta": {"10**30", "10**400"}},
    ),
}
LETTERS = CharDict("ab")
LEXICON = Lexicon(["ab"], LETTERS)
LOGITS = np.zeros((1, 4, 3), np.float32)


def public():
    """Yields `(name, function)` for each public function, class and public method, once."""
    seen = {}
    modules = [crnn_keras]
    for found in pkgutil.walk_packages(crnn_keras.__path__, "crnn_keras."):
        if found.ispkg and not found.name.endswith(".cli"):
            modules.append(importlib.import_module(found.name))
    modules.append(importlib.import_module("crnn_keras.evaluation.plots"))
    modules.append(importlib.import_module("crnn_keras.training.start"))
    for module in modules:
        names = getattr(module, "__all__", None) or [
            name
            for name, item in vars(module).items()
            if getattr(item, "__module__", None) == module.__name__ and not name.startswith("_")
        ]
        for name in names:
            item = getattr(module, name)
            if not callable(item) or id(item) in seen:
                continue
            seen[id(item)] = item
            yield name, item
            for method in vars(item) if inspect.isclass(item) else ():
                if not method.startswith("_") and callable(getattr(item, method)):
                    yield f"{name}.{method}", getattr(item, method)


def numeric_parameters(function):
    """Lists the parameters that are annotated as an int or a float, perhaps with None."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # built into Python
        return []
    found = []
    for parameter in parameters:
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        annotation = parameter.annotation
        text = annotation.__name__ if inspect.isclass(annotation) else str(annotation)
        kinds = {part.strip(" \"'") for part in text.split("|")}
        # A column has a name or a number: text is right there.
        if {"int", "float"} & kinds and "str" not in kinds:
            found.append(parameter.name)
    return found


def rules_of(function):
    return getattr(function, "argument_rules", None) or getattr(
        getattr(function, "__init__", None), "argument_rules", {}
    )


CASES = {
    (name, parameter): function
    for name, function in public()
    for parameter in numeric_parameters(function)
    if name not in RESULTS
}


def test_the_walk_finds_the_functions_that_everybody_calls():
    names = {name for name, _ in CASES}
    assert {"train", "build_crnn", "Batches", "Report.worst", "image_grid", "launch"} <= names
    assert len(CASES) > 100


@pytest.mark.parametrize(("name", "parameter"), CASES, ids=map(".".join, CASES))
def test_wrong_numbers_are_refused_by_name(name, parameter):
    function = CASES[name, parameter]
    rule = rules_of(function).get(parameter)
    if rule is None:
        assert name in CHECKED_INSIDE, f"{name} has no rule for {parameter}"
        function, taken = CHECKED_INSIDE[name]
        wrong = WRONG.keys() - taken.get(parameter, set())
    else:
        # The rule is checked first: other arguments need not be there.
        wrong = {shown for shown, value in WRONG.items() if not rule.accepts(value)}
        assert {"nan", "'3'", "True", "[3]"} <= wrong
    name = re.escape(parameter).replace("_", "[_ ]")
    for shown in sorted(wrong):
        with pytest.raises(ValueError, match=f"(?i){name}") as error:
            function(
                **({"self": None} if takes_self(function) else {}), **{parameter: WRONG[shown]}
            )
        assert len(str(error.value)) < 500, shown


def takes_self(function):
    return "self" in inspect.signature(function).parameters

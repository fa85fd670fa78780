"""`crnn-keras label`: a page on which a person labels images, the most doubtful ones first."""

from __future__ import annotations

import argparse
import os
import pathlib
import signal
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING

from crnn_keras.cli.common import (
    DONE,
    SOME_UNUSABLE,
    CommandError,
    add_command,
    load_recognizer,
    number,
    print_to_stderr,
)
from crnn_keras.cli.options import add_label_options, source_options
from crnn_keras.inference.shipped import LISTED
from crnn_keras.utils.checks import FRACTION, Number
from crnn_keras.utils.limits import MAX_TEXT_BYTES
from crnn_keras.utils.log import printable

if TYPE_CHECKING:
    from crnn_keras.inference.base import BaseRecognizer
    from crnn_keras.labelling import LabelSession, LabelStore
    from crnn_keras.labelling.items import Items

# Where a layout other than the table is written, beside it; pairs are beside their images.
_EXPORTS = {"paddleocr": "rec_gt.txt", "label_studio": "label_studio.json"}
_FORMATS = ("tsv", "pairs", *_EXPORTS)
_PORT = Number(0, 65_535, is_whole=True)
_SHOWN = 5
_CALIBRATE = (
    "crnn_keras.calibrate with some hundred labelled images that it was not trained on, and save "
    "it: docs/guide.md, Confidence thresholds, has the lines"
)


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "label",
        help="label images on a page, the most doubtful ones first",
        description="Reads the images of a folder, and serves a page on this machine that shows "
        "them with the readings filled in: accept, mend, skip, or mark as unreadable. Each "
        "decision is on the disk at once, and the same command goes on where it was. A label file "
        "instead of a folder: its labels are checked. Ctrl-C ends it.",
        example="crnn-keras label crops\n"
        "crnn-keras label crops --model ascii --accept-above 0.99 --format paddleocr\n"
        "crnn-keras label crops/labels.tsv",
    )
    parser.add_argument("images", help="a folder of images, or a label file to check")
    parser.add_argument(
        "--model",
        default="words",
        help=f"reader that fills in the texts: {LISTED}, a .keras or .onnx file, "
        "or none (%(default)s)",
    )
    parser.add_argument(
        "--output",
        metavar="PATH",
        help="label file to write and go on with (labels.tsv in the folder; of a label file, "
        "NAME.checked.tsv beside it)",
    )
    parser.add_argument(
        "--order",
        choices=("doubt", "name"),
        default="doubt",
        help="which image comes first: the least certain, or by name (%(default)s)",
    )
    parser.add_argument(
        "--accept-above",
        type=number(FRACTION),
        metavar="CHANCE",
        help="write readings that are correct with at least this chance as pseudo-labels, to "
        "labels.pseudo.tsv (none)",
    )
    parser.add_argument(
        "--format",
        choices=_FORMATS,
        default="tsv",
        help="write the labels in this layout too, at the start and at the end: name.gt.txt beside "
        "each image, rec_gt.txt, or label_studio.json (%(default)s: labels.tsv alone)",
    )
    parser.add_argument("--port", type=number(_PORT), default=0, help="of 127.0.0.1 (a free one)")
    parser.add_argument("--no-browser", action="store_true", help="print the address only")
    add_label_options(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from crnn_keras.labelling import LabelServer, LabelSession, LabelStore

    with print_to_stderr():
        output, found = _find(options)
        recognizer = _load(options)
    for issue in found.issues[:_SHOWN]:
        _say(f"{issue.where}: {issue.reason}")
    if found.issues:
        _say(f"{len(found.issues)} cannot be labelled")
    if not found.items:
        raise CommandError(f"{options.images} holds no image that can be labelled")
    with LabelStore(output) as store:
        session = LabelSession(
            store,
            found.items,
            order=options.order if recognizer else "name",
            accept_above=options.accept_above,
            say=_say,
        )
        _describe_start(session, found, output)
        _check_texts(session, options.format)
        _export(options.format, store, found.base)
        title = pathlib.Path(os.path.abspath(options.images)).name
        server = LabelServer(session, title, port=options.port)
        if recognizer:
            session.start_reading(recognizer)
        _serve(server, session, title=title, no_browser=options.no_browser)
        damaged = session.damaged()
        for name, reason in list(damaged.items())[:_SHOWN]:
            _say(f"{name}: {reason}")
        print(_summary(session))
        # Last: a label that another layout cannot hold costs that file only.
        _export(options.format, store, found.base)
    return SOME_UNUSABLE if damaged or found.issues else DONE


def _find(options: argparse.Namespace) -> tuple[pathlib.Path, Items]:
    """Returns the label file to write and the images to label."""
    from crnn_keras.data.labels import read_samples
    from crnn_keras.labelling import list_images, list_labels

    source = pathlib.Path(options.images)
    named = pathlib.Path(options.output) if options.output else None
    if os.path.isdir(source) and options.layout == "auto":
        output = named or source / "labels.tsv"
        return output, list_images(source, output)
    if options.accept_above is not None:
        raise CommandError(
            "--accept-above is for images without labels. Labels that are checked stay as they "
            "are, whether or not they are looked at: leave the option out"
        )
    found = read_samples(source, **source_options(options))
    is_folder = os.path.isdir(source)
    folder = source if is_folder else source.parent
    output = named or folder / f"{'labels' if is_folder else source.stem}.checked.tsv"
    read = {source, *(sample.where.rpartition(", ")[0] for sample in found.samples[:1])}
    if os.path.exists(output) and any(
        os.path.samefile(output, path) for path in read if os.path.isfile(path)
    ):
        raise CommandError(
            f"--output {output} is the label file that is checked. Give another name, so that the "
            "labels of before stay"
        )
    folders = [options.images_folder or folder, *folder.absolute().parents[:2]]
    return output, list_labels(found, output, folders)


def _load(options: argparse.Namespace) -> BaseRecognizer | None:
    if options.model == "none":
        if options.accept_above is not None:
            raise CommandError("--accept-above needs a model: --model none reads nothing")
        return None
    recognizer = load_recognizer(options.model)
    if options.accept_above is not None and recognizer.calibration is None:
        raise CommandError(
            f"--accept-above: {options.model} has no calibration, so its confidence is not the "
            f"chance that a reading is correct. Calibrate it by {_CALIBRATE}"
        )
    return recognizer


def _describe_start(session: LabelSession, found: Items, output: pathlib.Path) -> None:
    """Says what is there already, and what is odd about it."""
    store, counts = session.store, session.counts()
    known = [f"{counts[view]} {fact}" for view, fact in _FACTS.items() if counts[view]]
    if counts["todo"] < counts["total"]:
        _say(f"{output}: {', '.join(known)}; it goes on from there")
    for table in (store.labels, store.marks, store.pseudo):
        if table.odd:
            lines = ", ".join(map(str, table.odd[:_SHOWN]))
            _say(
                f"{table.path}: lines that are no path, tab and text, and stay as they are: "
                f"{len(table.odd)}, the first {lines}"
            )
    if missing := session.missing():
        shown = ", ".join(missing[:_SHOWN])
        _say(f"{output}: labels of images that are not there, and stay: {len(missing)} ({shown})")
    if found.base.resolve() != pathlib.Path(output).parent.resolve():
        _say(
            f"the paths in {output} start from {found.base}: read it with --images-folder "
            f"{found.base}"
        )


def _check_texts(session: LabelSession, layout: str) -> None:
    """Refuses to write pairs over texts of somebody else; otherwise says that they are there."""
    texts = [
        path
        for item in session.items
        if session.store.state(item.name).label in (None, item.given)
        and os.path.isfile(path := f"{os.path.splitext(item.image)[0]}.gt.txt")
        and not _is_text(path, item.given)
    ]
    if texts and layout == "pairs":
        raise CommandError(
            f"{texts[0]} holds a text that is not among the labels, and --format pairs would "
            "replace it. Check such texts with --layout pairs, or move them"
        )
    if texts and not session.checks:
        _say(
            f"{texts[0]}: there are texts beside {len(texts)} of the images, which are not read: "
            "--layout pairs checks them"
        )


def _is_text(path: str, text: str | None) -> bool:
    with open(path, "rb") as file:
        content = file.read(MAX_TEXT_BYTES)
    return text is not None and content.strip() == text.encode()


def _serve(server, session: LabelSession, *, title: str, no_browser: bool) -> None:
    """Serves the page until Ctrl-C or SIGTERM, or until it is finished there."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"Label {printable(title)} at {server.address}", flush=True)
    _say("Ctrl-C ends it; each decision is saved at once")
    if not no_browser and _has_browser():
        webbrowser.open(server.address)
    try:
        server.serve()
    except KeyboardInterrupt:
        _say("ended")
    finally:
        session.close()


def _has_browser() -> bool:
    """Tells whether there is a browser in a window; one in the terminal would take it over."""
    if sys.platform.startswith(("win", "darwin")):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _export(layout: str, store: LabelStore, base: pathlib.Path) -> None:
    """Writes the labels in another layout than the table."""
    if layout == "tsv":
        return
    from crnn_keras.data.labels import Sample, write_labels

    rows = store.labels.rows.items()
    samples = [Sample(str(base / name), text, f"{store.path}, {name}") for name, text in rows]
    if not samples:
        return
    if layout == "pairs":
        write_labels(samples, base, layout=layout)
        return
    path = store.path.with_name(_EXPORTS[layout])
    write_labels(samples, path, layout=layout, images_folder=base)


_FACTS = {
    "labelled": "labelled",
    "pseudo": "pseudo-labelled",
    "skipped": "skipped",
    "unreadable": "unreadable",
    "todo": "left",
    "damaged": "cannot be opened",
}


def _summary(session: LabelSession) -> str:
    counts = session.counts()
    facts = [
        f"{counts[view]} {fact}"
        for view, fact in _FACTS.items()
        if counts[view] or view == "labelled"
    ]
    lines = [f"{session.store.path}: {', '.join(facts)}"]
    if counts["pseudo"]:
        lines.append(
            f"{session.store.pseudo.path}: the pseudo-labels. Remove the file to take them out; "
            "put it behind the labels to train on both"
        )
    return "\n".join(map(printable, lines))


def _say(sentence: str) -> None:
    print(printable(sentence), file=sys.stderr, flush=True)

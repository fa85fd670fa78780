"""`crnn-keras serve`: a reader over HTTP, in batches, on ONNX Runtime."""

from __future__ import annotations

import argparse
import os
import pathlib
import sys

from crnn_keras.cli.common import DONE, CommandError, add_command, number
from crnn_keras.inference.shipped import LISTED
from crnn_keras.utils.checks import COUNT, NOT_NEGATIVE, Number
from crnn_keras.utils.log import printable

_PORT = Number(0, 65_535, is_whole=True)
_TOKEN = "CRNN_KERAS_TOKEN"
_MAX_TOKEN_BYTES = 4_096
# Options that are bounds of `Limits`, with their default and what their help says.
_LIMITS = {
    "images": ("COUNT", "images of one request"),
    "image_bytes": ("BYTES", "bytes of one image"),
    "pixels": ("COUNT", "pixels of one image"),
    "request_bytes": ("BYTES", "bytes of one request"),
    "held_bytes": ("BYTES", "bytes of all requests at one time"),
    "queue": ("COUNT", "images that may wait"),
    "connections": ("COUNT", "connections that may be open"),
}


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "serve",
        help="serve a reader over HTTP",
        description="Reads the images of requests, several of them at once: the Open Inference "
        "Protocol (KServe v2), TensorFlow Serving's REST, POST /read with a form, and a page to "
        "try it. It listens on this machine only, unless --host says otherwise. SIGTERM or Ctrl-C "
        "ends it, when what was sent is answered. A line of JSON on stderr for each request.",
        example="crnn-keras serve words\n"
        "crnn-keras serve mine.onnx --host 0.0.0.0 --token-file token.txt --require-token",
    )
    parser.add_argument("model", help=f"{LISTED}, or an .onnx file that crnn-keras export wrote")
    parser.add_argument(
        "--name",
        dest="model_name",
        metavar="NAME",
        help="of the model in requests (the model, or the file without its suffix)",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="to listen on (%(default)s)"
    )
    parser.add_argument(
        "--port", type=number(_PORT), default=8000, help="0: a free one (%(default)s)"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="further name by which requests may call this server; may be repeated",
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="file of the token that each request must show (the variable CRNN_KERAS_TOKEN)",
    )
    parser.add_argument("--require-token", action="store_true", help="do not start without a token")
    parser.add_argument(
        "--batch-size", type=number(COUNT), default=64, help="images read at a time (%(default)s)"
    )
    parser.add_argument(
        "--wait",
        type=number(NOT_NEGATIVE),
        default=5,
        metavar="MS",
        help="milliseconds that an image waits for others (%(default)s)",
    )
    parser.add_argument(
        "--threads", type=number(COUNT), help="batches read at a time (one for each core)"
    )
    parser.add_argument(
        "--no-language-model", action="store_true", help="read without the model's own"
    )
    for name, (metavar, text) in _LIMITS.items():
        parser.add_argument(
            f"--max-{name.replace('_', '-')}",
            type=number(COUNT),
            metavar=metavar,
            help=f"{text} ({_default(name)})",
        )
    parser.add_argument(
        "--log-level",
        choices=("info", "warning"),
        default="info",
        help="warning: no line for requests that went well (%(default)s)",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    token = _find_token(options)
    from crnn_keras.inference.base import OWN
    from crnn_keras.inference.onnx_recognizer import OnnxRecognizer
    from crnn_keras.serving.guard import is_loopback
    from crnn_keras.serving.limits import Limits
    from crnn_keras.serving.logs import log_as_json
    from crnn_keras.serving.run import serve
    from crnn_keras.serving.service import Service

    if pathlib.Path(options.model).suffix == ".keras":
        onnx = pathlib.Path(options.model).with_suffix(".onnx").name
        raise CommandError(
            f"a server reads on ONNX Runtime. Run crnn-keras export {options.model} {onnx} first, "
            f"then crnn-keras serve {onnx}"
        )
    if token is None and not is_loopback(options.host):
        _say(
            f"warning: whoever reaches {options.host} can use this server. Set {_TOKEN}, or pass "
            "--token-file"
        )
    given = {name: getattr(options, f"max_{name}") for name in _LIMITS}
    limits = Limits(**{name: value for name, value in given.items() if value is not None})
    # One core for each thread that reads.
    recognizer = OnnxRecognizer.load(options.model, cores=1)
    service = Service(
        recognizer,
        options.model_name or pathlib.Path(options.model).stem,
        limits,
        max_batch=options.batch_size,
        max_wait=options.wait / 1000,
        threads=options.threads,
        language_model=None if options.no_language_model else OWN,
    )
    log_as_json(level=options.log_level)
    serve(
        service,
        host=options.host,
        port=options.port,
        hosts=options.allow_host,
        token=token,
        when_ready=lambda address: print(
            f"Serves {printable(service.name)} at {address}", flush=True
        ),
    )
    return DONE


def _default(name: str) -> str:
    from crnn_keras.serving.limits import Limits

    return f"{getattr(Limits, name):,}"


def _find_token(options: argparse.Namespace) -> str | None:
    """Returns the token of a file or of the environment; no command line shows it."""
    from crnn_keras.serving.limits import MIN_TOKEN_LENGTH

    token, source = os.environ.get(_TOKEN), _TOKEN
    if options.token_file:
        source = options.token_file
        with open(source, encoding="utf-8") as file:
            token = file.read(_MAX_TOKEN_BYTES)
    token = token and token.strip()
    if not token:
        if options.token_file or options.require_token:
            raise CommandError(
                f"there is no token in {source}. Make one: openssl rand -hex 24 > token.txt, and "
                "pass --token-file token.txt"
            )
        return None
    if len(token) < MIN_TOKEN_LENGTH or not (token.isascii() and token.isprintable()):
        raise CommandError(
            f"the token in {source} is not at least {MIN_TOKEN_LENGTH} printable characters of "
            "ASCII. Make one: openssl rand -hex 24"
        )
    return token


def _say(sentence: str) -> None:
    print(printable(sentence), file=sys.stderr, flush=True)

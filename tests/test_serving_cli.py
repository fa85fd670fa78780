"""`crnn-keras serve` on the command line: what it refuses, says and obeys."""

import os
import socket

import httpx
import pytest
from served import Server, draw, serving

from crnn_keras.cli import main
from crnn_keras.inference.shipped import shipped_files

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def without_token(monkeypatch):
    monkeypatch.delenv("CRNN_KERAS_TOKEN", raising=False)


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["nothing.onnx"], ["nothing.onnx", "words, words-large, ascii, lines"]),
        (["mine/reader.keras"], ["crnn-keras export mine/reader.keras reader.onnx"]),
        (["words", "--require-token"], ["CRNN_KERAS_TOKEN", "openssl rand"]),
        (["words", "--token-file", "missing.txt"], ["missing.txt"]),
        (["words", "--token-file", os.devnull], ["no token"]),
        (["words", "--max-pixels", "100000000"], ["pixels", "50,000,000"]),
    ],
)
def test_what_cannot_be_served_is_refused_in_a_line(capsys, words, facts):
    assert main(["serve", *words, "--port", "0"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith("crnn-keras: error: ")
    assert all(fact in error for fact in facts)


@pytest.mark.parametrize("words", [["--port", "65536"], ["--wait", "-1"], ["--max-images", "0"]])
def test_an_option_out_of_range_is_refused(capsys, words):
    with pytest.raises(SystemExit) as error:
        main(["serve", "words", *words])
    assert error.value.code == 2 and words[0] in capsys.readouterr().err


@pytest.mark.parametrize("token", ["short", "ä" * 20, "a b\x00c" * 10])
def test_a_token_that_can_be_guessed_or_not_be_sent_is_refused(capsys, tmp_path, token):
    (tmp_path / "token.txt").write_text(token)
    assert main(["serve", "words", "--token-file", str(tmp_path / "token.txt")]) == 2
    error = capsys.readouterr().err
    assert "16 printable characters" in error and token not in error


def test_a_port_that_is_taken_is_named(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "words", "--port", str(port)]) == 2
    assert f"port {port}" in capsys.readouterr().err


@pytest.mark.slow
def test_an_open_address_without_a_token_is_warned_of():
    # 127.0.0.2 would be the loopback; this listens on all addresses for a moment.
    with serving("--host", "0.0.0.0") as server:
        assert server.log().startswith("warning: whoever reaches 0.0.0.0 can use this server.")
        # Which names it has cannot be known.
        headers = {"Host": "reader.example"}
        assert httpx.get(f"{server.address}/v2", headers=headers).status_code == 200
    with serving("--host", "0.0.0.0", environment={"CRNN_KERAS_TOKEN": TOKEN}) as server:
        assert "warning" not in server.log()
        assert httpx.get(f"{server.address}/v2").status_code == 401


@pytest.mark.slow
def test_further_names_are_allowed_and_a_model_has_the_name_of_its_file(tmp_path, words):
    path = tmp_path / "my reader.onnx"
    path.write_bytes(shipped_files(".onnx")["ascii"].read_bytes())
    options = ("--allow-host", "reader.example", "--host", "0.0.0.0", "--log-level", "warning")
    with serving(*options, "--no-language-model", model=str(path)) as server:
        assert server.line == f"Serves my reader at http://0.0.0.0:{server.port}\n"
        for host, status in (("reader.example", 200), ("evil.example", 403)):
            answer = httpx.get(f"{server.address}/v1/models/my%20reader", headers={"Host": host})
            assert answer.status_code == status
        # A probe calls a container by its address.
        answer = httpx.get(f"{server.address}/v2/health/ready", headers={"Host": "10.0.0.7:8000"})
        assert answer.json() == {"ready": True}
        files = [("image", ("a.png", draw(["Door"])[0], "image/png"))]
        answer = httpx.post(f"{server.address}/read", files=files).json()
        assert answer["model"] == "my reader"
        # Without its language model, "ascii" mixes up "o" and "O".
        assert answer["results"][0]["text"].lower() == "door"
        records = [own for own in server.records() if own["event"] == "request"]
        assert records == []


@pytest.mark.slow
def test_it_ends_at_once_without_work():
    server = Server()
    assert server.stop() == 0
    assert "Finished server process" in server.log()
    server.remove()

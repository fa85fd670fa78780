"""`crnn-keras serve`: what a real server answers to the clients of each protocol."""

import base64
import json
import pathlib
import re
import shutil
import subprocess
import sys

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from prometheus_client.parser import text_string_to_metric_families
from served import draw, serving
from tritonclient.utils import InferenceServerException

from crnn_keras import OnnxRecognizer, __version__
from crnn_keras.serving.limits import Limits

ROOT = pathlib.Path(__file__).parent.parent
NO_IMAGE = b"this is no image"


@pytest.fixture(scope="module")
def server():
    with serving() as made:
        yield made


@pytest.fixture(scope="module")
def client(server):
    with httpx.Client(base_url=server.address, timeout=30) as made:
        yield made


@pytest.fixture(scope="module")
def images(words):
    return draw(words[:12])


@pytest.fixture(scope="module")
def expected(images):
    """What the recognizer reads of the images."""
    return OnnxRecognizer.load("words").read(images)


def files_of(images):
    return [("image", (f"{n}.png", image, "image/png")) for n, image in enumerate(images)]


def b64(image):
    return {"b64": base64.b64encode(image).decode()}


def tensor_of(images, shape=None, **options):
    array = np.array(images, np.object_).reshape(shape or (len(images), 1))
    tensor = triton.InferInput("image_bytes", array.shape, "BYTES")
    tensor.set_data_from_numpy(array, **options)
    return tensor


# POST /read


def test_a_form_of_images_gives_their_texts_in_order(client, images, expected):
    answer = client.post("/read", files=files_of(images))
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    content = answer.json()
    assert content["model"] == "words" and "error" not in content
    assert [row["file"] for row in content["results"]] == [f"{n}.png" for n in range(12)]
    assert [row["text"] for row in content["results"]] == [own.text for own in expected]
    for row, own in zip(content["results"], expected, strict=True):
        assert row["confidence"] == pytest.approx(own.confidence, abs=1e-4)
        assert row.keys() == {"file", "text", "confidence", "error"} and row["error"] is None


def test_options_are_those_of_the_recognizer(client, images):
    recognizer = OnnxRecognizer.load("words")
    fields = {"pattern": r"[a-z]{3}", "alternatives": "3", "boxes": "true"}
    rows = client.post("/read", files=files_of(images[:3]), data=fields).json()["results"]
    found = recognizer.read(images[:3], pattern=r"[a-z]{3}", alternatives=3)
    for row, own in zip(rows, found, strict=True):
        assert row["text"] == own.text and len(row["text"]) == 3
        assert [other["text"] for other in row["alternatives"]] == [t for t, _ in own.alternatives]
        assert [box["character"] for box in row["boxes"]] == list(own.text)
        lefts = [box.left for box in own.boxes]
        assert [box["left"] for box in row["boxes"]] == pytest.approx(lefts, abs=1e-3)
    rows = client.post("/read", files=files_of(images[:1]), data={"allow": "0123456789"}).json()
    assert not rows["results"][0]["text"].strip("0123456789")


def test_a_damaged_image_has_an_error_in_its_place(client, images, expected):
    sent = [images[0], NO_IMAGE, images[1][:150], b"", images[2]]
    answer = client.post("/read", files=files_of(sent))
    rows = answer.json()["results"]
    assert answer.status_code == 200
    assert [rows[n]["text"] for n in (0, 4)] == [expected[0].text, expected[2].text]
    assert [row["text"] for row in rows[1:4]] == [None] * 3
    for place in (1, 2, 3):
        assert rows[place]["error"].startswith(f"image {place}: ")
    assert "not an image" in rows[1]["error"]


def test_without_a_single_text_the_status_says_so(client):
    answer = client.post("/read", files=files_of([NO_IMAGE]))
    assert answer.status_code == 422
    assert answer.json()["results"][0]["error"] == answer.json()["error"]
    answer = client.post("/read", files=files_of([b"\0" * (2**22 + 1)]))
    assert answer.status_code == 413 and "4,194,304" in answer.json()["error"]


def test_an_image_of_which_no_text_matches_has_an_error(client, images):
    fields = {"pattern": r"\d{60}"}
    answer = client.post("/read", files=files_of(images[:1]), data=fields)
    assert answer.status_code == 422 and "image 0" in answer.json()["error"]


@pytest.mark.parametrize(
    ("fields", "fact"),
    [
        ({"pattern": "a("}, "pattern"),
        ({"pattern": "a" * 201}, "201"),
        ({"pattern": "((.?){40}){20}"}, "states"),
        ({"allow": "ü"}, "ü"),
        ({"allow": "a", "pattern": "b"}, "both"),
        ({"alternatives": "11"}, "11"),
        ({"alternatives": "-1"}, "-1"),
        ({"alternatives": "x"}, "x"),
        ({"alternatives": "9" * 5000}, "alternatives"),
        ({"boxes": "maybe"}, "maybe"),
        ({"colour": "red"}, "colour"),
        ({"image": "no file"}, "image"),
        ({"pattern": "a" * 20_000}, "16KB"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(client, images, fields, fact):
    answer = client.post("/read", files=files_of(images[:1]), data=fields)
    assert answer.status_code == 400 and fact in answer.json()["error"]
    assert len(answer.content) < 700


def test_what_is_no_form_is_refused(client, images):
    assert client.post("/read", content=images[0]).status_code == 415
    assert client.post("/read", json={"image": "x"}).status_code == 415
    assert client.post("/read", data={"boxes": "1"}).status_code == 415
    for header in ("multipart/form-data", "multipart/form-data; boundary=x"):
        answer = client.post("/read", content=b"no form", headers={"Content-Type": header})
        assert answer.status_code == 400, answer.text
    assert client.get("/read").status_code == 405


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_sends_a_form(server, images, expected, tmp_path):
    for place, image in enumerate(images[:2]):
        (tmp_path / f"{place}.png").write_bytes(image)
    command = ["curl", "-sS", "-f", "-F", "image=@0.png", "-F", "image=@1.png", "-F", "boxes=true"]
    done = subprocess.run(
        [*command, f"{server.address}/read"], cwd=tmp_path, capture_output=True, check=True
    )
    rows = json.loads(done.stdout)["results"]
    assert [row["text"] for row in rows] == [own.text for own in expected[:2]]
    assert rows[0]["boxes"]


# The Open Inference Protocol


def test_the_client_of_triton_finds_the_server_and_the_model(server):
    client = triton.InferenceServerClient(server.address.removeprefix("http://"))
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("words") and client.is_model_ready("words", "1")
    assert not client.is_model_ready("other") and not client.is_model_ready("words", "2")
    metadata = client.get_server_metadata()
    assert (metadata["name"], metadata["version"]) == ("crnn_keras", __version__)
    assert metadata["extensions"] == ["binary_tensor_data"]
    model = client.get_model_metadata("words")
    assert model["versions"] == ["1"]
    outputs = {own["name"]: own["datatype"] for own in model["outputs"]}
    assert outputs == {"text": "BYTES", "confidence": "FP32", "error": "BYTES"}
    with pytest.raises(InferenceServerException, match="There is no model 'other'"):
        client.get_model_metadata("other")


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("shape", [(12, 1), (12,)])
def test_the_client_of_triton_reads_images(server, images, expected, binary, shape):
    client = triton.InferenceServerClient(server.address.removeprefix("http://"))
    outputs = [
        triton.InferRequestedOutput(name, binary_data=binary)
        for name in ("confidence", "text", "error")
    ]
    result = client.infer(
        "words", [tensor_of(images, shape)], model_version="1", outputs=outputs, request_id="a7"
    )
    assert result.get_response()["id"] == "a7"
    assert [own["name"] for own in result.get_response()["outputs"]] == [
        *("confidence", "text", "error")
    ]
    texts = result.as_numpy("text")
    assert texts.shape == shape
    found = [own if isinstance(own, str) else own.decode() for own in texts.ravel()]
    assert found == [own.text for own in expected]
    confidences = result.as_numpy("confidence")
    assert confidences.dtype == np.float32 and confidences.shape == shape
    np.testing.assert_allclose(confidences.ravel(), [own.confidence for own in expected], atol=1e-4)
    assert not any(result.as_numpy("error").ravel())


def test_an_image_that_cannot_be_read_has_an_empty_text_and_an_error(server, images, expected):
    client = triton.InferenceServerClient(server.address.removeprefix("http://"))
    result = client.infer("words", [tensor_of([images[0], NO_IMAGE, images[1]])])
    texts = [own.decode() for own in result.as_numpy("text")[:, 0]]
    assert texts == [expected[0].text, "", expected[1].text]
    assert result.as_numpy("confidence")[1, 0] == 0
    errors = [own.decode() for own in result.as_numpy("error")[:, 0]]
    assert errors[0] == errors[2] == "" and errors[1].startswith("image 1: ")


def test_images_of_json_are_in_base64(client, images, expected):
    data = [base64.b64encode(image).decode() for image in images[:2]]
    tensor = {"name": "image_bytes", "datatype": "BYTES", "shape": [2], "data": data}
    content = client.post("/v2/models/words/infer", json={"inputs": [tensor]}).json()
    assert (content["model_name"], content["model_version"]) == ("words", "1")
    outputs = {own["name"]: own for own in content["outputs"]}
    assert outputs["text"]["data"] == [own.text for own in expected[:2]]
    assert outputs["text"]["shape"] == [2] and outputs["confidence"]["datatype"] == "FP32"
    nested = tensor | {"shape": [2, 1], "data": [[own] for own in data]}
    again = client.post("/v2/models/words/versions/1/infer", json={"inputs": [nested]}).json()
    assert again["outputs"][0]["data"] == outputs["text"]["data"]


def test_no_images_give_no_texts(server, client):
    tensor = {"name": "image_bytes", "datatype": "BYTES", "shape": [0], "data": []}
    content = client.post("/v2/models/words/infer", json={"inputs": [tensor]}).json()
    assert [own["data"] for own in content["outputs"]] == [[], [], []]
    content = client.post("/v1/models/words:predict", json={"instances": []}).json()
    assert content == {"predictions": []}


def infer_body(**changes):
    tensor = {"name": "image_bytes", "datatype": "BYTES", "shape": [1], "data": ["AAAA"]}
    return json.dumps({"inputs": [tensor | changes]}).encode()


@pytest.mark.parametrize(
    ("body", "fact"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"[]", "object"),
        (b"[" * 100_000, "JSON"),
        (b'{"a": ' * 50_000, "JSON"),
        (b'{"inputs": [{"shape": [%s]}]}' % (b"9" * 5000), "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"{}", "image_bytes"),
        (b'{"inputs": 3}', "image_bytes"),
        (b'{"inputs": [3]}', "image_bytes"),
        (infer_body(name="input"), "'input'"),
        (infer_body(datatype="FP32"), "'FP32'"),
        (infer_body(datatype=["BYTES"]), "BYTES"),
        (infer_body(shape=[2]), "1 elements"),
        (infer_body(shape=[-1]), "-1"),
        (infer_body(shape=[1, 2]), "[1, 2]"),
        (infer_body(shape=[1, 1, 1]), "[1, 1, 1]"),
        (infer_body(shape=[True]), "True"),
        (infer_body(shape=[1.0]), "1.0"),
        (infer_body(shape=[]), "[]"),
        (infer_body(shape=None), "None"),
        (infer_body(data=None), "no data"),
        (infer_body(data=[3]), "image_bytes[0]"),
        (infer_body(data=["ä"]), "base64"),
        (infer_body(data=["AAA"]), "base64"),
        (infer_body(parameters=3), "parameters"),
        (infer_body(parameters={"binary_data_size": 7}), "7"),
        (infer_body(parameters={"binary_data_size": "7"}), "'7'"),
        (infer_body()[:-1] + b', "id": 3}', "id"),
        (infer_body()[:-1] + b', "outputs": [{"name": "logits"}]}', "logits"),
        (infer_body()[:-1] + b', "outputs": [3]}', "outputs"),
        (
            infer_body()[:-1]
            + b', "outputs": [{"name": "text", "parameters": {"classification": 2}}]}',
            "classification",
        ),
    ],
)
def test_what_is_no_request_to_infer_is_refused_by_what_is_wrong(client, body, fact):
    answer = client.post("/v2/models/words/infer", content=body)
    assert answer.status_code == 400 and fact in answer.json()["error"]
    assert len(answer.content) < 700


@pytest.mark.parametrize(
    ("content", "length", "fact"),
    [
        (b"", "5000", "5,000"),
        (b"", "-1", "-1"),
        (b"", "x", "'x'"),
        (b"\x05\0\0\0ab", None, "cut short"),
        (b"\xff\xff\xff\xffab", None, "cut short"),
        (b"\x01\0", None, "cut short"),
        (b"\x01\0\0\0a\x01\0\0\0b", None, "2 elements"),
        (b"", None, "0 elements"),
    ],
)
def test_a_damaged_binary_tensor_is_refused(client, content, length, fact):
    tensor = {"name": "image_bytes", "datatype": "BYTES", "shape": [1]}
    tensor["parameters"] = {"binary_data_size": len(content)}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": length or str(len(head))}
    answer = client.post("/v2/models/words/infer", content=head + content, headers=headers)
    assert answer.status_code == 400 and fact in answer.json()["error"]


# TensorFlow Serving's REST


@pytest.mark.parametrize("row", [b64, lambda image: {"image_bytes": b64(image)}])
@pytest.mark.parametrize("path", ["words", "words/versions/1"])
def test_rows_give_predictions_in_rows(client, images, expected, row, path):
    rows = [row(image) for image in [*images[:2], NO_IMAGE]]
    body = {"signature_name": "serving_default", "instances": rows}
    content = client.post(f"/v1/models/{path}:predict", json=body).json()
    assert content.keys() == {"predictions"}
    found = content["predictions"]
    assert [own["text"] for own in found] == [expected[0].text, expected[1].text, ""]
    assert [own.keys() for own in found] == [{"text", "confidence", "error"}] * 3
    assert found[2]["confidence"] == 0 and "image 2" in found[2]["error"]
    assert found[0]["confidence"] == pytest.approx(expected[0].confidence, abs=1e-4)


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"image_bytes": rows}])
def test_a_column_gives_outputs_in_columns(client, images, expected, wrap):
    body = {"inputs": wrap([b64(image) for image in images[:2]])}
    content = client.post("/v1/models/words:predict", json=body).json()
    assert content.keys() == {"outputs"}
    assert content["outputs"]["text"] == [own.text for own in expected[:2]]
    assert content["outputs"]["error"] == ["", ""]


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_asks_as_it_asks_tensorflow_serving(server, images, expected, tmp_path):
    (tmp_path / "request.json").write_text(json.dumps({"instances": [b64(images[3])]}))
    address = f"{server.address}/v1/models/words:predict"
    # Without a type curl says that the body is a form.
    command = ["curl", "-sS", "-f", "-d", "@request.json", "-X", "POST", address]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert json.loads(done.stdout)["predictions"][0]["text"] == expected[3].text


def test_the_status_and_the_metadata_have_the_form_of_tensorflow_serving(client):
    (status,) = client.get("/v1/models/words").json()["model_version_status"]
    assert (status["version"], status["state"]) == ("1", "AVAILABLE")
    assert status["status"] == {"error_code": "OK", "error_message": ""}
    metadata = client.get("/v1/models/words/metadata").json()
    assert metadata["model_spec"]["name"] == "words"
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["image_bytes"]["dtype"] == "DT_STRING"
    assert signature["outputs"].keys() == {"text", "confidence", "error"}


@pytest.mark.parametrize(
    ("path", "content", "status", "fact"),
    [
        ("words", {}, 400, "instances"),
        ("words", {"instances": [], "inputs": []}, 400, "instances"),
        ("words", {"instances": {"b64": "AAAA"}}, 400, "list"),
        ("words", {"instances": ["AAAA"]}, 400, "Image 0"),
        ("words", {"instances": [{"b64": "!"}]}, 400, "b64 of image 0"),
        ("words", {"instances": [{"b64": 3}]}, 400, "3"),
        ("words", {"instances": [{"pixels": [1]}]}, 400, "Image 0"),
        ("words", {"instances": [], "signature_name": "other"}, 400, "other"),
        ("words", {"inputs": {"pixels": []}}, 400, "list"),
        ("other", {"instances": []}, 404, "other"),
        ("words/versions/2", {"instances": []}, 404, "'2'"),
    ],
)
def test_what_tensorflow_serving_refuses_is_refused(client, path, content, status, fact):
    answer = client.post(f"/v1/models/{path}:predict", json=content)
    assert answer.status_code == status and fact in answer.json()["error"]


def test_a_path_that_does_not_exist_says_where_the_others_are(client):
    answer = client.get("/v3")
    assert answer.status_code == 404 and "/docs" in answer.json()["error"]
    assert client.post("/v1/models/words:classify", json={}).status_code == 405


# Pages, measurements, log


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_asks_no_other_host(client, path):
    answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200 and "default-src 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert "://" not in answer.text.replace("data:,", "")
    nonce = policy.partition("'nonce-")[2].partition("'")[0]
    assert len(nonce) > 20 and f'nonce="{nonce}"' in answer.text and "@" not in nonce
    assert client.get(path).headers["content-security-policy"] != policy
    assert " style=" not in answer.text and "onclick" not in answer.text


def test_the_interface_is_described(client):
    schema = client.get("/openapi.json").json()
    assert schema["openapi"].startswith("3.") and schema["info"]["version"] == __version__
    assert {"/read", "/v2/models/{name}/infer", "/v1/models/{name}:predict", "/metrics"} <= (
        schema["paths"].keys()
    )
    form = schema["paths"]["/read"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert form["schema"]["properties"].keys() == {
        *("image", "allow", "pattern", "alternatives", "boxes")
    }


def test_every_answer_forbids_what_a_browser_might_do(client):
    for path in ("/", "/v2", "/nothing"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers and "access-control-allow-origin" not in headers


def test_prometheus_reads_the_measurements(client, images):
    before = measure(client)
    client.post("/read", files=files_of([images[0], images[1], NO_IMAGE]))
    after = measure(client)
    assert after["crnn_images_total", "read"] - before["crnn_images_total", "read"] == 2
    key = "crnn_images_total", "unreadable"
    assert after[key] - before.get(key, 0) == 1
    assert after["crnn_requests_total", "/read", "200"] >= 1
    assert after["crnn_queue_images",] == 0
    assert after["crnn_batch_images_count",] > before["crnn_batch_images_count",]
    assert 1e7 < after["process_resident_memory_bytes",] < 1e9


def measure(client):
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }


def test_the_log_has_a_line_for_each_request_and_nothing_of_the_images(
    server, client, images, expected
):
    secret = "a-name-of-a-person.png"
    answer = client.post("/read?person=a-name", files=[("image", (secret, images[5], "image/png"))])
    identifier = answer.headers["x-request-id"]
    (record,) = [own for own in server.records() if own.get("id") == identifier]
    assert record["event"] == "request" and record["level"] == "info"
    assert (record["method"], record["route"], record["status"]) == ("POST", "/read", 200)
    assert (record["images"], record["not_read"]) == (1, 0)
    assert record["bytes"] > len(images[5]) and record["ms"] > 0
    log = server.log()
    assert "a-name" not in log and expected[5].text not in log
    assert [line for line in log.splitlines() if not line.startswith("{")] == []


def test_a_server_imports_no_keras_and_no_tensorflow():
    code = (
        "import sys, crnn_keras.serving.run, crnn_keras.inference.onnx_recognizer\n"
        "print(*(m for m in ('keras', 'tensorflow', 'torch', 'jax', 'pandas', 'matplotlib') "
        "if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split() == [], done.stderr


# docs/serving.md

DOCUMENT = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
CONSOLES = re.findall(r"^```console\n\$ (.+)\n(.+)\n```$", DOCUMENT, re.M)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize(("command", "expected"), CONSOLES, ids=("form", "json"))
def test_a_command_of_the_document_gives_the_output_below_it(server, command, expected):
    command = command.replace("http://127.0.0.1:8000", server.address)
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, check=True)
    found, documented = json.loads(done.stdout), json.loads(expected)
    assert round_numbers(found) == round_numbers(documented)


def round_numbers(value):
    """Rounds all numbers: the last digits depend on the processor."""
    if isinstance(value, dict):
        return {name: round_numbers(own) for name, own in value.items()}
    if isinstance(value, list):
        return list(map(round_numbers, value))
    return round(value, 4) if isinstance(value, float) else value


def test_the_lines_of_python_of_the_document_give_the_output_below_them(server):
    (code, expected) = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", DOCUMENT, re.S).groups()
    code = code.replace("127.0.0.1:8000", server.address.removeprefix("http://"))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == expected, done.stderr


def test_the_bounds_of_the_document_are_those_of_the_code():
    limits = Limits()
    rows = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| [^|]+ \|$", DOCUMENT, re.M))
    shown = {name: f"{getattr(limits, name):,}" for name in ("pixels", "images", "queue")}
    mebi = {name: f"{getattr(limits, f'{name}_bytes') >> 20} MiB" for name in ("image", "held")}
    assert rows["`--max-image-bytes`, `--max-pixels` of an image"] == (
        f"{mebi['image']}, {shown['pixels']}"
    )
    assert rows["`--max-images` of a request"] == shown["images"]
    assert rows["`--max-queue`, images that wait"] == shown["queue"]
    assert rows["`--max-held-bytes` of all requests at a time"] == mebi["held"]
    assert rows["`--max-request-bytes`"] == f"{limits.request_bytes >> 20} MiB"
    assert rows["`--max-connections`"] == str(limits.connections)
    assert rows["headers"] == f"{limits.header_bytes >> 10} KiB, {limits.header_seconds} s"
    assert rows["body"] == f"{limits.body_seconds} s"
    assert rows["from the body to the answer"] == f"{limits.read_seconds} s"
    characters, states = limits.pattern_characters, limits.pattern_states
    assert rows["`pattern`, `allow`"] == f"{characters} characters, {states} states"

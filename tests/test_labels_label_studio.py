"""Label Studio's exports: each task is one sample or one named issue."""

import json

import hypothesis
import pytest
from hypothesis import strategies as st

from crnn_keras.data.check.kinds import ADVICE
from crnn_keras.data.labels import read_samples


def area(text, **box):
    value = {"text": text, **box}
    return {"from_name": "transcription", "to_name": "image", "type": "textarea", "value": value}


def annotated(*results, **facts):
    return {"id": 7, "result": list(results), "was_cancelled": False, **facts}


def task(name, *annotations, key="ocr", **rest):
    return {"id": 1, "data": {key: name}, "annotations": list(annotations), **rest}


def minimal(name, text, key="ocr", text_key="transcription"):
    return {key: name, "id": 3, text_key: text, "annotator": 1, "annotation_id": 2, "lead_time": 4}


def write(tree, tasks, name="project-1-at-2024-05-01-10-00-abcdef.json", files=()):
    return tree({name: json.dumps(tasks), **dict.fromkeys(files)})


def pairs(found, folder):
    return [(s.image.removeprefix(f"{folder}/"), s.text) for s in found.samples]


@pytest.mark.parametrize(
    "tasks",
    [
        [task("a.png", annotated(area(["one"]))), task("b/c.png", annotated(area(["two words"])))],
        [minimal("a.png", "one"), minimal("b/c.png", ["two words"])],
        [minimal("a.png", "one", "image", "caption"), minimal("b/c.png", "two words", "image")],
        [{"image": "a.png", "text": "one"}, {"image": "b/c.png", "text": "two words"}],
        [{"photo": "a.png", "id": 1, "what": "one"}, {"photo": "b/c.png", "what": "two words"}],
    ],
)
@pytest.mark.parametrize("name", ["project-3-at-2024-05-01-10-00-abcdef.json", "labels.json"])
def test_an_export_is_detected_and_can_be_forced(tree, tasks, name):
    folder = write(tree, tasks, name)
    found = read_samples(folder)
    assert (found.layout, found.issues) == ("label_studio", [])
    assert pairs(found, folder) == [("a.png", "one"), ("b/c.png", "two words")]
    assert found.samples[1].where == f"{folder}/{name}, task 2"
    assert "because it is a list of objects" in found.description
    assert read_samples(folder / name, layout="label_studio").samples == found.samples


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (7, "damaged row"),
        (task("a.png"), "no annotation"),
        (task("a.png", annotated(area(["x"]), was_cancelled=True)), "no annotation"),
        (task("a.png", annotated(), predictions=[annotated(area(["x"]))]), "no annotation"),
        (task("a.png", annotated({"type": "choices", "value": {}})), "no annotation"),
        (task("a.png", annotated(area([]))), "empty label"),
        (task("a.png", annotated(area([" "]))), "empty label"),
        (task("a.png", annotated(area(["x", "y"]))), "line break in label"),
        (task("a.png", annotated(area(["x\ny"]))), "line break in label"),
        (task("a.png", annotated(area([7]))), "label is not text"),
        (task("a.png", annotated(area(7))), "label is not text"),
        (task("a.png", annotated(area(["x"], x=1, y=2, width=3, height=4))), "label is not text"),
        (task("a.png", annotated(area(["x"]), area(["y"]))), "label is not text"),
        (task("a.png", annotated(area(["x"])), annotated(area(["y"]))), "conflicting labels"),
        (task(None, annotated(area(["x"]))), "no image"),
        (task("https://x.org/absent.png", annotated(area(["x"]))), "no image"),
        (task("s3://bucket/absent.png", annotated(area(["x"]))), "no image"),
        (task("../a.png", annotated(area(["x"]))), "path outside the folder"),
        (task("/data/local-files/?d=../a.png", annotated(area(["x"]))), "path outside the folder"),
        (task("/etc/a.png", annotated(area(["x"]))), "path outside the folder"),
        (task("good.png", annotated(area(["x"]))), "image named twice"),
        (minimal("a.png", [{"x": 1, "y": 2, "text": ["x"]}]), "label is not text"),
        (minimal("a.png", ["x", "y"]), "line break in label"),
        (minimal("a.png", None), "label is not text"),
        ({"ocr": "a.png", "id": 1}, "empty label"),
        ({}, "no image"),
    ],
)
def test_a_task_that_cannot_be_used_is_named(tree, made, kind):
    folder = write(tree, [task("good.png", annotated(area(["good"]))), made])
    found = read_samples(folder)
    assert pairs(found, folder) == [("good.png", "good")]
    (issue,) = found.issues
    assert (issue.kind, issue.where.rpartition(", ")[2]) == (kind, "task 2")
    assert kind in ADVICE


def test_annotations_that_agree_or_are_marked_as_true_are_one_label(tree):
    whole = {"x": 0, "y": 0, "width": 100, "height": 100}
    tasks = [
        task("a.png", annotated(area(["one"])), annotated(area(["one"]))),
        task("b.png", annotated(area(["no"])), annotated(area(["two"]), ground_truth=True)),
        task("c.png", annotated({"type": "rectangle", "value": whole}, area(["three"], **whole))),
    ]
    folder = write(tree, tasks)
    found = read_samples(folder)
    assert [sample.text for sample in found.samples] == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("value", "files", "image"),
    [
        ("/data/local-files/?d=crops/a%20b.png", ["crops/a b.png"], "crops/a b.png"),
        ("/data/local-files/?d=mine/crops/a.png", ["crops/a.png"], "crops/a.png"),
        ("/data/local-files/?d=crops/absent.png", ["absent.gif"], "crops/absent.png"),
        ("/data/upload/1/0a1b2c3d-a.png", ["a.png"], "a.png"),
        ("/data/upload/1/0a1b2c3d-a.png", ["0a1b2c3d-a.png", "a.png"], "0a1b2c3d-a.png"),
        ("/data/upload/1/0a1b2c3d-a.png", [], "a.png"),
        ("https://x.org/1/%E7%9C%81.png?size=1", ["省.png"], "省.png"),
        ("gs://bucket/a.png", ["a.png"], "a.png"),
    ],
)
def test_where_the_image_of_a_task_lies(tree, value, files, image):
    folder = write(tree, [task(value, annotated(area(["one"])))], files=files)
    found = read_samples(folder / "project-1-at-2024-05-01-10-00-abcdef.json")
    assert pairs(found, folder) == [(image, "one")]


def test_the_first_task_decides_where_local_files_start(tree):
    """A file of the same name further up is another image."""
    tasks = [task(f"/data/local-files/?d=b/{n}.png", annotated(area([n]))) for n in ("x", "y")]
    folder = write(tree, tasks, files=["b/x.png", "y.png"])
    found = read_samples(folder / "project-1-at-2024-05-01-10-00-abcdef.json")
    assert pairs(found, folder) == [("b/x.png", "x"), ("b/y.png", "y")]


@pytest.mark.parametrize("content", ["[]", "{}", "[7]", '[["a.png", "x"]]', "[{", "7"])
def test_json_that_is_no_export_is_named(tree, content):
    folder = tree({"x.json": content})
    with pytest.raises(ValueError, match=r"x\.json"):
        read_samples(folder / "x.json", layout="label_studio")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["a.png", "x", "", "/data/upload/"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["ocr", "data", "annotations", "result", "type", "value", "text", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@hypothesis.settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(tasks=st.lists(VALUES, max_size=4))
def test_every_task_is_one_sample_or_one_issue(tmp_path, tasks):
    tasks = [task("good.png", annotated(area(["good"]))), *tasks]
    path = tmp_path / "label_studio.json"
    path.write_text(json.dumps(tasks))
    found = read_samples(path)
    rows = [row.where.rpartition("task ")[2] for row in (*found.samples, *found.issues)]
    assert sorted(map(int, rows)) == list(range(1, len(tasks) + 1))

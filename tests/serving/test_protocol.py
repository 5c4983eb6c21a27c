"""The Open Inference Protocol, version 2, in JSON and in binary."""

import base64
import json
import struct

import numpy as np
import pytest

from spikewise.api import load
from spikewise.serving.tensors import HEADER


def tensor(values, datatype="UINT8", name="images"):
    values = np.asarray(values)
    return {"name": name, "datatype": datatype, "shape": list(values.shape), "data": values.ravel().tolist()}


@pytest.fixture
def pixels(run, digits):
    return load(run.folder, device="cpu").pixels(digits[:5])


def output(found, name):
    return next(one for one in found["outputs"] if one["name"] == name)


def test_health_and_metadata(run, serving):
    name = run.folder.name
    with serving() as client:
        assert client.get("/v2").json()["name"] == "spikewise"
        assert client.get("/v2/health/live").json() == {"live": True}
        assert client.get("/v2/health/ready").json() == {"ready": True}
        (listed,) = client.get("/v2/models").json()["models"]
        about = client.get(f"/v2/models/{name}").json()
        version = about["versions"][0]
        assert (listed["name"], listed["version"], listed["state"]) == (name, version, "READY")
        assert about["inputs"][0] == {"name": "images", "datatype": "UINT8", "shape": [-1, 1, 8, 8]}
        assert client.get(f"/v2/models/{name}/versions/{version}/ready").json() == {"name": name, "ready": True}
        assert client.get(f"/v2/models/{name}/versions/0/ready").status_code == 404
        assert client.get("/v2/models/none").status_code == 404


def test_pixels_and_files_in_json_give_the_answers_of_the_network(run, digits, pixels, serving):
    model = load(run.folder, device="cpu")
    files = [base64.b64encode(one).decode() for one in digits[:5]]
    given = {"name": "files", "datatype": "BYTES", "shape": [5], "data": files}
    path = f"/v2/models/{run.folder.name}/infer"
    with serving() as client:
        by_pixels = client.post(path, json={"id": "7", "inputs": [tensor(pixels)]}).json()
        by_files = client.post(path, json={"id": "7", "inputs": [given]}).json()
        floats = client.post(path, json={"id": "7", "inputs": [tensor(pixels / 255, "FP32")]}).json()
        asked = {"inputs": [tensor(pixels)], "outputs": [{"name": "evidence"}, {"name": "label"}]}
        chosen = client.post(path, json=asked).json()
        early = client.post(path, json={"inputs": [tensor(pixels)], "parameters": {"exit": 0.2}}).json()
    assert by_pixels == by_files == floats
    assert by_pixels["id"] == "7"
    wanted = model.explain(pixels)
    np.testing.assert_array_equal(
        np.array(output(by_pixels, "probabilities")["data"], np.float32).reshape(5, 10),
        wanted.probabilities.astype(np.float32),
    )
    labels = wanted.probabilities.argmax(1)
    assert output(by_pixels, "label")["data"] == labels.tolist()
    assert output(by_pixels, "class")["data"] == [model.classes[label] for label in labels]
    assert [one["name"] for one in chosen["outputs"]] == ["evidence", "label"]
    assert output(chosen, "evidence")["shape"] == [5, 6, 10]
    np.testing.assert_array_equal(np.array(output(chosen, "evidence")["data"], np.float32), wanted.evidence.ravel())
    assert output(by_pixels, "steps")["data"] == [6] * 5
    assert min(output(early, "steps")["data"]) < 6


def test_binary_tensors_go_in_and_come_out(run, digits, pixels, serving):
    path, name = f"/v2/models/{run.folder.name}/infer", "images"
    about = {"name": name, "datatype": "UINT8", "shape": [5, 1, 8, 8], "parameters": {"binary_data_size": pixels.size}}
    wanted = [{"name": "probabilities", "parameters": {"binary_data": True}}, {"name": "class"}]
    head = json.dumps({"inputs": [about], "outputs": wanted}).encode()
    packed = b"".join(struct.pack("<I", len(one)) + one for one in digits[:5])
    files = {"name": "files", "datatype": "BYTES", "shape": [5], "parameters": {"binary_data_size": len(packed)}}
    of_files = json.dumps({"inputs": [files], "parameters": {"binary_data_output": True}}).encode()
    with serving() as client:
        found = client.post(path, content=head + pixels.tobytes(), headers={HEADER: str(len(head))})
        other = client.post(path, content=of_files + packed, headers={HEADER: str(len(of_files))})
    size = int(found.headers[HEADER])
    said = json.loads(found.content[:size])
    probabilities = np.frombuffer(found.content[size:], "<f4").reshape(5, 10)
    model = load(run.folder, device="cpu")
    np.testing.assert_array_equal(probabilities, model.predict_proba(pixels).astype(np.float32))
    assert output(said, "class")["data"] == [model.classes[label] for label in probabilities.argmax(1)]
    size = int(other.headers[HEADER])
    said, rest = json.loads(other.content[:size]), other.content[size:]
    sizes = [one["parameters"]["binary_data_size"] for one in said["outputs"]]
    assert sum(sizes) == len(rest)
    np.testing.assert_array_equal(np.frombuffer(rest[: sizes[0]], "<f4").reshape(5, 10), probabilities)


GOOD = {"name": "images", "datatype": "UINT8", "shape": [1, 1, 8, 8], "data": [0] * 64}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "'inputs' is a list"),
        ({"inputs": []}, "'inputs' is a list"),
        ({"inputs": [GOOD, GOOD]}, "'inputs' is a list"),
        ({"inputs": [{**GOOD, "datatype": "FP16"}]}, "datatype 'FP16'"),
        ({"inputs": [{**GOOD, "shape": [1, 8, 8]}]}, "[N, C, H, W]"),
        ({"inputs": [{**GOOD, "shape": [2, 1, 8, 8]}]}, "wants 128"),
        ({"inputs": [{**GOOD, "shape": [2**39] * 3}]}, "64 values"),
        ({"inputs": [{**GOOD, "shape": [-1, 1, 8, 8]}]}, "list of sizes"),
        ({"inputs": [{**GOOD, "data": [256] * 64}]}, "no UINT8"),
        ({"inputs": [{**GOOD, "data": ["x"] * 64}]}, "list of numbers"),
        ({"inputs": [{**GOOD, "data": [[1], [1, 2]]}]}, "list of numbers"),
        ({"inputs": [{**GOOD, "shape": [1, 1, 4, 16]}]}, "1x8x8"),
        ({"inputs": [{**GOOD, "parameters": {"binary_data_size": 5}}]}, "follow the JSON"),
        ({"inputs": [{**GOOD, "datatype": "BYTES", "shape": [1], "data": ["!"]}]}, "base64"),
        ({"inputs": [GOOD], "outputs": [{"name": "nothing"}]}, "no output 'nothing'"),
        ({"inputs": [GOOD], "outputs": 3}, "is a list"),
        ({"inputs": [GOOD], "parameters": {"exit": "x"}}, "confidence"),
        ({"inputs": [GOOD], "parameters": {"exit": 0.5}, "outputs": [{"name": "evidence"}]}, "Leave out one"),
    ],
)
def test_what_is_no_inference_is_told(run, client, body, words):
    found = client.post(f"/v2/models/{run.folder.name}/infer", json=body)
    assert found.status_code == 400
    assert words in found.json()["error"]


@pytest.mark.parametrize("size", ["99999", "-1", "x"])
def test_a_header_length_that_lies_is_told(run, client, size):
    found = client.post(f"/v2/models/{run.folder.name}/infer", content=b"{}", headers={HEADER: size})
    assert (found.status_code, HEADER in found.text) == (400, True)

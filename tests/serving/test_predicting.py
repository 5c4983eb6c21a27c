"""What a server answers is what `predict` says."""

import asyncio
import base64
import json
from types import SimpleNamespace

import numpy as np
import pytest

from spikewise.api import answer_records, incoming, load
from spikewise.api.stepping import StepAnswers


def expected(run, images, **how):
    model = load(run.folder, device="cpu")
    return answer_records(model, [incoming(model, f"{n}.png", one) for n, one in enumerate(images)], **how)


def files(images):
    return [("image", (f"{n}.png", one, "image/png")) for n, one in enumerate(images)]


def without(record, *keys):
    return {key: value for key, value in record.items() if key not in keys}


def test_files_of_a_form_are_answered_as_predict_answers_them(run, digits, serving):
    with serving() as client:
        found = client.post("/predict", files=files(digits), params={"evidence": "true"}).json()
    assert found["left_out"] == []
    assert [without(one, "model") for one in found["answers"]] == expected(run, digits, evidence=True)
    assert {one["model"] for one in found["answers"]} == {run.folder.name}


def test_an_answer_without_evidence_has_the_same_figures(run, digits, serving):
    with serving() as client:
        found = client.post("/predict", files=files(digits[:3])).json()["answers"]
    whole = expected(run, digits[:3], evidence=True)
    assert [without(one, "model") for one in found] == [
        without(one, "evidence", "spikes", "layer_spikes") for one in whole
    ]


def test_every_way_to_send_an_image_gives_the_same_answer(run, digits, serving):
    image = digits[7]
    pixels = load(run.folder, device="cpu").pixels(image)[0, 0].tolist()
    text = base64.b64encode(image).decode()
    with serving() as client:
        answers = [
            client.post("/predict", files=files([image])),
            client.post("/predict", content=image, headers={"content-type": "image/png"}),
            client.post("/predict", json={"images": [text]}),
            client.post("/predict", json={"images": [f"data:image/png;base64,{text}"], "model": run.folder.name}),
            client.post("/predict", json={"images": [{"name": "seven", "data": pixels}], "white": 255}),
        ]
    assert [one.status_code for one in answers] == [200] * 5
    found = [without(one.json()["answers"][0], "image", "unlike") for one in answers]
    assert found == [found[0]] * 5
    assert answers[-1].json()["answers"][0]["image"] == "seven"


@pytest.mark.parametrize("threshold", [0.2, 0.3, 0.999])
def test_a_run_ends_when_it_is_sure_and_says_what_it_knew_then(run, digits, serving, threshold):
    with serving() as client:
        found = client.post("/predict", files=files(digits), params={"exit": threshold, "evidence": "true"}).json()
    whole = expected(run, digits, evidence=True)
    steps = [one["steps"] for one in found["answers"]]
    for one, full in zip(found["answers"], whole, strict=True):
        evidence = np.array(full["evidence"])
        odds = np.exp(evidence - evidence.max(1, keepdims=True))
        sure = (odds / odds.sum(1, keepdims=True)).max(1) >= threshold
        assert one["steps"] == (int(sure.argmax()) + 1 if sure.any() else len(evidence))
        np.testing.assert_allclose(one["evidence"], evidence[: one["steps"]], rtol=1e-5, atol=1e-6)
        if one["steps"] == len(evidence):
            assert one["label"] == full["label"]
            assert one["layer_spikes"] == full["layer_spikes"]
    assert threshold == 0.999 or min(steps) < 6
    assert len(set(steps)) > 1 or threshold != 0.3


def test_exit_auto_is_the_confidence_that_the_run_found(run, digits, serving):
    early = next(one for one in run.results.sections.anytime.networks if one.network == "snn").early_exit
    threshold = next(one.thresholds[0] for one in early if one.tolerance == 0.005)
    with serving() as client:
        auto = client.post("/predict", files=files(digits), params={"exit": "auto"}).json()
        if threshold is None:
            assert {one["steps"] for one in auto["answers"]} == {6}
        else:
            assert auto == client.post("/predict", files=files(digits), params={"exit": threshold}).json()


def test_steps_come_as_events_and_end_in_the_answer(run, digits, serving):
    with serving() as client, client.stream("POST", "/predict/steps", files=files(digits[:1])) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        text = "".join(response.iter_text())
    events = [block.split("\n") for block in text.strip().split("\n\n")]
    names = [name.removeprefix("event: ") for name, _ in events]
    content = [json.loads(data.removeprefix("data: ")) for _, data in events]
    whole = expected(run, digits[:1], evidence=True)[0]
    assert names == ["start", *["step"] * 6, "answer"]
    np.testing.assert_allclose([one["evidence"] for one in content[1:-1]], whole["evidence"], rtol=1e-5, atol=1e-6)
    assert content[-2]["layer_spikes"] == whole["layer_spikes"]
    assert content[-2]["spikes"] == whole["spikes"]
    assert (content[-1]["label"], content[-1]["steps"]) == (whole["label"], 6)


def test_a_colour_image_is_named_in_answers_and_steps(serving):
    from tests.serving.conftest import png

    image = png(np.tile(np.array([220, 30, 30], np.uint8), (8, 8, 1)))
    with serving() as client:
        assert "colour" in client.post("/predict", files=files([image])).json()["answers"][0]["unlike"]
        assert "is in colour" in client.post("/predict/steps", files=files([image])).text


def test_one_who_leaves_is_noticed_between_steps_that_are_all_there():
    from spikewise.serving import predicting

    one = StepAnswers(1, *(np.zeros((1, 2)) for _ in range(3)), np.zeros(1), None, {}, last=np.zeros(1, bool))
    model = SimpleNamespace(name="m", steps=50, trained=SimpleNamespace(classes=("a", "b")))
    seen = []

    async def leave() -> None:
        queue = asyncio.Queue()
        for _ in range(50):
            queue.put_nowait(one)
        events = predicting._events(SimpleNamespace(model=model, images=[SimpleNamespace(name="i")]), None, queue)

        async def take() -> None:
            async for event in events:
                seen.append(event)

        taking = asyncio.create_task(take())
        await asyncio.sleep(0)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)

    asyncio.run(leave())
    assert len(seen) < 5

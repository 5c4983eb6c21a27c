"""Several runs, runs that change, batches, figures, the description and the pages."""

import asyncio
import re
import shutil

import httpx2
import pytest

from spikewise.errors import ConfigError, RunError
from spikewise.serving import Limits, Models, Wanted, application
from waiting import wait_until

PNG = {"content-type": "image/png"}


def test_runs_stand_side_by_side_and_the_first_is_the_default(run, digits, serving, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run.folder, other)
    again = tmp_path / "x" / "other"
    shutil.copytree(run.folder, again)
    with serving(other, run.folder, again) as client:
        names = [one["name"] for one in client.get("/v2/models").json()["models"]]
        assert names == ["other", run.folder.name, "other-2"]
        for query, name in (("", "other"), ("?model=other-2", "other-2")):
            answer = client.post(f"/predict{query}", content=digits[0], headers=PNG).json()["answers"][0]
            assert answer["model"] == name


def test_a_run_that_changes_is_read_again_and_one_that_breaks_goes_on_as_it_was(run, digits, serving, tmp_path):
    folder = tmp_path / "changing"
    shutil.copytree(run.folder, folder)
    weights = folder / "networks" / "snn" / "seed-0" / "weights.safetensors"

    def listed(client):
        return client.get("/v2/models").json()["models"][0]

    with serving(folder) as client:
        before, sound = listed(client), weights.read_bytes()
        weights.write_bytes(sound[: len(sound) // 2])
        wait_until(lambda: "reason" in listed(client))
        assert "damaged" in listed(client)["reason"]
        assert client.post("/predict", content=digits[0], headers=PNG).status_code == 200
        weights.write_bytes(sound)
        wait_until(lambda: "reason" not in listed(client))
        assert listed(client)["version"] != before["version"]
        assert client.post("/predict", content=digits[0], headers=PNG).status_code == 200
        shutil.rmtree(folder)
        wait_until(lambda: "reason" in listed(client))
        assert client.post("/predict", content=digits[0], headers=PNG).status_code == 200
        figures = client.get("/metrics").text
    assert 'spikewise_reloads_total{model="changing",outcome="done"} 1\n' in figures
    assert 'outcome="failed"' in figures


def test_what_cannot_be_served_is_told_before_anything_is(run, tmp_path):
    with pytest.raises(RunError, match="is not a run folder"):
        Models(Wanted([tmp_path]), Limits())
    with pytest.raises(ConfigError, match="name a run folder"):
        Models(Wanted([]), Limits())
    with pytest.raises(ConfigError, match="nothing"):
        Models(Wanted([run.folder], "nothing"), Limits())


def test_requests_that_come_together_are_run_together(run, digits):
    app = application(Models(Wanted((run.folder,), device="cpu"), Limits(window=0.3)))

    async def ask() -> tuple[list[httpx2.Response], str]:
        transport = httpx2.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
        ):
            plain = [client.post("/predict", content=one, headers=PNG) for one in digits[:20]]
            early = [client.post("/predict?exit=0.3", content=one, headers=PNG) for one in digits[:20]]
            found = await asyncio.gather(*plain, *early)
            return found, (await client.get("/metrics")).text

    found, figures = asyncio.run(ask())
    assert {one.status_code for one in found} == {200}
    batches = int(re.search(r"^spikewise_batch_images_count (\d+)$", figures, re.MULTILINE).group(1))
    assert batches < 10  # of 40 requests, of two kinds
    assert f'spikewise_images_total{{model="{run.folder.name}"}} 40\n' in figures
    with_early = int(re.search(r"^spikewise_steps_total\{.*\} (\d+)$", figures, re.MULTILINE).group(1))
    taken = sum(one.json()["answers"][0]["steps"] for one in found[20:])
    assert with_early == 20 * 6 + taken
    for one, alone in zip(found[:20], expected(run, digits[:20]), strict=True):
        answer = one.json()["answers"][0]
        assert answer["label"] == alone["label"]
        # a sum over another number of images may differ in its last bit
        assert answer["probabilities"] == pytest.approx(alone["probabilities"], rel=1e-6)


def expected(run, images):
    from spikewise.api import answer_records, incoming, load

    model = load(run.folder, device="cpu")
    return [answer_records(model, [incoming(model, "x", one)])[0] for one in images]


def test_metrics_are_what_prometheus_reads(serving, digits):
    with serving() as client:
        client.post("/predict", content=digits[0], headers=PNG)
        client.post("/predict", content=b"x", headers=PNG)
        client.get("/nothing")
        found = client.get("/metrics")
    assert found.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = found.text.splitlines()
    assert 'spikewise_requests_total{route="/predict",status="200"} 1' in lines
    assert 'spikewise_requests_total{route="/predict",status="400"} 1' in lines
    assert 'spikewise_requests_total{route="unknown",status="404"} 1' in lines
    line = re.compile(r'^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"\n]*",?)+\})? [0-9.e+-]+)$')
    assert [one for one in lines if not line.match(one)] == []
    buckets = [int(one.split()[1]) for one in lines if one.startswith("spikewise_request_seconds_bucket")]
    assert buckets == sorted(buckets)
    assert f"spikewise_request_seconds_count {buckets[-1]}" in lines
    resident = next(float(one.split()[1]) for one in lines if one.startswith("spikewise_resident_bytes"))
    assert 2**20 < resident < 2**40


def test_the_description_names_every_path_and_the_models(run, serving):
    with serving() as client:
        found = client.get("/openapi.json").json()
        routes = {route.path for route in client.app.routes}
    pages = {"/", "/upload", "/openapi.json"}
    versioned = {path for path in routes if "/versions/" in path}
    assert set(found["paths"]) == routes - pages - versioned
    models = next(one for one in found["paths"]["/predict"]["post"]["parameters"] if one["name"] == "model")
    assert models["schema"]["enum"] == [run.folder.name]
    assert "#/components/schemas/Answer" in str(found)


def test_the_page_is_the_exported_one_or_one_to_upload_to(run, serving, tmp_path):
    folder = tmp_path / "<b>run"
    shutil.copytree(run.folder, folder)
    with serving(folder) as client:
        upload = client.get("/")
        assert "Classify an image" in upload.text
        assert "&lt;b&gt;run" in upload.text
        assert "<b>run" not in upload.text
        assert not re.search(r'(src|href)="https?:', upload.text)
        page = folder / "exports" / "snn-0-html" / "network.html"
        page.parent.mkdir(parents=True)
        page.write_text("<!doctype html><title>the exported page</title>")
        assert "the exported page" in client.get("/").text
        assert "Classify an image" in client.get("/upload").text
        policy = client.get("/").headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert client.get("/?model=none").status_code == 404

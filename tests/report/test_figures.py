"""A run folder holds the report's figures as files."""

from xml.etree import ElementTree

import pytest
from fake import artifacts as fake_artifacts
from fake import results as fake_results
from PIL import Image

from spikewise.report import write_report


@pytest.mark.parametrize("publishable", [True, False])
def test_figures_are_drawn_for_every_network_and_show_no_private_image(publishable, tmp_path):
    results, artifacts = fake_results(data={"publishable": publishable}), fake_artifacts()
    results.save(tmp_path / "results.json")
    artifacts.save(tmp_path / "artifacts.npz")
    write_report(tmp_path)
    figures = tmp_path / "figures"
    drawn = {path.stem for path in figures.glob("*.svg")}
    assert {f"confusion-{network.name}" for network in results.networks} <= drawn
    assert {"answer", "curve-validation_accuracy", "rates", "costs", "membrane-0", "evidence-0"} <= drawn
    for path in figures.glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
    assert (figures / "samples.png").exists() == publishable
    assert (figures / "encoded-0.gif").exists() == publishable
    if publishable:
        with Image.open(figures / "encoded-0.gif") as gif:
            assert gif.n_frames > 1

"""What the control says of a lead follows from three differences, and claims no more than they do."""

import numpy as np
import pytest
from test_verdict import answering, network

from spikewise.evaluation import compare_all
from spikewise.evaluation.noise import noise_sentences


def told(rights: dict[str, float], *, noisy_as: str | None = None) -> list[str]:
    """Sentences for networks that are right on the first share of 2,000 images, or as another one is."""
    labels = np.arange(2_000) % 2
    shares = {name: np.arange(2_000) < round(share * 2_000) for name, share in rights.items()}
    if noisy_as is not None:
        shares["twin-noise"] = shares[noisy_as]
    roles = {"snn": "spiking", "twin": "twin", "twin-noise": "baseline"}
    sides = [answering(name, labels, np.stack([right] * 3)) for name, right in shares.items()]
    main = ("snn", "twin") if "twin" in shares else None
    pairs = compare_all(sides, labels, main=main)
    return noise_sentences([network(one.name, roles[one.name], one, labels) for one in sides], pairs)


def test_a_lead_that_the_noise_takes_is_said_to_be_gone():
    first, second = told({"snn": 0.95, "twin": 0.90, "twin-noise": 0.0}, noisy_as="snn")
    assert first.startswith(
        "With the noise that the spikes bring, the same network without spikes reaches 95.00 %, 5.00 points more than "
        "without it (difference +5.00 points, 95 % interval +"
    )
    assert first.endswith("significant).")
    assert second.startswith("Against it the spiking network's lead is gone (difference 0.00 points")
    assert second.endswith("not significant): the noise may be all that the lead came from.")


def test_a_lead_that_outlives_it_is_said_to():
    _, second = told({"snn": 0.95, "twin": 0.90, "twin-noise": 0.91})
    assert second.startswith("The spiking network leads that one, too (difference +4.00 points")
    assert second.endswith("significant): the noise alone is not what the lead comes from.")


def test_without_a_lead_there_is_none_to_explain():
    first, second = told({"snn": 0.90, "twin": 0.95, "twin-noise": 0.94})
    assert "1.00 points less than without it (difference −1.00 points" in first
    assert second.startswith("The spiking network is 4.00 points below it (difference −4.00 points")


def test_without_the_control_nothing_is_said():
    assert told({"snn": 0.95, "twin": 0.90}) == []


@pytest.mark.parametrize("names", [("snn", "twin-noise"), ("twin", "twin-noise"), ("twin-noise",)])
def test_any_of_the_others_may_be_missing(names):
    shares = {"snn": 0.95, "twin": 0.9, "twin-noise": 0.92}
    found = told({name: shares[name] for name in names})
    assert "reaches 92.00 %" in found[0]
    assert len(found) == 1 + ("snn" in names)

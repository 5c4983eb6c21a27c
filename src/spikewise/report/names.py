"""What the page calls a network where a person reads it first; tables further down have the run's own names."""

from typing import Final

from spikewise.evaluation import NetworkResult, Results

__all__ = ["called", "title"]

_CALLED: Final = {
    "snn": "spiking network",
    "twin": "same network without spikes",
    "twin-noise": "same network without spikes, noisy input",
    "cnn": "small CNN",
}


def title(network: NetworkResult) -> str:
    """A network's name at the head of a row: `Spiking network`; a preset's own name stays as it is."""
    words = _CALLED.get(network.name, network.name)
    return words[:1].upper() + words[1:] if network.name in _CALLED else words


def called(results: Results, name: str) -> str:
    """A network inside a sentence: `the spiking network`; a preset's own name stays as it is."""
    network = next((one for one in results.networks if one.name == name), None)
    return name if network is None or name not in _CALLED else f"the {_CALLED[name]}"

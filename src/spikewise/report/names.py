"""What the first screen calls a network; tables further down have the run's own names."""

from spikewise.evaluation import NetworkResult
from spikewise.evaluation.wording import called, capital

__all__ = ["title"]


def title(network: NetworkResult) -> str:
    """A network's name at the head of a row: `Spiking network`; a preset's own name stays as it is."""
    words = called(network.name)
    return network.name if words == f"'{network.name}'" else capital(words.removeprefix("the "))

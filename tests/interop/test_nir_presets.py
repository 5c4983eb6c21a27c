"""Every preset leaves as NIR and comes back to the bit, or is refused by the layer that NIR cannot say."""

import numpy as np
import pytest
import torch
from tests.interop.networks import images_for

from spikewise.errors import ConfigError
from spikewise.experiments import resolve
from spikewise.experiments.request import preset_names
from spikewise.interop.deployed import deploy
from spikewise.interop.nir.files import read_graph, save_graph
from spikewise.interop.nir.notes import notes_of
from spikewise.interop.nir.restoring import restored
from spikewise.interop.nir.runtime import NirRuntime
from spikewise.interop.nir.writing import to_nir
from spikewise.interop.runtime import Here
from spikewise.models import build
from spikewise.network import Network

pytest.importorskip("nir", reason="nir is not installed: pip install 'spikewise[nir]'")
SHAPE, CLASSES = (1, 28, 28), 10
REFUSED = {
    "emnist-cnn": "activation1",
    "fashion-alif": "alif1",
    "fashion-alif-tuned": "alif1",
    "fashion-cnn": "activation1",
    "fingers-cnn": "activation1",
    "mnist-alif": "alif1",
    "mnist-alif-tuned": "alif1",
    "pneumonia-conv": "max_pool1",
    "xray-hybrid": "spiking_activation1",
    "xray-relu": "activation1",
}


def graph_of_preset(name):
    experiment = resolve(preset=name)
    classes = 2 if name.startswith(("pneumonia", "xray")) else CLASSES
    model, encoder = experiment.network(SHAPE)
    return build(model, encoder, experiment.readout, image_shape=SHAPE, classes=classes)


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_comes_back_to_the_bit_or_is_refused_by_name(name, tmp_path):
    deployed = deploy(Network(graph_of_preset(name)).eval())
    if name in REFUSED:
        with pytest.raises(ConfigError, match=f"Layer {REFUSED[name]} "):
            to_nir(deployed)
        return
    save_graph(to_nir(deployed), tmp_path / "network.nir")
    graph = read_graph(tmp_path / "network.nir")
    notes = notes_of(graph)
    back = restored(graph, notes)
    assert back.graph == deployed.graph
    assert all(torch.equal(back.weights[key].detach(), value) for key, value in deployed.weights.items())
    images = images_for(deployed.graph, 2)
    ours, theirs = Here(deployed.network())(images), NirRuntime(graph, notes)(images)
    apart = [np.mean(ours.spikes[layer] != theirs.spikes[layer]) for layer in ours.spikes]
    assert max(apart) < 1e-3  # real weights, summed in another order

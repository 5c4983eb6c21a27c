"""Other libraries as oracles: their numbers for the same equations. Their imports warn, so they happen inside tests."""

import pytest
import torch


@pytest.fixture
def currents():
    """Currents [T, B, F] under which a LIF neuron fires now and then and never jumps by a whole threshold of 1."""
    rng = torch.Generator().manual_seed(0)
    return (0.9 * torch.rand(50, 2, 6, generator=rng) - 0.1).requires_grad_()


@pytest.fixture
def weights():
    """What the spikes and membranes are worth in the loss whose gradient is compared."""
    return torch.randn(2, 50, 2, 6, generator=torch.Generator().manual_seed(1))

"""What enters the first stage: images encoded in a kernel, or spikes and currents as they are."""

from functools import cache

import torch
from torch import Tensor

from spikewise.encoders import Delta, Direct, Encoder, Latency, Periodic, Rate, levels_there
from spikewise.engine.triton.job import DeviceSignal, Job
from spikewise.engine.triton.kernels import encode

__all__ = ["encoded", "given"]


def encoded(encoder: Encoder, images: Tensor, job: Job) -> DeviceSignal:
    """The signal of uint8 images [B, C, H, W]."""
    images = images.contiguous()
    if isinstance(encoder, Direct):
        return DeviceSignal(encoder.currents(images).unsqueeze(0), encoder.steps, exact=False)
    batch, channels, *area = images.shape
    shape = (encoder.steps, batch, encoder.channels(channels), *area)
    out = torch.empty(shape, dtype=job.operands.dtype, device=images.device)
    match encoder:
        case Rate():
            index, epoch = job.place
            encode.rate(images.flatten(1), index, epoch, job.key(0), out.flatten(2))
        case Latency() | Periodic():
            table = _table(encoder, images.device)
            encode.periodic(images.flatten(1), table, out.flatten(2), once=isinstance(encoder, Latency))
        case Delta():
            tables = _table(encoder, images.device), levels_there(images.device)
            encode.delta(images, *tables, encoder.threshold, out)
    return DeviceSignal(out, encoder.steps, exact=True)


def given(inputs: Tensor, *, learns: bool) -> DeviceSignal:
    """The signal of spikes or currents [T, B, C, H, W]; nobody says that they are exact in a narrow type."""
    steps = len(inputs)
    same = steps > 1 and inputs.stride(0) == 0 and not learns
    return DeviceSignal((inputs[:1] if same else inputs).detach().contiguous(), steps, exact=False, learns=learns)


@cache  # nothing is dropped: a recorded step goes on reading it
def _table(encoder: Latency | Periodic | Delta, device: torch.device) -> Tensor:
    """When each level spikes, or the way of the sensor; kept on the device, for a captured graph cannot fetch it."""
    if isinstance(encoder, Delta):
        return torch.tensor(encoder.path(), dtype=torch.int32).flatten().to(device)
    return encoder.spike_table().to(device=device, dtype=torch.int32)

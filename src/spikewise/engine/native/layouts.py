"""Features in the order of the graph ([c][h][w]) and of the engine ([h][w][c])."""

import math

from torch import Tensor

from spikewise.engine.native.stages import Map
from spikewise.graph import Shape

__all__ = ["engine_order", "graph_order"]


def graph_order(flat: Tensor, layout: Map, shape: Shape) -> Tensor:
    """[N, features] as the engine has them as [N, *shape]."""
    channels, height, width = layout
    if height * width == 1:
        return flat.reshape(-1, *shape)
    return flat.view(-1, height, width, channels).permute(0, 3, 1, 2).reshape(-1, *shape)


def engine_order(value: Tensor, layout: Map) -> Tensor:
    """[N, *shape] as contiguous [N, features] for the engine."""
    if layout[1] * layout[2] == 1:
        return value.reshape(-1, math.prod(layout)).contiguous()
    return value.reshape(-1, *layout).permute(0, 2, 3, 1).reshape(-1, math.prod(layout)).contiguous()

"""Training in 1 and 2 processes of one thread each: images a second, processor time of each, and the same bytes.

    python -m benchmarks.shared [--processes 1 2] [--shards 1 2] [--batches 128 256] [--epochs 4]

A fully connected network of 1,000 neurons and 25 steps, and one with convolutions and 8 steps, on noise: passes of
4,096 images; the fastest pass counts. "Against one" is against one process with the same shards, and against one
without shards. Where other work goes on beside it, processor seconds of a pass tell more than speed.
"""

import argparse
import hashlib
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

COUNT, SIDE, CLASSES = 4096, 28, 10
NETWORKS = ("mlp", "conv")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    asked.add_argument("--shards", type=int, nargs="+", default=[1, 2])
    asked.add_argument("--batches", type=int, nargs="+", default=[128, 256])
    asked.add_argument("--networks", choices=NETWORKS, nargs="+", default=NETWORKS)
    asked.add_argument("--epochs", type=int, default=4)
    asked.add_argument("--part", help="be one of the processes: network, shards, batch, epochs")
    options = asked.parse_args()
    if options.part:
        train(**json.loads(options.part))
        return
    print("| network | batch | shards | processes | images/s | against one | without shards | processor s | weights |")
    print("|---|---|---|---|---|---|---|---|---|")
    for network, batch in itertools.product(options.networks, options.batches):
        whole = 0.0
        for shards in options.shards:
            base = 0.0
            for processes in [one for one in options.processes if one <= shards]:
                part = {"network": network, "shards": shards, "batch": batch, "epochs": options.epochs}
                found = measured(processes, part)
                speed = found[0]["speed"]
                base, whole = base or speed, whole or (speed if shards == 1 else 0.0)
                against = f"{speed / whole:.2f}" if whole else ""
                spent = ", ".join(f"{one['cpu']:.2f}" for one in found)
                print(
                    f"| {network} | {batch} | {shards} | {processes} | {speed:,.0f} | {speed / base:.2f} | {against} "
                    f"| {spent} | {found[0]['weights'][:8]} |",
                    flush=True,
                )


def measured(processes: int, part: dict) -> list[dict]:
    """What each of so many processes says of its training."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = {"WORLD_SIZE": processes, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.shared", "--part", json.dumps(part)],
            env={**os.environ, **{k: str(v) for k, v in where.items()}, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    return [json.loads(process.communicate()[0]) for process in started]


def train(network: str, shards: int, batch: int, epochs: int) -> None:
    """One training, or this process's part of one."""
    import torch

    from spikewise.data import AugmentConfig, ImageSet, Split
    from spikewise.encoders import Direct, Rate
    from spikewise.losses import CrossEntropy
    from spikewise.models import MLP, Conv, build
    from spikewise.network import Network
    from spikewise.readouts import MeanMembrane
    from spikewise.training import Task, TrainConfig, fit
    from spikewise.training.group import joined
    from spikewise.training.shared_epochs import follow

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (COUNT + 64, 1, SIDE, SIDE), dtype=np.uint8)
    pixels[rng.random(pixels.shape) < 0.8] = 0  # most of a digit is dark
    labels, at = np.arange(len(pixels)) % CLASSES, np.arange(len(pixels))
    names = tuple(map(str, range(CLASSES)))
    images = ImageSet("noise", pixels, labels, names, np.full(len(pixels), -1, np.int8), "noise")
    model, encoder = (MLP(hidden=(1000,)), Rate(steps=25)) if network == "mlp" else (Conv(), Direct(steps=8))
    graph = build(model, encoder, MeanMembrane(), image_shape=images.image_shape, classes=CLASSES)
    rules = TrainConfig(epochs=epochs, batch_size=batch, shards=shards)
    task = Task(images, Split(at[:COUNT], at[COUNT:], at[:0]), CrossEntropy(), rules, AugmentConfig(), seed=0)
    speed, weights, begun = 0.0, "", time.process_time()
    with joined() as group, tempfile.TemporaryDirectory() as folder:
        if group is not None and group.rank:
            follow(group, lambda: images)
        else:
            made = Network(graph, seed=0)
            result = fit(made, task, Path(folder))
            speed = max(record.images_per_second for record in result.history)
            state = b"".join(value.numpy().tobytes() for value in made.state_dict().values())
            weights = hashlib.sha256(state).hexdigest()
    print(json.dumps({"speed": speed, "weights": weights, "cpu": (time.process_time() - begun) / epochs}))


if __name__ == "__main__":
    main()

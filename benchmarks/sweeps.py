"""Intervals of a factor's effect in a sweep against simulated truth: how often they hold it, and how wide they are.

    python -m benchmarks.sweeps [--repeats 250]

The world: the effect on a pair of trainings is that of its configuration, plus that of its seed at all configurations,
plus what is its own; all three are normal, and the true effect is zero.
"""

import argparse

import numpy as np

from spikewise.evaluation import Estimate, bootstrap_seeds_and_images
from spikewise.experiments.sweep_effects import mean_over

SIZES = ((2, 3), (4, 3), (12, 2), (12, 3), (12, 5), (100, 3))
CONFIGURATION, SEEDS = 0.5, (0.0, 0.5, 1.0)
"""Standard deviations beside that of what is a pair's own, 1."""


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--repeats", type=int, default=250)
    repeats = asked.parse_args().repeats
    print("| configurations | seeds | a seed moves all pairs by | held, width | configurations resampled alone |")
    print("|---|---|---|---|---|")
    for configurations, seeds in SIZES:
        for shared in SEEDS:
            rng, both, alone = np.random.default_rng(configurations + seeds), [], []
            for _ in range(repeats):
                effects = CONFIGURATION * rng.normal(size=(1, configurations)) + shared * rng.normal(size=(seeds, 1))
                effects = effects + rng.normal(size=(seeds, configurations))
                cluster = np.tile(np.arange(configurations), seeds)
                both.append(mean_over({(at, seed): value for (seed, at), value in np.ndenumerate(effects)}))
                alone.append(bootstrap_seeds_and_images(effects.reshape(1, -1), cluster))
            print(f"| {configurations} | {seeds} | {shared} | {_held(both)} | {_held(alone)} |", flush=True)


def _held(intervals: list[Estimate]) -> str:
    given = [(one.low, one.high) for one in intervals if one.low is not None and one.high is not None]
    held = np.mean([low <= 0 <= high for low, high in given])
    return f"{100 * held:.1f} %, {np.mean([high - low for low, high in given]):.2f}"


if __name__ == "__main__":
    main()

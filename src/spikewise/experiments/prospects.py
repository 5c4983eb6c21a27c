"""What a comparison can show, said before it is run."""

import numpy as np

from spikewise.data.resize import LARGEST_SIDE
from spikewise.evaluation.statistics import planned
from spikewise.evaluation.statistics.power import DISAGREE, SEED_SD
from spikewise.evaluation.wording import points
from spikewise.experiments.candidates import Candidate
from spikewise.experiments.setting import Setting

__all__ = ["prospects", "size_hint"]

_ALPHA = 0.05
"""Of the main pair, which does not pay for the others."""
_WORTH_SAYING = 2.0
"""Times the cost of images that are made smaller."""
_MORE = (3, 5, 10, 20)


def size_hint(setting: Setting) -> list[str]:
    """What smaller images would save, where they are large and nobody said that they shall be."""
    _, height, width = setting.images.image_shape
    times = (max(height, width) / LARGEST_SIDE) ** 2
    if setting.experiment.data.size != "auto" or times < _WORTH_SAYING:
        return []
    return [
        f"Images of {height}x{width} pixels are taken as they are: an epoch costs about {times:.0f} times what it "
        f"would with --set data.size={LARGEST_SIDE}."
    ]


def prospects(setting: Setting, candidates: list[Candidate]) -> list[str]:
    """The smallest difference that these seeds and test images can show, and what more seeds would do."""
    if len(candidates) < 2:
        return []
    seeds, index = len(setting.experiment.seeds), setting.split.test
    groups = setting.images.groups
    units = len(index) if groups is None else len(np.unique(groups[index]))
    what = f"{units:,} test {'images' if groups is None else 'subjects'}"
    if 2.0 ** (1 - units) > _ALPHA:
        return [
            f"With {what} no difference, however large, can be significant: the figures stand for these images only."
        ]
    plan = planned(units)
    if setting.experiment.imported is not None:
        return []  # it was trained once, elsewhere
    if seeds < 2:
        return ["One seed cannot tell networks from luck: give --seeds 3 or more for an answer."]
    others = [f"{points(plan.detectable(more, _ALPHA))} with {more}" for more in _MORE if more > seeds][:2]
    more = f" ({' and '.join(others)} seeds)" if others else ""
    return [
        f"With {seeds} seeds and {what} a difference of about {points(plan.detectable(seeds, _ALPHA))} points in "
        f"accuracy can show, 4 times in 5{more}. Assumed: accuracy varies by {points(SEED_SD)} point from seed to "
        f"seed, and {100 * DISAGREE:g} % of the images tell the two apart whatever the seed."
    ]

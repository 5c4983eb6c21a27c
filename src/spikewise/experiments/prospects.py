"""What a comparison can show, said before it is run."""

import numpy as np

from spikewise.evaluation.statistics import planned
from spikewise.evaluation.statistics.power import DISAGREE, SEED_SD
from spikewise.evaluation.wording import points
from spikewise.experiments.setting import Setting
from spikewise.experiments.sides import Contestant

__all__ = ["prospects"]

_ALPHA = 0.05
"""Of the main pair, which does not pay for the others."""
_MORE = (3, 5, 10, 20)


def prospects(setting: Setting, contestants: list[Contestant]) -> list[str]:
    """The smallest difference that these seeds and test images can show, and what more seeds would do."""
    if len(contestants) < 2:
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
    if seeds < 2:
        return ["One seed cannot tell networks from luck: give --seeds 3 or more for an answer."]
    others = [f"{points(plan.detectable(more, _ALPHA))} with {more}" for more in _MORE if more > seeds][:2]
    more = f" ({' and '.join(others)} seeds)" if others else ""
    return [
        f"With {seeds} seeds and {what} a difference of about {points(plan.detectable(seeds, _ALPHA))} points in "
        f"accuracy can show, 4 times in 5{more}. Assumed: accuracy varies by {points(SEED_SD)} point from seed to "
        f"seed, and {100 * DISAGREE:g} % of the images tell the two apart whatever the seed."
    ]

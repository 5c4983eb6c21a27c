"""Intervals and tests: what a difference on these seeds and these images says about other seeds and images.

Two things vary when a network is trained and tested again: the seed and the test images. Both count.

- *Images* are resampled with replacement; where subjects are known, whole subjects are. Resampling alone is too
  narrow for few units and collapses when every answer is right, so the sample is first mixed with a few imaginary
  units (Agresti and Coull 1998: two right, two wrong; Agresti and Min 2005 for differences: one half in each of the
  four cells), and the deviations are stretched by t / z * sqrt(n / (n - 1)) (Hesterberg 2015, "expanded percentile").
- *Seeds* are too few to resample: three seeds drawn with replacement understate their variance by a third and know
  nothing of the tails, and such an interval misses the truth far too often. So their part is Student's t on the
  standard deviation between seeds (S - 1 degrees of freedom; Welch 1947 for a difference), added to every resample.

The variance between seeds already holds the noise of each run's own mistakes, so that share is taken out of the
resamples; the interval is never narrower than that of the images alone. docs/statistics.md has the simulated coverage.
With one seed there is no seed part, and `Estimate.method` says so.
"""

from spikewise.evaluation.statistics.auc import (
    Areas,
    auc_difference,
    auc_interval,
    delong,
    delong_test,
    mean_auc_interval,
    one_against_rest,
)
from spikewise.evaluation.statistics.bootstrap import (
    bootstrap_metric,
    bootstrap_seeds_and_images,
    difference_from_draws,
    estimate_from_draws,
    paired_bootstrap,
    paired_difference,
)
from spikewise.evaluation.statistics.paired import (
    McNemar,
    effect_size,
    holm,
    mcnemar_exact,
    sign_flip_test,
)
from spikewise.evaluation.statistics.power import POWER, StudyDesign, planned, smallest_detectable
from spikewise.evaluation.statistics.resampling import (
    Groups,
    Resampling,
    count_units,
    image_weights,
    over_resamples,
)
from spikewise.evaluation.statistics.simple import mean_and_sd, seeds_only, wilson, wilson_estimate
from spikewise.evaluation.statistics.uncertainty import ComparedArms

__all__ = [
    "POWER",
    "Areas",
    "ComparedArms",
    "Groups",
    "McNemar",
    "Resampling",
    "StudyDesign",
    "auc_difference",
    "auc_interval",
    "bootstrap_metric",
    "bootstrap_seeds_and_images",
    "count_units",
    "delong",
    "delong_test",
    "difference_from_draws",
    "effect_size",
    "estimate_from_draws",
    "holm",
    "image_weights",
    "mcnemar_exact",
    "mean_and_sd",
    "mean_auc_interval",
    "one_against_rest",
    "over_resamples",
    "paired_bootstrap",
    "paired_difference",
    "planned",
    "seeds_only",
    "sign_flip_test",
    "smallest_detectable",
    "wilson",
    "wilson_estimate",
]

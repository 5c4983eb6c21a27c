"""The folds of the audit's probes."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from spikewise.data.audit.probe import grouped_folds


@pytest.mark.parametrize("seed", range(6))
def test_grouped_folds_are_scikit_learns(seed):
    g = np.random.default_rng(seed)
    images, classes = int(g.integers(60, 900)), int(g.integers(2, 11))
    codes = np.concatenate([np.arange(classes).repeat(5), g.integers(0, classes, images)])
    # duplicates (many units of one image) in some, patients with many images in others
    most = int(g.choice([12, images // 3, 2 * images]))
    _, units = np.unique(g.integers(0, most, len(codes)), return_inverse=True)
    folds = grouped_folds(codes, units)
    divided = StratifiedGroupKFold(5, shuffle=True, random_state=0).split(codes, codes, units)
    for number, (_, held_out) in enumerate(divided):
        assert np.array_equal(np.flatnonzero(folds == number), held_out)

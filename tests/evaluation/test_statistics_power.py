"""What a comparison could show has an answer for any spread, also where SciPy's noncentral t breaks off."""

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from spikewise.evaluation.statistics.power import _below, smallest_detectable


def test_the_tail_in_which_scipy_breaks_off_has_probabilities():
    where = np.linspace(30, 60, 4000)
    exact = scipy.special.nctdtr(38.580739551965806, where, 4.777013992694185)
    assert np.isnan(exact).any()  # else the stand-in is needed no more
    found = _below(38.580739551965806, where, 4.777013992694185)
    assert ((found >= 0) & (found < 1e-6)).all()


def test_where_scipy_has_an_answer_it_is_taken():
    where = np.linspace(0, 6, 50)
    np.testing.assert_array_equal(_below(4.0, where, 2.8), scipy.special.nctdtr(4.0, where, 2.8))


@settings(max_examples=200, deadline=None)
@given(st.floats(1, 600), st.floats(1.5, 60))
def test_every_spread_of_seeds_has_a_smallest_difference(freedom, critical):
    found = smallest_detectable(0.01, freedom, critical)
    assert np.isfinite(found)
    assert found > 0


def test_more_power_asks_for_a_larger_difference():
    small, large = (smallest_detectable(0.01, 43.77, 2.0, power=power) for power in (0.5, 0.9))
    assert small < large
    assert small == pytest.approx(0.02, rel=0.05)

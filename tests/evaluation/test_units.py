"""Every figure has the prefix that makes it short, and figures side by side share one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikewise.evaluation.units import bytes_of, energy, energy_unit, latency, quantity, unit_of


@pytest.mark.parametrize(
    ("nanojoule", "text"),
    [
        (53_788_398, "53.8 mJ"),
        (307.2, "307 nJ"),
        (1870, "1.87 µJ"),
        (999.4, "999 nJ"),
        (999.6, "1 µJ"),  # as three figures it is a thousand
        (0.0004, "400 fJ"),
        (0, "0 J"),
        (-5, "\u22125 nJ"),
        (None, "–"),
    ],
)
def test_an_energy_has_one_to_three_digits_before_the_point(nanojoule, text):
    assert energy(nanojoule) == text


def test_times_and_memory_have_prefixes_too():
    assert [latency(one) for one in (0.0512, 1.2, 8600.0, None)] == ["51.2 µs", "1.2 ms", "8.6 s", "–"]
    assert [bytes_of(one) for one in (12, 1_628_200, None)] == ["12 B", "1.63 MB", "–"]


@pytest.mark.parametrize(
    ("nanojoules", "texts"),
    [
        ((307, 1870, 5192), ("307 nJ", "1,870 nJ", "5,192 nJ")),
        ((38.8, 10.8, 15_916), ("0.0388 µJ", "0.0108 µJ", "15.9 µJ")),
        ((None, 174.3, 0.0), ("–", "174 nJ", "0 nJ")),
        ((None, None), ("–", "–")),
    ],
)
def test_figures_side_by_side_share_a_unit(nanojoules, texts):
    unit = energy_unit(nanojoules)
    assert tuple(unit.text(one) for one in nanojoules) == texts


@given(st.lists(st.floats(1e-12, 1e12), min_size=1, max_size=5))
def test_a_shared_unit_keeps_the_value_and_its_length(values):
    unit = unit_of(values, "J")
    for value in values:
        bare = unit.bare(value)
        assert float(bare.replace(",", "")) * unit.size == pytest.approx(value, rel=6e-3)
        assert len(bare.partition(".")[0].replace(",", "")) <= 4


@given(st.floats(1e-14, 1e14))
def test_a_quantity_alone_is_never_a_thousand(value):
    number = float(quantity(value, "J").split()[0])
    assert 1 <= number < 1000
    assert not math.isclose(number, 1000)

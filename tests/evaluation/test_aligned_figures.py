"""Figures with three digits: none becomes a power of ten below a thousand, and rows keep their zeros."""

import pytest

from spikewise.evaluation import wording


@pytest.mark.parametrize(("value", "text"), [(999.4, "999"), (999.7, "1,000"), (0.25, "0.25"), (12_345, "12,345")])
def test_a_figure_that_rounds_to_a_thousand_is_written_as_one(value, text):
    assert wording.brief(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.2, "0.200"),
        (0.0919, "0.0919"),
        (3, "3.00"),
        (30.1, "30.1"),
        (120, "120"),
        (999.7, "1,000"),
        (12_345, "12,345"),
    ],
)
def test_a_figure_in_a_row_of_a_table_keeps_its_zeros(value, text):
    assert wording.aligned(value) == text

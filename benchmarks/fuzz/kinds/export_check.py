"""Damaged check.json files of exports, and the check that is repeated on them."""

from collections.abc import Iterator

from benchmarks.fuzz.kinds.exports import TOGETHER, Damage, cases_of, run, run_within

__all__ = ["TOGETHER", "Damage", "cases", "run", "run_within"]


def cases(seed: int, count: int) -> Iterator[Damage]:
    return cases_of("check.json", "onnx", seed, count)

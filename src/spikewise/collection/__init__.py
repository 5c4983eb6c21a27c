"""Runs as a collection: listed, filtered, sorted, compared and exported, from an index that is renewed where stale."""

from spikewise.collection.compared import ComparedRuns, compare
from spikewise.collection.conditions import Condition, parse_condition
from spikewise.collection.gathered import Runs, runs
from spikewise.collection.summaries import RunSummary

__all__ = ["ComparedRuns", "Condition", "RunSummary", "Runs", "compare", "parse_condition", "runs"]

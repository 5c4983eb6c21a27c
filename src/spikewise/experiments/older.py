"""What older versions did where they had no setting yet: their folders and files go on meaning that."""

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["as_before", "as_recorded", "is_recorded"]

_BEFORE: Final[Mapping[str, Any]] = {"twin_gain": 1.0, "standardise": False, "train.initial": "drawn", "tuned": ()}
"""Settings that came later, by dotted key, and what was done before there were."""
_ABSENT: Final = object()
_SAME: Final[Mapping[str, tuple[Any, Any]]] = {
    "data.size": ("auto", None),
    "data.aspect": (None, _ABSENT),
    "data.levels": (None, _ABSENT),
    "data.labels": (None, _ABSENT),
    "data.columns": ({}, _ABSENT),
    "standardise": (False, _ABSENT),
    "train.initial": ("drawn", _ABSENT),
    "encoder.mean": ([], _ABSENT),
    "encoder.deviation": ([], _ABSENT),
    "quick": (False, _ABSENT),
    "tuned": ([], _ABSENT),
    "qcfs_levels": (8, _ABSENT),
    "imported": (None, _ABSENT),
    "train.shards": (1, _ABSENT),
}
"""Settings that came later or changed, the value with which an experiment is the one of before, and what stood then."""
_ALWAYS: Final = frozenset(
    ("title", "about", "data", "split", "augment", "encoder", "model", "readout", "loss", "train", "sides", "seeds")
)
"""What stands in every experiment that a run wrote down, and never all together in what a person writes."""


def is_recorded(table: Mapping[str, Any]) -> bool:
    """Whether a table is an experiment that a run or a search wrote down: such a table is complete."""
    return table.keys() >= _ALWAYS


def as_recorded(table: Mapping[str, Any]) -> dict[str, Any]:
    """A complete experiment as it was meant when it was written: what it lacks was not there to be set."""
    out = dict(table)
    for key, value in _BEFORE.items():
        above, _, last = key.rpartition(".")
        holder = out.get(above) if above else out
        if not isinstance(holder, Mapping) or last in holder:
            continue  # what is no table is named when the experiment is checked
        if above:
            out[above] = {**holder, last: value}
        else:
            out[last] = value
    return out


def as_before(table: Mapping[str, Any]) -> dict[str, Any]:
    """A complete experiment in the words of before, where it is one that could be said then.

    So an experiment that older versions knew has the identity that it had for them, and its run goes on.
    """
    out = dict(table)
    for key, (value, before) in _SAME.items():
        above, _, last = key.rpartition(".")
        holder = out.get(above) if above else out
        if isinstance(holder, Mapping) and last in holder and holder[last] == value:
            then = {name: inner for name, inner in holder.items() if name != last}
            then |= {} if before is _ABSENT else {last: before}
            out = {**out, above: then} if above else then
    return out

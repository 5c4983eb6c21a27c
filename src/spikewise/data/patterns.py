"""Regular expressions of users, within bounds: `re` may nest without end, and may backtrack for ever in a name.

Python's engine cannot be stopped, and most patterns are harmless. So what may backtrack beyond a few million steps runs
in a process of its own, which can.
"""

import json
import re
import subprocess
import sys
import warnings
from collections.abc import Sequence
from re import _constants, _parser  # type: ignore[attr-defined]  # the parse tree, which `re` does not export
from typing import Any, Final

from spikewise.errors import DataError, quoted

__all__ = ["check_pattern", "first_groups"]

_LONGEST: Final = 500
"""Characters of a pattern."""
_SECONDS: Final = 10
_HARMLESS: Final = 3
"""Repeats in a row: a name of 255 characters then takes at most 255^3 / 6 steps."""
_CHILD = """
import json, re, sys, warnings
warnings.simplefilter("ignore")
pattern, names = json.load(sys.stdin)
search = re.compile(pattern).search
json.dump([found and found[1] for found in map(search, names)], sys.stdout)
"""


def check_pattern(pattern: str) -> str:
    """The pattern, if it is a regular expression with one group.

    Raises:
        ValueError: what is wrong with it.
    """
    if len(pattern) > _LONGEST:
        raise ValueError(f"a pattern has at most {_LONGEST} characters; this one has {len(pattern):,}")
    try:
        groups = _compiled(pattern).groups
    except re.error as error:
        raise ValueError(f"not a regular expression ({error})") from None
    except (RecursionError, OverflowError, MemoryError):
        raise ValueError("not a regular expression that can be used: it repeats or nests too much") from None
    if groups != 1:
        raise ValueError(f"needs exactly one capturing group, for example '(subject[0-9]+)_'; it has {groups}")
    return pattern


def first_groups(pattern: str, names: Sequence[str]) -> list[str | None]:
    """What the pattern's group finds in each name; None where it finds nothing.

    Raises:
        DataError: it takes too long, as patterns do whose repeats are nested.
    """
    if _may_backtrack(pattern):
        return _in_a_process(pattern, names)
    search = _compiled(pattern).search
    return [found[1] if (found := search(name)) else None for name in names]


def _compiled(pattern: str) -> re.Pattern[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a "possible nested set", which is no mistake of ours to tell
        return re.compile(pattern)


def _may_backtrack(pattern: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _repeats(_parser.parse(pattern)) > _HARMLESS


def _repeats(tree: Any) -> int:  # of `re._parser`
    """Repeats that may multiply; a repeat around another counts as more than are harmless."""
    total = 0
    for operation, argument in tree:
        inner = sum(_repeats(below) for below in _below(argument))
        if operation in (_constants.MAX_REPEAT, _constants.MIN_REPEAT) and argument[1] > 1:
            inner = _HARMLESS + 1 if inner or _branches(argument[2]) else 1
        elif operation == _constants.GROUPREF:
            inner = _HARMLESS + 1
        total += inner
    return total


def _branches(tree: Any) -> bool:
    return any(
        operation == _constants.BRANCH or any(_branches(below) for below in _below(argument))
        for operation, argument in tree
    )


def _below(argument: Any) -> list[Any]:
    """The patterns within an operation's argument."""
    if isinstance(argument, _parser.SubPattern):
        return [argument]
    if isinstance(argument, tuple | list):
        return [found for part in argument for found in _below(part)]
    return []


def _in_a_process(pattern: str, names: Sequence[str]) -> list[str | None]:
    given = json.dumps([pattern, list(names)])
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _CHILD],
            input=given,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise DataError(
            f"group_pattern {quoted(pattern)} needs more than {_SECONDS} s for {len(names):,} file names: "
            "repeats within repeats, such as (a+)+, try every way to share out a name. Write it without."
        ) from None
    except (OSError, subprocess.CalledProcessError) as error:
        raise DataError(f"group_pattern {quoted(pattern)} cannot be tried on the file names ({error}).") from None
    return list(json.loads(done.stdout))

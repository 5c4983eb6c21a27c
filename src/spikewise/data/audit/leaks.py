"""Findings on images and subjects that stand in more than one place."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int8, Int64

from spikewise.data.audit.look import PARTS, Look, members
from spikewise.data.audit.records import AuditFinding, Severity, percentage
from spikewise.data.audit.subject_likeness import subject_likeness

__all__ = ["leak_findings", "near_across", "near_findings"]

_CLEAN = "Take the split that `spikewise audit DATA --fix clean.json` writes."
_MANY_NEAR = 0.01
"""Share of the test images above which near-duplicates are grave."""


class _Crossing(NamedTuple):
    """Groups of images that lie in more than one part."""

    groups: list[Int64[np.ndarray, " _"]]
    pairs: dict[str, int]
    """Groups shared by two parts: `train/test`, ..."""
    tested: int
    """Test images of groups that training or validation has, too."""


def leak_findings(look: Look) -> Iterator[AuditFinding]:
    """Duplicates, near-duplicates and subjects across the parts, and duplicates that contradict each other."""
    yield from _exact(look)
    yield from _near(look)
    yield from _subjects(look)
    yield from _contradictions(look)


def near_findings(look: Look) -> Iterator[AuditFinding]:
    """Those of them that are about near-duplicates alone."""
    yield from _near(look)
    yield from (finding for finding in _contradictions(look) if finding.check == "conflicting-near-labels")


def near_across(look: Look) -> tuple[int, int]:
    """Groups of nearly identical images in more than one part, those that are identical across parts aside; and how
    many test images are among them."""
    crossing = _near_crossing(look)
    return len(crossing.groups), crossing.tested


def _exact(look: Look) -> Iterator[AuditFinding]:
    crossing = _crossing(look, look.same)
    if crossing.groups:
        n = len(crossing.groups)
        yield AuditFinding(
            check="duplicates-across",
            severity="red" if crossing.tested else "amber",
            title=f"{_count(n, 'image stands', 'images stand')} in more than one part, pixel for pixel"
            f" ({_pairs(crossing.pairs)})",
            effect=_effect(look, crossing),
            remedy=_CLEAN,
            count=n,
            groups=look.places(crossing.groups),
        )
    within = [group for group in members(look.same) if _most_in_one_part(look, group) > 1]
    if within:
        extra = sum(len(group) - 1 for group in members(look.same))
        places = ", ".join(
            f"{name} has {len(np.unique(look.same[look.part == k])):,} distinct of {int((look.part == k).sum()):,}"
            for k, name in enumerate(PARTS)
            if len(np.unique(look.same[look.part == k])) < (look.part == k).sum()
        )
        yield AuditFinding(
            check="duplicates-within",
            severity="amber" if extra > 0.01 * len(look.labels) else "info",
            title=f"{_count(len(within), 'group', 'groups')} of identical images within a part"
            + (f" ({places})" if places else ""),
            effect="They count twice; intervals are a little too narrow where they are in the test part.",
            remedy="Remove the copies of images that occur several times; they are harmless while they stay together.",
            count=len(within),
            groups=look.places(within),
        )


def _near(look: Look) -> Iterator[AuditFinding]:
    crossing = _near_crossing(look)
    if crossing.groups:
        n, tests = len(crossing.groups), max(1, int((look.part == 2).sum()))
        severity: Severity = "red" if crossing.tested > _MANY_NEAR * tests else "amber"
        yield AuditFinding(
            check="near-duplicates-across",
            severity=severity,
            title=f"{_count(n, 'group', 'groups')} of nearly identical images in more than one part"
            f" ({_pairs(crossing.pairs)})",
            effect=f"{_effect(look, crossing)}{_changes(look, crossing)}",
            remedy=f"Look at some of the nearly identical images. {_CLEAN}",
            count=n,
            groups=look.places(crossing.groups),
        )
    across = {int(group[0]) for group in crossing.groups}
    rest = [group for group in _near_groups(look) if int(group[0]) not in across]
    if rest:
        yield AuditFinding(
            check="near-duplicates-within",
            severity="info",
            title=f"{_count(len(rest), 'group', 'groups')} of nearly identical images that stay within one part",
            effect="None while they stay together; another split could separate them.",
            remedy="Keep them together: the split of `--fix` does.",
            count=len(rest),
            groups=look.places(rest),
        )


_TURNS = ("", "turned by 90 degrees", "turned by 180 degrees", "turned by 270 degrees")
_MIRRORED = ("mirrored", "mirrored and turned by 90 degrees", "upside down", "mirrored and turned by 270 degrees")


def _changes(look: Look, crossing: _Crossing) -> str:
    """In what the copies of a crossing differ, as far as it was found by turning them round or moving them."""
    inside = {int(image) for group in crossing.groups for image in group}
    pairs = look.altered
    ways: Counter[str] = Counter()
    for at, image in enumerate(pairs.first.tolist()):
        if image in inside:
            words = [(*_TURNS, *_MIRRORED)[int(pairs.orientation[at])], "inverted" if pairs.inverted[at] else ""]
            words += ["moved or cropped" if pairs.moved[at] else "", "in other tones" if pairs.ranked[at] else ""]
            ways[", ".join(word for word in words if word) or "the same way up"] += 1
    listed = "; ".join(f"{way} {count:,}" for way, count in ways.most_common(5))
    return f" How pairs differ: {listed}." if set(ways) - {"the same way up"} else ""


def _near_groups(look: Look) -> list[Int64[np.ndarray, " _"]]:
    """Groups in which at least two different images are alike."""
    return [group for group in members(look.alike) if len(np.unique(look.same[group])) > 1]


def _near_crossing(look: Look) -> _Crossing:
    """As `_crossing`, without groups of which each image that crosses does so as an exact copy."""
    groups = []
    for group in _near_groups(look):
        _, one_each = np.unique(look.same[group], return_index=True)
        if len(set(look.part[group[one_each]]) - {-1}) > 1:
            groups.append(group)
    return _describe(look, groups)


def _subjects(look: Look) -> Iterator[AuditFinding]:
    groups = look.images.groups
    if groups is None:
        yield AuditFinding(
            check="subjects-unknown",
            severity="info",
            title="Which images show the same subject is not known",
            effect="If several images come from one person, patient or object, test accuracy may be flattered unseen.",
            remedy="If the set has subjects, say how they are named: in files with data.group_pattern, in folders with "
            "data.levels, in a table with data.labels.",
        )
        return
    crossing = _crossing(look, groups)
    if crossing.groups:
        n = len(crossing.groups)
        kin = subject_likeness(look) if crossing.tested else None
        doubt = kin is not None and kin.refuted
        effect = _subject_effect(look, crossing) + (f" {kin.describe()}" if kin else "")
        if doubt:
            effect += " So numbers were probably given anew in each part, and the subjects may be different ones."
        yield AuditFinding(
            check="subjects-across",
            severity="red" if crossing.tested and not doubt else "amber",
            title=f"{_count(n, 'subject has', 'subjects have')} images in more than one part"
            f" ({_pairs(crossing.pairs)})" + (", by their names" if doubt else ""),
            effect=effect,
            remedy="Keep the images of a subject together: split.grouped=true (the default), split.published=false "
            "if the published split is the cause, or --fix.",
            count=n,
            groups=look.places(crossing.groups),
        )
    shared = [group for group in members(look.same) if len(np.unique(groups[group])) > 1]
    if shared:
        yield AuditFinding(
            check="duplicates-of-subjects",
            severity="amber",
            title=f"{_count(len(shared), 'image is', 'images are')} filed under several subjects, pixel for pixel",
            effect="One of the subjects is wrong, so keeping subjects apart does not keep these images apart.",
            remedy="Correct or remove images that are filed under several subjects. Spikewise keeps identical images "
            "on one side whatever their subjects.",
            count=len(shared),
            groups=look.places(shared),
        )


def _contradictions(look: Look) -> Iterator[AuditFinding]:
    for check, numbers, how, severity in (
        ("conflicting-labels", look.same, "identical", "amber"),
        ("conflicting-near-labels", look.alike, "nearly identical", "info"),
    ):
        groups = [group for group in members(numbers) if len(np.unique(look.labels[group])) > 1]
        if check == "conflicting-near-labels":
            groups = [group for group in groups if len(np.unique(look.same[group])) > 1]
        if groups:
            grave = severity == "amber" and sum(map(len, groups)) > 0.05 * len(look.labels)
            yield AuditFinding(
                check=check,
                severity="red" if grave else severity,  # type: ignore[arg-type]  # one of three words
                title=f"{_count(len(groups), 'group', 'groups')} of {how} images with different labels",
                effect="No network can get all of them right; training on them teaches noise.",
                remedy="Correct labels that contradict each other, or leave the images out, as `--fix` does.",
                count=len(groups),
                groups=look.places(groups),
            )


def _crossing(look: Look, numbers: Int64[np.ndarray, " N"]) -> _Crossing:
    inside = np.flatnonzero(look.part >= 0)
    presence = _presence(numbers[inside], look.part[inside])
    names = np.unique(numbers[inside])[presence.sum(axis=1) > 1]
    return _describe(look, members(numbers, names.tolist()))


def _describe(look: Look, groups: Sequence[Int64[np.ndarray, " _"]]) -> _Crossing:
    sides = [set(look.part[group].tolist()) for group in groups]
    pairs = {f"{PARTS[a]}/{PARTS[b]}": sum({a, b} <= parts for parts in sides) for a, b in ((0, 1), (0, 2), (1, 2))}
    tested = sum(
        int((look.part[group] == 2).sum()) for group, parts in zip(groups, sides, strict=True) if parts & {0, 1}
    )
    return _Crossing(list(groups), pairs, tested)


def _presence(numbers: Int64[np.ndarray, " M"], part: Int8[np.ndarray, " M"]) -> Bool[np.ndarray, "U 3"]:
    names, inverse = np.unique(numbers, return_inverse=True)
    seen = np.zeros((len(names), 3), np.bool_)
    seen[inverse, part] = True
    return seen


def _most_in_one_part(look: Look, group: Int64[np.ndarray, " _"]) -> int:
    part = look.part[group]
    return int(np.bincount(part[part >= 0]).max(initial=0)) if look.part.max() >= 0 else len(group)


def _effect(look: Look, crossing: _Crossing) -> str:
    if crossing.tested:
        tests = int((look.part == 2).sum())
        share = crossing.tested / tests
        return (
            f"{crossing.tested:,} of {tests:,} test images ({percentage(share)} %) have their like in training or "
            "validation; "
            f"a network that remembers gains up to {percentage(share)} points of accuracy."
        )
    return "The test part is not reached, so only what is chosen on validation is flattered."


def _subject_effect(look: Look, crossing: _Crossing) -> str:
    if not crossing.tested:
        return _effect(look, crossing)
    tests = int((look.part == 2).sum())
    return (
        f"{crossing.tested:,} of {tests:,} test images ({percentage(crossing.tested / tests)} %) are of subjects that "
        "training "
        "or validation has, too; what the test measures is not how new subjects fare, which is usually worse."
    )


def _pairs(pairs: dict[str, int]) -> str:
    return ", ".join(f"{pair} {count:,}" for pair, count in pairs.items() if count)


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"

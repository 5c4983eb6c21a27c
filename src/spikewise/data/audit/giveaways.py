"""Findings on what gives a label, a part of the split or an origin away."""

from collections.abc import Iterator, Sequence

from spikewise.data.audit.records import Finding, Gravity, Probe

__all__ = ["giveaway_findings"]

_REFERENCE = "4 x 4 pixels"
_GRAVE, _STRONG, _ORIGIN, _SHIFT = 0.9, 0.6, 0.8, 0.2
"""Skills: grave and strong for the label; for an origin; for a part of the split."""
_SURE = 1e-3
_MEANT = frozenset({"file size", "mean and contrast", "file name"})
"""Clues that often follow from what the images show, or that no network sees: never grave."""


def giveaway_findings(probes: Sequence[Probe]) -> Iterator[Finding]:
    """One finding for each clue to the label, one for each origin and for the shift between parts."""
    for probe in probes:
        if probe.target == "label" and probe.clue != _REFERENCE and _tells(probe, _STRONG):
            yield _label(probe)
    for target in dict.fromkeys(probe.target for probe in probes if probe.target not in ("label", "part")):
        yield from _origin([probe for probe in probes if probe.target == target])
    yield from _shift([probe for probe in probes if probe.target == "part"])
    for probe in probes:
        if probe.target == "label" and probe.clue == _REFERENCE:
            yield Finding(
                check="coarse-reference",
                gravity="info",
                title=f"16 grey areas (4 x 4 pixels) alone tell the label with {_score(probe)}",
                effect="A yardstick: what a network must beat to have learnt more than where an image is bright.",
                probe=probe,
            )


def _label(probe: Probe) -> Finding:
    meant = probe.clue in _MEANT
    gravity: Gravity = "amber" if meant or not _tells(probe, _GRAVE) else "red"
    name = probe.clue == "file name"
    if name:
        gravity = "info"
    effect = (
        "Networks do not see file names; but classes that are named differently often come from different sources."
        if name
        else "A network may learn this instead of what the images are about, and fail on images of another origin."
    )
    return Finding(
        check=f"label-from-{_slug(probe.clue)}",
        gravity=gravity,
        title=f"{_capital(probe.clue)} alone {_verb(probe.clue)} the label with {_score(probe)}",
        effect=effect,
        remedy="" if name else _remedy(probe.clue),
        probe=probe,
    )


def _remedy(clue: str) -> str:
    if clue in ("border pixels", "corner pixels"):
        return "Look at the borders of each class: frames, marks or padding; crop them off if they are not the subject."
    if clue == "mean and contrast":
        return "Judge whether brightness belongs to the classes; if not, make it alike before training."
    return "Bring the files of all classes to one kind (program, colour mode, size, compression), then audit again."


def _origin(probes: Sequence[Probe]) -> Iterator[Finding]:
    best = max(probes, key=lambda probe: probe.skill)
    if not _tells(best, _ORIGIN):
        return
    clues = [probe for probe in probes if _tells(probe, _ORIGIN)]
    listed = ", ".join(f"{probe.clue} ({probe.score:.2f})" for probe in clues)
    yield Finding(
        check="origin-from-file",
        gravity="amber",
        title=f"{_capital(listed)} {'tell' if len(clues) > 1 else _verb(best.clue)} the {best.target}",
        effect="The folders were not made in the same way. As long as folders are not what is classified, it only "
        "shows that mixing them brings a shortcut in; where they are, accuracy says nothing.",
        remedy="Convert all images to one colour mode, size and format before comparing or mixing these folders.",
        probe=best,
    )


def _shift(probes: Sequence[Probe]) -> Iterator[Finding]:
    if not probes:
        return
    best = max(probes, key=lambda probe: probe.skill)
    if _tells(best, _SHIFT):
        yield Finding(
            check="parts-differ",
            gravity="amber",
            title=f"{_capital(best.clue)} {_verb(best.clue)} test images from training images with {_score(best)}",
            effect="The parts were not drawn alike: validation says less of the test, in either direction.",
            remedy="Say beside the result that the parts differ, or divide all images anew with split.published=false.",
            probe=best,
        )
        return
    yield Finding(
        check="parts-alike",
        gravity="info",
        title=f"No probe tells test from training images well (best: {best.clue}, {_score(best)})",
        effect="The parts look as if they were drawn alike.",
        probe=best,
    )


def _tells(probe: Probe, skill: float) -> bool:
    return probe.skill >= skill and probe.p < _SURE


def _score(probe: Probe) -> str:
    p = "p < 0.001" if probe.p < 1e-3 else f"p = {probe.p:.3f}"
    return f"balanced accuracy {probe.score:.2f} (chance {probe.chance:.2f}, {p})"


def _verb(clue: str) -> str:
    return "tell" if " and " in clue or clue.endswith("pixels") else "tells"


def _slug(clue: str) -> str:
    return clue.replace(" x ", "x").replace(" and ", "-").replace(" ", "-")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

"""Findings on what gives a label, a part of the split or an origin away."""

from collections.abc import Iterator, Sequence

from spikewise.data.audit.look import Look
from spikewise.data.audit.marks import Mark
from spikewise.data.audit.records import AuditFinding, Probe, Severity

__all__ = ["mark_findings", "shortcut_findings"]

_REFERENCE = "4 x 4 pixels"
_EASY = " So much from so little means that the classes are easy, or marked: look at some images of each."
_GRAVE, _STRONG, _ORIGIN, _SHIFT = 0.9, 0.6, 0.8, 0.2
"""Skills: grave and strong for the label; for an origin; for a part of the split."""
_SURE = 1e-3
_LISTED, _SHOWN = 5, 20
"""Fields of metadata and images with a mark that are named."""
_MEANT = frozenset(
    {"file size", "mean and contrast", "sharpness and noise", "grey levels used", "colour balance", "opacity"}
)
"""Clues that often follow from what the images show: never grave."""
_TEXTURE, _BEYOND = frozenset({"sharpness and noise", "grey levels used", "colour balance"}), 0.03
"""Clues that are only odd where they tell more than where an image is bright: shapes differ in sharpness, too."""
_NAMES = frozenset({"file name", "number in the file name"})
_METADATA = ("metadata (", "colours under transparency")
"""Clues that no network sees: never grave, and of names a mere fact."""
_PLAIN, _MARKED = 0.15, 0.25
"""What a mark tells beyond its surroundings, and what cannot be a part of the subject any more."""
_CERTAIN, _LIKELY = 0.8, 0.5
"""Skills of marks: for grave, for worth knowing."""


def shortcut_findings(probes: Sequence[Probe]) -> Iterator[AuditFinding]:
    """One finding for each clue to the label, one for each origin and for the shift between parts."""
    coarse = max((probe.score for probe in probes if (probe.target, probe.clue) == ("label", _REFERENCE)), default=0.0)
    strong = [probe for probe in probes if probe.target == "label" and _tells(probe, _STRONG)]
    strong = [probe for probe in strong if probe.clue not in _TEXTURE or probe.score >= coarse + _BEYOND]
    for probe in strong:
        if probe.clue != _REFERENCE and not probe.clue.startswith(_METADATA):
            yield _label(probe)
    yield from _metadata([probe for probe in strong if probe.clue.startswith(_METADATA)])
    for target in dict.fromkeys(probe.target for probe in probes if probe.target not in ("label", "part")):
        yield from _origin([probe for probe in probes if probe.target == target])
    yield from _shift([probe for probe in probes if probe.target == "part"])
    for probe in probes:
        if probe.target == "label" and probe.clue == _REFERENCE:
            yield AuditFinding(
                check="coarse-reference",
                severity="info",
                title=f"16 grey areas (4 x 4 pixels) alone tell the label with {_score(probe)}",
                effect="A yardstick: what a network must beat to have learnt more than where an image is bright."
                + (_EASY if probe.skill >= _GRAVE else ""),
                probe=probe,
            )


def _label(probe: Probe) -> AuditFinding:
    meant = probe.clue in _MEANT
    severity: Severity = "amber" if meant or not _tells(probe, _GRAVE) else "red"
    name = probe.clue in _NAMES
    if name:
        severity = "info"
    effect = (
        "Networks do not see file names; but classes that are named differently often come from different sources."
        if name
        else "A network may learn this instead of what the images are about, and fail on images of another origin."
    )
    return AuditFinding(
        check=f"label-from-{_slug(probe.clue)}",
        severity=severity,
        title=f"{_capital(probe.clue)} alone {_verb(probe.clue)} the label with {_score(probe)}",
        effect=effect,
        remedy="" if name else _remedy(probe.clue),
        probe=probe,
    )


def _metadata(probes: Sequence[Probe]) -> Iterator[AuditFinding]:
    if not probes:
        return
    best = max(probes, key=lambda probe: probe.skill)
    ranked = sorted(probes, key=lambda probe: -probe.skill)
    listed = ", ".join(f"{_field(probe.clue)} ({probe.score:.2f})" for probe in ranked[:_LISTED])
    more = f" and {len(ranked) - _LISTED} more" if len(ranked) > _LISTED else ""
    yield AuditFinding(
        check="label-from-metadata",
        severity="amber",
        title=f"What the files say besides their pixels tells the label: {listed}{more}; best: {_score(best)}",
        effect="Networks do not see it here, but the files of the classes were made differently (camera, program, "
        "time, hand), and the pixels may show that, too. Other programs may read it.",
        remedy="Write all files with one program that drops metadata and transparency, then audit again.",
        count=len(ranked),
        probe=best,
    )


def _field(clue: str) -> str:
    return clue.removeprefix("metadata (").removesuffix(")")


def mark_findings(look: Look, marks: Sequence[Mark]) -> Iterator[AuditFinding]:
    """The strongest mark, and which images have it."""
    known = [mark for mark in marks if _severity(mark) is not None]
    if not known:
        return
    best = max(known, key=lambda mark: (_severity(mark) == "red", mark.probe.score + mark.gain))
    severity = _severity(best)
    assert severity is not None
    name = best.probe.target.removeprefix("class ")
    steady = " (one grey level in nearly all)" if best.constant else ""
    yield AuditFinding(
        check="label-from-mark",
        severity=severity,
        title=f"{_capital(best.probe.clue)} alone tell the images of {name}{steady} from the others with "
        f"{_score(best.probe)}; what surrounds them, with {best.around:.2f}",
        effect="No part of a subject is so small and so certain: a mark, a defect of one device or a trace of "
        "editing. A network learns it first of all, and fails on images without it.",
        remedy="Look at the named pixels in images of each class; paint them over in all images or crop them off.",
        count=len(best.holders),
        groups=look.places(best.holders[:_SHOWN, None]),
        probe=best.probe,
    )


def _severity(mark: Mark) -> Severity | None:
    """Grave where it cannot be the subject; none where it may well be."""
    skill, certain = mark.probe.skill, mark.probe.p < _SURE
    if certain and skill >= _CERTAIN and (mark.constant or mark.gain >= _MARKED):
        return "red"
    return "amber" if certain and skill >= _LIKELY and (mark.constant or mark.gain >= _PLAIN) else None


def _remedy(clue: str) -> str:
    if clue in ("border pixels", "corner pixels"):
        return "Look at the borders of each class: frames, marks or padding; crop them off if they are not the subject."
    if clue == "mean and contrast":
        return "Judge whether brightness belongs to the classes; if not, make it alike before training."
    if clue in _MEANT - {"file size"}:
        return (
            "Judge whether the classes differ so by nature; if not, treat them alike (focus, scaling, saving, light)."
        )
    return "Bring the files of all classes to one kind (program, colour mode, size, compression), then audit again."


def _origin(probes: Sequence[Probe]) -> Iterator[AuditFinding]:
    best = max(probes, key=lambda probe: probe.skill)
    if not _tells(best, _ORIGIN):
        return
    clues = [probe for probe in probes if _tells(probe, _ORIGIN)]
    listed = ", ".join(f"{probe.clue} ({probe.score:.2f})" for probe in clues)
    yield AuditFinding(
        check="origin-from-file",
        severity="amber",
        title=f"{_capital(listed)} {'tell' if len(clues) > 1 else _verb(best.clue)} the {best.target}",
        effect="The folders were not made in the same way. As long as folders are not what is classified, it only "
        "shows that mixing them brings a shortcut in; where they are, accuracy says nothing.",
        remedy="Convert all images to one colour mode, size and format before comparing or mixing these folders.",
        probe=best,
    )


def _shift(probes: Sequence[Probe]) -> Iterator[AuditFinding]:
    if not probes:
        return
    best = max(probes, key=lambda probe: probe.skill)
    if _tells(best, _SHIFT):
        yield AuditFinding(
            check="parts-differ",
            severity="amber",
            title=f"{_capital(best.clue)} {_verb(best.clue)} test images from training images with {_score(best)}",
            effect="The parts were not drawn alike: validation says less of the test, in either direction.",
            remedy="Say beside the result that the parts differ, or divide all images anew with split.published=false.",
            probe=best,
        )
        return
    yield AuditFinding(
        check="parts-alike",
        severity="info",
        title=f"No probe tells test from training images well (best: {best.clue}, {_score(best)})",
        effect="The parts look as if they were drawn alike.",
        probe=best,
    )


def _tells(probe: Probe, skill: float) -> bool:
    return probe.skill >= skill and probe.p < _SURE


def _score(probe: Probe) -> str:
    p = "p < 0.001" if probe.p < 1e-3 else f"p = {probe.p:.3f}"
    interval = "" if probe.low is None or probe.high is None else f", 95 % interval {probe.low:.2f} to {probe.high:.2f}"
    return f"balanced accuracy {probe.score:.2f} (chance {probe.chance:.2f}{interval}, {p})"


def _verb(clue: str) -> str:
    return "tell" if " and " in clue or clue.endswith(("pixels", "used")) else "tells"


def _slug(clue: str) -> str:
    return clue.replace(" x ", "x").replace(" and ", "-").replace(" ", "-")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

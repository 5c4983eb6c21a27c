"""`audit`: look for everything that would flatter a result on a set; kept, so that a second look costs nothing."""

import contextlib
import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spikewise import __version__
from spikewise.data.audit.clues import file_clues, folder_targets, metadata_clues, name_clues, pixel_clues, targets
from spikewise.data.audit.files import FileFacts, read_facts
from spikewise.data.audit.health import health_findings
from spikewise.data.audit.leaks import leak_findings, near_across, near_findings
from spikewise.data.audit.look import PARTS, Look, look_at
from spikewise.data.audit.marks import find_marks
from spikewise.data.audit.near import RATIO
from spikewise.data.audit.probe import Clue, run_probes
from spikewise.data.audit.records import SEVERITIES, Audit, AuditFinding, Nearness, Probe, leaks
from spikewise.data.audit.sample import DrawnImages, look_at_all, sample_of, sampled_finding
from spikewise.data.audit.shortcuts import mark_findings, shortcut_findings
from spikewise.data.cache import Progress
from spikewise.data.folder import list_folder
from spikewise.data.image_set import ImageSet, Split
from spikewise.data.locate import cache_folder
from spikewise.errors import DataError, StorageError
from spikewise.files import make_folder

__all__ = ["audit", "file_facts"]

_VERSION = 3
"""Of the checks: a change makes the audits that are kept worthless."""


def audit(
    images: ImageSet,
    split: Split | None = None,
    *,
    root: Path | None = None,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    altered_among: int | None = None,
) -> Audit:
    """Look for leaks, shortcuts and damage in a set and its split.

    Args:
        split: The parts to look at; none leaves out what is about parts.
        root: Folder that `images.sources` are relative to; none leaves out what is about files.
        cache_dir: Where audits are kept; default $SPIKEWISE_CACHE, then the user's cache folder.
        progress: Called with what is being done, how much is done, and how much there is.
        altered_among: Images among which altered copies (turned, inverted, moved) are looked for, which takes longest;
            None is all. An audit that looked among all is taken where there is one.

    Of more than 100,000 images, a part is looked at closely (`sample`), and a finding says so.

    Returns:
        Findings, the worst first. An audit of the same images, split and files is read back.
    Raises:
        DataError: `root` cannot be read.
    """
    cache = cache_folder(cache_dir)
    sample = sample_of(images, split)
    closely = images if sample is None else sample.images
    facts = file_facts(closely, root, cache, progress, all_files=sample is None)
    if altered_among is not None and len(closely) <= altered_among:
        altered_among = None
    whole = cache / f"{_key(images, split, facts)}.audit.json"
    path = (
        whole
        if altered_among is None
        else whole.with_name(f"{whole.name.partition('.')[0]}-{altered_among}.audit.json")
    )
    for kept in (whole, path):
        with contextlib.suppress(DataError):
            return Audit.load(kept)
    found = _audit(images, split, _Close(sample, facts, altered_among), cache, progress or _ignore)
    with contextlib.suppress(StorageError):  # the audit is worth more than its cache
        make_folder(cache)
        found.save(path)
    return found


def file_facts(
    images: ImageSet, root: Path | None, cache: Path, progress: Progress | None = None, *, all_files: bool = True
) -> list[FileFacts]:
    """The headers of all image files below the set's folder; none where the images come from no files.

    Args:
        all_files: False reads those of the set alone.
    """
    if root is None or images.sources is None:
        return []
    files = list_folder(root).images if all_files else list(images.sources)
    return read_facts(root, files, cache, progress)


class _Close(NamedTuple):
    """What is looked at closely."""

    sample: DrawnImages | None
    """None: all images."""
    facts: Sequence[FileFacts]
    altered_among: int | None


def _audit(images: ImageSet, split: Split | None, close: _Close, cache: Path, tell: Progress) -> Audit:
    started = time.perf_counter()
    tell("looking for duplicates", 0, 0)
    sample, facts, altered_among = close
    if sample is None:
        look = look_at(images, split, facts, cache=cache, altered_among=altered_among)
        whole, leaks = look, [*leak_findings(look)]
    else:
        whole = replace(look_at_all(images, split), facts=facts)
        look = look_at(sample.images, sample.split, facts, cache=cache, altered_among=altered_among)
        look = replace(look, origin=sample.positions)
        leaks = [*leak_findings(whole), *near_findings(look), *sampled_finding(len(images), len(sample.images))]
    tell("looking for what gives the label away", 0, 0)
    probes = list(_probes(look))
    marks = find_marks(look)
    findings = [*leaks, *mark_findings(look, marks), *shortcut_findings(probes)]
    findings += health_findings(whole, images.damaged)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    near, (across, tested) = look.near, near_across(look)
    return Audit(
        name=images.name,
        fingerprint=images.fingerprint,
        images=len(images),
        closely=None if sample is None else len(sample.images),
        parts=None if split is None else {name: len(part) for name, part in zip(PARTS, split, strict=True)},
        subjects=None if images.groups is None else len(np.unique(images.groups)),
        verdict=_verdict(findings),
        findings=tuple(findings),
        probes=(*probes, *(mark.probe for mark in marks[:1])),
        nearness=Nearness(
            ratio=RATIO,
            neighbour=near.neighbour,
            candidates=near.candidates,
            pairs=len(near.first),
            altered_candidates=look.altered.compared,
            altered=len(look.altered.first),
            altered_images=look.altered_among,
        ),
        near_across=across,
        near_tested=tested,
        seconds=time.perf_counter() - started,
        spikewise_version=__version__,
    )


def _probes(look: Look) -> Iterator[Probe]:
    clues = pixel_clues(look.images)
    names: list[Clue] = []
    if look.facts and look.images.sources is not None:
        at = {one.file: one for one in look.facts}
        own = [at.get(file, FileFacts(file, 0, "", "", 0, "", 0, 0)) for file in look.images.sources]
        clues += file_clues(own)
        names = [*metadata_clues(own), *name_clues(look.images.sources)]
    for target in targets(look):
        yield from run_probes(target, clues)
        if target.name == "label":
            yield from _worth_keeping(run_probes(target, names))
    for target in folder_targets(look.facts, look.images):
        yield from run_probes(target, file_clues(look.facts))


def _worth_keeping(probes: Sequence[Probe]) -> list[Probe]:
    """Without fields of metadata that tell nothing: files have dozens."""
    return [probe for probe in probes if not probe.clue.startswith("metadata") or probe.skill >= 0.2]


def _verdict(findings: Sequence[AuditFinding]) -> str:
    grave = [finding for finding in findings if finding.severity == "red"]
    known = sum(finding.severity == "amber" for finding in findings)
    others = f" Besides, {_things(known)} worth knowing." if known else ""
    if grave:
        return f"Do not trust figures from this split: {'; '.join(finding.title for finding in grave)}.{others}"
    if known:
        first = "The split leaks, but not gravely" if leaks(findings) else "No grave leak was found"
        return f"{first}; {_things(known)} worth knowing before believing a figure."
    return "Nothing was found that would flatter a result."


def _things(count: int) -> str:
    return "one thing is" if count == 1 else f"{count} things are"


def _key(images: ImageSet, split: Split | None, facts: Sequence[FileFacts]) -> str:
    digest = hashlib.sha256(repr((_VERSION, __version__, images.name, images.fingerprint, images.classes)).encode())
    for part in split or ():
        digest.update(b"part" + part.astype("<i8").tobytes())
    if images.groups is not None:
        digest.update(b"groups" + images.groups.astype("<i8").tobytes())
    digest.update(repr((images.sources, images.damaged, images.cautions, [tuple(one) for one in facts])).encode())
    return digest.hexdigest()[:32]


def _ignore(what: str, done: int, total: int) -> None:
    del what, done, total

"""What is known to be odd about the real sets, found by the audit alone; skipped where the sets are not."""

from pathlib import Path

import pytest

from spikewise.api.auditing import open_audit
from spikewise.data.audit import Audit
from spikewise.experiments import resolve

pytestmark = pytest.mark.real


def audited(real_data: Path, name: str, *settings: str) -> Audit:
    return open_audit(resolve(name, overrides=settings), data_dir=real_data).audit()


def test_fingerprints_under_several_subjects_a_frame_and_two_kinds_of_files(real_data: Path):
    found = audited(real_data, "socofing")
    assert found.count("red") == 0  # subjects are kept together by default
    assert found.find("duplicates-of-subjects").count == 11
    subjects = {place.file.split("/")[-1].split("__")[0] for place in found.find("duplicates-of-subjects").groups[0]}
    assert subjects == {"203", "219", "249", "260", "64"}
    assert "top 1" in found.find("frame").title
    assert "left 1" in found.find("frame").title
    assert "Bit depth and colour mode (1.00)" in found.find("origin-from-file").title
    assert "103x96 5,956, 298x241 44" in found.find("mixed-sizes").title


def test_a_random_split_of_fingerprints_puts_people_on_both_sides(real_data: Path):
    found = audited(real_data, "socofing", "split.grouped=false")
    assert found.find("subjects-across").severity == "red"


def test_altered_prints_are_told_by_their_bit_depth(real_data: Path):
    found = audited(real_data, "socofing", "data.target=altered", "data.subjects=60")
    shortcut = found.find("label-from-bit-depth-colour-mode")
    assert shortcut.severity == "red"
    assert shortcut.probe.score > 0.99


def test_chest_xrays_share_patient_names_across_parts_and_files_within(real_data: Path):
    found = audited(real_data, "chest-xray", "data.size=64", "data.grey=true")
    subjects = found.find("subjects-across")
    assert "train/test" in subjects.title
    assert "given anew" in subjects.effect  # images of one number are as unlike as strangers across the parts
    assert found.find("duplicates-within").count == 30
    assert found.find("duplicates-across") is None


def test_pneumoniamnist_leaks_eight_images_into_validation(real_data: Path):
    found = audited(real_data, "pneumoniamnist")
    assert "train/validation 8)" in found.find("duplicates-across").title
    within = found.find("duplicates-within").title
    assert "train has 4,690 distinct of 4,708" in within
    assert "test has 621 distinct of 624" in within
    assert found.nearness.pairs == 0

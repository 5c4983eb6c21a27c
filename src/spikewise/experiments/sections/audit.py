"""The section on what would flatter a result on these images."""

from spikewise.experiments.sections.study import SectionResult, Study

__all__ = ["make"]


def make(study: Study) -> SectionResult:
    """Leaks, shortcuts and damage in the images and their split; made before the training, and read back here."""
    return SectionResult(study.setting.audit())

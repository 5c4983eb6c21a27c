"""The section on what would flatter a result on these images."""

from spikewise.experiments.sections.study import Made, Study

__all__ = ["make"]


def make(study: Study) -> Made:
    """Leaks, giveaways and damage in the images and their split; made before the training, and read back here."""
    return Made(study.setting.audit())

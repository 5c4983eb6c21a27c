"""What was tried to find a network's learning rate, so that a reader sees that every candidate had the same chance."""

from pydantic import Field

from spikewise.evaluation.record import Count, Many, Number, Record

__all__ = ["RateTrial", "Tuning"]


class RateTrial(Record):
    """A short training with one learning rate, judged on validation images."""

    learning_rate: float = Field(gt=0)
    cross_entropy: Number
    """On the validation images, in nats, after its best epoch; null where it diverged."""
    accuracy: Number
    """On the same images after the same epoch."""
    seconds: float
    failure: str = ""
    """Why it has no figures, where it diverged."""


class Tuning(Record):
    """The learning rate of a network, and how it was found."""

    tuned: bool
    """Whether it was chosen on validation images; else it was given."""
    learning_rate: float = Field(gt=0)
    """With which every seed was trained, at the top of the schedule."""
    trials: Many[RateTrial] = ()
    """By learning rate; with the first seed."""
    whole: Many[RateTrial] = ()
    """Whole trainings of the two best rates, where short trainings were too short to tell them apart."""
    updates: Count = 0
    """Of each trial, with the whole schedule in them."""
    images: Count = 0
    """Validation images on which they were judged."""
    seconds: float = 0.0
    """Of all trials together; a whole training that stays as the first seed's is none."""
    why: str = ""
    """Why it was not tuned, where it could have been."""

"""Rules: from what was measured in one training to what is wrong with it, before anything is tried.

A cause hides what follows from it: a network whose input is silent also has silent neurons, and says so once.
"""

import math
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from spikewise.evaluation.diagnosis.activity import MOST
from spikewise.evaluation.results import EpochRecord
from spikewise.evaluation.sections.diagnosis import FindingCode, LayerHealth, SeedDiagnosis, Severity
from spikewise.evaluation.wording import percent

__all__ = ["Facts", "Objective", "Symptom", "find_symptoms"]

_QUIET_START, _BUSY = 0.01, 0.4
"""Mean rates of a layer: below the first it starts too quiet, above the second too busy."""
_FAR_ABOVE: Final = 10.0
"""Membranes at so many thresholds: the reset does not bring them back."""
_IDLE: Final = 0.25
_WINDOW_SERIOUS, _WINDOW_LOW = 1e-3, 1e-2
_STILL: Final = 0.02
"""Relative change of all weights below which they have hardly moved."""
_FEW_UPDATES, _MOVING = 50, 1e-3
"""After fewer updates, weights that have moved that much may yet go far."""
_FAR: Final = 1.0
"""Relative change above which nothing is left of the start."""
_VERY_FAR: Final = 3.0
_VANISHED, _EXPLODED = 1e-3, 1e4
"""Gradient at the first third of the steps over that at the last third."""
_LOST_IN_DEPTH: Final = 1e-4
_GAP: Final = 0.05
_FELL: Final = 0.9
"""Last over first objective above which nothing was gained."""

Objective = Literal["cross_entropy", "changed", "other"]


class Facts(NamedTuple):
    """All that is known about one training."""

    network: str
    seed: SeedDiagnosis
    history: Sequence[EpochRecord]
    stopped_early: bool
    validation_images: int
    updates: int
    """Steps of the optimizer in one epoch."""
    chance: float
    """Accuracy of the most frequent class."""
    chance_loss: float
    """Cross-entropy of answering with the shares of the classes, in nats."""
    linear: float | None
    output: str | None = None
    """Name of the output layer, if its spikes are the answer."""
    unread: str | None = None
    """Name of the output layer, if it spikes and only its membranes are read: it may be silent."""
    objective: Objective = "cross_entropy"
    """What was minimised. "changed": cross-entropy with smoothing, class weights or a penalty. "other": a loss that may
    fall while the cross-entropy of softmax(logits) rises, such as one of spike counts."""
    elsewhere: bool = False
    """Whether it was trained elsewhere: how it began and went is not known, and `history` is what it knows now."""


class Symptom(NamedTuple):
    """Something that was noticed; `code` is a `FindingCode`, or "layer_quiet" or "layer_busy", whose cause is open."""

    code: FindingCode | str
    severity: Severity
    layer: str | None
    text: str
    evidence: dict[str, float]


def find_symptoms(facts: Facts) -> list[Symptom]:
    """What is wrong with one training, causes before what follows from them."""
    read = tuple(layer for layer in facts.seed.layers if layer.layer != facts.unread)
    facts = facts._replace(seed=facts.seed.model_copy(update={"layers": read}))
    if facts.elsewhere:
        seen = _silent_input(facts) or _chance(facts)
        return [*([seen] if seen else _worse_than_linear(facts)), *_dead_units(facts)]
    root = _not_finite(facts) or _silent_input(facts) or _thrown_away(facts)
    root = root or _quiet_layer(facts) or _busy_layer(facts)
    root = root or _rate_too_high(facts) or _changed_in_training(facts) or _surrogate(facts) or _rate_too_low(facts)
    root = root or _chance(facts)
    found = [root] if root else [*_gradients(facts), *_worse_than_linear(facts)]
    if root is None or root.severity != "serious":
        found += _curves(facts)
    found += [*_dead_units(facts), *_idle(facts, root), *_unfinished(facts)]
    return found


def _not_finite(facts: Facts) -> Symptom | None:
    bad = [one.epoch for one in facts.history if one.train_loss is None or one.validation_loss is None]
    if not bad:
        return None
    text = f"The loss of epoch {bad[0]} is not a number."
    return Symptom("not_finite", "serious", None, text, {"epoch": float(bad[0])})


def _silent_input(facts: Facts) -> Symptom | None:
    silent = facts.seed.input.silent_images
    if silent <= 0.01:
        return None
    text = f"The encoder sends nothing at all for {percent(silent)} of the images."
    evidence = {"silent_images": silent, "input_events": facts.seed.input.events}
    return Symptom("input_silent", "serious" if silent > MOST else "warning", None, text, evidence)


def _quiet_layer(facts: Facts) -> Symptom | None:
    for layer in facts.seed.layers:
        if layer.dead > MOST and layer.rate_before_training is not None and layer.rate_before_training < _QUIET_START:
            code = "outputs_silent" if layer.layer == facts.output else "layer_quiet"
            which = "output neurons" if layer.layer == facts.output else "neurons"
            text = f"{percent(layer.dead)} of the {which} of {layer.layer} never spike, and it was so before training."
            return Symptom(code, "warning" if _learned(facts) else "serious", layer.layer, text, _activity(layer))
    return None


def _busy_layer(facts: Facts) -> Symptom | None:
    for layer in facts.seed.layers:
        before = layer.rate_before_training
        if before is None or before < _BUSY or max(layer.rate, layer.saturated) < _BUSY:
            continue
        far = layer.membrane_high is not None and layer.membrane_high > _FAR_ABOVE
        text = (
            f"The neurons of {layer.layer} spike at {percent(layer.rate)} of the steps, and it was so before training."
        )
        if far:
            text += f" Their membranes reach {layer.membrane_high:.3g} thresholds: the reset has no effect."
        serious = far or layer.saturated > MOST
        return Symptom("layer_busy", "serious" if serious else "warning", layer.layer, text, _activity(layer))
    return None


def _changed_in_training(facts: Facts) -> Symptom | None:
    for layer in facts.seed.layers:
        before = layer.rate_before_training
        if before is None or max(layer.dead, layer.saturated) <= MOST:
            continue
        died = layer.dead > MOST
        text = (
            f"{percent(max(layer.dead, layer.saturated))} of the neurons of {layer.layer} "
            f"{'never spike' if died else 'spike at nearly every step'}; before training its rate was "
            f"{percent(before, 1)}."
        )
        code = "died_in_training" if died else "saturated_in_training"
        # Many neurons may fall silent in a network that has learned: it then needs fewer than it has.
        return Symptom(code, "warning" if _learned(facts) else "serious", layer.layer, text, _activity(layer))
    return None


def _surrogate(facts: Facts) -> Symptom | None:
    for layer in facts.seed.layers:
        if layer.window is None or layer.passed is None or layer.window >= _WINDOW_LOW or layer.dead > MOST:
            continue
        text = (
            f"The surrogate of {layer.layer} lets hardly any gradient through: {percent(layer.window, 2)} of the "
            "membranes lie where it passes a tenth of its peak or more."
        )
        evidence = {"window": layer.window, "passed": layer.passed, "rate": layer.rate}
        severity: Severity = "serious" if layer.window < _WINDOW_SERIOUS else "warning"
        return Symptom("surrogate_too_narrow", severity, layer.layer, text, evidence)
    return None


def _rate_too_high(facts: Facts) -> Symptom | None:
    losses = _entropies(facts)
    change = max(facts.seed.weight_change.values(), default=0.0)
    rose = _rose(facts)
    spoilt = change > _VERY_FAR and _changed_in_training(facts) is not None
    if change < _FAR or not (rose or spoilt):
        return None
    text = (
        f"The cross-entropy in training rose to {max(losses, default=0):.3g} (guessing gives {facts.chance_loss:.3g}), "
        f"and the weights moved away by {change:.3g} times their length at the start."
    )
    changed = _changed_in_training(facts)
    if changed is not None:
        text += f" {changed.text}"
    evidence = {"cross_entropy": max(losses, default=0.0), "chance_loss": facts.chance_loss, "weight_change": change}
    # Answers that are often right and a loss worse than guessing's: the network is as sure of its errors.
    learned = _learned(facts) and bool(losses) and losses[-1] < facts.chance_loss
    return Symptom("learning_rate_too_high", "warning" if learned else "serious", None, text, evidence)


def _thrown_away(facts: Facts) -> Symptom | None:
    """A rate so high that what a layer did before training explains nothing any more."""
    change = max(facts.seed.weight_change.values(), default=0.0)
    return _rate_too_high(facts) if change > _VERY_FAR and _rose(facts) else None


def _rose(facts: Facts) -> bool:
    losses = _entropies(facts)
    above = bool(losses) and (max(losses) > 2 * facts.chance_loss or losses[-1] > 1.1 * facts.chance_loss)
    return above and (facts.objective != "other" or not _gained(facts))


def _rate_too_low(facts: Facts) -> Symptom | None:
    losses = _entropies(facts)
    change = max(facts.seed.weight_change.values(), default=0.0)
    if not losses or change > _STILL or losses[-1] < 0.9 * facts.chance_loss or _learned(facts):
        return None
    updates = facts.updates * len(losses)
    evidence = {"cross_entropy": losses[-1], "chance_loss": facts.chance_loss, "weight_change": change}
    if updates < _FEW_UPDATES and change > _MOVING:
        text = f"Training ended after {updates} updates, and the cross-entropy is that of guessing."
        return Symptom("too_few_epochs", "serious", None, text, {"updates": float(updates), **evidence})
    text = (
        f"After {len(losses)} epochs the cross-entropy in training is {losses[-1]:.3g}, where guessing gives "
        f"{facts.chance_loss:.3g}, and the weights have moved by {percent(change, 2)} of their length only."
    )
    return Symptom("learning_rate_too_low", "serious", None, text, evidence)


def _chance(facts: Facts) -> Symptom | None:
    best = _best_accuracy(facts)
    if not facts.history or best > _luck(facts):
        return None
    evidence = {"validation_accuracy": best, "chance": facts.chance, "answers": float(facts.seed.answers)}
    chance = percent(facts.chance, 1)
    text = f"Validation accuracy is {percent(best, 1)}; always giving the most frequent class makes {chance}."
    if facts.linear is not None and facts.linear <= _luck(facts):
        text += (
            f" A linear classifier on the pixels reaches {percent(facts.linear, 1)}: the labels say nothing that "
            "it can learn."
        )
        return Symptom("nothing_to_learn", "serious", None, text, {**evidence, "linear": facts.linear})
    if facts.linear is not None:
        evidence["linear"] = facts.linear
        text += f" A linear classifier on the pixels reaches {percent(facts.linear, 1)}."
    return Symptom("not_learning", "serious", None, text, evidence)


def _gradients(facts: Facts) -> list[Symptom]:
    out: list[Symptom] = []
    spiking = [layer for layer in facts.seed.layers if len(layer.gradient_norms) >= 3]
    for layer in spiking:
        third = max(1, len(layer.gradient_norms) // 3)
        first, last = sum(layer.gradient_norms[:third]), sum(layer.gradient_norms[-third:])
        if first + last == 0:
            continue
        ratio = first / last if last else math.inf
        evidence = {"first_third": first / third, "last_third": last / third}
        words = f"The gradient at the first third of the steps of {layer.layer} is {ratio:.2g} times that at the last"
        if ratio < _VANISHED:
            text = f"{words}: what happens early hardly changes what is learned."
            out.append(Symptom("gradient_vanishes_through_time", "warning", layer.layer, text, evidence))
        elif ratio > _EXPLODED:
            out.append(Symptom("gradient_explodes_through_time", "warning", layer.layer, f"{words}.", evidence))
    if len(spiking) > 1:
        first, last = (sum(layer.gradient_norms) for layer in (spiking[0], spiking[-1]))
        if last and first / last < _LOST_IN_DEPTH:
            text = f"The gradient of {spiking[0].layer} is {first / last:.2g} times that of {spiking[-1].layer}."
            evidence = {"first_layer": first, "last_layer": last}
            out.append(Symptom("gradient_vanishes_through_layers", "warning", spiking[0].layer, text, evidence))
    return out


def _worse_than_linear(facts: Facts) -> list[Symptom]:
    best = _best_accuracy(facts)
    if facts.linear is None or not facts.history or facts.linear - best < max(0.03, 3 * _scatter(facts, facts.linear)):
        return []
    linear = percent(facts.linear, 1)
    text = f"A linear classifier on the pixels reaches {linear} on validation, this network {percent(best, 1)}."
    return [Symptom("worse_than_linear", "warning", None, text, {"linear": facts.linear, "validation_accuracy": best})]


def _curves(facts: Facts) -> list[Symptom]:
    if not facts.history:
        return []
    out: list[Symptom] = []
    last = facts.history[-1]
    gap = (last.train_accuracy or 0.0) - (last.validation_accuracy or 0.0)
    losses = [one.validation_loss for one in facts.history if one.validation_loss is not None]
    rise = losses[-1] / min(losses) if losses and min(losses) > 0 else 1.0
    if gap > 2 * _GAP or (gap > _GAP and rise > 1.1):
        text = (
            f"Training accuracy ends at {percent(last.train_accuracy or 0, 1)}, validation accuracy at "
            f"{percent(last.validation_accuracy or 0, 1)}; the validation loss ends at {rise:.2f} times its lowest."
        )
        out.append(Symptom("overfitting", "warning", None, text, {"gap": gap, "validation_loss_rise": rise}))
    elif len(losses) >= 3 and not facts.stopped_early and losses[-1] < 0.95 * losses[-2]:
        text = f"The validation loss still fell by {percent(1 - losses[-1] / losses[-2])} in the last epoch."
        out.append(Symptom("too_few_epochs", "note", None, text, {"fall": 1 - losses[-1] / losses[-2]}))
    return out


def _dead_units(facts: Facts) -> list[Symptom]:
    return [
        Symptom(
            "dead_units",
            "warning",
            layer.layer,
            f"{percent(layer.dead)} of the units of {layer.layer} are zero for every examined image.",
            {"dead": layer.dead},
        )
        for layer in facts.seed.layers
        if layer.rate_before_training is None and layer.dead > MOST
    ]


def _idle(facts: Facts, root: Symptom | None) -> list[Symptom]:
    blamed = root is not None and root.severity == "serious"
    return [
        Symptom(
            "some_neurons_idle",
            "note",
            layer.layer,
            f"{percent(layer.dead)} of the neurons of {layer.layer} never spike on the validation images.",
            _activity(layer),
        )
        for layer in facts.seed.layers
        if not blamed and layer.rate_before_training is not None and _IDLE < layer.dead <= MOST
    ]


def _unfinished(facts: Facts) -> list[Symptom]:
    done, planned = facts.seed.epochs_run, facts.seed.epochs
    if done >= planned or facts.stopped_early:
        return []
    text = f"Training stopped after {done} of {planned} epochs" + (
        ": what is shown is the network at its start." if not done else "."
    )
    return [Symptom("unfinished", "warning", None, text, {"epochs_run": float(done), "epochs": float(planned)})]


def _activity(layer: LayerHealth) -> dict[str, float]:
    figures = {
        "dead": layer.dead,
        "saturated": layer.saturated,
        "rate": layer.rate,
        "rate_before_training": layer.rate_before_training,
        "membrane_high": layer.membrane_high,
    }
    return {name: value for name, value in figures.items() if value is not None}


def _entropies(facts: Facts) -> list[float]:
    """Cross-entropy in training after each epoch: what can be held against guessing, whatever was minimised.

    Older histories have it only where it was the objective; else that of the validation images stands in.
    """
    found = []
    for one in facts.history:
        older = one.train_loss if facts.objective == "cross_entropy" else one.validation_loss
        found.append(older if one.train_cross_entropy is None else one.train_cross_entropy)
    return [one for one in found if one is not None]


def _gained(facts: Facts) -> bool:
    """Whether the objective fell in training; after a single epoch, whether much was learned."""
    objective = [one.train_loss for one in facts.history if one.train_loss is not None]
    return objective[-1] < _FELL * objective[0] if len(objective) > 1 else _learned(facts)


def _best_accuracy(facts: Facts) -> float:
    return max((one.validation_accuracy or 0.0 for one in facts.history), default=0.0)


def _learned(facts: Facts) -> bool:
    """Half of the way from guessing to perfect: what is wrong then costs something, and does not forbid learning."""
    return _best_accuracy(facts) > (1 + facts.chance) / 2


def _luck(facts: Facts) -> float:
    """Accuracy that guessing exceeds less than once in a thousand times."""
    return facts.chance + 3.1 * _scatter(facts, facts.chance)


def _scatter(facts: Facts, share: float) -> float:
    return math.sqrt(share * (1 - share) / max(facts.validation_images, 1))

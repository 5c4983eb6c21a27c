"""Remedies: for each symptom its cause, found by trials where it is open, and the setting that mends it."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, cast

import torch

from spikewise import engine
from spikewise.engine import RunOptions
from spikewise.evaluation.diagnosis import Symptom, distance_from_threshold, slope_that_passes
from spikewise.evaluation.sections.diagnosis import FindingCode, NetworkFinding
from spikewise.evaluation.wording import percent
from spikewise.experiments.trials import SettingTrials, setting_of_layer
from spikewise.models import MLP, Conv
from spikewise.shell import word

__all__ = ["find_cause", "finding_of"]

_PASSED: Final = 0.25
"""Share of the gradient that an advised surrogate lets through."""
_ENOUGH_UPDATES: Final = 300
_SHORT_MEMORY: Final = 0.5
_SMALL_GAIN, _LARGE_GAIN = 0.34, 3.0
_USUAL_BETA, _USUAL_GAIN, _USUAL_THRESHOLD = 0.9, 1.0, 1.0
_SEARCHED: Final = "let the learning rate be looked for (train.learning_rate=auto)."
_BY_HAND: Final = "This model is written out layer by layer: change it in model.sequence of the experiment file."


class _Remedy(NamedTuple):
    code: FindingCode
    advice: str
    settings: tuple[str, ...] = ()
    evidence: Mapping[str, float] = {}


def find_cause(symptom: Symptom, trials: SettingTrials, seeds: Sequence[int]) -> NetworkFinding:
    """The finding that a symptom amounts to.

    Args:
        trials: of the first training that has it.
        seeds: the trainings that have it.
    """
    remedy = _REMEDIES[symptom.code](symptom, trials)
    found = finding_of(symptom._replace(code=remedy.code), trials.candidate.name, seeds, remedy.advice)
    update = {"evidence": {**symptom.evidence, **remedy.evidence}, "settings": remedy.settings}
    return found.model_copy(update=update)


def finding_of(symptom: Symptom, network: str, seeds: Sequence[int], advice: str) -> NetworkFinding:
    """A symptom as a finding, with advice in words and no setting; its code must be a `FindingCode`."""
    return NetworkFinding(
        code=cast("FindingCode", symptom.code),
        severity=symptom.severity,
        network=network,
        layer=symptom.layer,
        seeds=tuple(seeds),
        text=symptom.text,
        evidence=symptom.evidence,
        advice=advice,
        settings=(),
    )


def _quiet(symptom: Symptom, trials: SettingTrials) -> _Remedy:
    layer, prefix = _place(symptom, trials)
    output = symptom.code == "outputs_silent"
    if prefix is None:
        code: FindingCode = "outputs_silent" if output else "threshold_too_high"
        by_hand = _Remedy(code, f"Lower its threshold or raise its weights. {_BY_HAND}")
        return _balanced(symptom, trials, "weights_too_small") or by_hand
    beta = trials.current(f"{prefix}.beta")
    if beta is not None and beta <= _SHORT_MEMORY:
        forgets = f"With beta {beta:g} a neuron forgets its input at once, and no single step reaches the threshold. "
        key = f"{prefix}.beta={_USUAL_BETA}"
        rate = trials.wakes(layer, key)
        if rate is not None:
            advice = f"{forgets}With beta {_USUAL_BETA} {_starts(rate)}"
            return _Remedy("leak_too_strong", advice, (key,), {"rate_then": rate})
        found = trials.value_for_rate(f"{prefix}.threshold", layer, [key])
        if found is not None:
            value, rate = found
            advice = f"{forgets}With beta {_USUAL_BETA} and threshold {value:g} {_starts(rate)}"
            settings = (key, f"{prefix}.threshold={value:g}")
            return _Remedy("leak_too_strong", advice, settings, {"rate_then": rate})
    gain = trials.current("model.init.gain")
    if gain is not None and gain < _SMALL_GAIN:
        key = f"model.init.gain={_USUAL_GAIN:g}"
        rate = trials.wakes(layer, key)
        if rate is not None:
            advice = f"The weights start too small. With a gain of {_USUAL_GAIN:g} {_starts(rate)}"
            return _Remedy("weights_too_small", advice, (key,), {"rate_then": rate})
    if trials.current(f"{prefix}.threshold") == _USUAL_THRESHOLD:  # else that is what is unusual
        remedy = _balanced(symptom, trials, "outputs_silent" if output else "weights_too_small")
        if remedy is not None:
            return remedy
    return _threshold(symptom, trials, "outputs_silent" if output else "threshold_too_high", "Lower")


def _balanced(symptom: Symptom, trials: SettingTrials, code: FindingCode) -> _Remedy | None:
    """Weights balanced on the training images, where they were left as drawn and that is what the layer lacks."""
    experiment, settings = trials.experiment, ["train.initial=balanced"]
    if experiment.train.initial == "balanced" or symptom.layer is None:
        return None
    if not experiment.standardise and trials.takes_currents:
        settings.append("standardise=true")
    rate = trials.wakes(symptom.layer, *settings)
    if rate is None:
        return None
    too = " and pixels standardised" if len(settings) > 1 else ""
    advice = (
        f"Weights as drawn do not suit these images. With weights balanced{too} by the training images {_starts(rate)}"
    )
    return _Remedy(code, advice, tuple(settings), {"rate_then": rate})


def _busy(symptom: Symptom, trials: SettingTrials) -> _Remedy:
    layer, prefix = _place(symptom, trials)
    if prefix is None:
        by_hand = _Remedy("threshold_too_low", f"Raise its threshold. {_BY_HAND}")
        return _balanced(symptom, trials, "weights_too_large") or by_hand
    gain = trials.current("model.init.gain")
    if gain is not None and gain > _LARGE_GAIN:
        key = f"model.init.gain={_USUAL_GAIN:g}"
        rate = trials.wakes(layer, key)
        if rate is not None:
            advice = f"The weights start too large. With a gain of {_USUAL_GAIN:g} {_starts(rate)}"
            return _Remedy("weights_too_large", advice, (key,), {"rate_then": rate})
    if trials.current(f"{prefix}.threshold") == _USUAL_THRESHOLD:
        remedy = _balanced(symptom, trials, "weights_too_large")
        if remedy is not None:
            return remedy
    return _threshold(symptom, trials, "threshold_too_low", "Raise")


def _threshold(symptom: Symptom, trials: SettingTrials, code: FindingCode, verb: str) -> _Remedy:
    """The threshold (or, for Izhikevich neurons, the gain) at which the layer starts at the target rate."""
    layer, prefix = _place(symptom, trials)
    assert prefix is not None
    name = "threshold" if trials.current(f"{prefix}.threshold") is not None else "gain"
    key = f"{prefix}.{name}"
    now, found = trials.current(key), trials.value_for_rate(key, layer)
    if found is None or now is None:
        words = "No threshold brings the layer to a useful rate: look at its input, the biases and beta."
        return _Remedy(code, words)
    value, rate = found
    factor = value / now if name == "threshold" else now / value
    said = f"{verb} its threshold from {now:g} to {value:g}" if name == "threshold" else f"Set its gain to {value:g}"
    advice = f"{said} (or scale its weights by {1 / factor:.3g}): {_starts(rate)}"
    return _Remedy(code, advice, (f"{key}={value:g}",), {"threshold_factor": factor, "rate_then": rate})


def _silent_input(symptom: Symptom, trials: SettingTrials) -> _Remedy:
    key = "encoder.threshold"
    now = trials.current(key)
    bright = float((trials.batch.images > 0).float().mean())
    if now is None:
        return _Remedy("input_silent", "The images are dark: look at them with `spikewise data`, or add encoder.steps.")
    values = [float(f"{now / 2**k:.2g}") for k in range(12)]
    for value in values:
        active = trials.active_pixels([f"{key}={value}"])
        if active >= bright / 2:
            advice = (
                f"Lower the encoder's threshold from {now:g} to {value:g}: {percent(active)} of the inputs are then "
                f"active (measured; {percent(bright)} of the pixels are not black)."
            )
            return _Remedy("input_silent", advice, (f"{key}={value:g}",), {"active_then": active})
    advice = "No threshold is low enough: give it more steps, so that dark pixels spike before the end."
    return _Remedy("input_silent", advice, (f"encoder.steps={2 * trials.candidate.graph.steps}",))


def _surrogate(symptom: Symptom, trials: SettingTrials) -> _Remedy:
    layer, prefix = _place(symptom, trials)
    network = trials.network([])
    network.eval()
    at = next(one for one in network.graph.named if one.name == layer)
    inputs = network.encode(trials.batch.images, trials.batch.draw)
    options = RunOptions(record=frozenset([layer]))
    with torch.no_grad():
        result = engine.run(network.graph, network.weights, inputs, trials.batch.draw, options, "reference")
    surrogate = getattr(getattr(at.layer, "dynamics", None), "surrogate", None)
    distance = distance_from_threshold(at, network.weights, result.traces[layer])
    found = None if surrogate is None else slope_that_passes(surrogate, distance, _PASSED)
    if found is None:
        key = f"{prefix}.surrogate.kind=atan"
        return _Remedy("surrogate_too_narrow", "Use a wider surrogate.", (key,) if prefix else ())
    name, value, passed = found
    advice = (
        f"Widen the surrogate: with {name} {value:g} it passes {percent(passed)} of the gradient at the membranes with "
        "which the network starts (measured)."
    )
    if prefix is None:
        return _Remedy("surrogate_too_narrow", f"{advice} {_BY_HAND}", (), {"passed_then": passed})
    settings = (f"{prefix}.surrogate.{name}={value:g}",)
    return _Remedy("surrogate_too_narrow", advice, settings, {"passed_then": passed})


def _learning_rate(symptom: Symptom, trials: SettingTrials) -> _Remedy:
    code: FindingCode = symptom.code  # type: ignore[assignment]  # one of the two that lead here
    now = trials.learning_rate
    steps = trials.learning_rates()
    best = min(steps, key=lambda step: step.loss, default=None)
    if best is None:
        return _Remedy(code, "No learning rate gives a finite loss: look at the images and the weights.")
    right_way = best.learning_rate < now if code == "learning_rate_too_high" else best.learning_rate > now
    value = best.learning_rate if right_way else now * (0.1 if code == "learning_rate_too_high" else 10)
    advice = f"Set the learning rate to {value:g} instead of {now:g}."
    evidence = {f"loss_with_{step.learning_rate:g}": step.loss for step in steps}
    if right_way:
        advice += f" In a trial of 12 updates it brought the loss to {best.loss:.3g}, the lowest of {len(steps)} rates."
    return _Remedy(code, advice, _rate(trials, value), evidence)


def _rate(trials: SettingTrials, value: float) -> tuple[str, ...]:
    """The settings that give a candidate another learning rate, and leave the others theirs where it was looked for."""
    others = [side for side in trials.experiment.tuned if side != trials.candidate.kind]
    given = f"train.learning_rate={value:g}"
    return (given, f"tuned={json.dumps(others)}") if others else (given,)


def _not_finite(symptom: Symptom, trials: SettingTrials) -> _Remedy:
    del symptom
    value = trials.learning_rate / 10
    advice = "Lower the learning rate and limit the gradient."
    return _Remedy("not_finite", advice, (*_rate(trials, value), "train.gradient_clip=1.0"))


def _changed(symptom: Symptom, trials: SettingTrials) -> _Remedy:
    code: FindingCode = symptom.code  # type: ignore[assignment]  # one of the two that lead here
    value = trials.learning_rate / 10
    if trials.experiment.rate_penalty is not None and code == "died_in_training":
        strength = trials.experiment.rate_penalty.strength / 10
        return _Remedy(
            code, "The penalty on spikes silences the layer: weaken it.", (f"rate_penalty.strength={strength:g}",)
        )
    advice = "Training drove the layer there: lower the learning rate"
    advice += ", or add a penalty that keeps rates in a range." if trials.candidate.role == "spiking" else "."
    return _Remedy(code, advice, _rate(trials, value))


def _no_information(symptom: Symptom, trials: SettingTrials) -> _Remedy:
    del symptom
    command = f"spikewise audit {word(trials.experiment.data.source)}"
    advice = f"Check that labels belong to their images: `{command}`. Labels that were shuffled look so."
    return _Remedy("nothing_to_learn", advice)


def _not_learning(symptom: Symptom, trials: SettingTrials) -> _Remedy:
    del symptom
    train = trials.experiment.train
    epochs = 4 * train.epochs if train.epochs != "auto" else 40
    rates = "try other learning rates." if trials.setting.is_tuned(trials.candidate) else _SEARCHED
    return _Remedy("not_learning", f"Give it more epochs, and {rates}", (f"train.epochs={epochs}",))


def _linear(symptom: Symptom, trials: SettingTrials) -> _Remedy:
    remedy = _not_learning(symptom, trials)
    advice = "A network should not lose against it: train longer, or with another learning rate."
    return _Remedy("worse_than_linear", advice, remedy.settings)


def _overfitting(symptom: Symptom, trials: SettingTrials) -> _Remedy:
    del symptom
    model = trials.experiment.model
    settings = ["augment.shift=2"] if trials.experiment.augment.shift == 0 else []
    if isinstance(model, MLP | Conv) and model.hidden and model.dropout == 0:
        settings.insert(0, "model.dropout=0.3")
    advice = "It learns its training images by heart: use dropout, augmentation, a smaller model.width or more images."
    return _Remedy("overfitting", advice, tuple(settings))


def _epochs(symptom: Symptom, trials: SettingTrials) -> _Remedy:
    epochs = trials.experiment.train.epochs
    assert epochs != "auto"
    times = math.ceil(_ENOUGH_UPDATES / symptom.evidence["updates"]) if "updates" in symptom.evidence else 2
    return _Remedy("too_few_epochs", "Train longer.", (f"train.epochs={times * epochs}",))


def _unfinished(symptom: Symptom, trials: SettingTrials) -> _Remedy:
    del symptom
    now, steps = trials.learning_rate, trials.learning_rates()
    best = min(steps, key=lambda step: step.loss, default=None)
    if best is None or any(step.learning_rate == now for step in steps):
        return _Remedy("unfinished", "Give the command of the run again: it goes on where it stopped.")
    advice = (
        f"In a trial the loss was no number any more within 12 updates with the learning rate {now:g}. "
        f"Set it to {best.learning_rate:g}, which brought the loss to {best.loss:.3g}."
    )
    return _Remedy("unfinished", advice, _rate(trials, best.learning_rate))


def _vanishing_time(symptom: Symptom, trials: SettingTrials) -> _Remedy:
    _, prefix = _place(symptom, trials)
    beta = trials.current(f"{prefix}.beta") if prefix else None
    advice = "Let membranes remember longer (a larger beta), use fewer steps, or a readout that looks at all steps."
    better = 1 - (1 - beta) / 4 if beta is not None else None
    return _Remedy("gradient_vanishes_through_time", advice, (f"{prefix}.beta={better:g}",) if better else ())


def _plain(code: FindingCode, advice: str, *settings: str) -> Callable[[Symptom, SettingTrials], _Remedy]:
    return lambda symptom, trials: _Remedy(code, advice, settings)


def _starts(rate: float) -> str:
    return f"the layer starts at a rate of {percent(rate, 1)} (measured)."


def _place(symptom: Symptom, trials: SettingTrials) -> tuple[str, str | None]:
    """The layer, and where an experiment sets its neurons."""
    assert symptom.layer is not None
    network = trials.network([])
    return symptom.layer, setting_of_layer(trials.experiment.model, network, symptom.layer)


_REMEDIES: Final[dict[str, Callable[[Symptom, SettingTrials], _Remedy]]] = {
    "layer_quiet": _quiet,
    "outputs_silent": _quiet,
    "layer_busy": _busy,
    "input_silent": _silent_input,
    "surrogate_too_narrow": _surrogate,
    "learning_rate_too_high": _learning_rate,
    "learning_rate_too_low": _learning_rate,
    "not_finite": _not_finite,
    "died_in_training": _changed,
    "saturated_in_training": _changed,
    "nothing_to_learn": _no_information,
    "not_learning": _not_learning,
    "worse_than_linear": _linear,
    "overfitting": _overfitting,
    "too_few_epochs": _epochs,
    "gradient_vanishes_through_time": _vanishing_time,
    "gradient_explodes_through_time": _plain(
        "gradient_explodes_through_time",
        "Limit the gradient, or let membranes leak more (a smaller beta).",
        "train.gradient_clip=1.0",
    ),
    "gradient_vanishes_through_layers": _plain(
        "gradient_vanishes_through_layers",
        "Use a wider surrogate, batch normalisation, or fewer layers.",
    ),
    "some_neurons_idle": _plain(
        "some_neurons_idle",
        "The network could do with fewer neurons: half the width costs less and may be as accurate.",
        "model.width=0.5",
    ),
    "dead_units": _plain(
        "dead_units", "They add nothing: lower the learning rate, or use leaky_relu in the experiment file."
    ),
    "unfinished": _unfinished,
}
"""By the code of the symptom."""

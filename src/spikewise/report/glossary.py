"""The words of a report, one line each, for a reader who has never seen a spiking network."""

from typing import Final

__all__ = ["GLOSSARY"]

GLOSSARY: Final = (
    ("spike", "A pulse, 0 or 1: the only thing that a spiking neuron sends to the next."),
    ("membrane", "The running sum a spiking neuron keeps of what it receives; it leaks a little at each time step."),
    ("threshold", "When the membrane rises above it, the neuron spikes and the membrane is lowered."),
    ("time step", "A spiking network looks at the same image T times; one look is a time step."),
    ("encoding", "How the brightness of a pixel becomes spikes, or a current, over the time steps."),
    ("early exit", "Each image is answered as soon as the network is sure enough, before the last time step."),
    ("front", "What nothing beats in both accuracy and cost: to do better here, one has to pay more there."),
    ("yardsticks", "Simple classifiers on the same split; a network that does not beat them was not needed."),
    ("raster", "A picture of spikes: one row for each neuron, time to the right, a dash for each spike."),
    ("evidence", "What the network has gathered for each class so far; the class with the most is the answer."),
    ("spike rate", "Share of time steps at which a neuron spikes; the lower, the less work."),
    ("twin", "The same network with ordinary neurons (ReLU) in place of spiking ones: the fair opponent."),
    ("seed", "The number that fixes all chance in a run. Several seeds show how much is luck."),
    ("epoch", "One pass over all training images."),
    (
        "training, validation, test",
        "Images to learn from; to choose settings with; and to be judged on, once, at the end.",
    ),
    ("leak", "The same image or person in two of these parts: the network is asked what it has already seen."),
    ("accuracy", "Share of test images answered correctly."),
    ("balanced accuracy", "Mean over classes of the share answered correctly, so that rare classes count as much."),
    ("F1", "Harmonic mean of precision (how often an answer is right) and recall (how many of a class are found)."),
    ("AUC", "Chance that a random image of a class is rated higher for it than one of another class; 0.5 is guessing."),
    ("ECE", "Expected calibration error: how far stated confidence is from the share that is right; 0 is best."),
    ("interval", "Range that would cover the true value in, say, 95 of 100 such experiments."),
    ("could have shown", "The smallest true difference that a test set of this size would reveal in 80 of 100 runs."),
    (
        "Holm's correction",
        "Raises p when several pairs are tested, so that chance does not make one of them look real.",
    ),
    ("DeLong's test", "Compares two AUCs on the same images."),
    ("McNemar's test", "Compares two networks by the images that only one of them gets right."),
    (
        "p",
        "Chance of a difference at least this large if the networks were equally good; small speaks for a difference.",
    ),
    ("MAC", "Multiply-accumulate: one multiplication and one addition, the basic work of an ordinary network."),
    ("synaptic operation", "One addition caused by one spike at one connection: the basic work of a spiking network."),
    ("energy", "Computed from operations and a cost for each, not measured; the constants are listed under Cost."),
)
"""(term, explanation)."""

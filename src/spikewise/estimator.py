"""`SpikingClassifier`: a spiking network as a scikit-learn estimator, for tables of numbers and for images."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from spikewise.config import Config, parse
from spikewise.data import AugmentConfig, ImageSet, Layout, Split
from spikewise.data.incoming import whole_numbers
from spikewise.data.samples import ImageScale, image_scale, rows_of, table_scale
from spikewise.data.white import Kind
from spikewise.dynamics import Dynamics
from spikewise.encoders import Encoder
from spikewise.errors import ConfigError, ShapeError
from spikewise.evaluation.prediction import Selection, batches_of
from spikewise.evaluation.ties import logits_without_ties
from spikewise.experiments.automatic import ChosenNetwork, chosen
from spikewise.experiments.experiment import AnyModel
from spikewise.experiments.facts import resolve_device
from spikewise.experiments.standard import Standard, standard_of, standardised
from spikewise.files import temporary_folder
from spikewise.losses import CrossEntropy
from spikewise.models import Model, build
from spikewise.network import Network
from spikewise.readouts import Readout
from spikewise.training import Task, TrainConfig, fit
from spikewise.training.memory import Loaded, check_update

__all__ = ["SpikingClassifier"]

_LARGEST_SEED = 2**31 - 1
Pixels = UInt8[np.ndarray, "N C H W"]


class SpikingClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """Spiking neural network classifier.

    Rows of numbers become intensities 0..255: each feature goes from the smallest to the largest value seen in `fit`,
    values beyond are clipped (with a warning where most are). Images ([n, height, width], [n, channels, height, width],
    [n, height, width, channels], lists of arrays or pictures, tensors, or rows with `image_shape`) keep their
    proportions: black is 0, and white is what it is in files and arrays (255 for bytes, 1 for floats, 16 for 0..16 and
    so on, see `white_`); where that cannot be told, the largest number seen in `fit` is white, and where numbers are
    negative, the smallest is black. Further images are read by what `fit` saw, or refused.

    `validation_fraction` of the samples choose the best epoch. Where that part would lack a class, or a class has one
    sample only, there is no such part: all samples are trained on, and the last epoch is kept.

    Args:
        hidden: Neurons of each hidden fully connected layer. Before them, images that are coloured or larger than 28
            pixels go through two convolutions (16 and 32 channels); `model=MLP(...)` leaves these out.
        steps: Time steps of the encoder.
        encoder: Kind of encoder ("direct", "rate", "latency", "periodic", "delta"), or an encoder.
        neuron: Kind of neuron ("lif", "if", "alif", "izhikevich"), or a neuron.
        beta: Membrane decay per step, for a `neuron` given by name that has one.
        readout: Kind of readout, or a readout.
        epochs: Passes over the training part.
        batch_size: Samples per update.
        learning_rate: Adam's, at the start; it falls along half a cosine.
        validation_fraction: Share of the samples that choose the epoch; 0 keeps the last one.
        patience: Stop after so many epochs without a better one.
        balanced: Weigh classes inversely to their frequency.
        image_shape: (height, width), (channels, height, width) or (height, width, channels) of an image in each row
            of X.
        layout: "NCHW" (channels first) or "NHWC" (channels last), for images whose axes fit in both orders.
        white: The number that is white in the images of `fit`; None finds it out.
        standardise: Centre and scale the pixels of each channel by the mean and deviation of the samples trained on,
            where they enter as currents (`encoder="direct"`).
        model: Any `spikewise.models.Model`; replaces `hidden`, `neuron` and `beta`.
        train: Any `spikewise.training.TrainConfig`; replaces the parameters from `epochs` to `balanced`, without the
            fraction. Nothing is tuned here: its learning rate is 0.001 where none is given.
        device: Where to train: "cpu", "cuda", "mps", or "auto".
        random_state: Fixes weights, order and encoding; None is a fixed seed too.

    Attributes:
        classes_: Class labels.
        network_: The trained `spikewise.network.Network`.
        history_: One `EpochRecord` for each epoch.
        best_epoch_: Epoch whose weights were kept.
        warnings_: Layers that are dead or saturated, and a white that was inferred, in words.
        white_: The number that is white in images; None for features.
        image_shape_: Channels, height and width; None for features.
        n_features_in_: Features, or pixels in all channels.
    """

    def __init__(  # noqa: PLR0913  # scikit-learn wants flat parameters
        self,
        hidden: int | Sequence[int] = (128,),
        *,
        steps: int = 10,
        encoder: Encoder | str = "direct",
        neuron: Dynamics | str = "lif",
        beta: float = 0.9,
        readout: Readout | str = "mean_membrane",
        epochs: int = 40,
        batch_size: int = 32,
        learning_rate: float = 5e-3,
        validation_fraction: float = 0.1,
        patience: int | None = None,
        balanced: bool = False,
        image_shape: tuple[int, ...] | None = None,
        layout: Layout | None = None,
        white: float | None = None,
        standardise: bool = True,
        model: Model | None = None,
        train: TrainConfig | None = None,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.hidden = hidden
        self.steps = steps
        self.encoder = encoder
        self.neuron = neuron
        self.beta = beta
        self.readout = readout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.balanced = balanced
        self.image_shape = image_shape
        self.layout = layout
        self.white = white
        self.standardise = standardise
        self.model = model
        self.train = train
        self.device = device
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> "SpikingClassifier":
        """Train on samples X [n, features], or images, and their labels y [n].

        Raises:
            ConfigError: a parameter is wrong.
            ValueError: samples or labels are of no use, as scikit-learn says.
            ShapeError: an update of the network cannot fit into memory.
            StorageError: there is no room for temporary files.
        """
        self._form = rows_of(X, self.image_shape, self.layout)
        rows, y = validate_data(self, self._form.rows, whole_numbers(y), dtype=_number_types(self._form.rows))
        self._form, kind = self._form._replace(rows=None), self._form.kind
        self.image_shape_ = self._form.shape
        try:
            check_classification_targets(y)
            self.classes_, labels = np.unique(y, return_inverse=True)
        except TypeError:
            kinds = ", ".join(sorted({type(one).__name__ for one in np.asarray(y, dtype=object)}))
            raise ValueError(f"Labels are numbers or words, all of one kind; y has {kinds}.") from None
        if len(self.classes_) < 2:
            raise ValueError(
                f"SpikingClassifier needs samples of at least 2 classes; y has 1 class: {self.classes_[0]}."
            )
        chosen, device = _Chosen.of(self), resolve_device(str(self.device))
        self._scale = table_scale(rows) if self.image_shape_ is None else image_scale(rows, kind, self.white)
        self.white_ = self._scale.high if isinstance(self._scale, ImageScale) else None
        images = self._images(rows, kind)
        seed = _seed(self.random_state)
        split = _split(labels, self.validation_fraction, seed)
        standard = standard_of(images, split.train) if self.standardise else None
        shape: tuple[int, int, int] = images.shape[1:]
        graph = build(*chosen.network(shape, standard), chosen.readout, image_shape=shape, classes=len(self.classes_))
        check_update("network", graph, chosen.train, Loaded(len(split.train), images.nbytes), device)
        kept = {} if split.validation is not split.train else {"keep": "last", "patience": None}
        task = Task(
            _image_set(images, labels, self.classes_),
            split,
            CrossEntropy(),
            chosen.train.replace(**kept),
            AugmentConfig(),
            seed,
        )
        self.network_ = Network(graph, seed=seed).to(device)
        with temporary_folder() as folder:
            result = fit(self.network_, task, folder)
        self.network_.eval()
        self.history_, self.best_epoch_ = result.history, result.best_epoch
        cautions = self._scale.cautions if isinstance(self._scale, ImageScale) else ()
        self.warnings_ = (*cautions, *result.warnings)
        return self

    def decision_function(self, X: ArrayLike) -> Float[np.ndarray, "..."]:
        """Logits [n, classes]; for two classes the second's minus the first's, [n]."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: ArrayLike) -> Float[np.ndarray, "N K"]:
        """Softmax of the logits."""
        logits = self._logits(X)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable class of each sample."""
        answers = self._logits(X).argmax(axis=1)
        return np.asarray(self.classes_[answers])

    def _logits(self, X: ArrayLike) -> Float[np.ndarray, "N K"]:
        check_is_fitted(self)
        shape = self._form.given
        if shape is not None and np.shape(X) == tuple(shape):
            raise ShapeError(f"X is a single image of {tuple(shape)}; samples have an axis more: give X[None].")
        rows, _, _, kind = rows_of(X, self.image_shape, self.layout, like=self._form)
        rows = validate_data(self, rows, dtype=_number_types(rows), reset=False)
        images = self._images(rows, kind)
        # One key for every sample: an answer does not depend on the sample's place.
        source, logits = Selection(images, np.zeros(len(images), np.int64)), []
        with torch.no_grad():
            for _, batch, draw in batches_of(self.network_, source, 0):
                logits.append(logits_without_ties(self.network_(batch, draw), draw.index).double().cpu())
        return torch.cat(logits).numpy()

    def _images(self, rows: NDArray[Any], kind: Kind | None) -> Pixels:
        """Rows as intensities, in the shape of images."""
        scale = self._scale
        pixels = scale.scaled(rows, kind) if isinstance(scale, ImageScale) else scale.scaled(rows)
        return np.ascontiguousarray(self._form.arranged(pixels))


class _Chosen(Config):
    """The configs that an estimator's flat parameters stand for."""

    encoder: Encoder
    model: AnyModel
    readout: Readout
    train: TrainConfig

    def network(self, shape: tuple[int, int, int], standard: Standard | None) -> ChosenNetwork:
        """The network and its input for images of channels, height, width."""
        found = chosen(self.model, self.encoder, shape)
        return found._replace(encoder=standardised(found.encoder, standard))

    @classmethod
    def of(cls, given: SpikingClassifier) -> "_Chosen":
        if isinstance(given.learning_rate, str):  # which a comparison finds by trials of its own
            raise ConfigError("learning_rate is a number; GridSearchCV or any other search of scikit-learn finds one.")
        decay = {"beta": given.beta} if given.neuron in ("lif", "alif") else {}
        default = {"kind": "auto", "hidden": _widths(given.hidden), "cell": _of_kind(given.neuron, **decay)}
        names = ("epochs", "batch_size", "learning_rate", "patience")
        train = {**{name: getattr(given, name) for name in names}, "class_weights": given.balanced}
        table = {
            "encoder": _of_kind(given.encoder, steps=given.steps),
            "model": default if given.model is None else given.model,
            "readout": _of_kind(given.readout),
            "train": train if given.train is None else given.train,
        }
        return parse(cls, table)


def _of_kind(choice: object, **settings: object) -> object:
    """A named kind with its settings, as a table; anything else is a config already."""
    return {"kind": choice, **settings} if isinstance(choice, str) else choice


def _number_types(rows: Any) -> list[type]:
    """Images in uint8 stay as they are; everything else is float64."""
    return [np.uint8, np.float64] if getattr(rows, "dtype", None) == np.uint8 else [np.float64]


def _widths(hidden: Any) -> Any:
    """Neurons of each layer; one number is one layer."""
    if hidden is None:
        raise ConfigError("'hidden' is a number of neurons, or one for each layer, such as (128,); got None.")
    if isinstance(hidden, Integral):
        return (hidden,)
    return tuple(hidden) if isinstance(hidden, Iterable) and not isinstance(hidden, str) else hidden


def _seed(random_state: Any) -> int:
    if random_state is None:
        return 0
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(_LARGEST_SEED))
    return int(check_random_state(random_state).randint(_LARGEST_SEED))


def _split(labels: Int64[np.ndarray, " N"], fraction: float, seed: int) -> Split:
    """Train and validation positions; the same object twice where the samples are too few for two parts."""
    everything = np.arange(len(labels))
    count, counts = round(fraction * len(labels)), np.bincount(labels)
    if count >= len(counts) and counts.min() >= 2 and len(labels) - count >= len(counts):
        train, validation = train_test_split(everything, test_size=count, stratify=labels, random_state=seed)
        if len(np.unique(labels[validation])) == len(counts) == len(np.unique(labels[train])):
            return Split(np.sort(train), np.sort(validation), everything[:0])
    return Split(everything, everything, everything[:0])


def _image_set(images: Pixels, labels: Int64[np.ndarray, " N"], classes: NDArray[Any]) -> ImageSet:
    roles = np.zeros(len(labels), np.int8)
    return ImageSet("samples", images, labels.astype(np.int64), tuple(map(str, classes)), roles, fingerprint="")

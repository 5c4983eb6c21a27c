"""The format `onnx`: how the file is written, and who reads it back."""

from pathlib import Path
from typing import TYPE_CHECKING

from spikewise.errors import DependencyError
from spikewise.files import write_bytes
from spikewise.interop.deployed import Deployed
from spikewise.interop.runtime import Format, Opened, Wish, Written

if TYPE_CHECKING:
    from spikewise.interop.onnx.running import OnnxRuntime

__all__ = ["FORMAT", "OnnxFormat"]


class OnnxFormat:
    """One file: uint8 images in; scores, evidence after each step and spikes of each layer out."""

    name = "onnx"
    title = "ONNX"
    about = "one file with all time steps inside, for onnxruntime on servers, phones and in browsers"
    exact = False
    """Products are added in another order than here, so a membrane may differ in its last bit."""

    def write(self, network: Deployed, folder: Path, wish: Wish) -> Written:
        """Write NAME.onnx.

        Raises:
            ConfigError: ONNX cannot hold a layer, which is named, or the format has not what is wished for.
            DependencyError: a package is missing.
        """
        wish.only(self.name)
        try:
            from spikewise.interop.onnx.model import model_of  # noqa: PLC0415  # imports what may not be there
        except ImportError as error:
            raise _missing(error) from None
        model = model_of(network, wish)
        path = folder / f"{wish.name}.onnx"
        write_bytes(path, model.SerializeToString())
        made = _runtime(network, path, wish)
        facts = {"nodes": len(model.graph.node), **made.times()}
        return Written(path.name, (path.name,), facts=facts, opened=Opened(made, alone=made.alone))

    def open(self, network: Deployed, folder: Path, main: str, wish: Wish) -> Opened:
        """Read the file by onnxruntime.

        Raises:
            DataError: it is damaged.
            DependencyError: a package is missing.
        """
        made = _runtime(network, folder / main, wish)
        return Opened(made, alone=made.alone)


FORMAT: Format = OnnxFormat()


def _runtime(network: Deployed, path: Path, wish: Wish) -> "OnnxRuntime":
    try:
        from spikewise.interop.onnx.running import OnnxRuntime  # noqa: PLC0415  # as above
    except ImportError as error:
        raise _missing(error) from None
    return OnnxRuntime(network, path, apart=wish.foreign)


def _missing(error: ImportError) -> DependencyError:
    return DependencyError(f"ONNX needs the packages onnx and onnxruntime ({error}): pip install 'spikewise[onnx]'")

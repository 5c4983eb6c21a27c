"""The format `html`: how the page is written, and who reads it back."""

from pathlib import Path

from spikewise.files import write_text
from spikewise.interop.deployed import Deployed
from spikewise.interop.html.coarse import Rounded
from spikewise.interop.html.page import network_page
from spikewise.interop.html.running import PageRuntime
from spikewise.interop.runtime import Opened, Wish, Written

__all__ = ["FORMAT", "HtmlFormat"]


class HtmlFormat:
    """One page: draw or drop an image, and watch the network decide."""

    name = "html"
    title = "HTML"
    about = "one page that runs the network in any browser, offline: draw, drop or pick an image and watch it decide"
    exact = False
    """Sums are exact before they are rounded, so a membrane may differ in its last bit."""

    def write(self, network: Deployed, folder: Path, wish: Wish) -> Written:
        """Write NAME.html.

        Raises:
            ConfigError: the page cannot hold a layer, which is named, or the format has not what is wished for.
        """
        wish.only(self.name, sized=True)
        path = folder / f"{wish.name}.html"
        made = network_page(network, wish)
        write_text(path, made.text)
        return Written(path.name, (path.name,), made.warnings, made.facts, levels=made.levels)

    def open(self, network: Deployed, folder: Path, main: str, wish: Wish) -> Opened:
        """Run the page's engine, the one that stands in the page, on the network that stands there.

        Raises:
            DataError: it is damaged, or its engine is another one.
            DependencyError: there is neither node nor Chromium.
        """
        rounded = None if wish.levels is None else Rounded(network, wish.levels, seed=wish.seed)
        return Opened(PageRuntime(network, folder / main), rounded)


FORMAT = HtmlFormat()

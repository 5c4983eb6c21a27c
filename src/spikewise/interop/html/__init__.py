"""HTML: one page that runs the network before a person's eyes, offline, in any browser.

The description of the network and its 32-bit weights stand in the page as JSON; the engine is plain JavaScript, which
node (or Chromium) runs for the check.
"""

from spikewise.interop.html.exporter import FORMAT

__all__ = ["FORMAT"]

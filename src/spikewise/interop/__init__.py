"""Networks that leave and come in: exports to formats of other tools, each with a check by a foreign runtime."""

from spikewise.interop.bundle import CheckImages, Verified, export_network, verify_bundle
from spikewise.interop.check import ExportCheck
from spikewise.interop.deployed import Deployed, deploy
from spikewise.interop.formats import FORMATS
from spikewise.interop.runtime import Exported, Runtime, Sent, Wish

__all__ = [
    "FORMATS",
    "CheckImages",
    "Deployed",
    "ExportCheck",
    "Exported",
    "Runtime",
    "Sent",
    "Verified",
    "Wish",
    "deploy",
    "export_network",
    "verify_bundle",
]

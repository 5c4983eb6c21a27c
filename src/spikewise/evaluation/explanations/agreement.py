"""How alike two maps are."""

import numpy as np
import scipy  # its parts load when they are first used
from jaxtyping import Float, UInt8

__all__ = ["rank_correlations"]


def rank_correlations(
    a: Float[np.ndarray, "N H W"], b: Float[np.ndarray, "N H W"], images: UInt8[np.ndarray, "N C H W"]
) -> Float[np.ndarray, " N"]:
    """Spearman's correlation of two maps over the pixels that are not black; 0 where one of them is flat.

    Black pixels are left out because integrated gradients give them nothing whatever the network: they would agree.
    Source: Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018, section 4 (randomised weights).
    """
    out = []
    for one, other, image in zip(a, b, images, strict=True):
        lit = image.max(0) > 0
        ranks = [scipy.stats.rankdata(values[lit]) for values in (one, other)]
        flat = lit.sum() < 3 or any(np.ptp(rank) == 0 for rank in ranks)
        out.append(0.0 if flat else float(np.corrcoef(*ranks)[0, 1]))
    return np.array(out)

"""Colours: one palette that colour-blind readers can tell apart, for light and for dark pages."""

from typing import NamedTuple

__all__ = ["DARK", "LIGHT", "Theme", "css_variables", "theme_css"]


class Theme(NamedTuple):
    """Colours as `#rrggbb`; all are different within a theme, so that a drawing can be re-themed by replacing them.

    Source of the series: Okabe and Ito, "Color universal design", 2008, darkened or lightened to a contrast of 4.5
    against the surface.
    """

    surface: str
    """Background."""
    ink: str
    """Text."""
    muted: str
    """Secondary text, axes."""
    grid: str
    """Hairlines."""
    bad: str
    good: str
    series: tuple[str, ...]
    """Spiking network, twin, then the baselines."""

    def colour(self, position: int) -> str:
        """Colour of the series at `position`; they repeat after the last."""
        return self.series[position % len(self.series)]


LIGHT = Theme(
    surface="#ffffff",
    ink="#1d2329",
    muted="#5b6570",
    grid="#dfe3e7",
    bad="#b3261e",
    good="#1b6e44",
    series=("#0067a5", "#b84a00", "#007a5a", "#98457b", "#6b5b00", "#3d4a9e"),
)

DARK = Theme(
    surface="#15191d",
    ink="#e8ebee",
    muted="#a2adb7",
    grid="#333b43",
    bad="#ff8a80",
    good="#6fd6a0",
    series=("#5cb8f0", "#ff9d4d", "#3fcf9f", "#e59bc8", "#d8c648", "#9fabf5"),
)


def css_variables(theme: Theme) -> dict[str, str]:
    """Each colour by its CSS variable: `--surface`, `--ink`, ..., `--series-1`, ..."""
    named = {f"--{name}": colour for name, colour in theme._asdict().items() if isinstance(colour, str)}
    return named | {f"--series-{at}": colour for at, colour in enumerate(theme.series, 1)}


def theme_css() -> str:
    """The variables of both themes for a page, which follows the reader's; paper is light."""
    light, dark = (" ".join(f"{k}: {v};" for k, v in css_variables(theme).items()) for theme in (LIGHT, DARK))
    return (
        f":root {{ color-scheme: light dark; {light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"
    )

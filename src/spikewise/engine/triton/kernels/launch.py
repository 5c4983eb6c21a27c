"""What every launch shares."""

__all__ = ["grid_of"]


def grid_of(total: int, size: int) -> tuple[int]:
    """As many programs as cover `total` lanes."""
    return (-(-total // size),)

"""Settings of this process that commands share."""

__all__ = ["use_threads"]


def use_threads(count: int | None) -> None:
    """Let each operation use so many threads; None leaves PyTorch's own number."""
    if count is not None:
        import torch

        torch.set_num_threads(count)

"""How long work says how far it is."""

from collections.abc import Callable

Progress = Callable[[int, int], None]  # progress(done, total) in every loop; it may raise to cancel


def silent(done: int, total: int) -> None:
    """Progress that nobody watches."""

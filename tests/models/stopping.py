"""Trainings that are stopped politely after so many steps, as Ctrl-C stops them."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from talking_portrait.training.learning.training import Training


@contextmanager
def stopped_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> Iterator[None]:
    """Inside, every training is told to end in its step number `steps`."""
    learn = Training.learn

    def stopped(self, terms):
        if self.step == steps - 1:
            signal.raise_signal(signal.SIGTERM)
        return learn(self, terms)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "learn", stopped)
        yield

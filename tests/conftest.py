"""Fixtures that many tests share."""

import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, classifiers and independent answers beside the project."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs real data and classifiers in ../shared, which is absent here")
    return SHARED


@pytest.fixture
def interruptible():
    """A shell's background job ignores Ctrl-C, and so would all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)

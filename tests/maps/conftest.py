"""The real classifiers, loaded once."""

import numpy as np
import pytest

from sensmap import classifiers


@pytest.fixture(scope="session")
def squeezenet(shared):
    return classifiers.load(shared / "models" / "squeezenet1_1_imagenet.keras", "torch")


@pytest.fixture(scope="session")
def mobilenet(shared):
    return classifiers.load(shared / "models" / "mobilenet_v2_imagenet.keras", "tf")


@pytest.fixture(scope="session")
def golden(shared):
    """Four photographs, their class ids, and PyTorch's maps of them."""
    return np.load(shared / "goldens" / "squeezenet_maps_pytorch.npz")

r"""A process of benchmarks.peers: how it is asked, and the systems of PyTorch.

  python -m benchmarks._peers_torch FOLDER

This file loads no TensorFlow, so that neither framework is in the other's process.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

# What all processes read, in their folder, and the kernel and bias of each convolution.
INPUTS, WEIGHTS = "inputs.npz", "weights.npz"

# The mean and deviation of ImageNet that SqueezeNet was trained with.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# How many fire modules of SqueezeNet 1.1 follow each of its pooling layers.
_FIRES = (2, 2, 4)

# In the names of systems: those that give class scores; those for several classes that share a
# forward pass, of no use for one.
SCORES, SHARED = "class scores", "one forward pass"

# From ``(N, H, W, 3)`` float32 RGB pixels, 0 to 255, and class ids, ``(N,)`` or ``(N, K)`` int32,
# to maps, ``(N, h, w)`` or ``(N, K, h, w)``, or to class scores ``(N, C)``; arrays all of them.
System = Callable[[np.ndarray, np.ndarray], np.ndarray]


def serve(folder: Path, systems: Mapping[str, System]) -> None:
    """Times systems as it is asked, until nobody asks any more.

    A question is a line of JSON on standard input: which ``system``, how many ``images`` and
    ``classes``, how many ``calls``, and a file to ``save`` the last result in, or null. The
    answer is a line with the seconds of each call. Before the first question it says which
    systems there are.
    """
    # Whatever a library prints goes elsewhere.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with np.load(folder / INPUTS, allow_pickle=False) as arrays:
        pixels, class_ids = arrays["pixels"], arrays["class_ids"]
    print(json.dumps([*systems]), file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        images, classes = slice(asked["images"]), asked["classes"]
        wanted = class_ids[images, 0] if classes == 1 else class_ids[images, :classes]
        seconds = []
        for _ in range(asked["calls"]):
            began = time.perf_counter()
            found = systems[asked["system"]](pixels[images], wanted)
            seconds.append(time.perf_counter() - began)
        if asked["save"]:
            np.save(asked["save"], found, allow_pickle=False)
        print(json.dumps(seconds), file=answers, flush=True)


def class_by_class(system: System) -> System:
    """A system for several classes that makes the maps of one class a call."""

    def several(pixels: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
        if class_ids.ndim == 1:
            return system(pixels, class_ids)
        return np.stack([system(pixels, each) for each in class_ids.T], axis=1)

    return several


def squeezenet(weights: Mapping[str, np.ndarray]):
    """SqueezeNet 1.1 up to its class scores, in PyTorch.

    Args:
        weights: of convolution i in the network's order ``kernel_i`` (height, width, channels,
            filters) and ``bias_i``.
    """
    import torch
    from torch import nn

    places = iter(range(len(weights) // 2))

    def convolution(**options) -> nn.Module:
        place = next(places)
        kernel = weights[f"kernel_{place}"].transpose(3, 2, 0, 1)
        layer = nn.Conv2d(kernel.shape[1], kernel.shape[0], kernel.shape[2:], **options)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(kernel.copy()))
            layer.bias.copy_(torch.from_numpy(weights[f"bias_{place}"]))
        return nn.Sequential(layer, nn.ReLU())

    class Fire(nn.Module):
        def __init__(self):
            super().__init__()
            self.squeeze = convolution()
            self.small = convolution()
            self.large = convolution(padding=1)

        def forward(self, x):
            x = self.squeeze(x)
            return torch.cat([self.small(x), self.large(x)], dim=1)

    layers = [convolution(stride=2)]
    for fires in _FIRES:
        layers += [nn.MaxPool2d(3, 2), *(Fire() for _ in range(fires))]
    layers += [convolution(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers).eval().requires_grad_(False)


def systems_in(layout: str, weights: Mapping[str, np.ndarray]) -> dict[str, System]:
    """PyTorch's own derivatives, and Captum's if it is installed.

    Args:
        layout: of the images and the network's weights, ``"channels_first"``, which is PyTorch's
            default, or ``"channels_last"``.
        weights: as of `squeezenet`.
    """
    import torch

    formats = {"channels_first": torch.contiguous_format, "channels_last": torch.channels_last}
    form = {"memory_format": formats[layout]}
    model = squeezenet(weights).to(**form)
    mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in (_MEAN, _DEVIATION))

    def inputs(pixels):
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(**form)
        return x.div(255).sub_(mean).div_(deviation)

    def scores(pixels, class_ids):
        with torch.inference_mode():
            return model(inputs(pixels)).numpy()

    def maps(x, found, wanted, **options):
        chosen = found.gather(1, wanted[:, None]).sum()
        (derivative,) = torch.autograd.grad(chosen, x, **options)
        return derivative.abs().amax(dim=1).numpy()

    def autograd(pixels, class_ids):
        x = inputs(pixels).requires_grad_()
        return maps(x, model(x), torch.from_numpy(class_ids).long())

    def one_forward_pass(pixels, class_ids):
        x = inputs(pixels).requires_grad_()
        found = model(x)
        wanted = torch.from_numpy(class_ids.T.copy()).long()
        return np.stack([maps(x, found, each, retain_graph=True) for each in wanted], axis=1)

    systems = {
        f"{SCORES}, PyTorch": scores,
        "PyTorch autograd": class_by_class(autograd),
        f"PyTorch autograd, {SHARED}": one_forward_pass,
    }
    if importlib.util.find_spec("captum"):
        saliency = importlib.import_module("captum.attr").Saliency(model)

        def captum(pixels, class_ids):
            x = inputs(pixels).requires_grad_()
            found = saliency.attribute(x, target=torch.from_numpy(class_ids).long())
            return found.amax(dim=1).numpy()

        systems["Captum Saliency"] = class_by_class(captum)
    return {f"{name}, {layout}": system for name, system in systems.items()}


def main(folder: Path) -> None:
    with np.load(folder / WEIGHTS, allow_pickle=False) as arrays:
        weights = dict(arrays)
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    systems: dict[str, System] = {}
    for layout in ("channels_first", "channels_last"):
        systems |= systems_in(layout, weights)
    serve(folder, systems)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

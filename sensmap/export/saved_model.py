"""Writes a localizer in the layout that TensorFlow Serving reads.

    FOLDER/models.config                 which models the server loads
    FOLDER/batching_parameters.txt       how it puts requests together
    FOLDER/<name>/<version>/             a SavedModel, see `sensmap.export.servable`
        assets.extra/sensmap.json        the whole configuration, and versions
        assets.extra/class_names.txt     one class a line, where the classifier has names
        assets.extra/tf_serving_warmup_requests

The paths inside are those of the server's container, where FOLDER is ``/models``. A version
appears whole or not at all, under a name that a running server does not look at until then; so
exporting version 2 beside version 1 is how a running server gets a new model.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from sensmap import files
from sensmap.export import warmup
from sensmap.export.servable import Servable
from sensmap.localizer import Localizer

EXTRA = "assets.extra"
CONFIG_FILE = "sensmap.json"
NAMES_FILE = "class_names.txt"
MODEL_FILE = "saved_model.pb"
MODELS_FILE = "models.config"
BATCHING_FILE = "batching_parameters.txt"

# The gradient is in the graph already, and the rules that it was traced by are none that TensorFlow
# could save (`sensmap.maps`): they take operations, it has tensors only.
_OPTIONS = tf.saved_model.SaveOptions(experimental_custom_gradients=False)

# Where an operation names its rule.
_RULE = "_gradient_op_type"

_MODEL = """\
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
  }}
"""

_BATCHING = """\
# Requests that arrive within 5 ms go through the network together. Uint8 images of different
# sizes cannot, and must not be padded: that would move the boxes.
max_batch_size { value: 32 }
batch_timeout_micros { value: 5000 }
max_enqueued_batches { value: 100 }
num_batch_threads { value: 2 }
"""


def export_saved_model(
    localizer: Localizer,
    folder: str | os.PathLike,
    *,
    version: int = 1,
    top_k: int = 1,
    with_map: bool = False,
    name: str = "sensmap",
    overwrite: bool = False,
) -> Path:
    """Exports a localizer for TensorFlow Serving; further versions and models may join it.

    Args:
        localizer: what to export.
        folder: the folder that the server is given. ``models.config`` and
            ``batching_parameters.txt`` are made in it; where they are there, the model is entered
            into the first and the second is left as it is.
        version: the server takes the highest by itself.
        top_k: for how many classes, from the highest score down, boxes are given where no class
            is asked for. Each costs as much as the first.
        with_map: also give the maps, one output ``map_<layer>`` a layer.
        name: under which the model is served.
        overwrite: replace this version if it exists. A server that runs keeps the old one.

    Returns:
        The version's folder.

    Raises:
        FileExistsError: if the version exists.
        OSError: if it cannot be written.
        ValueError: for a name, version or ``top_k`` that cannot be.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise ValueError(
            f"A model's name is made of letters, digits, '_', '-' and '.'; received {name!r}."
        )
    if not 1 <= version < 2**63:
        raise ValueError(f"A version is a whole number from 1; received {version}.")
    servable = Servable(localizer, top_k, with_map)
    target = Path(folder) / name / str(version)
    with files.output_folder(target, overwrite) as work, _as_os_error(target):
        tf.saved_model.save(servable.module, os.fspath(work), servable.signatures, _OPTIONS)
        _forget_rules(work / MODEL_FILE)
        extra = work / EXTRA
        extra.mkdir()
        size = localizer.method.image_size
        about = {"version": version, "top_k": top_k, "with_map": with_map}
        about["warmup"] = warmup.write(extra, name, servable.signatures, size)
        files.write_json(extra / CONFIG_FILE, _config(localizer, about))
        if localizer.classifier.class_names is not None:
            lines = [" ".join(each.split()) for each in localizer.classifier.class_names]
            files.write_text(extra / NAMES_FILE, "\n".join(lines) + "\n")
    _enter(Path(folder), name)
    return target


@contextlib.contextmanager
def _as_os_error(target: Path) -> Iterator[None]:
    """Makes an OSError again of what TensorFlow's own file system makes of one."""
    try:
        yield
    except tf.errors.OpError as error:
        # "{{node ...}} path; No space left on device [Op:SaveV2]"
        reason = re.sub(r"^.*; | \[Op:.*$", "", str(error.message).splitlines()[0])
        raise OSError(
            f"{target}: cannot be written ({reason}); nothing was left behind."
        ) from error


def _forget_rules(path: Path) -> None:
    """Takes the names of rules for derivatives off the operations: loaders warn of each that they
    do not know, and nothing differentiates an export."""
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in model.meta_graphs:
        for function in graph.graph_def.library.function:
            for node in function.node_def:
                if _RULE in node.attr and node.attr[_RULE].s.startswith(b"sensmap>"):
                    del node.attr[_RULE]
    path.write_bytes(model.SerializeToString(deterministic=True))


def _config(localizer: Localizer, about: dict[str, Any]) -> dict[str, Any]:
    packages = ("sensmap", "tensorflow", "keras", "numpy")
    return {
        **localizer.config,
        **localizer.recorded,
        "export": {**about, "versions": {package: _version(package) for package in packages}},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None  # run from a checkout


def _enter(folder: Path, name: str) -> None:
    """Makes the server's configuration, or enters the model into the one that is there."""
    if not (folder / BATCHING_FILE).exists():
        files.write_text(folder / BATCHING_FILE, _BATCHING)
    path = folder / MODELS_FILE
    text = path.read_text("utf-8") if path.exists() else ""
    if "}" not in text:
        text += "model_config_list {\n}\n"
    if not re.search(rf"""name:\s*["']{re.escape(name)}["']""", text):
        before, brace, after = text.rpartition("}")
        files.write_text(path, before + _MODEL.format(name=name) + brace + after)

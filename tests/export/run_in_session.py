"""Runs requests on exports as TensorFlow Serving does: by a session, from the files alone.

    python run_in_session.py FOLDER

reads FOLDER/requests.json, a list of {"model": folder, "signature": name, "inputs": {...}}, where
an input is a list of numbers, {"files": [...]} (their bytes) or {"array": ".npy file"}; writes the
outputs of the n-th request to FOLDER/<n>.npz, or its error to FOLDER/<n>.txt.
"""

import json
import sys
from pathlib import Path


def main(folder):
    import numpy as np
    import tensorflow as tf

    def value(given):
        if isinstance(given, list):
            return given
        if "files" in given:
            return [Path(file).read_bytes() for file in given["files"]]
        return np.load(given["array"], allow_pickle=False)

    sessions = {}
    for number, request in enumerate(json.loads((folder / "requests.json").read_text())):
        model = request["model"]
        if model not in sessions:
            session = tf.compat.v1.Session(graph=tf.Graph())
            with session.graph.as_default():
                meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], model)
            sessions[model] = session, meta.signature_def
        session, signatures = sessions[model]
        signature = signatures[request["signature"]]
        fetches = {name: info.name for name, info in signature.outputs.items()}
        feeds = {signature.inputs[name].name: value(it) for name, it in request["inputs"].items()}
        try:
            np.savez(folder / f"{number}.npz", **session.run(fetches, feeds))
        except tf.errors.OpError as error:
            (folder / f"{number}.txt").write_text(f"{type(error).__name__}: {error.message}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

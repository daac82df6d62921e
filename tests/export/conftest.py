"""Fixtures of the tests of exports."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from exported import exif_orientation, make_localizer, picture


@pytest.fixture(scope="session")
def localizer():
    return make_localizer()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Files of five pictures of different sizes and kinds; the last is black all over."""
    jpeg = tf.io.encode_jpeg(picture(60, 40, 2), quality=95).numpy()
    encoded = {
        "photo.jpg": tf.io.encode_jpeg(picture(40, 60, 0), quality=95).numpy(),
        "drawing.png": tf.io.encode_png(picture(31, 20, 1)).numpy(),
        "turned.jpg": exif_orientation(jpeg, 6),
        "gray.png": tf.io.encode_png(picture(50, 50, 3)[..., :1]).numpy(),
        "black.png": tf.io.encode_png(np.zeros((16, 18, 3), np.uint8)).numpy(),
    }
    folder = tmp_path_factory.mktemp("pictures")
    for name, data in encoded.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in encoded]


@pytest.fixture
def in_session(tmp_path):
    """Runs requests in another process, by the session path; see run_in_session.py."""

    def run(requests):
        (tmp_path / "requests.json").write_text(json.dumps(requests))
        script = Path(__file__).with_name("run_in_session.py")
        subprocess.run([sys.executable, script, tmp_path], check=True, cwd=tmp_path)
        answers = []
        for number in range(len(requests)):
            if (tmp_path / f"{number}.txt").exists():
                answers.append((tmp_path / f"{number}.txt").read_text())
            else:
                with np.load(tmp_path / f"{number}.npz", allow_pickle=False) as stored:
                    answers.append(dict(stored))
        return answers

    return run

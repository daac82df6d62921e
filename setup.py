"""Packaging: the library, with the binaries of ``train/`` and ``eval/`` inside it."""

from pathlib import Path

from setuptools import find_packages, setup

REQUIREMENTS = [
    "absl-py>=2.1",
    "defusedxml>=0.7.1",
    "importlib_resources>=6.0",  # TensorFlow Datasets imports it without declaring it.
    "keras>=3.11.3",  # Before it, safe_mode did not hold for .h5 files (CVE-2025-9905).
    "numpy>=2.0",
    "pillow>=10.4",  # The index of a mask's pixel, not its colour; 10.4 has Python 3.13's wheels.
    "scikit-learn>=1.6",
    "scipy>=1.14.1",  # Sparse matrices, SBD's Matlab files; the first with wheels for Python 3.13.
    "tensorflow>=2.20",  # The first with wheels for Python 3.13.
    "tensorflow-datasets>=4.9.10",
    "tqdm>=4.66",
]

EXTRAS = {
    # Data sets of any size, on many machines. 2.69 is the first with wheels for Python 3.13. Up to
    # 2.77 it wants protobuf below 7, and so keeps it there for all the rest.
    "beam": ["apache-beam>=2.69"],
    # Both serve the module cv2 and overwrite each other, and pip cannot express "either", so
    # the user chooses and an installed one is left alone. See sensmap/_opencv.py.
    "opencv": ["opencv-python>=4.12"],
    "headless": ["opencv-python-headless>=4.12"],
    "serving": ["tensorflow-serving-api>=2.20"],  # The messages of warm-up records.
    "test": [
        "dill>=0.3.8",  # TensorFlow Datasets' DatasetBuilderTestCase imports it.
        "hypothesis>=6.100",
        "mypy==2.4.*",  # Checkers change their minds between versions; these two are pinned.
        "packaging>=24",
        "protobuf>=5",  # The tests read text protos.
        "pytest>=8.2",
        "pytest-xdist>=3.6",  # The suite in two processes.
        "ruff==0.17.*",
        "setuptools>=70.1",  # tests/test_packaging.py builds the wheel without a network.
    ],
}

# Named explicitly, because a checkout's `train` and `eval` would otherwise be installed as
# top-level packages of these all too common names.
BINARIES = {"sensmap.train": "train", "sensmap.eval": "eval"}

setup(
    name="sensmap",
    version="0.1.0",
    description="Weakly supervised object localization from a classifier's sensitivity maps",
    long_description=(Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
    python_requires=">=3.11",
    packages=[*find_packages(include=["sensmap", "sensmap.*"]), *BINARIES],
    package_dir=BINARIES,
    package_data={
        "sensmap": ["objectness/parameters.json", "ready_made/*.npz", "ready_made/*.json"]
    },
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            "sensmap = sensmap.__main__:main",
            "sensmap-train-classifier = sensmap.train.classifier:main",
            "sensmap-train-box-regressor = sensmap.train.box_regressor:main",
            "sensmap-extract-features = sensmap.train.features:main",
            "sensmap-pipeline = sensmap.train.pipeline:main",
            "sensmap-export-saved-model = sensmap.train.export_saved_model:main",
            "sensmap-evaluate-localization = sensmap.eval.localization:main",
            "sensmap-evaluate-segmentation = sensmap.eval.segmentation:main",
            "sensmap-compare = sensmap.eval.compare:main",
            "sensmap-visualise-classes = sensmap.eval.class_model:main",
        ]
    },
)

"""What claims about accuracy, speed and memory are measured with; see README.md."""

import os

# Before TensorFlow is imported anywhere: its start-up notices would stand above every table.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

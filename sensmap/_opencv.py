"""OpenCV's module ``cv2``, or one clear line on how to get it.

Two packages serve it. ``opencv-python`` needs a desktop's graphics libraries; on servers and in
containers ``opencv-python-headless`` imports where those are absent. They overwrite each other,
so sensmap requires neither and leaves an installed one alone.
"""

try:
    import cv2
except ModuleNotFoundError as error:
    raise ImportError(
        "sensmap needs OpenCV, which is not installed. "
        "On a desktop: pip install opencv-python; "
        "on a server or in a container: pip install opencv-python-headless."
    ) from error
except ImportError as error:
    raise ImportError(
        f"OpenCV is installed but does not load on this machine ({error}). Without a desktop's "
        "libraries: pip uninstall -y opencv-python, then pip install opencv-python-headless."
    ) from error

__all__ = ["cv2"]

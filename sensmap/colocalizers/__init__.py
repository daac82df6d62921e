"""Co-localizers: all images of a class -> a box each; one a file.

What a localizer reads off one image's map, a co-localizer reads off what the images of a class have
in common. It learns nothing from boxes: the images and the knowledge which of them show the same
class are enough.

A module ``sensmap/colocalizers/<name>.py`` offers ``create``, a class derived from `CoLocalizer`,
and is then known by its name:

    ``create(**options)`` makes one; where ``create.needs_classifier`` is true it takes
    ``classifier=`` too;
    ``title`` is what tables call it;
    ``boxes(examples, labels, description) -> (N, 4)`` float32 valid xyxy, relative: examples of the
    same label are of one class, those with a label below 0 stand each for itself, and
    ``description`` is what the progress bar says. An image that cannot be read raises
    `sensmap.datasets.ExampleError`, one line that begins with its id.

The boxes depend on which examples are given with which labels and on nothing else: not on their
order, nor on what the labels are called.
"""

from sensmap.colocalizers._base import CoLocalizer, by_class, create, needs_classifier

__all__ = ["CoLocalizer", "by_class", "create", "needs_classifier"]

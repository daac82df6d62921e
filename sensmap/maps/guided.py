"""Guided back-propagation: only what raises the score, through units that are on.

Springenberg et al. 2015, section 3.4; Shimoda & Yanai 2016, section 3.3. At a rectifier
y = max(x, 0), where back-propagation lets the arriving derivative R pass if x > 0,

    dS_c/dx := R * [x > 0] * [R > 0]

and everything else is as in `sensmap.maps.gradient`.
"""

from sensmap.maps.gradient import Gradient


class Guided(Gradient):
    """Sensitivity maps by guided back-propagation, for pixels and inner layers.

    What counts as a rectifier, in whatever form a model has it, stands in
    `sensmap.maps._rectifiers`; a model without any is refused when the maps are first made.

    Args:
        classifier, layers, reduction: as of `Gradient`.

    Attributes:
        rectifiers: how many of the network's rectifiers follow the rule.

    Raises:
        ValueError: for a layer or reduction that there is not.

    >>> import keras
    >>> from sensmap import classifiers
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3),
    ...                           keras.layers.ReLU(), keras.layers.Flatten(),
    ...                           keras.layers.Dense(2)])
    >>> Guided(classifiers.load(model, preprocessing="none")).rectifiers
    1
    """

    rule = "guided"


# By the name of its module.
create = Guided

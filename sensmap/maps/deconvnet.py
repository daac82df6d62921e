"""DeconvNet: the class score's reconstruction, with rectifiers that rectify on the way back.

Zeiler & Fergus 2014, section 2.1; Simonyan et al. 2013, section 4. At a rectifier y = max(x, 0),
where back-propagation lets the arriving derivative R pass if x > 0,

    dS_c/dx := R * [R > 0]

and everything else is as in `sensmap.maps.gradient`: a transposed convolution is the derivative
of a convolution, and unpooling to the recorded positions ("switches") that of max pooling.
"""

from sensmap.maps.gradient import Gradient


class DeconvNet(Gradient):
    """Reconstructions by a DeconvNet, for pixels and inner layers.

    Departure from Zeiler & Fergus: the reconstruction starts from a class score, as in Simonyan
    et al., and so passes the fully connected layers too; theirs starts from one feature map.
    Of the image itself only the switches of max pooling are left in a reconstruction (and
    which units of a ReLU6 are at their maximum), so a network without max pooling gives every
    image of a class nearly the same map. What counts as a rectifier stands in
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
    >>> DeconvNet(classifiers.load(model, preprocessing="none")).rectifiers
    1
    """

    rule = "deconvnet"


# By the name of its module.
create = DeconvNet

"""Objectness: how likely a window is to hold an object, of whatever class.

Alexe, Deselaers & Ferrari 2012, "Measuring the Objectness of Image Windows" (PAMI). Five numbers
say of a window w what sets objects off from their surroundings (sections 2.1 to 2.5):

    MS  multi-scale saliency: the salient pixels inside and how dense they lie
    CC  colour contrast: chi-square distance of the colours inside and in a ring around
    ED  edge density: edge pixels in the window's inner ring over the ring's length
    SS  superpixels straddling: 1 - sum over superpixels s of min(|s \ w|, |s ∩ w|) / |w|
    LS  location and size: the share of training images in which w covers an object

Naive Bayes puts them together (section 4.1), with the likelihoods of the first four for windows
that cover an object (IoU of 0.5 or more) and windows that do not, which come with the package:

    p(object) / p(background) = LS / (1 - LS) * prod (p(cue | object) / p(cue | background))^v

Departures from the paper. The windows are all those with corners on a lattice, and none are
sampled. LS is no Gaussian density of the corners but the probability itself, with "covers" as the
kernel, and takes the prior's place. Likelihoods are told apart by the windows' size, for all cues
grow or shrink with it, and would say together once more that objects are large; they count
with one exponent v, fitted too, for the cues are less independent than naive Bayes has it, and are
interpolated between the middles of their histograms' bins, so that windows seldom tie. All scales
of MS score a window, each as shares of its map's sum, and the highest counts. Superpixels are
merged in rounds (see `superpixels`). Images are worked at a reduced size.

``benchmarks/objectness.py`` fits the numbers, and measures the top window.
"""

from sensmap.objectness.proposals import Windows, propose

__all__ = ["Windows", "propose"]

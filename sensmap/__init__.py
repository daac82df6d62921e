"""Weakly supervised object localization: a classifier's sensitivity maps, read out as boxes.

    from sensmap import Extractor, Localizer, classifiers, datasets, maps

The parts are named by what they hold: `classifiers`, `datasets`, `maps`, `features`,
`localizers`, `metrics`, `report`, `export`; `README.md` shows them at work in ten lines.
"""

"""From boxes to numbers that can be trusted, and to the files that show them.

`predictions` has the boxes of every kind of method, `baselines`, `served` and `external` those of
what they are compared with, of exports and of other tools; `scores` measures them, `judges` the
maps themselves, `learning_curve` how many boxes a fit needs; `illustrations` chooses images for the
report, and `record` writes it all down.
"""

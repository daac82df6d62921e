"""Engines: what makes feature stores, fits and measures, for data sets of any size.

A run is described by `sensmap.engines.job`, in words and numbers that go to any process on any
machine. Its work is cut into pieces, `sensmap.engines.pieces`: make a shard, add a shard up for the
fit, fit, score a shard, add the scores up. An engine decides where and in what order pieces run:

    local    one after the other, in this process
    beam     side by side, on whatever runs Apache Beam: other processes, Flink, Spark, Dataflow

Both have ``make(job, overwrite)`` for a store alone and ``localize(job, learned)`` for all of it,
and the numbers are the same: on equal processors, versions and threads a shard's bytes do not
depend on who makes it, CorLoc's counts not on their order, and the regression's sums only in
float64's last digits. What was finished is kept; `sensmap.engines.stages` goes on from there.

All processes work in one folder. It is on this machine's disk, or on a file system that all
machines see under the same path, as are classifier and data set.
"""

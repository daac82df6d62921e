"""How well boxes and masks agree with the truth: one metric a file, found by its name.

A module ``sensmap/metrics/<name>.py`` offers a class, under its own name and as ``Metric``:

    ``update(predicted, ..., truths, ...)`` counts a batch, first what was predicted (boxes,
    masks or score maps), then the truth; what does not fit raises before anything is counted;
    ``merge(other)`` adds what another instance, made with the same arguments, has counted;
    ``result() -> dict`` the numbers so far, fit for JSON: None, never NaN, for what is undefined.

The work is done by pure functions; an instance only keeps what they return. The result depends
on which images were counted and on nothing else: neither their order, nor the batches, nor how
they were spread over instances that were merged changes a byte of it.
"""

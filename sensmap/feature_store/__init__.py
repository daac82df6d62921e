"""Feature stores: what localizers learn from, of a data set of any size, on disk.

One pass over a large data set takes hours. `build` makes it shard by shard and writes each at
once, so that neither images, maps nor features need to be in memory together, and a run that was
killed goes on where it was:

    FOLDER/manifest.json                         what the features were made from, and how
    FOLDER/features-00007-of-00120.tfrecord      the images of a block of ids, in their order
    FOLDER/index/00007.json                      what is in it, and its checksum
    FOLDER/lock                                  held by the process that writes

A shard is written under a temporary name, brought to the disk and renamed, and then its index is:
a shard with an index is finished. Batches begin anew with each shard, so they, and with them the
rounding of float32, do not depend on where a run was interrupted; manifest, shards and indices hold
no times and no host names. On one machine, with the same versions and number of threads, the
files are byte for byte those of a run that nothing disturbed. `Plan` makes single shards: several
processes can share the work (`sensmap.engines`).

A shard's records are `tf.train.Example` messages (`sensmap.feature_store.records`), which Beam and
TensorFlow read without sensmap.
"""

from sensmap.feature_store.building import Built, build
from sensmap.feature_store.plan import Plan
from sensmap.feature_store.shards import Damage
from sensmap.feature_store.store import FeatureStore, open

__all__ = ["Built", "Damage", "FeatureStore", "Plan", "build", "open"]

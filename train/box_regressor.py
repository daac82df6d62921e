r"""Fits what turns sensitivity maps into boxes: a regression, or a threshold.

    python -m train.box_regressor --classifier=runs/digits/classifier \
        --dataset=digits --split=fit --layers=auto --output=runs/digits/localizer

Writes a folder that every --localizer takes: localizer.npz and config.json (settings, versions,
the classifier it belongs to, the images it was fitted on). With --ready_made no boxes are needed:
the coefficients that come with sensmap are adapted to the classifier by unlabelled images.
--localizer=threshold picks the threshold with the highest CorLoc; graphcut and dense_crf learn
nothing and only record their settings. With --store=A,B the linear regression is fitted on feature
stores of train/features.py, shard by shard, however many images they hold.
"""

from collections.abc import Sequence

from absl import flags

from sensmap import binaries, registry, splits
from sensmap import flags as shared

FLAGS = flags.FLAGS

shared.define_classifier()
shared.define_dataset(part="train")
shared.define_maps()
shared.define_batch()
shared.define_compute()
shared.define_output()
flags.DEFINE_string(
    "localizer",
    "linear",
    f"what turns maps into boxes: {', '.join(registry.names('sensmap.localizers'))}",
)
flags.DEFINE_list("store", [], "fit on these feature stores, of the same maps, instead of images")
flags.DEFINE_bool(
    "ready_made", False, "adapt the ready-made regressor to unlabelled images instead of fitting"
)


def run(_: Sequence[str]) -> None:
    if FLAGS.store:
        _fit_stores()
        return
    shared.require("classifier", "dataset", "output")
    if FLAGS.ready_made:
        holds = "the ready-made regressor is a linear one for quantiles"
        shared.refuse(holds, "features", "localizer", "localizer_option")
    from sensmap import files, ready_made
    from sensmap.evaluation import predictions
    from sensmap.localizer import Localizer, baselines

    (estimator,) = shared.estimators([FLAGS.localizer])
    if not hasattr(estimator, "save"):
        raise ValueError(
            f"{FLAGS.localizer!r} is a constant box: eval/localization.py has it in every table."
        )
    if hasattr(estimator, "check_penalties"):  # what cannot be, before the maps are made
        estimator.check_penalties()
    with files.output_folder(FLAGS.output, FLAGS.overwrite) as work:
        classifier = shared.classifier()
        data = shared.dataset()
        accuracy = binaries.report_sanity(classifier, data)
        method = shared.map_method(classifier)
        extractor = shared.computed(predictions.extractor_for(method, [estimator], top_k=0))
        table = extractor.extract(data, FLAGS.class_of, FLAGS.batch_size)
        binaries.report_skipped(table)
        if FLAGS.ready_made:
            estimator = ready_made.adapt(ready_made.regressor(method), table.features)
        else:
            estimator.fit(predictions.readings(estimator, table.asked), table.truths)
        config = {
            "data": binaries.data_record(data, table),
            "fitted_on_boxes_of": 0 if FLAGS.ready_made else getattr(estimator, "images_", 0),
            "baselines": ready_made.baselines() if FLAGS.ready_made else baselines(table.truths),
            "sanity": accuracy,
            "configuration": binaries.configuration(__name__),
            "versions": binaries.versions(),
        }
        Localizer(method, estimator, config).write_into(work)
    used = f"adapted to {len(table)} images" if FLAGS.ready_made else _fit_of(estimator)
    print(f"{FLAGS.output}: {estimator.title}, {used}, maps of {', '.join(method.layers)}.")


def _fit_stores() -> None:
    """Fits the regression on feature stores; memory holds one shard."""
    shared.require("classifier", "output")
    recorded = [name for name in shared.MAP_FLAGS if name != "localizer_option"]
    about = "dataset", "root", "split", "dataset_option", "part", "class_of", "batch_size"
    shared.refuse("the store has recorded it", *recorded, *about, "mixed_precision")
    shared.refuse("a store's maps are made already", "strategy", "jit_compile")
    shared.refuse("a store's features are for the linear regression", "localizer", "ready_made")
    from tqdm import tqdm

    from sensmap import files, maps
    from sensmap.evaluation import predictions
    from sensmap.localizer import Localizer, baselines, refuse_other
    from sensmap.localizers.linear import RidgeStatistics

    (estimator,) = shared.estimators(["linear"])
    estimator.check_penalties()
    stores = _stores(FLAGS.store)
    made = stores[0].manifest
    estimator.set_params(features=made["features"])
    with files.output_folder(FLAGS.output, FLAGS.overwrite) as work:
        classifier = shared.classifier(made["classifier"].get("mixed_precision", "none"))
        refuse_other(made["classifier"], classifier.config, FLAGS.store[0])
        options = dict(made["maps"])
        method = maps.create(options.pop("name"), classifier, **options)
        statistics = RidgeStatistics(made["numbers"]["features"])
        ids: list[str] = []
        truths: list = []
        count = sum(store.manifest["shards"] for store in stores)
        with tqdm(total=count, desc="Fit", unit="shard", disable=None) as progress:
            for store in stores:
                for table in store.shards():
                    statistics.update_table(table)
                    ids += table.ids
                    truths += table.truths
                    progress.update()
        estimator.fit_statistics(statistics)
        names = dict.fromkeys(store.manifest["data"]["name"] for store in stores)
        config = {
            "data": {
                "dataset": predictions.TOGETHER.join(names),
                "images": len(ids),
                "ids_sha256": splits.ids_sha256(ids),
                "ids": ids,
            },
            "fitted_on_boxes_of": estimator.images_,
            "baselines": baselines(truths),
            "configuration": binaries.configuration(__name__),
            "versions": binaries.versions(),
        }
        Localizer(method, estimator, config).write_into(work)
    print(
        f"{FLAGS.output}: {estimator.title}, {_fit_of(estimator)}, from {', '.join(FLAGS.store)}."
    )


def _stores(folders: Sequence[str]) -> list:
    """The feature stores in these folders, if they are of the same maps and of other images."""
    from sensmap import feature_store
    from sensmap.feature_store import manifest

    found = [feature_store.open(folder) for folder in folders]
    images: dict[tuple, str] = {}
    for folder, store in zip(folders, found, strict=True):
        made = store.manifest
        if made["features"] is None:
            raise ValueError(f"{folder} holds no features; train/features.py --localizer=linear.")
        same = ("classifier", "maps", "features", "class_of")
        first, other = ({key: each.manifest[key] for key in same} for each in (found[0], store))
        if differing := manifest.differences(first, other):
            raise ValueError(
                f"{folder} cannot be put together with {folders[0]}: {'; '.join(differing)}."
            )
        of = made["data"]["name"], made["data"]["ids_sha256"]
        if of in images:
            raise ValueError(f"{folder} holds the same images as {images[of]}; name one of them.")
        images[of] = folder
    return found


def _fit_of(estimator) -> str:
    found = [f"fitted on {estimator.images_} images"] if hasattr(estimator, "images_") else []
    for name in ("penalty", "threshold"):
        if hasattr(estimator, f"{name}_"):
            found.append(f"{name} {getattr(estimator, f'{name}_'):g}")
    return ", ".join(found) or "nothing to fit"


def main() -> None:
    binaries.run(run)


if __name__ == "__main__":
    main()

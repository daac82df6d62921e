"""The pieces of a run, in any order and grouping, and what the parts of a run refuse."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

from sensmap import classifiers, feature_store, splits
from sensmap._opencv import cv2
from sensmap.dataset_parts import open_dataset
from sensmap.datasets import Dataset, Example, ExampleError, voc
from sensmap.engines import local, pieces, stages
from sensmap.feature_store import manifest
from sensmap.localizer import Localizer, read_config
from sensmap.localizers.linear import BoxRegressor, RidgeStatistics
from sensmap.metrics.corloc import CorLoc
from sensmap.pipeline import Extractor


def over_the_wire(sums):
    return type(sums).from_bytes(sums.to_bytes())


def learned_of(store, numbers):
    found = pieces.Learned()
    for number in numbers:
        found.add(store, number)
    return found


def test_sums_of_a_fit_in_any_order_and_grouping(by_local):
    job, _ = by_local
    whole = learned_of(job.fitted, range(5))
    assert whole.statistics.images == 90
    expected = BoxRegressor().fit_statistics(whole.statistics)
    for first in ([0, 3], [4, 2, 1], []):
        others = [number for number in (3, 1, 4, 0, 2) if number not in first]
        parts = pieces.Learned()
        for part in (first, others):
            parts = over_the_wire(parts)
            parts.merge(over_the_wire(learned_of(job.fitted, part)))
        parts.merge(pieces.Learned())
        found = BoxRegressor().fit_statistics(parts.statistics)
        assert found.penalty_ == expected.penalty_
        scale = np.abs(expected.coef_).max()
        np.testing.assert_allclose(found.coef_, expected.coef_, rtol=0, atol=1e-12 * scale)
        assert parts.images == whole.images


def test_counts_in_any_order_are_those_of_all_images_at_once(by_local, tmp_path):
    job, result = by_local
    localizer = Localizer.load(
        job.localizer, classifiers.load(job.fitted.classifier["source"], preprocessing="tf")
    )
    digits = open_dataset(**job.measured.dataset)
    table = Extractor(localizer.method).extract(digits)
    expected = CorLoc(digits.classes)
    expected.update(localizer.estimator.predict(table.features), table.truths, table.labels)
    *_, row = result["rows"]
    wanted = expected.result()
    for key in ("corloc", "interval", "corloc_30", "corloc_70", "images", "unscored"):
        assert row[key] == wanted[key]
    # Other batches round otherwise.
    assert row["mean_iou"] == pytest.approx(wanted["mean_iou"], abs=1e-6)
    for kind in ("class", "images", "corloc"):
        by_class = [[each[kind] for each in of["by_class"]] for of in (row, wanted)]
        assert by_class[0] == by_class[1]
    fitted = over_the_wire(pieces.Fitted.from_folder(job.localizer))
    scored = [pieces.Measured.score(job, fitted, number) for number in range(3)]
    copied = job._replace(output=str(shutil.copytree(job.output, tmp_path / "run")))
    for order in itertools.permutations(range(3)):
        both = pieces.Measured()
        for number in order:
            both.merge(over_the_wire(scored[number]))
        both = over_the_wire(both)
        assert pieces.record(copied, both) == result


def test_a_shard_is_in_one_part_only(by_local):
    job, _ = by_local
    learned = learned_of(job.fitted, [1, 3])
    before = learned.to_bytes()
    with pytest.raises(ValueError, match="have the shard 3 twice"):
        learned.merge(learned_of(job.fitted, [3, 4]))
    assert learned.to_bytes() == before
    fitted = pieces.Fitted.from_folder(job.localizer)
    measured = pieces.Measured.score(job, fitted, 2)
    before = measured.to_bytes()
    with pytest.raises(ValueError, match="have the shard 2 twice"):
        measured.merge(pieces.Measured.score(job, fitted, 2))
    assert measured.to_bytes() == before


def test_the_localizer_is_that_of_a_fit_on_the_whole_store(by_local):
    job, result = by_local
    store = feature_store.open(job.fitted.folder)
    statistics, ids = RidgeStatistics(304), []
    for table in store.shards():
        statistics.update_table(table)
        ids += table.ids
    expected = BoxRegressor().fit_statistics(statistics)
    found = BoxRegressor.load(job.localizer / "localizer.npz")
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    config = read_config(job.localizer)
    assert config["data"] == {
        "dataset": "digits fit",
        "images": 90,
        "ids_sha256": splits.ids_sha256(ids),
        "ids": ids,
    }
    assert config["fitted_on_boxes_of"] == 90
    assert set(config["baselines"]) == {"centred_box", "mean_box"}
    assert result["fitted_on"][0]["ids_sha256"] == config["data"]["ids_sha256"]
    assert result["data"]["images"] == 50
    assert result["versions"] == {"python": "3"}
    assert [row["method"] for row in result["rows"][:2]] == [
        "Constant centre box",
        "Mean training box",
    ]
    text = (job.result.parent / "table.md").read_text()
    assert f"| {result['rows'][-1]['corloc']:.1f} [" in text
    assert "| Class | Images |" in text


def test_a_finished_run_is_not_done_again(by_local, monkeypatch):
    job, result = by_local
    monkeypatch.setattr(pieces, "make_shard", None)
    assert stages.run(job, None) == result


class Interrupted(Exception):
    pass


def test_a_run_goes_on_from_where_it_was(by_local, run_in, tmp_path, monkeypatch):
    expected, result = by_local
    job = run_in(tmp_path / "run")
    make, fit = feature_store.Plan.make, pieces.fit

    def stop(*_):
        raise Interrupted

    def third_time(plan, number, *rest):
        if number == 2:
            raise Interrupted
        make(plan, number, *rest)

    monkeypatch.setattr(feature_store.Plan, "make", third_time)
    with pytest.raises(Interrupted):
        stages.run(job, local.Engine())
    assert sorted(job.fitted.plan().stamps()) == [0, 1]
    monkeypatch.setattr(feature_store.Plan, "make", make)
    before = job.fitted.plan().stamps()
    monkeypatch.setattr(pieces, "fit", stop)
    with pytest.raises(Interrupted):
        stages.run(job, local.Engine())
    assert not job.localizer.exists()
    assert before.items() < job.fitted.plan().stamps().items()
    monkeypatch.setattr(pieces, "fit", fit)
    record = pieces.record
    monkeypatch.setattr(pieces, "record", stop)
    with pytest.raises(Interrupted):
        stages.run(job, local.Engine())
    monkeypatch.setattr(pieces, "record", record)
    monkeypatch.setattr(pieces, "fit", stop)  # which is done
    assert stages.run(job, local.Engine()) == result
    for name in ("localizer/localizer.npz", "localizer/config.json", "result.json", "table.md"):
        assert (tmp_path / "run" / name).read_bytes() == (
            expected.result.parent / name
        ).read_bytes()
    monkeypatch.setattr(pieces, "fit", fit)
    assert stages.run(job, local.Engine(), overwrite=True) == result


def refused(message, job, **options):
    with pytest.raises((ValueError, OSError), match=message):
        stages.run(job, local.Engine(), **options)


def test_images_that_were_fitted_on_are_not_measured_on(run_in, store_in, tmp_path):
    same = store_in(tmp_path / "run" / "measured_features", count=10)
    message = "10 of the 10 images to measure on are fitted on, 'fit-0-000000' among them"
    refused(message, run_in(tmp_path / "run", measured=same))
    assert not (tmp_path / "run").exists()


@pytest.fixture
def photographs(tmp_path):
    """Folders of images: ``train`` and ``test`` have files of the same names."""
    for split, shade in (("train", 40), ("test", 200)):
        for name in ("a.png", "b.png"):
            place = tmp_path / "photographs" / split / name
            place.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(place), np.full((20, 20, 3), shade, np.uint8))
    return tmp_path / "photographs"


def of_photographs(store_in, run_in, folder, root, fitted, measured):
    stores = {
        name: store_in(
            folder / name,
            dataset={"name": "image_folder", "root": str(root), **options},
            class_of="predicted",
        )
        for name, options in (("fitted", fitted), ("measured", measured))
    }
    return run_in(folder, **stores)


def test_files_of_the_same_name_in_two_splits_are_two_images(
    run_in, store_in, photographs, tmp_path
):
    splits_of = [{"split": "train"}, {"split": "test"}]
    job = of_photographs(store_in, run_in, tmp_path / "run", photographs, *splits_of)
    stages._refuse_fitted(job)
    again = of_photographs(store_in, run_in, tmp_path / "run", photographs, *splits_of[:1] * 2)
    refused("2 of the 2 images to measure on are fitted on, 'a.png' among them", again)


def test_splits_of_other_names_that_share_images(run_in, store_in, tmp_path, monkeypatch):
    # As VOC's trainval and val: names that differ, and the same files.
    def load(root, split=None):
        first = {"trainval": 0, "val": 2}[split]
        ids = [f"00000{place}" for place in range(first, 5)]

        def read(place):
            if ids[place] == "000002":
                raise ExampleError("its annotation is damaged")
            return Example(ids[place], Path(root, ids[place]))

        return Dataset(f"voc VOC2007 {split}", ["cat"], ids, read)

    monkeypatch.setattr(voc, "load", load)
    stores = [
        store_in(
            tmp_path / split,
            dataset={"name": "voc", "root": "/voc", "split": split},
            class_of="predicted",
        )
        for split in ("trainval", "val")
    ]
    job = run_in(tmp_path / "run", fitted=stores[0], measured=stores[1])
    refused("3 of the 3 images to measure on are fitted on, '000002' among them", job)
    elsewhere = stores[1]._replace(dataset={**stores[1].dataset, "root": "/other"})
    stages._refuse_fitted(job._replace(measured=elsewhere))


@pytest.mark.parametrize(
    ("which", "folder"), [("fitted", "features"), ("measured", "measured_features")]
)
def test_no_image_could_be_used(run_in, store_in, tmp_path, which, folder):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "a.png").write_bytes(b"no image")
    unreadable = store_in(
        tmp_path / "run" / folder,
        dataset={"name": "image_folder", "root": str(broken)},
        class_of="predicted",
    )
    job = run_in(tmp_path / "run", **{which: unreadable})
    message = r"^No image of image_folder broken could be used \(a\.png: .*\)\.$"
    refused(message, job)
    assert not job.result.exists()
    refused(message, job)  # again, with shards that are there


def test_what_a_killed_run_was_writing_goes(by_local, run_in, tmp_path):
    expected, result = by_local
    job = run_in(tmp_path / "run")
    left = [tmp_path / "run" / f".{name}.0a1b.partial" for name in ("localizer", "result.json")]
    left[0].mkdir(parents=True)
    (left[0] / "localizer.npz").write_bytes(b"half")
    left[1].write_text("{")
    for name in ("features", "measured_features"):
        shutil.copytree(Path(expected.output, name), tmp_path / "run" / name)
    assert stages.run(job, local.Engine()) == result
    assert not any(path.exists() for path in left)
    (tmp_path / "run" / "film.partial").write_text("!")
    refused("holds other things .film.partial", job)


def test_an_old_result_goes_before_its_stores(by_local, tmp_path, monkeypatch):
    output = Path(shutil.copytree(by_local[0].output, tmp_path / "run"))
    job = by_local[0]._replace(
        output=str(output),
        fitted=by_local[0].fitted._replace(folder=str(output / "features")),
        measured=by_local[0].measured._replace(folder=str(output / "measured_features")),
    )

    def stop(*_):
        raise Interrupted

    monkeypatch.setattr(feature_store.plan.shards, "clear", stop)
    with pytest.raises(Interrupted):
        stages.run(job, local.Engine(), overwrite=True)
    assert not job.result.exists()
    assert not job.localizer.exists()
    assert sorted(job.fitted.plan().stamps()) == list(range(5))


def test_what_is_recorded_is_asked_for_once_there_is_something_to_do(by_local):
    job, result = by_local

    def never():
        raise Interrupted

    assert stages.run(job, None, record=never) == result
    with pytest.raises(Interrupted):
        stages.run(job, None, overwrite=True, record=never)


def test_a_run_of_something_else_is_refused(by_local, store_in):
    job, _ = by_local
    folder = job.result.parent / "features"
    other = store_in(folder, maps={"name": "gradient"})
    refused(r"localizer is of something else \(maps.layers: stored", job._replace(fitted=other))
    refused("something else .regression.penalties", job._replace(regression={"penalties": [1]}))
    fewer = store_in(job.measured.folder, "test", 40)
    message = "result.json is of something else .data.images: stored 50, given 40"
    refused(message, job._replace(measured=fewer))


def test_a_folder_with_other_things_is_refused(run_in, tmp_path):
    (tmp_path / "precious.txt").write_text("!")
    for overwrite in (False, True):
        refused("holds other things .precious.txt", run_in(tmp_path), overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_two_runs_in_one_folder(run_in, tmp_path):
    job = run_in(tmp_path / "run")
    with feature_store.lock.only_writer(_made(tmp_path / "run" / "measured_features")):
        refused("another process is writing", job)


def _made(folder):
    folder.mkdir(parents=True)
    return folder


def test_a_worker_that_means_another_store(by_local, store_in, tmp_path):
    job, _ = by_local
    folder = job.fitted.folder
    with pytest.raises(ValueError, match=r"data.ids_sha256: stored .*, given"):
        pieces.make_shard(store_in(folder, "test"), 0)
    with pytest.raises(FileNotFoundError, match="no feature store in"):
        pieces.make_shard(store_in(tmp_path), 0)
    there = {**manifest.versions(), "tensorflow": "1.15"}
    here = manifest.versions()["tensorflow"]
    with pytest.raises(ValueError, match=f"tensorflow {here} here, 1.15 there"):
        pieces.make_shard(store_in(folder, versions=there), 0)


def test_without_classes_there_is_no_table_of_them(by_local, tmp_path):
    job, _ = by_local
    fitted = pieces.Fitted.from_folder(job.localizer)
    measured = pieces.Measured.score(job, fitted, 0)
    measured.shards[0]["labelled"] = False
    copied = job._replace(output=str(shutil.copytree(job.output, tmp_path / "run")))
    assert pieces.record(copied, measured)["rows"][-1]["by_class"] == []
    assert "| Class |" not in (tmp_path / "run" / "table.md").read_text()

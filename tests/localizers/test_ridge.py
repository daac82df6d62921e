"""Regressions fitted from sums, against scikit-learn on the images themselves."""

import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sensmap.feature_table import FeatureTable, Readings
from sensmap.localizers._ridge import RidgeStatistics, fit, fold_of
from sensmap.localizers.linear import PENALTIES, BoxRegressor

RNG = np.random.default_rng(0)


def names(count):
    return [f"n{i % 7:08d}/{i}.jpg" for i in range(count)]


def boxes_for(z, noise=0.02):
    """Boxes that depend on standardised features linearly; boxes are held in float32."""
    z = np.asarray(z, np.float64)
    deviation = z.std(axis=0)
    varies = deviation > 1e-6 * np.abs(z).max(axis=0)
    standard = (z - z.mean(axis=0)) / np.where(varies, deviation, np.inf)
    weights = RNG.normal(size=(z.shape[1], 4)) * 0.04 / np.sqrt(z.shape[1])
    found = [0.2, 0.3, 0.7, 0.8] + standard @ weights + noise * RNG.normal(size=(len(z), 4))
    return found.astype(np.float32).astype(np.float64)


def added(z, boxes, folds=5):
    statistics = RidgeStatistics(z.shape[1], folds)
    statistics.update(z, boxes, names(len(z)))
    return statistics


def predicted(found, z):
    return (z - found.mean) / found.scale @ found.coef.T + found.intercept


# --- Against scikit-learn ---


@pytest.mark.parametrize("penalty", [0.1, 30.0, 1e5])
@pytest.mark.parametrize(("count", "size"), [(300, 12), (60, 150)], ids=["tall", "wide"])
def test_it_is_ridge_regression_on_standardised_features(count, size, penalty):
    z = RNG.normal(size=(count, size)) * np.logspace(-3, 3, size) + RNG.normal(size=size)
    boxes = boxes_for(z)
    found = fit(added(z, boxes), [penalty])
    scaler = StandardScaler().fit(z)
    ridge = Ridge(penalty).fit(scaler.transform(z), boxes)
    np.testing.assert_allclose(found.mean, scaler.mean_, rtol=1e-10)
    np.testing.assert_allclose(found.scale, scaler.scale_, rtol=1e-12)
    largest = np.abs(ridge.coef_).max()
    np.testing.assert_allclose(found.coef, ridge.coef_, rtol=1e-8, atol=1e-10 * largest)
    np.testing.assert_allclose(found.intercept, ridge.intercept_, rtol=1e-12)
    assert found.penalty == penalty


def grid(z, boxes, folds, penalties):
    """scikit-learn's mean squared errors with the same folds; every image counts alike."""
    own = np.array([fold_of(name, folds) for name in names(len(z))])
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Ridge()),
        {"ridge__alpha": list(penalties)},
        scoring="neg_mean_squared_error",
        cv=PredefinedSplit(own),
    ).fit(z, boxes)
    filled, counts = np.unique(own, return_counts=True)
    scores = [search.cv_results_[f"split{place}_test_score"] for place in range(len(filled))]
    return -np.average(scores, axis=0, weights=counts)


@pytest.mark.parametrize(
    ("count", "size", "folds"),
    [(300, 12, 5), (60, 150, 5), (40, 6, 2), (12, 3, 40)],
    ids=["tall", "wide", "two folds", "folds without images"],
)
def test_the_penalty_has_the_least_error_on_folds_left_out(count, size, folds):
    z = RNG.normal(size=(count, size)) * np.logspace(-3, 3, size) + RNG.normal(size=size)
    boxes = boxes_for(z, noise=0.1)
    expected = grid(z, boxes, folds, PENALTIES)
    found = fit(added(z, boxes, folds), PENALTIES)
    np.testing.assert_allclose(found.errors, expected, rtol=1e-9)
    assert found.penalty == PENALTIES[np.argmin(expected)]


def test_the_most_useful_penalty_is_neither_end():
    # Or the test above might pass with a choice that never looks.
    z = RNG.normal(size=(200, 150))
    found = fit(added(z, boxes_for(z, noise=0.03)), PENALTIES)
    assert PENALTIES[0] < found.penalty < PENALTIES[-1]


def awkward():
    z = RNG.normal(size=(400, 12))
    few = RNG.normal(size=(40, 120))
    return {
        "duplicated": np.c_[z, z[:, :5], z[:, 0]],
        "combinations of others": np.c_[z, z @ RNG.normal(size=(12, 5))],
        "almost the same": z[:, :1] + 1e-7 * z,
        "scales from 1e-6 to 1e6": z * np.logspace(-6, 6, 12),
        "means of 1e6 deviations": z + 1e6 * RNG.choice([-1, 1], 12),
        "means of 1e5 deviations, of all scales": (z + 1e5) * np.logspace(-6, 6, 12),
        "constant": np.c_[z, np.full(400, 7.0), np.zeros(400), np.full(400, 0.1)],
        "fewer images than features": few,
        "fewer images, large means": few + 1e6,
        "fewer images, duplicated": np.c_[few, few],
    }


@pytest.mark.parametrize("kind", awkward())
def test_awkward_features_are_predicted_from_as_scikit_learn_does(kind):
    z = awkward()[kind]
    boxes = boxes_for(z)
    new = z + 0.3 * z.std(axis=0) * RNG.normal(size=z.shape)
    statistics = added(z, boxes)
    for penalty in PENALTIES:
        found = fit(statistics, [penalty])
        mean = z.mean(axis=0)
        ridge = Ridge(penalty, solver="svd").fit((z - mean) / found.scale, boxes)
        for rows in (z, new):
            expected = ridge.predict((rows - mean) / found.scale)
            np.testing.assert_allclose(predicted(found, rows), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("penalty", [1e-13, 1e-16])
def test_below_rounding_a_penalty_gives_the_shortest_solution(penalty):
    # Where neither features nor penalty say anything, scikit-learn divides rounding by rounding.
    z = RNG.normal(size=(400, 6))
    z = np.c_[z, z]
    boxes = boxes_for(z)
    found = fit(added(z, boxes), [penalty])
    standard = (z - z.mean(axis=0)) / z.std(axis=0)
    expected = np.linalg.pinv(standard, rcond=1e-10) @ (boxes - boxes.mean(axis=0))
    np.testing.assert_allclose(found.coef, expected.T, rtol=0, atol=1e-12)


def test_boxes_without_noise_leave_no_negative_error():
    for _ in range(30):
        z = RNG.normal(size=(100, 4))
        found = fit(added(z, 0.5 + 0.1 * z), [1e-12, 10.0])
        assert 0 <= found.errors[0] < 1e-15
        assert found.errors[1] > 1e-6


# --- Order, batches and shards ---


def assert_same(one, other):
    """Up to 1e-12: counts are the same, and sums, relative to what is summed."""
    for mine, theirs in zip(one._folds, other._folds, strict=True):
        assert mine.count == theirs.count
        np.testing.assert_array_equal(mine.largest, theirs.largest)
        spread = np.sqrt(np.diagonal(mine.products))
        np.testing.assert_allclose(mine.mean, theirs.mean, rtol=1e-12, atol=1e-12)
        apart = np.abs(mine.products - theirs.products)
        assert (apart <= 1e-12 * np.outer(spread, spread) + 1e-300).all()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 60), max_size=6),
    st.sampled_from([np.float32, np.float64]),
)
def test_neither_order_nor_batches_nor_shards_matter(seed, cuts, dtype):
    rng = np.random.default_rng(seed)
    z = (rng.normal(size=(60, 5)) * np.logspace(-6, 6, 5) * 3).astype(dtype)
    boxes, ids = rng.uniform(size=(60, 4)), np.array(names(60))
    whole = added(z, boxes)
    shards = [RidgeStatistics(5) for _ in range(3)]
    for rows in np.split(rng.permutation(60), sorted(cuts)):
        shards[rng.integers(3)].update(z[rows], boxes[rows], ids[rows])
    merged = RidgeStatistics(5)
    for place in rng.permutation(3):
        merged.merge(shards[place])
    assert merged.images == 60
    assert_same(whole, merged)
    one, other = fit(whole, PENALTIES), fit(merged, PENALTIES)
    assert one.penalty == other.penalty
    np.testing.assert_allclose(one.coef, other.coef, rtol=1e-9, atol=1e-12)


def test_large_means_lose_their_own_digits_only():
    # 1e6 deviations away a float64 is known to 1e-10 of a deviation, and so is its mean.
    z = RNG.normal(size=(3000, 4))
    far, near = added(z + 1e6, boxes_for(z)), RidgeStatistics(4)
    for rows in np.array_split(RNG.permutation(3000), 50):
        near.update(z[rows], np.zeros((len(rows), 4)), np.array(names(3000))[rows])
    for mine, theirs in zip(far._folds, near._folds, strict=True):
        np.testing.assert_allclose(mine.mean[:4] - 1e6, theirs.mean[:4], rtol=0, atol=1e-8)
        apart = np.abs(mine.products - theirs.products)[:4, :4]
        assert apart.max() < 1e-9 * theirs.count


def test_many_rows_at_once_are_as_those_one_by_one():
    z = RNG.normal(size=(11000, 3)).astype(np.float32)  # more than are taken at once, in a fold
    boxes = boxes_for(z)
    one_by_one = RidgeStatistics(3)
    for place, name in enumerate(names(11000)):
        one_by_one.update(z[place : place + 1], boxes[place : place + 1], [name])
    assert_same(added(z, boxes), one_by_one)


def test_merging_leaves_the_other_as_it_is():
    z = RNG.normal(size=(30, 2))
    boxes = boxes_for(z)
    one, other = RidgeStatistics(2), added(z, boxes)
    one.merge(other)
    one.update(z, boxes, names(30))
    assert one.images == 60
    assert_same(other, added(z, boxes))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (RidgeStatistics(4), "of 3 features in 5 folds; 4 features in 5 folds cannot"),
        (RidgeStatistics(3, 4), "of 3 features in 5 folds; 3 features in 4 folds cannot"),
    ],
)
def test_statistics_of_other_things_are_not_merged(other, message):
    with pytest.raises(ValueError, match=message):
        RidgeStatistics(3).merge(other)


def test_folds_are_the_same_for_ever():
    # SHA-256 of "a" starts with ca978112ca1bbdca, of "b" with 3e23e8160039594a.
    assert fold_of("a", 5) == 0xCA978112CA1BBDCA % 5
    assert fold_of("b", 7) == 0x3E23E8160039594A % 7


def test_folds_are_of_like_sizes():
    counts = np.bincount([fold_of(name, 5) for name in names(10000)])
    assert len(counts) == 5
    assert np.abs(counts - 2000).max() < 4 * np.sqrt(10000 * 0.2 * 0.8)


def test_memory_does_not_grow_with_the_images():
    def peak(batches):
        statistics = RidgeStatistics(100)
        tracemalloc.start()
        for place in range(batches):
            z = np.random.default_rng(place).normal(size=(500, 100)).astype(np.float32)
            statistics.update(z, np.zeros((500, 4)), names(500))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(40) < 1.1 * peak(2)


# --- The box regressor ---


def assert_fitted_alike(found, expected):
    assert set(vars(found)) == set(vars(expected))
    assert (found.images_, found.penalty_) == (expected.images_, expected.penalty_)
    for name in ("mean_", "scale_", "coef_", "intercept_"):
        mine, theirs = getattr(found, name), getattr(expected, name)
        assert mine.dtype == theirs.dtype == np.float64
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def test_a_regressor_of_statistics_is_that_of_the_images():
    z = RNG.normal(size=(80, 6)) * np.logspace(-2, 2, 6)
    boxes = np.clip(boxes_for(z), 0, 1)
    found = BoxRegressor(penalties=(3.0,)).fit_statistics(added(z, boxes))
    assert_fitted_alike(found, BoxRegressor(penalties=(3.0,)).fit(z, boxes))


def test_the_penalty_is_among_the_regressors():
    z = RNG.normal(size=(80, 6))
    statistics = added(z, boxes_for(z))
    found = BoxRegressor(penalties=(1e-3, 1e7)).fit_statistics(statistics)
    assert found.penalty_ == 1e-3


def test_a_constant_feature_tells_nothing():
    z = RNG.normal(size=(40, 3))
    boxes = np.clip(boxes_for(z), 0, 1)
    # Constant, and constant but for float32's rounding.
    wobbling = np.float32(0.3) * (1 + 6e-8 * RNG.choice([-1, 0, 1], size=40))
    wide = np.c_[z, np.full(40, 7.0), wobbling]
    found = BoxRegressor(penalties=(1.0,)).fit_statistics(added(wide, boxes))
    assert_fitted_alike(found, BoxRegressor(penalties=(1.0,)).fit(wide, boxes))
    assert found.scale_[3:].tolist() == [1.0, 1.0]
    np.testing.assert_allclose(found.coef_[:, 3:], 0, atol=1e-8)


def test_a_saved_regressor_of_statistics_predicts_the_same_bytes(tmp_path):
    z = RNG.normal(size=(80, 6))
    found = BoxRegressor("pooled").fit_statistics(added(z, boxes_for(z)))
    found.save(tmp_path / "regressor.npz")
    loaded = BoxRegressor.load(tmp_path / "regressor.npz")
    assert loaded.predict(z).tobytes() == found.predict(z).tobytes()
    assert set(vars(loaded)) == set(vars(found))


def table_of(ids, z, truths):
    nothing = Readings(np.zeros(0), np.zeros(0), np.zeros(0))
    asked = Readings(np.zeros(len(ids), np.int32), np.zeros(len(ids), np.float32), z)
    labels, sizes = np.zeros(len(ids), np.int32), np.full((len(ids), 2), 64, np.int32)
    return FeatureTable(ids, asked, nothing, labels, truths, sizes, [], [], 0, 0.0)


def test_tables_are_learned_from_as_arrays_are():
    z = RNG.normal(size=(40, 3)).astype(np.float32)
    truths = [each[None] for each in np.clip(boxes_for(z), 0, 1).astype(np.float32)]
    truths[0] = np.zeros((0, 4), np.float32)
    truths[1] = np.concatenate([truths[2], truths[3]])
    truths[4] = truths[4][:, [2, 1, 0, 3]]  # inverted, so that there is none
    truths[5] = np.concatenate([truths[5], [[1.5, 0, 2, 1]]]).astype(np.float32)  # one is outside
    truths[6] = truths[6] - np.float32([[0.5, 0, 0, 0]])  # reaches over the border
    truths[7:10] = [truths[0]] * 3
    statistics = RidgeStatistics(3)
    for rows in (slice(0, 7), slice(7, 10), slice(10, 40)):  # of the second, none can be used
        statistics.update_table(table_of(names(40)[rows], z[rows], truths[rows]))
    found = BoxRegressor(penalties=(3.0,)).fit_statistics(statistics)
    assert found.images_ == 34
    assert_fitted_alike(found, BoxRegressor(penalties=(3.0,)).fit(z, truths))


# --- What cannot be learned from ---


@pytest.mark.parametrize(
    ("z", "boxes", "message"),
    [
        (np.full((2, 3), np.nan), np.zeros((2, 4)), "The features hold NaN or infinity; expected"),
        (np.full((2, 3), np.inf), np.zeros((2, 4)), "The features hold NaN or infinity; expected"),
        (np.zeros((2, 3)), np.full((2, 4), np.nan), "The boxes hold NaN or infinity; expected"),
        (np.zeros((2, 4)), np.zeros((2, 4)), r"Expected 3 features .* received features \(2, 4\)"),
        (np.zeros((3, 3)), np.zeros((2, 4)), r"each of 2 ids; received features \(3, 3\)"),
        (np.zeros((2, 3)), np.zeros((3, 4)), r"received .* and boxes \(3, 4\)"),
        (np.zeros((2, 3)), np.zeros((2, 5)), r"received .* and boxes \(2, 5\)"),
        (np.zeros(3), np.zeros((2, 4)), r"received features \(3,\)"),
    ],
    ids=["NaN", "infinity", "NaN box", "features", "rows", "boxes", "sides", "one axis"],
)
def test_a_faulty_batch_is_refused_and_nothing_of_it_added(tmp_path, z, boxes, message):
    good = RNG.normal(size=(20, 3))
    statistics = added(good, boxes_for(good))
    statistics.save(tmp_path / "before.npz")
    with pytest.raises(ValueError, match=message):
        statistics.update(z, boxes, ["a", "b"])
    statistics.save(tmp_path / "after.npz")
    assert (tmp_path / "after.npz").read_bytes() == (tmp_path / "before.npz").read_bytes()


@pytest.mark.parametrize("count", [0, 1])
def test_two_images_are_needed(count):
    with pytest.raises(ValueError, match=f"needs two images .* statistics of {count}"):
        fit(added(np.zeros((count, 3)), np.zeros((count, 4))), [1.0])


def test_two_images_are_enough():
    ids = ["a", "d"]
    assert fold_of("a", 2) != fold_of("d", 2)
    statistics = RidgeStatistics(1, folds=2)
    statistics.update([[-1.0], [1.0]], [[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]], ids)
    found = fit(statistics, [2.0])
    # Standardised, z is -1 and 1: the slope is (0.25 + 0.25) / (2 + 2).
    np.testing.assert_allclose(found.coef, np.full((4, 1), 0.125))
    np.testing.assert_allclose(found.intercept, [0.25, 0.25, 0.75, 0.75])
    # Of either image nothing is known but the other's box, which is 0.5 off at each side.
    np.testing.assert_allclose(found.errors, [0.25])


def test_in_one_fold_no_penalty_can_be_chosen():
    z = RNG.normal(size=(30, 2))
    statistics = RidgeStatistics(2)
    statistics.update(z, boxes_for(z), ["the same image"] * 30)
    with pytest.raises(ValueError, match=r"All 30 images are in one fold, .* give one penalty"):
        fit(statistics, [1.0, 2.0])
    found = fit(statistics, [2.0])
    assert found.penalty == 2.0
    assert np.isnan(found.errors).tolist() == [True]


@pytest.mark.parametrize(
    "penalties",
    [[], [0.0], [1.0, -1.0], [np.nan], [np.inf], 5, {1}, "all", ["1"], [[1.0], [2.0]], None],
    ids=str,
)
def test_penalties_are_positive(penalties):
    z = RNG.normal(size=(30, 2))
    boxes, regressor = boxes_for(z), BoxRegressor(penalties=penalties)
    statistics = added(z, boxes)
    for given_to in (
        lambda: fit(statistics, penalties),
        lambda: regressor.fit(z, boxes),
        lambda: regressor.fit_statistics(statistics),
        regressor.check_penalties,
    ):
        with pytest.raises(ValueError, match="Penalties must be positive numbers; received"):
            given_to()


@pytest.mark.parametrize(("size", "folds"), [(0, 5), (3, 1)])
def test_statistics_of_nothing(size, folds):
    with pytest.raises(ValueError, match=f"received {size} features and {folds} folds"):
        RidgeStatistics(size, folds)


# --- On disk ---


@pytest.fixture
def stored(tmp_path):
    z = RNG.normal(size=(50, 3))
    path = tmp_path / "statistics.npz"
    added(z, boxes_for(z)).save(path)
    return path


def test_loaded_statistics_go_on(tmp_path):
    z = RNG.normal(size=(50, 3)).astype(np.float32)
    boxes, ids = boxes_for(z), names(50)
    statistics = RidgeStatistics(3)
    statistics.update(z[:30], boxes[:30], ids[:30])
    statistics.save(tmp_path / "first.npz")
    loaded = RidgeStatistics.load(tmp_path / "first.npz")
    assert loaded.images == 30
    for each in (statistics, loaded):
        each.update(z[30:], boxes[30:], ids[30:])
        each.merge(added(z, boxes))
    statistics.save(tmp_path / "one.npz")
    loaded.save(tmp_path / "other.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()


def test_no_pickle_is_on_the_disk(stored):
    with zipfile.ZipFile(stored) as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                assert np.lib.format.read_magic(file) == (1, 0)
                assert not np.lib.format.read_array_header_1_0(file)[2].hasobject


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no set of statistics at .*statistics\.npz"):
        RidgeStatistics.load(tmp_path / "statistics.npz")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_truncated_file(stored, share):
    data = stored.read_bytes()
    stored.write_bytes(data[: int(share * len(data))])
    with pytest.raises(
        ValueError, match=r"statistics\.npz is not a set of statistics, or is damaged"
    ):
        RidgeStatistics.load(stored)


@pytest.mark.parametrize(
    "changed",
    [
        {"count": None},
        {"count": np.full(5, -1)},
        {"mean": np.zeros((5, 3))},
        {"products": np.zeros((4, 7, 7))},
        {"products": np.full((5, 7, 7), np.nan)},
        {"products": np.full((5, 7, 7), -1.0)},
        {"largest": np.zeros(5)},
        {"largest": np.zeros((5, 10**5))},
        {"mean": np.full((5, 7), "a")},
        {"mean": np.full((5, 7), {}, dtype=object)},
    ],
    ids=[
        *("one missing", "negative counts", "too few means", "four folds", "NaN"),
        *("negative squares", "one axis", "more than memory holds", "words", "a pickle"),
    ],
)
def test_files_of_other_contents(stored, changed):
    with np.load(stored) as arrays:
        contents = {**arrays, **changed}
    np.savez(stored, **{name: array for name, array in contents.items() if array is not None})
    with pytest.raises(ValueError, match="is not a set of statistics, or is damaged"):
        RidgeStatistics.load(stored)

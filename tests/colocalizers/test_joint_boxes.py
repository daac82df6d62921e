"""Joint boxes: the programme against brute force, and a patch that recurs."""

import itertools

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sensmap import boxes as box_geometry
from sensmap import objectness
from sensmap.colocalizers import joint_boxes
from sensmap.colocalizers.joint_boxes import JointBoxes
from sensmap.datasets import Example


def tiny_problem(seed, images, windows):
    rng = np.random.default_rng(seed)
    owners = np.repeat(np.arange(images), windows)
    histograms = rng.dirichlet(np.full(6, 0.3), images * windows)
    quadratic = joint_boxes.laplacian(histograms, owners)
    quadratic += 0.4 * joint_boxes.unexplained(np.sqrt(histograms))
    return quadratic, 0.1 * rng.exponential(size=len(owners)), owners


def by_brute_force(quadratic, linear, images, windows):
    """The value and the windows of the best choice."""

    def value(choice):
        x = np.zeros(len(linear))
        x[np.arange(images) * windows + choice] = 1
        return x @ quadratic @ x + linear @ x

    choices = [np.array(each) for each in itertools.product(range(windows), repeat=images)]
    return min(((value(each), each) for each in choices), key=lambda each: each[0]), value


@pytest.mark.parametrize("seed", range(6))
def test_the_relaxation_bounds_the_best_choice_and_rounds_near_it(seed):
    quadratic, linear, owners = tiny_problem(seed, 4, 3)
    tight = joint_boxes.tightened(quadratic, linear, owners)
    x = joint_boxes.minimise(*tight, owners)
    np.testing.assert_allclose(x.reshape(4, 3).sum(axis=1), 1)
    assert (x >= 0).all()
    (best, _), value = by_brute_force(quadratic, linear, 4, 3)
    relaxed = x @ tight[0] @ x + tight[1] @ x
    # Frank-Wolfe stops within 1e-3 an image of the relaxation's minimum, which bounds the best.
    assert relaxed <= best + 4e-3
    first = joint_boxes.rounded(x, owners)
    chosen = joint_boxes.improved(first, quadratic, linear, owners)
    assert best <= value(chosen) <= value(first) + 1e-9
    # No other window of one image is better.
    for image, window in itertools.product(range(4), range(3)):
        other = chosen.copy()
        other[image] = window
        assert value(chosen) <= value(other) + 1e-9
    everything = [value(np.array(each)) for each in itertools.product(range(3), repeat=4)]
    assert np.mean(np.array(everything) < value(chosen) - 1e-9) <= 0.1


def test_what_is_moved_off_the_diagonal_changes_no_choice():
    quadratic, linear, owners = tiny_problem(0, 4, 3)
    tight, lifted = joint_boxes.tightened(quadratic, linear, owners)
    assert tight[0, 0] < quadratic[0, 0] - 0.1
    _, before = by_brute_force(quadratic, linear, 4, 3)
    _, after = by_brute_force(tight, lifted, 4, 3)
    for choice in itertools.product(range(3), repeat=4):
        assert after(np.array(choice)) == pytest.approx(before(np.array(choice)))
    # Still convex: along steps between points of the simplices the curvature is not negative.
    steps = np.random.default_rng(0).normal(size=(500, 4, 3))
    steps = (steps - steps.mean(axis=2, keepdims=True)).reshape(500, 12)
    assert np.einsum("ni,ij,nj->n", steps, tight, steps).min() > -1e-9


@pytest.mark.parametrize("seed", range(3))
def test_no_feasible_point_is_better_than_the_minimum(seed):
    quadratic, linear, owners = tiny_problem(seed, 3, 4)
    x = joint_boxes.minimise(quadratic, linear, owners)
    found = x @ quadratic @ x + linear @ x
    others = np.random.default_rng(seed).dirichlet(np.full(4, 0.4), (2000, 3)).reshape(2000, 12)
    values = np.einsum("ni,ij,nj->n", others, quadratic, others) + others @ linear
    assert found <= values.min() + 3e-3


def test_a_choice_that_a_linear_term_makes():
    owners = np.array([0, 0, 0, 1, 1])
    x = joint_boxes.minimise(np.zeros((5, 5)), np.array([3.0, 1, 2, 5, 4]), owners)
    assert x.tolist() == [0, 1, 0, 0, 1]
    assert joint_boxes.rounded(x, owners).tolist() == [1, 1]


def test_both_matrices_have_no_negative_eigenvalues():
    histograms = np.random.default_rng(0).dirichlet(np.ones(5), 12)
    owners = np.repeat(np.arange(4), 3)
    for matrix in (joint_boxes.laplacian(histograms, owners), joint_boxes.unexplained(histograms)):
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
        assert np.linalg.eigvalsh(matrix).min() > -1e-9


def test_the_laplacian_by_hand():
    # Two images of one window: S is (0 s; s 0) with D = s, whatever s is.
    found = joint_boxes.laplacian(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0, 1]))
    np.testing.assert_allclose(found, [[1, -1], [-1, 1]])


def test_unexplained_is_the_least_of_the_ridge_regression():
    rng = np.random.default_rng(0)
    design, x = rng.random((9, 3)), rng.random(9)
    penalty = 9 * joint_boxes._RIDGE
    fitted = Ridge(alpha=penalty).fit(design, x)
    least = np.square(x - fitted.predict(design)).sum() + penalty * np.square(fitted.coef_).sum()
    assert x @ joint_boxes.unexplained(design) @ x == pytest.approx(least)


def test_words_are_counted_inside_windows():
    seen = [np.array([[0.0], [0.0], [9.0], [9.0]], np.float32)]
    inside = [np.array([[1, 1, 0, 0], [1, 0, 1, 1], [0, 0, 0, 0]], bool)]
    found = joint_boxes.words(inside, seen, 2)
    order = np.argsort(-found[0])
    np.testing.assert_allclose(found[:, order], [[1, 0], [1 / 3, 2 / 3], [0, 0]])


COUNT = 6


def class_of_scenes():
    """The same textured patch in different places; a disc beside it of another colour in each."""
    rng = np.random.default_rng(3)
    patch = np.kron(rng.integers(0, 2, (6, 6, 1)), np.ones((9, 9, 1))) * [200, 60, 150] + 30
    examples, truths = [], []
    for place in range(COUNT):
        image = rng.integers(0, 25, (120, 160, 3)) + rng.integers(40, 200, 3)
        left = 5 if place % 2 else 95
        top = int(rng.integers(5, 60))
        image[top : top + 54, left : left + 54] = patch
        y, x = np.mgrid[:120, :160]
        centre = 125 if place % 2 else 40
        image[(x - centre) ** 2 + (y - 60) ** 2 < 26**2] = rng.integers(0, 256, 3)
        examples.append(Example(str(place), np.clip(image, 0, 255).astype(np.uint8)))
        truths.append([left / 160, top / 120, (left + 54) / 160, (top + 54) / 120])
    return examples, np.array(truths, np.float32)


def test_what_recurs_is_found():
    examples, truths = class_of_scenes()
    # The patch is smaller than objects usually are, so the prior is against it.
    together = JointBoxes(prior=0.03).boxes(examples, np.zeros(COUNT, np.int64))
    alone = JointBoxes().boxes(examples, np.full(COUNT, -1))
    found = np.diag(box_geometry.iou(together, truths))
    before = np.diag(box_geometry.iou(alone, truths))
    assert (found > 0.4).all()
    assert found.mean() > before.mean() + 0.2


def test_an_image_alone_has_its_top_window():
    examples, _ = class_of_scenes()
    found = JointBoxes().boxes(examples[:2], [5, -1])
    expected = [objectness.propose(each.image, 1).boxes[0] for each in examples[:2]]
    np.testing.assert_array_equal(found, expected)


def test_one_candidate_is_no_choice():
    examples, _ = class_of_scenes()
    found = JointBoxes(windows=1).boxes(examples[:3], [0, 0, 0])
    expected = JointBoxes().boxes(examples[:3], [-1, -1, -1])
    np.testing.assert_array_equal(found, expected)


def test_a_large_class_is_solved_in_parts(monkeypatch):
    examples, _ = class_of_scenes()
    monkeypatch.setattr(joint_boxes, "_TOGETHER", 3)
    found = JointBoxes(windows=4).boxes(examples, np.zeros(COUNT, np.int64))
    apart = JointBoxes(windows=4).boxes(examples, [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(found, apart)


@pytest.mark.parametrize("options", [{"windows": 0}, {"discriminability": -1}, {"prior": -0.1}])
def test_options_out_of_their_range(options):
    with pytest.raises(ValueError, match="windows must be at least 1, discriminability and prior"):
        JointBoxes(**options)

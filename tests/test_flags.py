"""What the flags of the binaries mean."""

import keras
import pytest
from absl import flags as absl_flags

from sensmap import binaries, classifiers
from sensmap import flags as shared

FLAGS = absl_flags.FLAGS


@pytest.fixture(scope="module", autouse=True)
def defined():
    # As in a binary. Nothing else in a test process may define the same flags.
    shared.define_classifier()
    shared.define_dataset()
    shared.define_maps()
    shared.define_batch()
    shared.define_output()


@pytest.fixture
def given():
    """Parses a command line."""

    def parse(*arguments):
        FLAGS.unparse_flags()
        FLAGS(["test", *arguments])

    yield parse
    FLAGS.unparse_flags()


# --- Data sets ---


@pytest.mark.parametrize(
    ("options", "count", "first"),
    [
        (["count=3"], 3, "train-0-000000"),  # a number
        (["count=4", "seed=7"], 4, "train-7-000000"),  # two
        (["count=None", "seed=1"], 12_000, "train-1-000000"),  # as Python writes it
        ([], 12_000, "train-0-000000"),  # none
    ],
)
def test_options_of_a_data_set(given, options, count, first):
    given("--dataset=digits", *(f"--dataset_option={each}" for each in options))
    found = shared.dataset()
    assert (len(found), found.ids[0]) == (count, first)


def test_an_option_that_is_a_plain_word(given, tmp_path, monkeypatch):
    seen = {}

    def load(name, root, split, **options):
        seen.update(options)
        raise ValueError("enough")

    monkeypatch.setattr("sensmap.datasets.load", load)
    given("--dataset=x", "--dataset_option=year=VOC 2012", "--dataset_option=path=a=b")
    with pytest.raises(ValueError, match="enough"):
        shared.dataset()
    assert seen == {"year": "VOC 2012", "path": "a=b"}


def test_parts_are_disjoint_and_make_up_the_whole(given):
    ids = {}
    for part in ("all", "train", "validation", "test"):
        given("--dataset=digits", "--dataset_option=count=80", f"--part={part}", "--seed=3")
        ids[part] = shared.dataset().ids
    assert [len(ids[part]) for part in ids] == [80, 60, 10, 10]
    together = ids["train"] + ids["validation"] + ids["test"]
    assert sorted(together) == sorted(ids["all"])


def test_another_part_and_split_than_those_of_the_flags(given):
    given("--dataset=digits", "--dataset_option=count=16", "--split=test", "--part=test")
    whole, other = shared.dataset(part="all"), shared.dataset(part="all", split="fit")
    assert len(whole) == len(other) == 16
    assert set(shared.dataset().ids) < set(whole.ids)
    assert not set(whole.ids) & set(other.ids)


def test_the_seed_and_the_fractions_decide_about_the_parts(given):
    drawn = []
    for more in ([], ["--seed=1"], ["--fractions=0.5,0.25,0.25"]):
        given("--dataset=digits", "--dataset_option=count=40", "--part=test", *more)
        drawn.append(shared.dataset().ids)
    assert drawn[0] != drawn[1]
    assert [len(each) for each in drawn] == [5, 5, 10]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset_option=nonsense"], "must be KEY=VALUE; received 'nonsense'"),
        (["--dataset_option=nonsense=1"], "has no option 'nonsense'; it takes count, seed"),
        (["--dataset_option=count=many"], "digits cannot use the options count=many"),
        (["--dataset_option=count=2.5"], "digits cannot use the options count=2.5"),
        (["--part=test", "--fractions=0.5,0.5"], "takes three numbers, of train, validation"),
        (["--part=test", "--fractions=0.5,x,1"], "takes numbers separated by commas"),
        (["--part=test", "--fractions=nan,0.5,0.5"], "must be positive and add up to 1"),
        (["--dataset=nope"], "no 'nope' among the datasets; choose one of csv"),
        (["--root=/somewhere"], "digits are made, not read"),
    ],
)
def test_a_data_set_that_is_refused(given, arguments, message):
    given("--dataset=digits", *arguments)
    with pytest.raises(ValueError, match=message):
        shared.dataset()


def test_what_a_source_cannot_use_is_told(given, tmp_path, capsys):
    (tmp_path / "boxes.csv").write_text("a.jpg,0,0,5,5,cat\nb.jpg,x,0,5,5,cat\n")
    given("--dataset=csv", f"--root={tmp_path / 'boxes.csv'}")
    assert shared.dataset().ids == ("a.jpg",)
    said = capsys.readouterr().err
    assert said == "warning: csv boxes: line 2: x0 must be a number; found 'x'\n"


# --- Numbers, and what belongs together ---


@pytest.mark.parametrize(
    "argument",
    [
        "--batch_size=x",
        "--batch_size=0",
        "--seed=-1",
        "--seed=4294967296",
        "--class_offset=-1",
        "--part=some",
        "--features=nope",
        "--maps=nope",
        "--nope=1",
    ],
)
def test_values_that_cannot_be(given, argument):
    with pytest.raises(absl_flags.Error):
        given(argument)


def test_input_size(given):
    given("--input_size=48,64")
    assert shared.input_size() == (48, 64)


@pytest.mark.parametrize("value", ["10", "1,2,3", "0,5", "-4,4", "2.5,4", "a,b", "inf,4", ""])
def test_an_input_size_that_cannot_be(given, value):
    given(f"--input_size={value}")
    with pytest.raises(ValueError, match="--input_size"):
        shared.input_size()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mean=1,2,3"], "both --mean and --scale"),
        (["--scale=1"], "both --mean and --scale"),
        (["--mean=1", "--scale=1", "--preprocessing=tf"], "either --preprocessing, or both"),
        (["--mean=1,x,3", "--scale=1"], r"--mean takes numbers .* received \['1', 'x', '3'\]"),
        (["--mean=1,2", "--scale=1"], "one finite number or three"),
        (["--mean=1", "--scale=0"], "must not be 0"),
    ],
)
def test_a_preprocessing_that_cannot_be(given, arguments, message):
    given("--classifier=model.keras", *arguments)
    with pytest.raises(ValueError, match=message):
        shared.classifier()


def test_mean_and_scale_reach_the_classifier(given, monkeypatch):
    monkeypatch.setattr("sensmap.classifiers.load", lambda *given, **more: (given, more))
    given("--classifier=m.keras", "--mean=1,2,3", "--scale=0.5", "--input_size=8,9")
    (source, preprocessing), more = shared.classifier()
    assert source == "m.keras"
    assert preprocessing == classifiers.Preprocessing((1, 2, 3), 0.5)
    assert more["input_size"] == (8, 9)


# --- Maps and localizers ---


def a_network(model=None):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(3, 3, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )
    return classifiers.load(model, "tf")


def test_options_reach_the_map_method(given):
    given("--maps=smooth_grad", "--map_option=samples=3", "--map_option=form=squared")
    method = shared.map_method(a_network())
    assert method.config["name"] == "smooth_grad"
    assert (method.config["samples"], method.config["form"]) == (3, "squared")


def test_layers_and_reduction_have_the_method_s_own_defaults(given):
    given()
    assert shared.map_method(a_network()).config == {
        "name": "gradient",
        "layers": ["pixels"],
        "reduction": "max",
    }
    given("--layers=conv,pixels", "--reduction=l2")
    assert shared.map_method(a_network()).config == {
        "name": "gradient",
        "layers": ["conv", "pixels"],
        "reduction": "l2",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--map_option=samples"], "--map_option must be KEY=VALUE; received 'samples'"),
        (["--map_option=samples=3"], "'gradient' has no option 'samples', it takes layers"),
        (["--maps=ten_crop", "--layers=conv"], "'ten_crop' has no option 'layers', it takes crop"),
        (["--maps=ten_crop", "--map_option=count=3"], "count is the number of sub-images"),
    ],
)
def test_map_options_that_are_refused(given, arguments, message):
    given(*arguments)
    with pytest.raises(ValueError, match=message):
        shared.map_method(a_network())


def test_options_reach_the_localizer(given):
    given("--features=pooled", "--localizer_option=components=3")
    linear, cut = shared.estimators(["linear", "graphcut"])
    assert linear.features == "pooled"
    assert cut.components == 3


def test_an_option_that_no_localizer_has(given):
    given("--localizer_option=speed=3")
    with pytest.raises(ValueError, match="linear has no option 'speed'; there is features"):
        shared.estimators(["linear"])


def test_a_localizer_that_learns_nothing_needs_no_folder(given):
    given("--maps=guided")
    (found,) = shared.localizers(a_network(), "graphcut")
    assert found.method.config["name"] == "guided"


@pytest.mark.parametrize(
    ("arguments", "name", "message"),
    [
        ([], "threshold", "'threshold' has to be fitted first, by train/box_regressor.py"),
        ([], "linear", "'linear' has to be fitted first"),
        ([], "no/folder", "There is no localizer in no/folder"),
        (["--maps=guided"], "no/folder", "--maps must be left out: it is recorded"),
    ],
)
def test_localizers_that_cannot_be(given, arguments, name, message):
    given(*arguments)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        shared.localizers(a_network(), name)


def test_require(given):
    given("--dataset=digits")
    shared.require("dataset")
    with pytest.raises(ValueError, match="--output is needed: the folder to write"):
        shared.require("dataset", "output")


def test_refuse_only_what_was_given(given):
    given("--layers=auto")
    shared.refuse("it is recorded", "features", "reduction", "not_a_flag")
    with pytest.raises(ValueError, match="--layers must be left out: it is recorded"):
        shared.refuse("it is recorded", *shared.MAP_FLAGS)


def test_the_flags_that_are_refused_together_exist():
    assert all(name in FLAGS for name in (*shared.MAP_FLAGS, *shared.CLASSIFIER_FLAGS))


def test_configuration_holds_every_flag_of_the_binary(given):
    given("--dataset=digits", "--dataset_option=count=3", "--seed=5")
    found = binaries.configuration(__name__)
    assert found["dataset"] == "digits"
    assert found["dataset_option"] == ["count=3"]
    assert found["seed"] == 5
    assert found["layers"] is None
    assert list(found) == sorted(found)

"""How the end of a test is read: what it says about the pitfall, and about the remedy."""

import json
import warnings

import pytest
import verdict

pytestmark = pytest.mark.one_backend  # Keras is not needed


def raising(error):
    raise error


def other_class():
    with pytest.raises(ValueError):
        raising(TypeError("another one"))


def other_text():
    with pytest.raises(ValueError, match="quoted"):
        raising(ValueError("not that"))


def no_error():
    with pytest.raises(ValueError):
        str(1)


def no_warning():
    with pytest.warns(UserWarning):
        str(1)


def false():
    assert json.dumps([1]) == "[2]"


def assertion_that_cannot_be_evaluated():
    assert raising(OSError("no file")) == 3


def assertion_about_what_this_keras_lacks():
    assert raising(TypeError("int() argument must be a string, not 'Variable'")) == 3


def assertion_in_a_block():
    for number in (1, 2):
        if number:
            assert number == 1


def set_up():
    raising(OSError("no file"))


def missing_name():
    with pytest.raises(ValueError):
        raising(AttributeError("module 'keras.api.callbacks' has no attribute 'OrbaxCheckpoint'"))


def of(test, remedying=False, compared=False, message=""):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            test()
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001
            error = error.with_traceback(error.__traceback__.tb_next)  # without this function
            return verdict.of_failure(error, __file__, remedying, compared, message)
    raise AssertionError("the test did not fail")


@pytest.mark.parametrize(
    ("test", "happens"),
    [
        (other_class, "another message"),
        (other_text, "another message"),
        (no_error, "not there"),
        (no_warning, "not there"),
        (false, "not there"),
        (assertion_that_cannot_be_evaluated, "not there"),
        (assertion_in_a_block, "not there"),
        (assertion_about_what_this_keras_lacks, "not run"),
        (set_up, "not run"),
        (missing_name, "not run"),
    ],
)
def test_what_ends_a_test_before_its_remedy(test, happens):
    found = of(test)
    assert (found.happens, found.remedy) == (happens, "not run")
    assert found.reason and bool(found.message) == (happens == "another message")


def test_the_message_is_what_came_instead():
    assert of(other_class).message == "TypeError: another one"
    assert of(false, message="said before") == verdict.Verdict(
        "not there", "not run", "said before", of(false).reason
    )


def test_after_the_quoted_message_the_rest_may_differ():
    for test in (false, set_up, no_error):
        assert of(test, compared=True).happens == "in part"


def test_a_failure_of_the_remedy_says_nothing_about_the_pitfall():
    found = of(false, remedying=True, compared=True)
    assert (found.happens, found.remedy) == ("as described", "fails")
    found = of(set_up, remedying=True, message="instead")
    assert (found.happens, found.remedy, found.message) == ("another message", "fails", "instead")


def test_a_refusal_is_told_apart_from_a_failure():
    def refused():
        try:
            raising(ImportError("durable_checkpoint needs Keras >= 3.10"))
        except ImportError as error:
            raise RuntimeError("status 1") from error

    assert of(refused, remedying=True).remedy == "refused"


def test_only_what_is_as_described_passes():
    assert verdict.Verdict().passed
    assert not verdict.Verdict(happens="in part").passed
    assert not verdict.Verdict(remedy="refused").passed

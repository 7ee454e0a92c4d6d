"""What changed between releases of Keras, told for a reader who has one of them.

Each story names the cells of docs/data/versions_gallery.csv that it rests on; a test compares them.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Story:
    """One story.

    text: What docs/VERSIONS.md says. It names each release of `cells`.
    cells: (release, test, what happens there) for each claim in the text.
    """

    text: str
    cells: tuple[tuple[str, str, str], ...]


BEST = "test_pitfalls_best.py::"
NAMING = "test_pitfalls_naming.py::"
MISSPELT, NAN, DIRECTION = (
    f"{BEST}test_misspelt_monitor_saves_every_epoch",
    f"{BEST}test_nan_in_the_first_epoch",
    f"{BEST}test_direction_of_a_metric_of_your_own",
)
WHOLE = f"{NAMING}test_whole_model_under_the_name_of_weights"

STORIES: tuple[Story, ...] = (
    Story(
        """\
**If you are on Keras 3.9 and upgrade**, check the name after `monitor=` first. On 3.5.0 and 3.9.2,
`save_best_only=True` with a `mode` and a misspelt name saves nothing, and warns with a message that
ends in `skipping.` On 3.10.0 and 3.15.1 it saves every epoch, and the "best" file is that of the
last epoch. A script that left no file then leaves a wrong one. What to write:
[the entry](PITFALLS.md#can-save-best-model-only-with-val_acc-available-and-every-epoch-is-saved).""",  # noqa: E501
        (
            ("3.5.0", MISSPELT, "not there"),
            ("3.9.2", MISSPELT, "not there"),
            ("3.10.0", MISSPELT, "as described"),
            ("3.15.1", MISSPELT, "as described"),
        ),
    ),
    Story(
        """\
**If you are on Keras 3.5**, `ModelCheckpoint("best.weights.h5")` without `save_weights_only=True`
stops with an error. On 3.9.2, 3.10.0 and 3.15.1 it is accepted and writes a whole model under this
name, which `load_weights` refuses. Pass `save_weights_only=True` on every release:
[the entry](PITFALLS.md#a-bestweightsh5-that-load_weights-refuses-expected-2-variables-but-received-0-variables-during-loading).""",  # noqa: E501
        (
            ("3.5.0", WHOLE, "not there"),
            ("3.9.2", WHOLE, "as described"),
            ("3.10.0", WHOLE, "as described"),
            ("3.15.1", WHOLE, "as described"),
        ),
    ),
    Story(
        """\
**If you are on Keras 3.10 and upgrade**, pass `initial_value_threshold` to `ModelCheckpoint`. On
3.5.0, 3.9.2 and 3.10.0 the best value begins at infinity, so a NaN in the first epoch is not kept. On
3.12.4 and 3.15.1 the first value is kept, even NaN, and nothing is saved after it:
[the entry](PITFALLS.md#one-nan-in-the-first-epoch-and-nothing-is-saved-any-more). Pass `mode` for a
metric of your own, too: on 3.10.0 Keras chooses a direction without an error, and 3.12.4
[raises one](PITFALLS.md#keras-isnt-able-to-automatically-determine-whether-that-metric-should-be-maximized-or-minimized).""",  # noqa: E501
        (
            ("3.5.0", NAN, "not there"),
            ("3.9.2", NAN, "not there"),
            ("3.10.0", NAN, "not there"),
            ("3.12.4", NAN, "as described"),
            ("3.15.1", NAN, "as described"),
            ("3.10.0", DIRECTION, "not there"),
            ("3.12.4", DIRECTION, "as described"),
        ),
    ),
)


def texts() -> list[str]:
    """The stories as items of a list."""
    return ["- " + story.text.replace("\n", "\n  ") for story in STORIES]

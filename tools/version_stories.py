"""What changed between releases of Keras, told for a reader who has one of them.

Each story names the cells of docs/data/versions_gallery.csv that it rests on; a test compares them.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Story:
    """One story.

    text: What docs/VERSIONS.md says. It names the first and the last release of each span.
    spans: (first release, last release, test, what happens on all of them) for each claim in it.
    """

    text: str
    spans: tuple[tuple[str, str, str, str], ...]


BEST = "test_pitfalls_best.py::"
MISSPELT, NAN, DIRECTION = (
    f"{BEST}test_misspelt_monitor_saves_every_epoch",
    f"{BEST}test_nan_in_the_first_epoch",
    f"{BEST}test_direction_of_a_metric_of_your_own",
)
WHOLE = "test_pitfalls_naming.py::test_whole_model_under_the_name_of_weights"
METADATA = "test_pitfalls_crashes.py::test_empty_metadata"

STORIES: tuple[Story, ...] = (
    Story(
        """\
**If you are on Keras 3.9 or older and upgrade**, check the name after `monitor=` first. On 3.0 to 3.9,
`save_best_only=True` with a `mode` and a misspelt name saves nothing, and warns with a message that
ends in `skipping.` On 3.10 to 3.15 it saves every epoch, and the "best" file is that of the
last epoch. A script that left no file then leaves a wrong one. What to write:
[the entry](PITFALLS.md#can-save-best-model-only-with-val_acc-available-and-every-epoch-is-saved).""",  # noqa: E501
        (
            ("3.0.5", "3.9.2", MISSPELT, "not there"),
            ("3.10.0", "3.15.1", MISSPELT, "as described"),
        ),
    ),
    Story(
        """\
**If you are on Keras 3.7 or older**, `ModelCheckpoint("best.weights.h5")` without
`save_weights_only=True` stops with an error, as it does on 3.0. On 3.8 to 3.15 it is accepted and writes
a whole model under this name, which `load_weights` refuses. Pass `save_weights_only=True` on every
release: [the entry](PITFALLS.md#a-bestweightsh5-that-load_weights-refuses-expected-2-variables-but-received-0-variables-during-loading).""",  # noqa: E501
        (
            ("3.0.5", "3.7.0", WHOLE, "not there"),
            ("3.8.0", "3.15.1", WHOLE, "as described"),
        ),
    ),
    Story(
        """\
**If you are on Keras 3.10 or older and upgrade**, pass `initial_value_threshold` to `ModelCheckpoint`.
On 3.0 to 3.10 the best value begins at infinity, so a NaN in the first epoch is not kept. On
3.11 to 3.15 the first value is kept, even NaN, and nothing is saved after it:
[the entry](PITFALLS.md#one-nan-in-the-first-epoch-and-nothing-is-saved-any-more). Pass `mode` for a
metric of your own, too: on 3.0 to 3.10 Keras chooses a direction without an error, and 3.11 to 3.15
[raise one](PITFALLS.md#keras-isnt-able-to-automatically-determine-whether-that-metric-should-be-maximized-or-minimized).""",  # noqa: E501
        (
            ("3.0.5", "3.10.0", NAN, "not there"),
            ("3.11.3", "3.15.1", NAN, "as described"),
            ("3.0.5", "3.10.0", DIRECTION, "not there"),
            ("3.11.3", "3.15.1", DIRECTION, "as described"),
        ),
    ),
    Story(
        """\
**If you are on Keras 3.6 or older**, leave `double_checkpoint=True` out: `BackupAndRestore` of 3.0 to
3.6 does not know it. It then keeps one backup, and a kill while that is written loses it. From 3.7 to
3.15 there are two copies, and
[one trap is left](PITFALLS.md#jsondecodeerror-expecting-value-line-1-column-1-char-0-in-spite-of-double_checkpointtrue).""",  # noqa: E501
        (
            ("3.0.5", "3.6.0", METADATA, "not run"),
            ("3.7.0", "3.15.1", METADATA, "as described"),
        ),
    ),
)


def texts() -> list[str]:
    """The stories as items of a list."""
    return ["- " + story.text.replace("\n", "\n  ") for story in STORIES]

"""What changed between releases of Keras, told for a reader who has one of them.

Each story names the cells of docs/data/versions_gallery.csv that it rests on; a test compares them.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Story:
    """One story.

    text: What docs/VERSIONS.md says.
    cells: (release, test, what happens there) for each claim in the text.
    """

    text: str
    cells: tuple[tuple[str, str, str], ...]


STORIES: tuple[Story, ...] = ()


def texts() -> list[str]:
    """The stories as items of a list."""
    return [f"- {story.text}" for story in STORIES]

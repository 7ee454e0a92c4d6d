"""Lists of names, written as one text."""


def words(text: str) -> list[str]:
    """The words of a text.

    >>> words("Dense Dropout")
    ['Dense', 'Dropout']
    """
    return text.split()

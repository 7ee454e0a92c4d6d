"""Finding the entry of the pages that deals with a message."""

import dataclasses
import functools
import math
import re

from . import pages
from .words import words

# In quotes as well, and common to many messages.
GENERAL = set(words("sequential functional model keras tensorflow dense adam numpy float int str"))

# Messages of which the name in quotes is all that matters.
ABOUT_A_NAME = re.compile(
    r"has no attribute|cannot import name|No module named|is not defined|unexpected keyword"
    r"|KeyError|Unrecognized keyword"
)
OTHER_FILE = re.compile(r"No such file or directory: '(?![^']*\.(?:h5|hdf5|keras|ckpt|ckpt\.\w+)')")
# What Python says of any object: the type in quotes says nothing about Keras.
OF_A_TYPE = re.compile(
    r"'(?:str|bytes|int|bool|NoneType|list|dict|tuple|set|function|method|(?:numpy\.)?ndarray)'"
    r" object"
)
IS_NOT = re.compile(r"'[\w.]+' object is not \w+")
KIND = re.compile(r"(?:\w+\.)*(\w*(?:Error|Exception|Warning))\b")
FAMILIES = ({"ImportError", "ModuleNotFoundError"}, {"OSError", "FileNotFoundError"})
MINIMUM = 0.45  # what has less in common with a message is about something else
# Says nothing but a number.
BARE = re.compile(r"KeyError: \d+\s*$")
FRAME = re.compile(r'^ +File "(.*)", line ', re.MULTILINE)
PATH = re.compile(r"(?:[\w.~-]*/)+[\w.-]*")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One entry of PITFALLS.md, or one row of OLD_ARTICLES.md.

    Attributes:
        page: The name of the page.
        heading: What it is found under.
        text: What it says.
        keys: The messages and old lines that lead to it.
    """

    page: str
    heading: str
    text: str
    keys: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {self.heading}\n\n{self.text.strip()}"


def words_of(text: str) -> list[str]:
    """The words of a message without what differs from case to case: numbers, paths, quotes."""
    text = re.sub(r"0x[0-9a-fA-F]+|\b\d+(?:\.\d+)?\b", " ", text)
    text = PATH.sub(" ", text)
    text = re.sub(r"'numpy\.float\d*'", "'float'", text)
    text = re.sub(r"\bx=\[\[.*?\]\](?= \(of type)", " ", text, flags=re.DOTALL)
    text = re.sub(r"\b(?:TensorFlow|JAX|Torch)Trainer\b", "Trainer", text)
    text = re.sub(r"['\"`]?(?:Functional|Sequential|Model)['\"`]? object", "model object", text)
    words = [word.lower() for word in re.findall(r"\w{2,}", text) if not word.isdigit()]
    return [word.removeprefix("val_") for word in words]


def explain(message: str, limit: int = 3) -> list[Entry]:
    """The entries that fit a message best, best first.

    Arguments:
        message: What Keras said: one line, or a whole traceback, whose last lines count.
        limit: How many at most.

    Returns:
        Nothing if no entry has enough in common with the message.

    >>> explain("TypeError: fit() got an unexpected keyword argument 'nb_epoch'")[0].page
    'OLD_ARTICLES.md'
    """
    frames = FRAME.findall(message)
    message = last_message(message)
    if OTHER_FILE.search(message):
        return []  # the user's data, say
    if BARE.match(message) and frames and "/keras/" not in frames[-1].replace("\\", "/"):
        return []  # a dictionary of the script's own
    asked = words_of(message)
    entries = pages.entries()
    rarity = _rarity(entries)
    found = []
    for number, entry in enumerate(entries):
        score = max((_score(message, asked, key, rarity) for key in entry.keys), default=0)
        found.append((score, -number, entry))
    found.sort(reverse=True, key=lambda one: one[:2])
    best = [(score, entry) for score, _, entry in found[:limit] if score >= MINIMUM]
    return [entry for score, entry in best if score >= 0.6 * best[0][0]]


def _score(message, asked, key, rarity):
    """How well a key fits; a message about another name than that of the key fits badly."""
    if (BARE.match(key) or BARE.match(message)) and key.strip() != message.strip():
        return 0.0
    score = _likeness(asked, _words_of_key(key), rarity)
    found = IS_NOT.search(message)
    if found and found[0] not in key:
        return 0.0
    if _another_kind(message, key):
        score *= 0.6
    mine, its = names_in(OF_A_TYPE.sub("object", message)), _names_in_key(key)
    if mine and its and not mine & its:
        return 0.0 if ABOUT_A_NAME.search(message) else 0.7 * score
    return 1.25 * score if (mine & its) - GENERAL else score


def _another_kind(message, key):
    """Whether both begin with the name of an exception, and these have nothing in common."""
    mine, its = KIND.match(message), KIND.match(key)
    if not mine or not its or mine[1] == its[1]:
        return False
    return not any({mine[1], its[1]} <= family for family in FAMILIES)


def last_message(text: str) -> str:
    """The message at the end of a traceback: the last line that begins with an exception's name."""
    lines = text.strip().splitlines()
    for index in range(len(lines) - 1, -1, -1):
        if re.match(r"(?:\w+\.)*\w*(?:Error|Exception|Warning|Interrupt)\b", lines[index]):
            said = "\n".join(lines[index:])
            around, found, inner = said.rpartition("Exception encountered: ")
            if found and "could not be deserialized" in around:
                said = f"{lines[index].partition(':')[0]}: {inner}"
            return said[:2000]
    return text[-2000:]


@functools.cache
def _rarity(entries):
    """Word -> weight: a word that few entries have says more."""
    count: dict[str, int] = {}
    for entry in entries:
        for word in {word for key in entry.keys for word in _words_of_key(key)}:
            count[word] = count.get(word, 0) + 1
    return {word: math.log(1 + len(entries) / number) for word, number in count.items()}


def _likeness(asked, key, rarity):
    """Between 0 and 1: the weight of the common words against that of both texts."""
    if not asked or not key:
        return 0.0
    mine, its = set(asked), set(key)
    weight = lambda words: sum(rarity.get(word, 1.0) for word in words)
    return weight(mine & its) / (0.35 * weight(mine) + 0.65 * weight(its))


def names_in(text: str) -> set[str]:
    """What a message has in quotes: names of arguments, modules, endings.

    >>> sorted(names_in("fit() got an unexpected keyword argument 'nb_epoch'"))
    ['nb_epoch']
    """
    found = set(re.findall(r"['`\"]{1,2}([\w.]+?)\s*['`\"]", text))
    parts = {whole: whole.split(".") for whole in found}
    names = found | {last for *_, last in parts.values()}
    names |= {".".join(part[:-1]) for part in parts.values() if len(part) > 2}
    names |= {name.removeprefix("val_") for name in names}
    return names - {"Sequential", "Functional"}


_words_of_key = functools.cache(words_of)
_names_in_key = functools.cache(names_in)

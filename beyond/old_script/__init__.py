"""Scripts for Keras 1 and 2 to scripts that run on today's Keras.

    python -m old_script rewrite train.py
    python -m old_script run train.py
    python -m old_script explain "TypeError: fit() got an unexpected keyword argument 'nb_epoch'"

`rewrite` writes `train_keras3.py` beside the script and says what it changed, what it left, and
what does something else today. Neither Keras nor a backend is imported.
"""

from .errors import OldScriptError
from .explaining import Entry, explain
from .report import Change, Findings, Note, Result
from .rewriting import rewrite, rewrite_text

__all__ = [
    "Change",
    "Entry",
    "Findings",
    "Note",
    "OldScriptError",
    "Result",
    "explain",
    "rewrite",
    "rewrite_text",
]

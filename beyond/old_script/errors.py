"""What the commands refuse, in one line that names the reason and the remedy."""


class OldScriptError(Exception):
    """A script, a folder or a page that cannot be handled; the text is one line."""

"""The search: Chinese without a dictionary, and a message found by the heading of its entry."""

import re

from sphinx.application import Sphinx
from sphinx.search import SearchLanguage
from sphinx.search.zh import SearchChinese

PAIRS = """
function splitQuery(query) {
  const words = [];
  for (const part of query.match(/[\\u4e00-\\u9fff]+|[^\\s\\u4e00-\\u9fff]+/g) || []) {
    if (!/^[\\u4e00-\\u9fff]/.test(part))
      words.push(...part.split(/[^\\p{Letter}\\p{Number}_]+/u).filter((word) => word));
    else if (part.length === 1) words.push(part);
    else for (let at = 0; at + 1 < part.length; at++) words.push(part.slice(at, at + 2));
  }
  return words;
}
"""


class ChineseInPairs(SearchChinese):
    """Every two neighbouring characters are a word, in the pages and in what the reader types.

    The class of Sphinx 9.0 cuts by a dictionary that is not installed, and its page names a stemmer
    that it does not define.
    """

    language_name = "English"  # of the stemmer that the page loads
    js_splitter_code = PAIRS

    def split(self, input: str) -> list[str]:
        words = re.findall(r"[A-Za-z0-9_]+", input)
        self.latin_terms.update(words)
        for part in re.findall(r"[\u4e00-\u9fff]+", input):
            words += [part[at : at + 2] for at in range(max(len(part) - 1, 1))]
        return words


def setup(app: Sphinx) -> dict[str, bool]:
    assert issubclass(ChineseInPairs, SearchLanguage)
    app.add_search_language(ChineseInPairs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

// Sphinx lists the pages that have every word. Where these are few, the pages that have only some
// of the words follow, best first: a word that few pages have counts more.
"use strict";

const searchSomeWords = {
  enough: 3, // with so many results there is nothing to add
  atMost: 10,
  kind: "some", // the class of such a result in the list: kind-some

  find: (terms, known) => {
    const index = Search._index;
    const pagesWith = (word) => [index.terms, index.titleterms].flatMap(
      (part) => (Object.hasOwn(part, word) ? part[word] : []),
    );
    const scores = new Map();
    let all = 0;
    for (const term of terms) {
      const pages = new Set(pagesWith(term));
      if (!pages.size) continue;
      const weight = Math.log(1 + index.docnames.length / pages.size);
      all += weight;
      for (const page of pages) scores.set(page, (scores.get(page) || 0) + weight);
    }
    const shown = new Set(known.map((result) => result[0]));
    return [...scores]
      .filter(([page, score]) => score >= all / 2 && !shown.has(index.docnames[page]))
      .sort((one, other) => other[1] - one[1])
      .slice(0, searchSomeWords.atMost)
      .map(([page, score]) => [
        index.docnames[page], index.titles[page], "", null, Math.round((10 * score) / all),
        index.filenames[page], searchSomeWords.kind,
      ]);
  },

  // The list of the results, with a line before the first of these.
  withLine: (list) => ({
    appendChild: (item) => {
      const first = !list.querySelector(`.kind-${searchSomeWords.kind}`);
      if (first && item.classList.contains(`kind-${searchSomeWords.kind}`))
        list.append(document.getElementById("some-of-the-words").content.cloneNode(true));
      return list.appendChild(item);
    },
  }),
};

// In some languages Sphinx says nothing where it should say how many pages it found.
const summaries = Documentation.TRANSLATIONS;
const summary = "Search finished, found one page matching the search query.";
if (summary in summaries && !summaries[summary].join(""))
  summaries[summary].fill(document.getElementById("pages-found").innerHTML);

Search.query = (query) => {
  const parsed = Search._parseQuery(query);
  const [, terms, , typed] = parsed;
  // The page that is opened marks them everywhere: of a message, no "a" and no "in".
  const highlighted = new Set([...typed].filter((word) => typed.size < 4 || word.length > 3));
  localStorage.setItem("sphinx_highlight_terms", [...highlighted].join(" "));
  const results = Search._performSearch(...parsed);
  const few = results.length < searchSomeWords.enough && terms.size > 1;
  const some = few ? searchSomeWords.find(terms, results) : [];
  Search.output = searchSomeWords.withLine(Search.output);
  // The last one is shown first. Sphinx says how many have every word.
  _displayNextItem([...some.reverse(), ...results], results.length, terms, highlighted);
};

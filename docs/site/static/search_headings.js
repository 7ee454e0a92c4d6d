// Sphinx finds a heading only if the reader types half of it or more. Here a heading is also found
// by a part of it, by a longer text that contains it, as a message pasted from a terminal does, and
// by a question in other small words: "which file format should I use".
"use strict";

const searchHeadings = {
  // As Sphinx cuts a text: in Chinese, into pairs of characters.
  words: (text) => splitQuery(text.toLowerCase()).filter((word) => word.length > 1),

  // How well a heading fits, from 0 to 60. Without small words: of a question, few words are left,
  // so the heading must have nothing else.
  fit: (asked, words, isQuestion) => {
    const common = [...asked].filter((word) => words.has(word)).length;
    if (!common) return 0;
    const ofQuery = common / asked.size;
    const ofHeading = common / words.size;
    const found = isQuestion
      ? common >= 2 && ofHeading === 1 && ofQuery > 0.5
      : ofQuery === 1 || (common >= 4 && ofQuery + ofHeading >= 1.1);
    return found ? 40 * ofQuery + 20 * ofHeading : 0;
  },

  meaning: (words) => new Set([...words].filter((word) => !window.stopwords.has(word))),

  find: (query) => {
    const asked = new Set(searchHeadings.words(query));
    if (!asked.size) return [];
    const askedFor = searchHeadings.meaning(asked);
    const { alltitles, docnames, filenames, titles } = Search._index;
    const found = [];
    for (const [heading, places] of Object.entries(alltitles)) {
      const words = new Set(searchHeadings.words(heading));
      const fit = Math.max(
        searchHeadings.fit(asked, words, false),
        searchHeadings.fit(askedFor, searchHeadings.meaning(words), true),
      );
      if (!fit) continue;
      for (const [file, id] of places) {
        const shown = titles[file] === heading ? heading : `${titles[file]} > ${heading}`;
        const score = Math.round(20 + fit);
        found.push([
          docnames[file], shown, id !== null ? "#" + id : "", null, score, filenames[file],
          SearchResultKind.title,
        ]);
      }
    }
    return found;
  },
};

const searchOfSphinx = Search._performSearch;
Search._performSearch = (query, ...others) => {
  const place = (result) => result[0] + result[2];
  const ours = new Map();
  for (const result of [...searchMessages.find(query), ...searchHeadings.find(query)]) {
    const known = ours.get(place(result));
    if (!known || known[4] < result[4]) ours.set(place(result), result);
  }
  const theirs = searchOfSphinx(query, ...others).filter((result) => !ours.has(place(result)));
  // The last one is shown first.
  return [...theirs, ...ours.values()].sort((one, other) => one[4] - other[4]);
};

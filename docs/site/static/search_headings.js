// Sphinx finds a heading only if the reader types half of it or more. Here a heading is also found
// by a part of it, and by a longer text that contains it, as a message pasted from a terminal does.
"use strict";

const searchHeadings = {
  words: (text) => text.toLowerCase().match(/[\p{Letter}\p{Number}_]{2,}/gu) || [],

  find: (query) => {
    const asked = new Set(searchHeadings.words(query));
    if (!asked.size) return [];
    const { alltitles, docnames, filenames, titles } = Search._index;
    const found = [];
    for (const [heading, places] of Object.entries(alltitles)) {
      const words = new Set(searchHeadings.words(heading));
      const common = [...asked].filter((word) => words.has(word)).length;
      const ofQuery = common / asked.size;
      const ofHeading = words.size ? common / words.size : 0;
      if (!(ofQuery === 1 || (common >= 4 && ofQuery + ofHeading >= 1.1))) continue;
      for (const [file, id] of places) {
        const shown = titles[file] === heading ? heading : `${titles[file]} > ${heading}`;
        const score = Math.round(20 + 40 * ofQuery + 20 * ofHeading);
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

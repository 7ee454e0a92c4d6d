// A message is found by what an entry quotes, though its numbers, paths, shapes and quotes differ.
// The table and the rules come from `python -m old_script explain`: see page_messages.py.
"use strict";

const searchMessages = {
  table: messagesOfThePages,
  general: new Set(messagesOfThePages.general),

  // What one of the rules, a regular expression, finds in a text.
  match: (rule, text) => text.match(new RegExp(messagesOfThePages[rule])),

  // What a terminal shows on several lines is one line in the box; the last message counts.
  last: (text) => {
    const straight = text.replace(/[\u2018\u2019]/g, "'").replace(/[\u201c\u201d]/g, '"');
    const begins = [...straight.matchAll(/(?:\w+\.)*[A-Z]\w*(?:Error|Exception|Warning)\b:?/g)];
    const last = begins.filter((found) => found[0].endsWith(":")).pop();
    return last ? straight.slice(last.index) : straight;
  },

  words: (text) => {
    const plain = text
      .replace(/0x[0-9a-fA-F]+|\b\d+(?:\.\d+)?\b/g, " ")
      .replace(new RegExp(searchMessages.table.path, "g"), " ")
      .replace(/\b(?:TensorFlow|JAX|Torch)Trainer\b/g, "Trainer")
      .replace(/['"`]?(?:Functional|Sequential|Model)['"`]? object/g, "model object");
    const words = plain.toLowerCase().match(/[\p{Letter}\p{Number}_]{2,}/gu) || [];
    return new Set(words.filter((word) => !/^\d+$/.test(word)).map(searchMessages.bare));
  },

  bare: (name) => name.replace(/^val_/, ""),

  // What stands in quotes: names of arguments, modules, attributes.
  names: (text) => {
    const found = new Set();
    for (const [, whole] of text.matchAll(/['"`]{1,2}([\w.]+?)\s*['"`]/g)) {
      const parts = whole.split(".");
      found.add(whole).add(parts.at(-1)).add(searchMessages.bare(whole));
      if (parts.length > 2) found.add(parts.slice(0, -1).join("."));
    }
    ["Sequential", "Functional"].forEach((name) => found.delete(name));
    return found;
  },

  // Each message of the table, its words as a set, and how much a word says: few entries have it.
  prepared: null,
  prepare: () => {
    const { entries, messages } = searchMessages.table;
    const having = new Map();
    const keys = messages.map((message) => {
      const words = new Set(message.words.split(" "));
      words.forEach((word) => {
        if (!having.has(word)) having.set(word, new Set());
        having.get(word).add(message.entry);
      });
      return { ...message, words, names: new Set(message.names) };
    });
    const weight = (words) => {
      let sum = 0;
      for (const word of words) {
        const count = having.has(word) ? having.get(word).size : 0;
        sum += count ? Math.log(1 + entries.length / count) : 1;
      }
      return sum;
    };
    searchMessages.prepared = { keys, weight };
    return searchMessages.prepared;
  },

  // How well a message fits one of the table: 1 is the same words.
  likeness: (asked, key, weight) => {
    const common = [...asked.words].filter((word) => key.words.has(word));
    if (!common.length || (asked.isNot && asked.isNot !== key.isNot)) return 0;
    // A part of a message, as somebody types it who does not copy it.
    const isPart = common.length === asked.words.size && common.length >= 3;
    const whole = weight(common) / (0.35 * weight(asked.words) + 0.65 * weight(key.words));
    let likeness = isPart ? Math.max(whole, 0.6) : whole;
    if (asked.kind && key.kind && asked.kind !== key.kind) {
      const related = (family) => family.includes(asked.kind) && family.includes(key.kind);
      if (!searchMessages.table.families.some(related)) likeness *= 0.6;
    }
    if (asked.names.size && key.names.size) {
      const shared = [...asked.names].filter((name) => key.names.has(name));
      if (!shared.length) return asked.aboutAName ? 0 : 0.7 * likeness;
      if (shared.some((name) => !searchMessages.general.has(name))) likeness *= 1.25;
    }
    return likeness;
  },

  // The entries that fit best, in the form of Sphinx's results.
  find: (query) => {
    const message = searchMessages.last(query);
    if (searchMessages.match("otherFile", message)) return []; // the user's data, say
    const kind = searchMessages.match("kind", message);
    const isNot = searchMessages.match("isNot", message);
    const ofAType = new RegExp(searchMessages.table.ofAType, "g");
    const asked = {
      words: searchMessages.words(message),
      names: searchMessages.names(message.replace(ofAType, "object")),
      kind: kind && kind.index === 0 ? kind[1] : "",
      isNot: isNot ? isNot[0] : "",
      aboutAName: searchMessages.match("aboutAName", message) !== null,
    };
    if (asked.words.size < 2) return [];
    const { keys, weight } = searchMessages.prepared || searchMessages.prepare();
    const best = new Map();
    for (const key of keys) {
      const likeness = searchMessages.likeness(asked, key, weight);
      if (likeness > (best.get(key.entry) || 0)) best.set(key.entry, likeness);
    }
    const found = [...best].sort((one, other) => other[1] - one[1]).slice(0, 3);
    const { entries, minimum } = searchMessages.table;
    const enough = Math.max(minimum, 0.6 * (found.length ? found[0][1] : 0));
    const { docnames, filenames, titles } = Search._index;
    return found.filter(([, likeness]) => likeness >= enough).map(([entry, likeness]) => {
      const [page, heading, anchor] = entries[entry];
      const file = docnames.indexOf(page);
      return [
        page, `${titles[file]} > ${heading}`, `#${anchor}`, null,
        Math.round(20 + 70 * Math.min(likeness, 1.3)), filenames[file], SearchResultKind.title,
      ];
    });
  },
};

/* Text as the server reads it (demos/playground/text.py): sentences, words, what is unknown, and what was changed. */
(function () {
  'use strict';
  const P = window.memviz.playground;
  // The line ends of Python's str.splitlines.
  const LINES = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/;

  const wordsOf = (text) => text.toLowerCase().match(/[^\s!?,.;:"]+/g) || [];

  /** The sentences of a story. */
  const factsOf = (story) =>
    story
      .split(LINES)
      .flatMap((line) => line.trim().replace(/^\d{1,4}\s+/, '').split(/(?<=[.!?])\s+/))
      .filter((part) => wordsOf(part).length);

  /** The words of a text that a set does not have, each once, in the order of the text. */
  const unknown = (text, known) => [...new Set(wordsOf(text))].filter((word) => !known.has(word));

  const LIMITS = () => P.limits;

  /** What is wrong with the length of a story or a question; '' when nothing is. */
  function tooLong(story, question) {
    const most = LIMITS();
    const count = (n) => n.toLocaleString('en');
    if (story.length > most.story) return `The story has ${count(story.length)} characters; at most ${count(most.story)} are taken.`;
    if (question.length > most.question) return `The question has ${count(question.length)} characters; at most ${count(most.question)} are taken.`;
    const facts = factsOf(story);
    if (facts.length > most.facts) return `The story has ${count(facts.length)} sentences; at most ${count(most.facts)} are taken.`;
    const longest = Math.max(0, ...[...facts, question].map((text) => wordsOf(text).length));
    return longest > most.words ? `A sentence has ${count(longest)} words; at most ${count(most.words)} are taken.` : '';
  }

  /** Characters that cannot be seen are shown by their number, so that a word with one differs from the word without. */
  const visible = (text) =>
    text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);

  /**
   * Which fact of `before` each fact of `after` was: what both begin with and end with is the same, and what lies between
   * is taken in order. [position or null per fact of `after`].
   */
  function align(before, after) {
    const least = Math.min(before.length, after.length);
    let head = 0;
    while (head < least && before[head] === after[head]) head++;
    let tail = 0;
    while (tail < least - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
    const middle = before.length - head - tail;
    return after.map((_, at) => {
      if (at < head) return at;
      if (at >= after.length - tail) return at - after.length + before.length;
      return at - head < middle ? at : null;
    });
  }

  /** What differs between two questions, {facts, question} each, in a few words. */
  function difference(before, after) {
    const parts = [];
    if (before.question !== after.question) parts.push(`ask ${P.quoted(after.question)}`);
    const was = align(before.facts, after.facts);
    const edited = was.map((from, at) => [from, at]).filter(([from, at]) => from !== null && before.facts[from] !== after.facts[at]);
    const added = was.map((from, at) => [from, at]).filter(([from]) => from === null);
    const gone = before.facts.map((_, at) => at).filter((at) => !was.includes(at));
    if (edited.length + added.length + gone.length > 3) return `another story, ${P.words.plural(after.facts.length, 'sentence')}`;
    for (const [from, at] of edited) parts.push(`fact ${at}: ${P.quoted(before.facts[from])} becomes ${P.quoted(after.facts[at])}`);
    for (const [, at] of added) parts.push(`with fact ${at}, ${P.quoted(after.facts[at])}`);
    for (const at of gone) parts.push(`without fact ${at}, ${P.quoted(before.facts[at])}`);
    return parts.join('; ');
  }

  P.text = { wordsOf, factsOf, unknown, tooLong, visible, align, difference };
})();

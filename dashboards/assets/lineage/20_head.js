/* The answer in one sentence, and the numbers that qualify it. */
(function () {
  'use strict';
  const L = window.memviz.lineage;
  const { el, say } = L.draw;
  const { fixed, short, num, plural } = L.words;
  let dom = null;

  function mount() {
    dom = { title: el('h1.ln-title', { 'aria-live': 'polite' }), numbers: el('dl.ln-numbers') };
    return el('section.card.ln-head', { 'aria-label': 'Origin of the read' }, dom.title, dom.numbers);
  }

  function draw(data, write, readers) {
    if (write !== null) say(dom.title, readers ? readers.sentence.replace('; addressing frozen', '') : `The write at t = ${write}`);
    else say(dom.title, data ? data.title : '');
    const pairs = data
      ? [
          ['effective sources', sources(num(data.sources))],
          ['mean age', Number.isFinite(num(data.age)) ? `${fixed(num(data.age), 1)} times` : '–'],
          ['cancellation κ', fixed(num(data.cancellation), 2)],
          ['read mass', fixed(num(data.mass), 3)],
          ['contributions minus read, max', data.error === null ? 'read not recorded' : short(num(data.error))],
        ]
      : [];
    dom.numbers.replaceChildren(...pairs.map(([name, given]) => el('div', {}, el('dt', {}, name), el('dd', {}, given))));
  }

  const sources = (n) => (Number.isFinite(n) ? `${fixed(n, 1)} ${n === 1 ? 'write' : 'writes'}` : '–');

  /** Nothing to tell: why not. */
  function fail(words) {
    say(dom.title, words);
    dom.numbers.replaceChildren();
  }

  L.head = { mount, draw, fail, plural };
})();

/* What was tried so far: each prediction in a few words with its answers, to return to. */
(function () {
  'use strict';
  const P = window.memviz.playground;
  const { el } = P.draw;
  const state = P.state;

  function mount() {
    return el('section.card.pg-tried', { 'aria-labelledby': 'pg-tried-title' });
  }

  function draw(node) {
    node.hidden = state.tried.length < 2;
    if (node.hidden) return;
    const list = el('ol');
    state.tried.forEach((entry, at) => {
      const answers = entry.outcomes.map((one) => (one.answer ? `${one.answer.answer} ${P.words.fixed(one.answer.probability, 2)}` : 'no answer'));
      const shown = entry === state.now;
      const button = el('button.pg-try', { type: 'button', 'aria-current': shown ? 'true' : null, click: () => P.page.restore(entry) });
      button.append(el('span', {}, what(entry, at ? state.tried[at - 1] : null)), el('b', {}, answers.join(' · ')));
      list.append(el('li', {}, button));
    });
    node.replaceChildren(el('div.pg-row', {}, el('h2.ttl', { id: 'pg-tried-title' }, 'Tried'), el('span.sub', {}, 'choose one to return to it')), list);
  }

  /** What a prediction is about, or what it changed of the one before it. */
  function what(entry, last) {
    const models = entry.outcomes.map((one) => one.choice.model).join(', ');
    if (!last || entry.sampled !== last.sampled) return `${P.quoted(entry.question)}, ${P.words.plural(entry.facts.length, 'sentence')}`;
    const changed = P.text.difference(last, entry);
    const text = changed || `ask ${models}`;
    return text.charAt(0).toUpperCase() + text.slice(1);
  }

  P.tried = { mount, draw };
})();

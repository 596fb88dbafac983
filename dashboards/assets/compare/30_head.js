/* The comparison in one sentence, and the numbers behind it; or how far it is, or why there is none. */
(function () {
  'use strict';
  const P = window.memviz.compare;
  const { el, say, put } = P.draw;
  const { short, num } = P.words;
  let dom = null;

  function mount() {
    dom = { title: el('h1.cp-title', { 'aria-live': 'polite' }), numbers: el('dl.cp-numbers'), actions: el('div.cp-actions') };
    return el('section.card.cp-head', { 'aria-label': 'Comparison' }, dom.title, dom.actions, dom.numbers);
  }

  /** Numbers of a comparison that is done. */
  function draw(data) {
    say(dom.title, data.title.replace(' %', '\u00a0%'));
    if (dom.data === data) return;
    dom.data = data;
    dom.actions.replaceChildren();
    // Of the fields of one unit: the weightings, where there are any.
    const most = data.fields.find((entry) => /weights$/.test(entry.field)) || data.fields[0];
    const pairs = [];
    if (data.mean_numbered !== null) pairs.push(['mean |Δ| of weights, as numbered', short(num(data.mean_numbered))]);
    if (data.mean !== null) pairs.push([data.mean_numbered === null ? 'mean |Δ| of weights' : 'mean |Δ| after alignment', short(num(data.mean))]);
    if (data.align.slots.length && data.align.method !== 'none') pairs.push(['slots renamed', `${data.align.moved} of ${data.align.slots.length}`]);
    if (data.first) pairs.push(['first difference', `t = ${data.first.time}, ${data.first.title.toLowerCase()}`]);
    if (most && !most.same) pairs.push(['largest difference', `${short(num(most.largest))} in ${most.title.toLowerCase()}${most.place.time === undefined ? '' : `, t = ${most.place.time}`}`]);
    dom.numbers.replaceChildren(...pairs.map(([name, given]) => el('div', {}, el('dt', {}, name), el('dd', {}, given))));
  }

  /** Words instead of numbers; actions: [[text, run], ...] as buttons. */
  function tell(words, actions) {
    say(dom.title, words);
    const key = words + (actions || []).map(([text]) => text).join('|');
    if (dom.data === key) return;
    dom.data = key;
    dom.numbers.replaceChildren();
    dom.actions.replaceChildren(...(actions || []).map(([text, run]) => el('button.btn', { type: 'button', onclick: run }, text)));
  }

  /** Whether what is shown is of an earlier question. */
  const wait = (on) => put(dom.title.parentElement, 'data-waiting', on);

  P.head = { mount, draw, tell, wait };
})();

/* The steps at which something changed, as sentences that lead there. */
(function () {
  'use strict';
  const F = window.memviz.film;
  const { el, say, put } = F.draw;
  const { state } = F.store;
  let dom = null;
  let drawn = null;

  function mount() {
    dom = { sub: el('span.sub'), body: el('div.ln-body', { tabindex: 0, role: 'region', 'aria-label': 'Changes' }) };
    return el('section.card.fm-changes', { 'aria-label': 'What changed' }, el('div.ln-hd', {}, el('h2.ttl', {}, 'What changed'), dom.sub), dom.body);
  }

  const here = () => F.reel.changes.filter((change) => change.memory === state.memory);

  function draw(reel) {
    const list = here();
    if (drawn !== list.map((c) => c.sentence).join('|') + reel.state) {
      drawn = list.map((c) => c.sentence).join('|') + reel.state;
      const items = list.map((change) => el('li', {}, el('button.fm-change', { type: 'button', 'data-index': change.index, onclick: () => show(change) }, el('span.fm-step', {}, String(change.step)), el('span', {}, change.sentence))));
      const none = reel.known <= 0 ? '' : !reel.series.length ? 'There are no numbers that could change.' : reel.known < 6 ? 'A change is told from six records on: each level has to last for three.' : 'No number took a new level that the noise does not explain.';
      dom.body.replaceChildren(items.length ? el('ol.fm-list-of', {}, ...items) : el('p.note', {}, none));
    }
    say(dom.sub, list.length ? `${F.words.plural(list.length, 'change')}${reel.state === 'working' ? ' so far' : ''}` : '');
    for (const button of dom.body.querySelectorAll('.fm-change')) put(button, 'aria-current', Number(button.dataset.index) === state.rec);
  }

  /** Go to the first record on the new level. */
  function show(change) {
    F.moves.choose(change.index, true);
    if (change.head !== null && /read|modes|free/.test(change.statistic)) F.store.set({ head: change.head });
    window.memviz.announce(change.sentence);
  }

  /** The next change after this step, or the one before it. */
  function walk(by) {
    const list = here();
    const at = state.rec ?? 0;
    const next = by > 0 ? list.find((c) => c.index > at) : list.filter((c) => c.index < at).pop();
    if (next) show(next);
    else window.memviz.announce(by > 0 ? 'Nothing changed after this step' : 'Nothing changed before this step');
  }

  F.changes = { mount, draw, show, walk };
})();

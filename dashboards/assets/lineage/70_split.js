/* By read mode and by write path, what the numbers mean, and ways to take them along. */
(function () {
  'use strict';
  const L = window.memviz.lineage;
  const { el } = L.draw;
  const { num } = L.words;
  const COLOUR = { backward: 'mode-backward', content: 'mode-content', forward: 'mode-forward' };
  let dom = null;

  function mount() {
    dom = { body: el('div') };
    const copy = (words, what) => el('button.btn', { type: 'button', onclick: what }, words);
    const frozen = el('div.ln-frozen', {}, el('b', {}, 'Addressing is frozen. '), 'Shares follow the values through erase and add with all weights held fixed. They do not say what would happen had a write been left out: the weights would move too. ', el('code', {}, 'memviz.ablate'), ' runs the model again without it.');
    const actions = el('div.ln-actions', {}, copy('Show in Scope', () => L.session.go('scope')), copy('Copy link', L.commands.copyLink), ...(window.memviz.offline ? [] : [copy('Copy Python', L.exporting.copyPython), copy('Export', L.exporting.open)]));
    return el('section.card.ln-split', { 'aria-label': 'By read mode and by write path' }, el('div.ln-hd', {}, el('h2.ttl', {}, 'By read mode and by write path')), el('div.ln-body', { tabindex: 0 }, dom.body, frozen, actions));
  }

  function bars(title, shares, coloured) {
    const rows = Object.entries(shares).map(([name, given]) => {
      const share = num(given);
      const fill = el('span.ln-fill');
      if (coloured && COLOUR[name]) fill.style.background = `var(--${COLOUR[name]})`;
      if (share < 0) fill.classList.add('ln-negative');
      fill.style.width = `${Math.min(100, Math.max(0, 100 * Math.abs(share)))}%`;
      return el('div.ln-part', {}, el('span', {}, coloured ? `${name.charAt(0).toUpperCase()}  ${name}` : name === 'initial' ? 'initial memory' : name), el('span.ln-bar', {}, fill), el('b', {}, L.percent(share)));
    });
    return [el('p.note', {}, title), ...rows];
  }

  function draw(data) {
    if (!data) return dom.body.replaceChildren();
    if (!data.split) return dom.body.replaceChildren(el('p.note', {}, `No split: ${data.split_missing}`));
    dom.body.replaceChildren(...bars('How the read addressed it', data.split.modes, true), ...bars('How the write addressed it', data.split.parts, false), el('p.note', {}, 'Both splits are exact and sum to 100 %.'));
  }

  L.split = { mount, draw };
})();

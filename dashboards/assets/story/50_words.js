/* What was kept in sentences, how the hops differ, what the checks find in this story, and ways to take it along. */
(function () {
  'use strict';
  const Y = window.memviz.story;
  const { el } = Y.draw;
  const { num, fixed } = Y.words;
  const MOST_HOPS = 8; // of a table of pairs
  let dom = null;

  function mount() {
    dom = { kept: el('div.st-body', { id: 'story-kept' }), found: el('div.st-body', { id: 'story-findings' }) };
    const button = (words, title, run) => el('button.btn', { type: 'button', title, onclick: run }, words);
    const actions = el('div.st-body.st-actions', {}, button('Show in Scope', 'All fields of this record (s)', () => Y.session.go('scope')), button('Copy link', 'Copy a link to this place (y)', Y.commands.copyLink), button('Copy Python', 'The lines that give these numbers', python));
    return [
      el('section.card', { 'aria-label': 'What was kept' }, el('div.st-hd', {}, el('h2.ttl', {}, 'What the network kept')), dom.kept),
      el('section.card', { 'aria-label': 'Findings of this story' }, el('div.st-hd', {}, el('h2.ttl', {}, 'Findings of this story')), dom.found, actions),
    ];
  }

  function kept(data) {
    const s = data.sentences;
    const assumed = data.declared ? null : el('p.note', {}, 'The memory does not say how it sums up the facts; a running episode is assumed: each fact takes the place of what came before by its gate.');
    const formula =
      data.episode === 'sum' ? [] : [el('p.note', {}, 'The episode is a gated running state: a later fact with an open gate writes over what earlier facts left, so of fact i it keeps'), el('p.st-formula', {}, 'E', el('sub', {}, 'i'), ' = g', el('sub', {}, 'i'), ' · ∏', el('sub', {}, 'j > i'), ' (1 − g', el('sub', {}, 'j'), ')')];
    return [el('p', {}, el('b', {}, s.kept)), el('p', {}, s.gate), el('p', {}, s.support), el('p', {}, s.hops), pairs(data), ...formula, assumed, missing(data)].filter(Boolean);
  }

  /** Divergence of each two hops in bits. */
  function pairs(data) {
    if (data.hops < 3 || data.hops > MOST_HOPS) return null;
    const hops = [...Array(data.hops).keys()];
    const head = el('tr', {}, el('th', { scope: 'col' }, 'bits'), ...hops.map((hop) => el('th', { scope: 'col' }, `hop ${hop}`)));
    const rows = hops.map((a) =>
      el('tr', {}, el('th', { scope: 'row' }, `hop ${a}`), ...hops.map((b) => {
        if (a === b) return el('td', {}, '·');
        const box = el('span', {}, fixed(num(data.divergence[a][b]), 2));
        Y.paint(box, num(data.divergence[a][b]));
        return el('td', {}, box);
      }))
    );
    return el('table.st-bits', {}, el('caption.sr-only', {}, 'Jensen-Shannon divergence between what each two hops keep, in bits'), el('thead', {}, head), el('tbody', {}, ...rows));
  }

  function missing(data) {
    if (!data.missing.length) return null;
    return el('p.note', {}, `Not labelled: ${data.missing.join(', ')}. `, el('code', {}, `rec.label(${data.missing[0]}=...)`), ' before the forward adds it.');
  }

  function findings(data) {
    const made = data.findings.map((one) => {
      const words = { error: 'error', warning: 'warning', note: 'note' }[one.severity];
      const badge = el(`span.badge${one.severity === 'error' ? '.err' : one.severity === 'warning' ? '.warn' : ''}`, {}, words);
      const go = one.time === null && one.slot === null ? null : el('button.btn', { type: 'button', 'aria-label': `Show: ${one.sentence}`, onclick: () => Y.page.choose(one.time ?? Y.store.state.t, one.slot ?? data.most[one.time ?? 0]) }, 'Show');
      return el('div.st-finding', { 'data-diagnostic': one.diagnostic }, badge, el('div', {}, el('p', {}, one.sentence), el('p.note', {}, one.suggestion)), go);
    });
    const none = 'The checks of episodes find nothing here.';
    return made.length ? made : [el('p', {}, none)];
  }

  function draw(data) {
    const now = `${Y.colour.generation()}`;
    if (dom.data !== data || dom.key !== now) {
      dom.data = data;
      dom.key = now;
      dom.kept.replaceChildren(...kept(data));
      dom.findings = findings(data);
    }
    const run = el('p.note', {}, `The whole run: ${Y.findings.words()}`);
    dom.found.replaceChildren(...dom.findings, run);
  }

  async function python() {
    const s = Y.store.state;
    const code = [
      'import memviz',
      'from memviz.analysis.stories import read_stories',
      'from memviz.analysis.story_text import story_text',
      `record = memviz.open(${JSON.stringify(`${document.getElementById('memviz-shell').dataset.root}/${s.run}`)})[${s.rec}]  # step ${s.step}`,
      `story = read_stories(record, memory=${JSON.stringify(s.memory)})[${s.item}]`,
      'print(story_text(story), story.effective, story.left)',
    ].join('\n');
    try {
      await navigator.clipboard.writeText(code);
      window.memviz.announce('The Python for this story is copied');
    } catch (error) {
      window.memviz.announce('The browser does not allow copying');
    }
  }

  Y.told = { mount, draw };
})();

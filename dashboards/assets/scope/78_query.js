/* The query box: a line to ask the run with, and the places where it holds as a list to jump from. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { el, say, put } = S.draw;
  const Q = S.query;
  const state = S.store.state;
  const { short, num } = S.words;

  const EXAMPLES = [
    ['read_weights', 'read_weights.effective_slots > 4 and time > 10'],
    ['read_weights', 'read_weights.mass < 0.5 and step > 100'],
    ['usage', 'usage.mean > 0.9'],
    ['read_modes', 'read_modes.forward > 0.8'],
    ['attention', 'attention.peak > 0.9'],
    ['hidden_state', 'hidden_state.norm > 5'],
    ['memory', 'memory.nonfinite > 0'],
  ];

  let dom = null;
  let drawn = { text: null, hits: 0, hit: null };

  function mount() {
    dom = {
      input: el('input.sc-qinput', { type: 'search', id: 'scope-query', 'aria-label': 'Query', 'aria-describedby': 'scope-query-state', placeholder: 'read_weights.effective_slots > 4 and correct == False', autocomplete: 'off', spellcheck: 'false', maxlength: 1000 }),
      run: el('button.btn', { type: 'submit' }, 'Find'),
      cancel: el('button.btn', { type: 'button', id: 'scope-query-cancel', onclick: () => Q.cancel() }, 'Cancel'),
      previous: el('button.btn', { type: 'button', title: 'Previous place ([)', 'aria-label': 'Previous place', onclick: () => Q.walk(-1) }, '‹'),
      next: el('button.btn', { type: 'button', title: 'Next place (])', 'aria-label': 'Next place', onclick: () => Q.walk(1) }, '›'),
      close: el('button.btn', { type: 'button', title: 'Close the query', onclick: close }, 'Close'),
      words: el('p.sc-qstate', { id: 'scope-query-state', role: 'status' }),
      fill: el('span'),
      hint: el('p.sc-qhint'),
      list: el('ol.sc-qlist', { 'aria-label': 'Places where the query holds', onkeydown: onListKey }),
    };
    dom.bar = el('div.sc-fbar', { 'aria-hidden': 'true' }, dom.fill);
    const form = el('form.sc-qform', { role: 'search', onsubmit: submit }, el('label.sc-qlabel', { for: 'scope-query' }, 'Find'), dom.input, dom.run, dom.cancel, dom.words, el('span.spring'), dom.previous, dom.next, dom.close);
    dom.input.addEventListener('keydown', onInputKey);
    dom.card = el('section.card.sc-query', { 'aria-label': 'Query', hidden: true }, form, dom.bar, dom.hint, dom.list);
    Q.listen(() => S.page.invalidate());
    drawn = { text: null, hits: 0, hit: null };
    return dom.card;
  }

  function submit(event) {
    event.preventDefault();
    const text = dom.input.value.trim();
    if (text === (state.q || '').trim() && ['refused', 'failed', 'cancelled'].includes(Q.state)) return Q.again();
    S.store.set({ q: text, hit: null }, true);
  }

  /** Open the box, with the query that it has, and let somebody type. */
  function open() {
    if (state.q === null) S.store.set({ q: '', view: 'scope' }, true);
    draw();
    if (dom) {
      dom.input.focus();
      dom.input.select();
    }
  }

  function close() {
    Q.cancel();
    S.store.set({ q: null, hit: null }, true);
    const root = document.getElementById('scope-root');
    if (root && root.contains(document.activeElement)) document.activeElement.blur();
  }

  function onInputKey(event) {
    if (event.key === 'Escape') {
      event.preventDefault();
      if (Q.state === 'searching') Q.cancel();
      else if (dom.input.value && state.q) dom.input.blur();
      else close();
    } else if (event.key === 'ArrowDown' && Q.hits.length) {
      event.preventDefault();
      focusRow(state.hit ?? 0);
    }
  }

  function onListKey(event) {
    const at = [...dom.list.children].findIndex((item) => item.contains(document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: Q.hits.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (to < 0) return dom.input.focus();
    focusRow(Math.min(to, Q.hits.length - 1));
  }

  function focusRow(i) {
    const row = dom.list.children[i];
    if (!row) return;
    for (const item of dom.list.querySelectorAll('button[tabindex="0"]')) item.tabIndex = -1;
    row.firstChild.tabIndex = 0;
    row.firstChild.focus({ preventScroll: true });
    row.scrollIntoView({ block: 'nearest' });
  }

  function row(hit, i) {
    const values = Object.entries(hit.values).filter(([name, v]) => v !== null && !(name in hit));
    const told = values.map(([name, v]) => `${name} ${typeof v === 'string' && Number.isNaN(Number(v)) && v !== 'NaN' ? v : short(num(v))}`).join(',  ');
    const button = el('button.sc-qhit', { type: 'button', tabindex: i ? -1 : 0, 'data-hit': i, onclick: () => Q.show(i) }, el('span.sc-qwhere', {}, Q.where(hit)), el('span.sc-qvalues', {}, told));
    return el('li', {}, button);
  }

  /** What can be asked, with examples that fit the record. */
  function hint() {
    dom.hint.hidden = Boolean(Q.text);
    const about = S.session.about();
    const names = new Set(about ? about.memories.flatMap((m) => m.fields.map((f) => f.name)) : []);
    const key = [...names].join();
    if (dom.hint.hidden || dom.hinted === key) return;
    dom.hinted = key;
    const fitting = EXAMPLES.filter(([name]) => names.has(name)).slice(0, 3);
    const buttons = fitting.map(([, text]) => el('button.sc-qexample', { type: 'button', onclick: () => ((dom.input.value = text), S.store.set({ q: text, hit: null }, true)) }, text));
    const terms = 'Fields with a statistic (effective_slots, mass, peak, mean, max, min, norm, entropy, slot, nonfinite), labels, scalars, step, time, item, head; and, or, not, in.';
    dom.hint.replaceChildren(buttons.length ? `${terms} Try ` : terms, ...buttons.flatMap((b, i) => (i ? ['  or  ', b] : [b])));
  }

  function draw() {
    if (!dom) return;
    dom.card.hidden = state.q === null;
    if (state.q === null) return void (drawn.text = null);
    if (drawn.text !== Q.text || drawn.hits > Q.hits.length) {
      drawn = { text: Q.text, hits: 0, hit: null };
      dom.list.replaceChildren();
      // What somebody is typing is left alone.
      if (document.activeElement !== dom.input || dom.input.value.trim() === '') dom.input.value = Q.text || '';
    }
    hint();
    if (drawn.hits < Q.hits.length) {
      dom.list.append(...Q.hits.slice(drawn.hits).map((hit, i) => row(hit, drawn.hits + i)));
      drawn.hits = Q.hits.length;
    }
    if (drawn.hit !== state.hit) {
      for (const chosen of dom.list.querySelectorAll('[aria-current]')) chosen.removeAttribute('aria-current');
      const now = state.hit === null ? null : dom.list.children[state.hit];
      if (now) {
        now.firstChild.setAttribute('aria-current', 'true');
        now.scrollIntoView({ block: 'nearest' });
        drawn.hit = state.hit;
      } else if (state.hit === null) drawn.hit = null;
    }
    const searching = Q.state === 'searching';
    const chosen = state.hit !== null && Q.hits[state.hit] ? `Place ${state.hit + 1}. ` : '';
    say(dom.words, chosen + Q.words());
    put(dom.card, 'data-state', Q.state);
    put(dom.input, 'aria-invalid', Q.state === 'refused');
    dom.list.hidden = !Q.hits.length;
    dom.cancel.hidden = !searching;
    dom.run.hidden = searching;
    say(dom.run, Q.state === 'cancelled' ? 'Go on' : 'Find');
    dom.previous.disabled = dom.next.disabled = !Q.hits.length;
    dom.bar.hidden = !(searching && Q.total);
    dom.fill.style.width = `${Q.total ? Math.round((100 * Q.done) / Q.total) : 0}%`;
  }

  for (const page of ['scope', 'lineage']) {
    window.memviz.actions.offer(page, [
      { keys: ['/'], key: '/', text: 'find records, times, items and heads: a query', run: () => open() },
      { keys: ['[', ']'], key: ']', text: 'next, previous place of the query', run: () => Q.walk(1) },
      { key: '[', keys: ['['], text: 'previous place of the query', help: false, run: () => Q.walk(-1) },
    ]);
  }

  S.queryBox = { mount, draw, open, close };
})();

/* The findings strip, first on the page: the worst findings as cards, each a sentence, a number and a jump. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { el, say, put } = S.draw;
  const F = S.findings;
  const CARD = 400; // least width of a card

  const ICONS = {
    error: 'M5 1h6l4 4v6l-4 4H5l-4-4V5zM7 4.500v4.500h2V4.500zM7 10.500v2h2v-2z',
    warning: 'M8 1.500 15.500 14.500H.500zM7.200 6v4.200h1.600V6zM7.200 11.500V13h1.600v-1.500z',
    note: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zM7.200 7v5h1.600V7zM7.200 4v1.700h1.600V4z',
  };

  /** Shape and colour of a severity: an octagon, a triangle, a circle. */
  function icon(severity, size) {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    for (const [name, value] of Object.entries({ viewBox: '0 0 16 16', width: size || 16, height: size || 16, 'aria-hidden': 'true', class: 'sc-sev', 'data-severity': severity })) svg.setAttribute(name, value);
    const shape = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    shape.setAttribute('d', ICONS[severity] || ICONS.note);
    shape.setAttribute('fill', 'currentColor');
    shape.setAttribute('fill-rule', 'evenodd');
    svg.append(shape);
    return svg;
  }

  let dom = null;
  let key = '';

  function mount() {
    dom = {
      cards: el('ul.sc-findings'),
      words: el('p.sc-fstate', { role: 'status' }),
      all: el('button.btn.sc-fall', { type: 'button', id: 'scope-report', title: 'All findings, and what was checked (i)', onclick: () => S.report.open() }),
      bar: el('div.sc-fbar', { 'aria-hidden': 'true' }),
    };
    dom.fill = el('span');
    dom.bar.append(dom.fill);
    key = '';
    dom.strip = el('section.sc-strip', { 'aria-label': 'Findings', id: 'scope-findings' }, dom.cards, dom.words, dom.bar, dom.all);
    return dom.strip;
  }

  /** Sentence with its numbers set in bold, so that they are found at a glance. */
  function emphasised(sentence) {
    const parts = sentence.split(/(\b(?:t=)?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?: %| of \d+)?)/);
    return parts.map((part, i) => (i % 2 ? el('b', {}, part) : part));
  }

  function card(f) {
    const chosen = f.key === S.store.state.finding;
    const label = `${f.severity}: ${f.sentence} Show it: ${F.where(f)}`;
    const button = el('button.card.sc-finding', { type: 'button', 'aria-label': label, 'aria-pressed': String(chosen), title: f.sentence, 'data-key': f.key, 'data-severity': f.severity, onclick: () => F.show(f) });
    button.append(icon(f.severity), el('span.sc-fsentence', {}, ...emphasised(f.sentence)), el('span.sc-fshow', { 'aria-hidden': 'true' }, 'show'));
    return el('li', {}, button);
  }

  function draw() {
    if (!dom) return;
    const width = dom.strip.clientWidth;
    const room = Math.max(1, Math.floor((width - 150) / CARD));
    const at = F.list.findIndex((f) => f.key === S.store.state.finding);
    const now = [F.run, width, F.state, F.done, F.total, F.examined, F.list.map((f) => f.key + f.sentence).join('|'), at].join('#');
    if (now === key) return;
    key = now;
    const n = F.list.length;
    const first = at < 0 ? 0 : Math.min(Math.floor(at / room) * room, Math.max(0, n - room));
    const focus = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.key : null;
    dom.cards.replaceChildren(...F.list.slice(first, first + room).map(card));
    dom.cards.hidden = !n;
    if (focus) [...dom.cards.querySelectorAll('button')].filter((b) => b.dataset.key === focus).forEach((b) => b.focus({ preventScroll: true }));
    const busy = F.state === 'checking' || F.state === 'waiting' || F.state === 'loading';
    say(dom.words, n && !busy ? '' : F.words());
    dom.words.hidden = Boolean(n && !busy);
    put(dom.strip, 'data-state', F.state);
    dom.bar.hidden = !(busy && F.total);
    dom.fill.style.width = `${F.total ? Math.round((100 * F.done) / F.total) : 0}%`;
    const part = n > room ? `${first + 1}–${Math.min(n, first + room)} of ${n}` : n ? `${n}` : '';
    say(dom.all, n ? `Findings ${part}` : 'What was checked');
    dom.all.hidden = !n && !F.checks.length;
  }

  S.strip = { mount, draw, icon, emphasised };
})();

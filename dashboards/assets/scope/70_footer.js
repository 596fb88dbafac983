/* The foot of the page: play, step, scrub through time, speed, and one line that says what was done to the data. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { el, say, put, text, line, dot } = S.draw;
  const token = S.colour.token;
  const HEIGHT = 32;

  let dom = null;
  let ticker = 0;

  const icon = (path) => {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', '0 0 12 12');
    svg.setAttribute('width', '12');
    svg.setAttribute('height', '12');
    svg.setAttribute('aria-hidden', 'true');
    const shape = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    shape.setAttribute('d', path);
    shape.setAttribute('fill', 'currentColor');
    svg.append(shape);
    return svg;
  };
  const PLAY = 'M3 1.500l7 4.500-7 4.500z';
  const PAUSE = 'M2.500 1.500h2.500v9h-2.500zM7 1.500h2.500v9h-2.500z';

  function mount() {
    const button = (label, path, action, id) =>
      el('button.btn.ic', { type: 'button', id, 'aria-label': label, title: label, onclick: action }, icon(path));
    dom = {
      play: button('Play (space)', PLAY, () => S.page.play(!S.store.state.playing), 'scope-play'),
      prev: button('Previous time (←)', 'M7.500 1.500L3 6l4.500 4.500z', () => S.page.moveTime(-1), 'scope-prev'),
      next: button('Next time (→)', 'M4.500 1.500L9 6l-4.500 4.500z', () => S.page.moveTime(1), 'scope-next'),
      canvas: el('canvas'),
      time: el('span.note', { id: 'scope-time' }),
      words: el('span.note.sc-words', { id: 'scope-words' }),
      keys: el('span.note', {}, '·  ', el('kbd', {}, '?'), ' keys'),
    };
    dom.track = el('div.sc-scrub', { id: 'scope-scrub', role: 'slider', tabindex: 0, 'aria-label': 'Time within the sequence' }, dom.canvas);
    dom.track.addEventListener('pointerdown', onDown);
    dom.speed = el('select.sc-select', { 'aria-label': 'Speed', onchange: () => S.store.set({ speed: Number(dom.speed.value) }) });
    for (const n of [1, 2, 4, 8, 16, 30]) dom.speed.append(el('option', { value: n }, `${n} / s`));
    dom.mode = el('select.sc-select', { 'aria-label': 'What play moves', onchange: () => S.store.set({ mode: dom.mode.value }) });
    for (const [value, name] of [['time', 'time'], ['steps', 'records'], ['all', 'both']]) dom.mode.append(el('option', { value }, name));
    dom.foot = el('footer.sc-foot', { 'aria-label': 'Playback' }, dom.play, dom.prev, dom.next, dom.track, dom.time, dom.mode, dom.speed, el('span.spring'), dom.words, dom.keys);
    return dom.foot;
  }

  function draw(frame) {
    if (!dom) return;
    const s = S.store.state;
    const T = frame ? frame.times : 1;
    const t = Math.min(s.t, T - 1);
    const w = Math.max(160, dom.track.clientWidth);
    const g = S.draw.fit(dom.canvas, w, HEIGHT);
    const pitch = T > 1 ? (w - 20) / (T - 1) : 0;
    const x = 10 + t * pitch;
    line(g, 10, 14, w - 10, 14, token('line-strong'), 2);
    line(g, 10, 14, x, 14, token('accent'), 3);
    const unit = S.draw.niceStep(T, w / 44);
    const fine = pitch >= 5 ? 1 : unit;
    for (let k = 0; k < T; k += fine) line(g, 10 + k * pitch, 10, 10 + k * pitch, 18, token('line-strong'));
    for (let k = 0; k < T; k += unit) text(g, String(k), 10 + k * pitch, 27, { align: 'center', size: 9, colour: token('ink2') });
    // Times that findings about this record point to.
    for (const f of S.findings.list) {
      if (f.time === null || !S.findings.isHere(f) || f.time >= T) continue;
      const at = 10 + f.time * pitch;
      S.draw.polygon(g, [[at - 4, 0], [at + 4, 0], [at, 7]], token({ error: 'error', warning: 'warn' }[f.severity] || 'ink3'));
    }
    dot(g, x, 14, 7, token('accent'));
    dot(g, x, 14, 3, token('surface'));
    put(dom.track, 'aria-valuemin', 0);
    put(dom.track, 'aria-valuemax', T - 1);
    put(dom.track, 'aria-valuenow', t);
    put(dom.track, 'aria-valuetext', `time ${t} of ${T - 1}`);
    say(dom.time, `time ${t} of ${T - 1}`);
    const label = s.playing ? 'Pause (space)' : 'Play (space)';
    if (dom.play.getAttribute('aria-label') !== label) {
      put(dom.play, 'aria-label', label);
      put(dom.play, 'title', label);
      dom.play.replaceChildren(icon(s.playing ? PAUSE : PLAY));
    }
    if (dom.speed.value !== String(s.speed)) dom.speed.value = String(s.speed);
    if (dom.mode.value !== s.mode) dom.mode.value = s.mode;
  }

  /** The line at the right: which record, what was derived, pooled, dropped or left out. */
  function words(frame, about) {
    if (!dom) return;
    const s = S.store.state;
    const n = S.feed.steps.length;
    const parts = [];
    if (n && s.rec !== null) parts.push(`record ${Math.min(s.rec + 1, n)} of ${n}`);
    if (frame && about) {
      const memory = about.memories.find((m) => m.name === frame.memory);
      const derived = memory ? memory.fields.filter((f) => f.derived).map((f) => f.name) : [];
      if (derived.length) parts.push(derivedWords(derived, memory.replay_error));
      const pooled = frame.tiles.some((tile) => tile.rows < tile.full_rows || tile.cols < tile.full_cols);
      parts.push(pooled ? 'max-pooled to the screen' : 'nothing downsampled');
      if (frame.missing && frame.missing.length) parts.push(S.words.plural(frame.missing.length, 'field') + ' could not be read');
    }
    if (S.feed.dropped) parts.push(`${S.words.plural(S.feed.dropped, 'record')} dropped`);
    if (S.status.isStale()) parts.push(S.status.words());
    const all = parts.join('  ·  ');
    say(dom.words, all);
    put(dom.words, 'title', all);
  }

  function derivedWords(names, error) {
    const known = { memory: 'memory', link_matrix: 'links' };
    const list = Object.keys(known).filter((name) => names.includes(name)).map((name) => known[name]);
    const last = list.length ? list.join(' and ') : S.words.plural(names.length, 'field');
    const off = S.words.num(error);
    return `${last} derived from generators${off !== null && off > 1e-5 ? `, off by ${S.words.short(off)}` : ''}`;
  }

  function onDown(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    dom.track.focus({ preventScroll: true });
    const to = (e, push) => {
      const box = dom.track.getBoundingClientRect();
      const T = S.page.times();
      const t = Math.round(((e.clientX - box.left - 10) / Math.max(1, box.width - 20)) * (T - 1));
      S.store.set({ t: Math.max(0, Math.min(T - 1, t)) }, push);
    };
    S.drag(event, to);
  }

  /** Start or stop the clock of playing; `advance` moves by one. */
  function clock(playing, speed, advance) {
    clearInterval(ticker);
    ticker = playing ? setInterval(advance, 1000 / speed) : 0;
  }

  S.footer = { mount, draw, words, clock };
})();

/* The training timeline: a curve on a log axis, a mark per record, gaps, the brushed range, and the live switch. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { el, say, put, text, line } = S.draw;
  const token = S.colour.token;
  const X0 = 164;
  const TOP = 8;
  const BOTTOM = 52;
  const RECORDS = 60;
  const HEIGHT = 86;

  let dom = null;
  let view = null; // the scales of the last drawing
  let drag = null;
  let drawnKey = '';
  let drawnCurve = null;

  function mount() {
    dom = {
      canvas: el('canvas', { role: 'img' }),
      live: el('button.btn.sc-live', { type: 'button', id: 'scope-follow', onclick: () => S.page.follow(!S.store.state.follow) }),
      status: el('span.note', { id: 'scope-status', role: 'status' }),
      range: el('span.note', { id: 'scope-range' }),
      select: el('select.sc-select.sc-scalar', { 'aria-label': 'Curve on the timeline', onchange: onScalar }),
    };
    dom.light = el('span.sc-light', { 'aria-hidden': 'true' });
    dom.liveText = el('span');
    dom.live.append(dom.light, dom.liveText);
    dom.plot = el('div.sc-tlplot', {
      tabindex: 0,
      role: 'slider',
      'aria-label': 'Training step',
      'aria-orientation': 'horizontal',
    }, dom.canvas);
    dom.plot.addEventListener('pointerdown', onDown);
    dom.plot.addEventListener('pointermove', onHover);
    dom.plot.addEventListener('pointerleave', S.tip.hide);
    dom.plot.addEventListener('dblclick', () => S.store.set({ range: null }, true));
    dom.card = el(
      'section.card.sc-timeline',
      { 'aria-label': 'Training timeline' },
      dom.plot,
      dom.select,
      el('div.sc-tlside', {}, dom.live, dom.status, dom.range)
    );
    drawnKey = '';
    return dom.card;
  }

  const curveName = () => S.store.state.scalar || (S.feed.info && S.feed.info.loss_name) || (S.feed.info && (S.feed.info.scalars || [])[0]);

  function onScalar() {
    const name = dom.select.value;
    S.store.set({ scalar: name === (S.feed.info && S.feed.info.loss_name) ? null : name }, true);
  }

  function width() {
    return Math.max(320, dom.card.clientWidth - 168);
  }

  /** Ask for the curve at the width of the plot. */
  function want() {
    if (S.feed.info) S.feed.wantScalars(curveName(), Math.max(64, width() - X0 - 30));
  }

  function fillSelect() {
    const names = (S.feed.info && S.feed.info.scalars) || [];
    const key = names.join('|');
    if (dom.select.dataset.key !== key) {
      dom.select.dataset.key = key;
      dom.select.replaceChildren(...names.map((name) => el('option', { value: name }, name)));
    }
    dom.select.hidden = names.length < 2;
    if (names.length) dom.select.value = curveName();
  }

  /** Everything drawn from the feed and the selection. */
  function draw() {
    if (!dom) return;
    const feed = S.feed;
    const state = S.store.state;
    const w = width();
    // Scrubbing through time changes nothing here.
    const key = [w, state.rec, state.range, feed.steps.length, feed.dropped, S.colour.generation(), curveName(), state.finding, S.findings.list.map((f) => f.key + f.step).join()].join('|');
    if (view && key === drawnKey && feed.scalars === drawnCurve) return words();
    drawnKey = key;
    drawnCurve = feed.scalars;
    const g = S.draw.fit(dom.canvas, w, HEIGHT);
    const x1 = w - 30;
    const curve = feed.scalars && feed.scalars.name === curveName() ? feed.scalars : null;
    const lastStep = Math.max(1, feed.steps[feed.steps.length - 1] || 0, curve && curve.steps.length ? curve.steps[curve.steps.length - 1] : 0);
    const sx = (step) => X0 + (step / lastStep) * (x1 - X0);
    view = { x1, lastStep, sx, step: (x) => ((x - X0) / (x1 - X0)) * lastStep };
    fillSelect();
    const name = curveName();
    const title = !name || /loss/i.test(name) ? 'Training loss' : name;
    text(g, title, 12, 15, { size: 12, weight: '600', colour: token('ink') });
    if (state.range) {
      g.fillStyle = token('accent');
      g.globalAlpha = 0.08;
      g.fillRect(sx(state.range[0]), TOP, sx(state.range[1]) - sx(state.range[0]), BOTTOM - TOP);
      g.globalAlpha = 1;
    }
    const axis = S.curve.draw(g, curve, { x0: X0, x1, top: TOP, bottom: BOTTOM, sx });
    if (!name && feed.info) {
      text(g, 'no scalars logged: rec.log(loss=loss) draws them here', X0 + 12, (TOP + BOTTOM) / 2, { size: 11, colour: token('ink2') });
    }
    text(g, axis, 12, 31, { size: 11, colour: token('ink2') });
    gaps(g, sx);
    if (state.range) handles(g, sx);
    marks(g, sx, x1);
    alarms(g, sx);
    steps(g, sx, x1, lastStep);
    words();
  }

  function marks(g, sx, x1) {
    const { steps } = S.feed;
    const chosen = S.store.state.rec;
    text(g, 'records', X0 - 7, RECORDS + 3.5, { align: 'right' });
    g.fillStyle = token('line-strong');
    let last = -2;
    for (const step of steps) {
      const x = Math.round(sx(step));
      if (x <= last) continue; // one mark per pixel is all that can be seen
      g.fillRect(x - 1, RECORDS, x - last > 3 ? 2 : 1, 7);
      last = x;
    }
    if (chosen !== null && chosen < steps.length) {
      g.fillStyle = token('accent');
      const x = Math.round(sx(steps[chosen]));
      g.fillRect(x - 1, RECORDS, 3, 7);
      g.fillRect(x, TOP, 1, RECORDS - TOP);
    }
  }

  let ticks = []; // where findings stand: {x, list}

  /** A tick per step that findings are about, over the records; the chosen finding's is filled. */
  function alarms(g, sx) {
    ticks = [];
    for (const f of S.findings.list) {
      const x = Math.round(sx(S.feed.steps[f.index] ?? f.step));
      const known = ticks.find((tick) => Math.abs(tick.x - x) < 7);
      if (known) known.list.push(f);
      else ticks.push({ x, list: [f] });
    }
    for (const { x, list } of ticks) {
      // Worst first, so the first one has the colour.
      const colour = token({ error: 'error', warning: 'warn' }[list[0].severity] || 'ink3');
      const chosen = list.some((f) => f.key === S.store.state.finding);
      line(g, x + 0.5, TOP, x + 0.5, RECORDS - 12, colour, 1, [2, 3]);
      S.draw.polygon(g, [[x - 5, RECORDS - 2], [x + 5, RECORDS - 2], [x, RECORDS - 11]], colour);
      if (!chosen && list[0].severity === 'note') S.draw.dot(g, x, RECORDS - 5, 1.6, token('surface'));
    }
  }

  const tickAt = (x) => ticks.find((tick) => Math.abs(tick.x - x) <= 6);

  function steps(g, sx, x1, lastStep) {
    const { steps: known } = S.feed;
    const chosen = S.store.state.rec;
    const y = RECORDS + 17;
    text(g, 'step', X0 - 7, y, { align: 'right' });
    const unit = S.draw.niceStep(lastStep, (x1 - X0) / 90);
    const at = chosen !== null && chosen < known.length ? sx(known[chosen]) : -1e3;
    for (let s = 0; s <= lastStep; s += unit) {
      if (Math.abs(sx(s) - at) > 32) text(g, String(s), sx(s), y, { align: 'center', colour: token('ink2') });
    }
    if (at < 0) return;
    const label = String(known[chosen]);
    const half = 8 + 3.4 * label.length;
    const x = Math.round(at);
    g.fillStyle = token('accent');
    g.beginPath();
    g.roundRect(x - half, y - 8, 2 * half, 15, 3);
    g.fill();
    text(g, label, x, y + 0.5, { align: 'center', size: 10.5, weight: '700', colour: token('surface') });
  }

  /** Where records were dropped: a hatch between the neighbours, with the count. */
  function gaps(g, sx) {
    const { gaps: list, steps: known } = S.feed;
    for (const gap of list || []) {
      if (gap.step === null || gap.step === undefined) continue;
      const i = S.feed.indexAt(gap.step);
      const a = known.length && known[i] <= gap.step ? sx(known[i]) : sx(gap.step) - 3;
      const b = known[i + 1] !== undefined ? sx(known[i + 1]) : sx(gap.step) + 3;
      const x = Math.min(a + 2, sx(gap.step) - 3);
      const w = Math.max(6, b - 2 - x);
      S.draw.hatch(g, x, TOP, w, RECORDS + 7 - TOP, token('warn'));
      const label = `${gap.dropped} dropped`;
      const room = S.draw.widthOf(g, label, 10) + 6;
      if (w > room) {
        g.fillStyle = token('surface');
        g.fillRect(x + 2, TOP + 1, room, 12);
        text(g, label, x + 5, TOP + 7.5, { size: 10, colour: token('warn') });
      }
    }
  }

  function handles(g, sx) {
    g.fillStyle = token('accent');
    for (const step of S.store.state.range) {
      const x = Math.round(sx(step));
      g.fillRect(x - 1, TOP, 2, BOTTOM - TOP);
      g.fillRect(x - 3, TOP + 15, 6, 14);
    }
  }

  let evenOf = null;
  let even = false;
  /** Whether records come at equal distances; looked at once per list of steps. */
  function evenly(steps) {
    if (evenOf !== steps) {
      evenOf = steps;
      even = steps.length > 2 && steps.every((step, i) => i === 0 || step - steps[i - 1] === steps[1] - steps[0]);
    }
    return even;
  }

  function words() {
    const { feed } = S;
    const s = S.store.state;
    const live = feed.state === 'live';
    dom.live.classList.toggle('on', s.follow);
    dom.card.dataset.state = feed.steps.length ? 'ready' : feed.state === 'loading' ? 'loading' : 'empty';
    put(dom.live, 'aria-pressed', s.follow);
    const label = s.follow ? (live ? 'FOLLOW LIVE' : 'NEWEST') : live ? 'PAUSED' : 'GO TO NEWEST';
    say(dom.liveText, s.follow || live ? label : 'PAUSED');
    put(dom.live, 'title', s.follow ? 'Shows the newest record as it comes (f)' : 'Stays at the chosen record; press to show the newest (f)');
    say(dom.status, S.status.words());
    const n = feed.steps.length;
    const last = view.lastStep;
    const dropped = feed.dropped ? `, ${feed.dropped} dropped` : '';
    const every = evenly(feed.steps) ? `, one per ${S.words.plural(feed.steps[1] - feed.steps[0], 'step')}` : '';
    const count = `${S.words.plural(n, 'record')}${every}${dropped}`;
    say(dom.range, s.range ? `range ${s.range[0]}–${s.range[1]} of ${last}` : count);
    put(dom.range, 'title', count);
    if (s.rec !== null && n) {
      put(dom.plot, 'aria-valuemin', feed.steps[0]);
      put(dom.plot, 'aria-valuemax', feed.steps[n - 1]);
      put(dom.plot, 'aria-valuenow', feed.steps[Math.min(s.rec, n - 1)]);
      put(dom.plot, 'aria-valuetext', `record ${s.rec + 1} of ${n}, step ${feed.steps[Math.min(s.rec, n - 1)]}`);
    }
    put(dom.canvas, 'aria-label', `Training curve over ${last} steps with ${count}${ticks.length ? `; findings at steps ${ticks.map((tick) => tick.list[0].step).join(', ')}` : ''}`);
  }

  const pointOf = (event) => event.clientX - dom.canvas.getBoundingClientRect().left;

  function onDown(event) {
    if (event.button !== 0 || !view || !S.feed.steps.length) return;
    const x = pointOf(event);
    if (x < X0 - 10 || x > view.x1 + 10) return;
    event.preventDefault();
    dom.plot.focus({ preventScroll: true });
    const range = S.store.state.range;
    const edge = range ? range.findIndex((step) => Math.abs(view.sx(step) - x) <= 5) : -1;
    // Dragging an edge keeps the other one; dragging anywhere else brushes a new range.
    drag = { from: edge >= 0 ? view.sx(range[1 - edge]) : x, start: x, moved: false, edge: edge >= 0 };
    dom.plot.setPointerCapture(event.pointerId);
    dom.plot.addEventListener('pointermove', onDrag);
    dom.plot.addEventListener('pointerup', onUp, { once: true });
    dom.plot.addEventListener('pointercancel', onUp, { once: true });
  }

  const clampStep = (x) => Math.max(0, Math.min(view.lastStep, Math.round(view.step(x))));

  function onDrag(event) {
    const x = pointOf(event);
    if (!drag.moved && Math.abs(x - drag.start) < 4) return;
    const range = [clampStep(drag.from), clampStep(x)].sort((a, b) => a - b);
    // The first move makes the history entry that back undoes the brush with.
    S.store.set({ range }, !drag.moved);
    drag.moved = true;
  }

  function onUp() {
    dom.plot.removeEventListener('pointermove', onDrag);
    const tick = drag && !drag.moved && !drag.edge && tickAt(drag.start);
    if (tick) S.findings.show(tick.list[(tick.list.findIndex((f) => f.key === S.store.state.finding) + 1) % tick.list.length]);
    else if (drag && !drag.moved && !drag.edge) S.page.choose(S.feed.nearest(view.step(drag.start)), true);
    drag = null;
  }

  function onHover(event) {
    if (drag || !view) return;
    const x = pointOf(event);
    if (x < X0 || x > view.x1 + 6) return S.tip.hide();
    const step = clampStep(x);
    const parts = [`step ${step}`];
    const value = S.curve.valueAt(S.feed.scalars, step);
    if (value) parts.push(`${curveName()} ${value}`);
    if (S.feed.steps.length) parts.push(`nearest record: step ${S.feed.steps[S.feed.nearest(step)]}`);
    const tick = tickAt(x);
    if (tick) parts.push(...tick.list.slice(0, 4).map((f) => `${f.severity}: ${f.sentence}`));
    if (tick && tick.list.length > 4) parts.push(`and ${tick.list.length - 4} more`);
    for (const gap of S.feed.gaps || []) {
      if (Math.abs(view.sx(gap.step) - x) < 8) parts.push(`${S.words.plural(gap.dropped, 'record')} dropped: ${gap.reason}`);
    }
    S.tip.show(event.clientX, event.clientY, parts.join('\n'), '', null);
  }

  S.timeline = { mount, draw, want };
})();

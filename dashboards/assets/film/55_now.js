/* The frame of the film: the same field at the chosen step, over time. */
(function () {
  'use strict';
  const F = window.memviz.film;
  const { el, say, put, text, line } = F.draw;
  const C = F.codes;
  const token = F.colour.token;
  const { state } = F.store;
  const X0 = 34;
  let dom = null;
  let shown = null;

  function mount() {
    dom = { sub: el('span.sub'), title: el('h2.ttl'), cells: el('canvas', { 'aria-hidden': 'true' }), ticks: el('canvas.fm-ticks', { 'aria-hidden': 'true' }), column: el('div.sc-col'), row: el('div.sc-row'), axis: el('canvas', { 'aria-hidden': 'true' }), note: el('p.note') };
    dom.plot = el('div.sc-plot', { role: 'img', tabindex: 0 }, dom.cells, dom.row, dom.column);
    dom.plot.addEventListener('pointerdown', onDown);
    const scope = el('button.btn', { type: 'button', title: 'This record on the Scope page', onclick: () => F.session.go('scope') }, 'Open in Scope');
    dom.body = el('div.fm-nowbody', {}, el('div.fm-nowplot', {}, dom.ticks, dom.plot), dom.axis, dom.note);
    return el('section.card.fm-now', { 'aria-label': 'The chosen step over time' }, el('div.ln-hd', {}, dom.title, dom.sub, el('span.spring'), scope), dom.body);
  }

  const room = () => Math.max(120, (dom && dom.body.clientWidth ? dom.body.clientWidth : 360) - X0 - 14);

  function draw(frame, field, heads) {
    say(dom.title, state.step === null ? 'At this step' : `At step ${state.step}`);
    const head = Math.min(state.head, Math.max(0, heads - 1));
    const twins = frame ? frame.tiles.filter((one) => one.field === field.field) : [];
    const tile = twins[head] || twins[0] || null;
    put(dom.plot, 'data-state', tile ? 'ready' : 'loading');
    if (!tile) {
      say(dom.note, frame ? `This record has no ${field.title.toLowerCase()}.` : '');
      return frame && clear();
    }
    const cw = Math.max(1, Math.min(48, Math.floor(room() / tile.cols)));
    const rh = Math.max(1, Math.min(10, Math.floor(150 / tile.rows)));
    say(dom.sub, `${field.title.toLowerCase()}${heads > 1 ? `, head ${head}` : ''}, over time`);
    if (!shown || shown.tile !== tile || shown.cw !== cw || shown.gen !== F.colour.generation()) {
      shown = { tile, cw, rh, gen: F.colour.generation() };
      F.tiles.draw(F.draw.fit(dom.cells, tile.cols * cw, tile.rows * rh), tile, 0, 0, cw, rh, false);
      dom.plot.style.width = `${tile.cols * cw}px`;
      dom.plot.style.height = `${tile.rows * rh}px`;
      const g = F.draw.fit(dom.ticks, X0, tile.rows * rh + 12);
      const step = F.draw.niceStep(tile.full_rows, Math.max(2, (tile.rows * rh) / 24));
      for (let row = 0; row < tile.full_rows; row += step) text(g, String(row), X0 - 6, 6 + C.cellOf(row, tile.full_rows, tile.rows) * rh + rh / 2, { align: 'right' });
      put(dom.plot, 'aria-label', `${field.title} at step ${frame.step}, ${tile.full_rows} rows over ${tile.full_cols} times`);
    }
    const t = Math.min(state.t, tile.full_cols - 1);
    dom.column.style.width = `${cw}px`;
    dom.column.classList.toggle('thin', cw < 5);
    dom.column.style.transform = `translateX(${C.cellOf(t, tile.full_cols, tile.cols) * cw}px)`;
    dom.row.hidden = tile.row_axis !== 'slot';
    dom.row.style.height = `${rh}px`;
    dom.row.style.transform = `translateY(${C.cellOf(Math.min(state.slot, tile.full_rows - 1), tile.full_rows, tile.rows) * rh}px)`;
    axis(tile, cw, t);
    const n = F.words.num((tile.stats.n_eff || [])[t]);
    const peak = tile.stats.peak_slot ? tile.stats.peak_slot[t] : null;
    say(dom.note, peak === null ? '' : `t = ${t}: peak at ${(tile.row_axis || 'row').replaceAll('_', ' ')} ${peak}, ${F.words.short(F.words.num(tile.stats.peak[t]))}${Number.isFinite(n) ? `, N_eff ${F.words.fixed(n, 1)} of ${tile.full_rows}` : ''}`);
  }

  function axis(tile, cw, t) {
    const g = F.draw.fit(dom.axis, X0 + tile.cols * cw + 14, 22);
    const at = (time) => X0 + C.cellOf(time, tile.full_cols, tile.cols) * cw + cw / 2;
    const unit = F.draw.niceStep(tile.full_cols, (tile.cols * cw) / 28);
    for (let time = 0; time < tile.full_cols; time += unit) {
      line(g, Math.round(at(time)) + 0.5, 1, Math.round(at(time)) + 0.5, 4, token('line-strong'));
      if (Math.abs(at(time) - at(t)) > 16) text(g, String(time), at(time), 12, { align: 'center', colour: token('ink2') });
    }
    const chip = Math.max(cw, 12 + 7 * String(t).length);
    g.fillStyle = token('accent');
    g.fillRect(Math.round(at(t) - chip / 2), 4, chip, 16);
    text(g, String(t), Math.round(at(t)), 12.5, { align: 'center', size: 11, weight: '700', colour: token('surface') });
    text(g, 'time', X0 - 6, 12, { align: 'right' });
  }

  function onDown(event) {
    if (event.button !== 0 || !shown) return;
    event.preventDefault();
    const go = (e, push) => {
      const { tile, cw, rh } = shown;
      const box = dom.plot.getBoundingClientRect();
      const t = C.firstOf(Math.max(0, Math.min(tile.cols - 1, Math.floor((e.clientX - box.left) / cw))), tile.full_cols, tile.cols);
      const row = C.firstOf(Math.max(0, Math.min(tile.rows - 1, Math.floor((e.clientY - box.top) / rh))), tile.full_rows, tile.rows);
      F.page.toTime(t, push, tile.row_axis === 'slot' ? { slot: row } : {});
    };
    F.drag(event, go);
  }

  function clear() {
    shown = null;
    for (const canvas of [dom.cells, dom.ticks, dom.axis]) F.draw.fit(canvas, 1, 1);
    dom.plot.style.width = dom.plot.style.height = '0px';
  }

  function none() {
    say(dom.title, state.step === null ? 'At this step' : `At step ${state.step}`);
    say(dom.sub, '');
    say(dom.note, 'The Scope page shows this record.');
    clear();
  }

  F.now = { mount, draw, none, room };
})();

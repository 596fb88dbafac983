/* Where it was stored: the share of each slot and write, with the sums per slot beside it. */
(function () {
  'use strict';
  const L = window.memviz.lineage;
  const { el, say, put, text } = L.draw;
  const token = L.colour.token;
  const { num } = L.words;
  const X0 = 44;
  const TOP = 20;
  let dom = null;
  let hit = null;

  function mount() {
    dom = { canvas: el('canvas', { role: 'img' }), sub: el('span.sub', {}, 'share per slot and write') };
    dom.plot = el('div.ln-plot', {}, dom.canvas);
    dom.canvas.addEventListener('pointermove', onMove);
    dom.canvas.addEventListener('pointerleave', L.tip.hide);
    dom.canvas.addEventListener('pointerdown', onDown);
    return el('section.card.ln-stored', { 'aria-label': 'Where it was stored' }, el('div.ln-hd', {}, el('h2.ttl', {}, 'Where it was stored'), dom.sub), dom.plot);
  }

  function draw(data) {
    const width = dom.plot.clientWidth || 460;
    const height = Math.max(160, dom.plot.clientHeight - 2);
    const g = L.draw.fit(dom.canvas, width, height);
    hit = null;
    if (!data) return;
    const table = data.by_slot;
    const rows = table.rows.length;
    const cols = table.first_times.length;
    const pooled = rows < table.slots || cols < table.times;
    say(dom.sub, pooled ? `share per slot and write, max-pooled from ${table.slots} × ${table.times}` : 'share per slot and write');
    const spare = data.times / Math.max(1, table.times); // the axis runs over the whole sequence
    const cw = Math.max(1, Math.floor((width - X0 - 92) / Math.max(1, cols * spare)));
    const rh = Math.max(1, Math.min(20, Math.floor((height - TOP - 40) / rows)));
    const all = Math.round(cols * spare) * cw;
    g.fillStyle = token('sunken');
    g.fillRect(X0, TOP, all, rows * rh);
    table.rows.forEach((row, r) => {
      row.forEach((given, c) => {
        const share = num(given);
        g.fillStyle = Number.isFinite(share) ? L.colour.css(L.colour.cividis(Math.abs(share))) : token('nan');
        g.fillRect(X0 + c * cw, TOP + r * rh, cw, rh);
        if (share < -0.01 && cw > 5) {
          g.fillStyle = '#fff';
          g.fillRect(X0 + c * cw + cw / 4, TOP + r * rh + rh / 2 - 0.5, cw / 2, 1.5);
        }
      });
    });
    const chosen = L.store.state.slot;
    const unit = L.draw.niceStep(table.slots, (rows * rh) / 26);
    for (let i = 0; i < table.slots; i += unit) text(g, String(i), X0 - 6, TOP + L.codes.cellOf(i, table.slots, rows) * rh + rh / 2, { align: 'right' });
    text(g, 'slot', X0 - 6, TOP - 9, { align: 'right' });
    const step = L.draw.niceStep(data.times, all / 34);
    for (let t = 0; t < data.times; t += step) text(g, String(t), X0 + (t / data.times) * all + cw / 2, TOP + rows * rh + 10, { align: 'center' });
    text(g, 'write time t′', X0, TOP + rows * rh + 27, { size: 11, colour: token('ink2') });
    sums(g, data, rows, rh, X0 + all + 10, width);
    bar(g, X0 + all - 120, TOP + rows * rh + 22);
    if (chosen < table.slots) {
      g.strokeStyle = token('accent');
      g.lineWidth = 1.5;
      g.strokeRect(X0 - 1, TOP + L.codes.cellOf(chosen, table.slots, rows) * rh - 0.5, all + 2, rh + 1);
    }
    hit = { table, cw, rh, rows, cols };
    const best = data.per_slot.map(num).reduce((a, v, i, list) => (Math.abs(v) > Math.abs(list[a]) ? i : a), 0);
    put(dom.canvas, 'aria-label', `Shares by slot and write: slot ${best} holds ${L.percent(num(data.per_slot[best]), 0)} of what is read`);
  }

  function sums(g, data, rows, rh, x, width) {
    text(g, 'Σ', x + 4, TOP - 9, { colour: token('ink2'), size: 11 });
    const sums = new Array(rows).fill(0);
    data.per_slot.forEach((given, slot) => (sums[L.codes.cellOf(slot, data.by_slot.slots, rows)] += num(given)));
    const room = Math.max(10, width - x - 46);
    const order = [...sums.keys()].sort((a, b) => Math.abs(sums[b]) - Math.abs(sums[a])).slice(0, 4);
    sums.forEach((share, r) => {
      g.fillStyle = token('line-strong');
      const h = Math.max(1, Math.min(7, rh - 2));
      if (Number.isFinite(share)) g.fillRect(x, TOP + r * rh + (rh - h) / 2, Math.max(0.5, Math.min(1, Math.abs(share)) * room), h);
    });
    for (const r of order) if (Math.abs(sums[r]) >= 0.02 && rh > 7) text(g, L.percent(sums[r], 0), width - 8, TOP + r * rh + rh / 2, { align: 'right', colour: token('ink') });
  }

  function bar(g, x, y) {
    for (let i = 0; i < 70; i++) {
      g.fillStyle = L.colour.css(L.colour.cividis(i / 69));
      g.fillRect(x + i, y, 1, 7);
    }
    text(g, '0', x - 6, y + 4, { align: 'right', colour: token('ink2') });
    text(g, '1  share', x + 76, y + 4, { colour: token('ink2') });
  }

  function locate(event) {
    if (!hit) return null;
    const box = dom.canvas.getBoundingClientRect();
    const c = Math.floor((event.clientX - box.left - X0) / hit.cw);
    const r = Math.floor((event.clientY - box.top - TOP) / hit.rh);
    if (c < 0 || r < 0 || c >= hit.cols || r >= hit.rows) return null;
    return { slot: hit.table.first_slots[r], t: hit.table.first_times[c], share: num(hit.table.rows[r][c]) };
  }

  function onMove(event) {
    const at = locate(event);
    if (!at) return L.tip.hide();
    L.tip.show(event.clientX, event.clientY, `write at t = ${at.t}, slot ${at.slot}: ${L.percent(at.share, 2)}`, '', null);
  }

  function onDown(event) {
    const at = locate(event);
    if (at) L.store.set({ slot: at.slot }, true);
  }

  L.stored = { mount, draw };
})();

/* Memory at the chosen time: the matrix, its change since the time before, who writes and reads each row, row norms. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { el, say, put, text } = S.draw;
  const C = S.codes;
  const token = S.colour.token;
  const WIDTH = 494;
  const TOP = 22;
  const LEFT = 32;

  let dom = null;
  let hit = null; // what the pointer can reach

  function mount() {
    dom = {
      sub: el('span.sub'),
      bar: el('canvas', { 'aria-hidden': 'true' }),
      canvas: el('canvas.sc-matrix'),
      note: el('div.sc-cardnote'),
    };
    const head = el('div.sc-hd', {}, el('span.ttl', {}, 'Memory'), dom.sub, el('span.spring'), dom.bar);
    dom.card = el('section.card.sc-memory', { 'aria-label': 'Memory at the chosen time', role: 'group' }, head, dom.canvas, dom.note);
    put(dom.canvas, 'role', 'img');
    dom.canvas.addEventListener('pointermove', onMove);
    dom.canvas.addEventListener('pointerleave', S.tip.hide);
    dom.canvas.addEventListener('pointerdown', onDown);
    return dom.card;
  }

  function empty(state, words) {
    hit = null;
    put(dom.card, 'data-state', state);
    say(dom.note, words);
    dom.note.hidden = !words;
    dom.canvas.hidden = true;
    dom.bar.style.visibility = 'hidden';
  }

  /** Draw for the selection. about: the record's JSON; frame: its tiles. */
  function draw(about, frame) {
    const s = S.store.state;
    const memory = frame && about && about.memories.find((m) => m.name === frame.memory);
    const field = memory && memory.fields.find((f) => f.name === 'memory');
    put(dom.card, 'data-field', frame ? `${frame.memory}/memory` : '');
    if (!frame || !about) {
      say(dom.sub, '');
      return empty(...S.status.nothing());
    }
    if (!field || !S.matrixFields.isMatrix(field)) {
      say(dom.sub, '');
      return empty('empty', 'The memory matrix was not recorded. Record it with memviz.attach(…, fields="all"), or memviz.tap("memory", M).');
    }
    const times = frame.times;
    const t = Math.min(s.t, times - 1);
    const [rows, cols] = S.matrixFields.pictureAxes(field).map((axis) => S.matrixFields.lengthOf(field, axis));
    say(dom.sub, `${rows} slots × ${cols} words, signed${field.derived ? ', derived' : ''}`);
    const base = { run: s.run, rec: frame.index, item: s.item, memory: frame.memory };
    const tile = S.matrices.at(base, field, 0, t, times, S.page.invalidate);
    if (tile instanceof Error) return empty('error', `The memory could not be read: ${tile.message}`);
    const earlier = t > 0 ? S.matrices.at(base, field, 0, t - 1, times, S.page.invalidate) : null;
    const before = earlier instanceof Error ? null : earlier;
    dom.canvas.hidden = false;
    dom.bar.style.visibility = '';
    dom.note.hidden = true;
    put(dom.card, 'data-state', tile ? 'ready' : 'loading');
    put(dom.card, 'data-time', tile ? t : '');
    paint(tile, before, t, frame, rows, cols, base);
    put(dom.canvas, 'aria-label', `Memory at time ${t}: ${rows} slots by ${cols} words, and its change since the time before`);
  }

  function paint(tile, before, t, frame, rows, cols, base) {
    const sent = tile || { rows: Math.min(rows, 184), cols: Math.min(cols, 184) };
    const heads = headsOf(frame);
    marksWidth = Math.max(11, heads.length * 13 - 2);
    // Both matrices share one cell size, in whole pixels, and leave room for the marks and the norms.
    const side = Math.min(184, Math.floor((WIDTH - 8 - 2 * LEFT - marksWidth - 32) / 2));
    const cw = Math.max(1, Math.min(11, Math.floor(side / sent.cols)));
    const rh = Math.max(1, Math.min(11, Math.floor(184 / sent.rows)));
    const w = sent.cols * cw;
    const h = sent.rows * rh;
    const xd = LEFT + Math.max(w, 104) + 20;
    const xw = xd + Math.max(w, 118) + 12;
    const g = S.draw.fit(dom.canvas, WIDTH, TOP + Math.max(h, 60) + 26);
    text(g, `M at t = ${t}`, LEFT, 9, { size: 11, weight: '600', colour: token('ink') });
    text(g, t ? `change since t = ${t - 1}` : 'change: none before t = 0', xd, 9, { size: 11, weight: '600', colour: token('ink') });
    for (const x of [LEFT, xd]) {
      g.strokeStyle = token('line');
      g.lineWidth = 1;
      g.strokeRect(x - 0.5, TOP - 0.5, w + 1, h + 1);
    }
    ticks(g, sent, rows, cols, cw, rh, [LEFT, xd]);
    if (!tile) {
      text(g, 'loading', LEFT + w / 2, TOP + h / 2, { align: 'center', size: 11 });
      hit = null;
      return;
    }
    S.tiles.draw(g, tile, LEFT, TOP, cw, rh);
    const change = t === 0 ? null : before && before.rows === tile.rows ? difference(tile, before) : null;
    if (change) {
      S.tiles.draw(g, change.tile, xd, TOP, cw, rh);
      const step = (tile.vmax - tile.vmin) / C.LAST;
      if (change.most < 1.5 * step && !change.broken) {
        const low = Math.abs(C.cellOf(S.store.state.slot, rows, tile.rows) * rh - h / 2) < 16;
        text(g, `no change above ${Number((1.5 * step).toPrecision(2))}`, xd + Math.max(w, 118) / 2, TOP + h * (low ? 0.25 : 0.5), { align: 'center', size: 11, colour: token('ink2') });
      }
    } else if (t > 0) {
      text(g, 'loading', xd + w / 2, TOP + h / 2, { align: 'center', size: 11 });
    }
    weights(g, heads, tile, t, xw, rh);
    norms(g, tile, xw, rh, cols);
    const s = S.store.state;
    if (s.slot < rows) {
      const y = TOP + C.cellOf(s.slot, rows, tile.rows) * rh;
      g.strokeStyle = token('accent');
      g.lineWidth = rh < 4 ? 1 : 2;
      for (const [x, width] of [[LEFT, w], [xd, w], [xw, marksWidth]]) g.strokeRect(x - 1, y - (rh < 4 ? 0.5 : 0), width + 2, rh + (rh < 4 ? 1 : 0));
    }
    bar(tile);
    hit = { tile, change, cw, rh, w, h, xd, rows, cols, t, base };
  }

  function ticks(g, sent, rows, cols, cw, rh, xs) {
    const unit = S.draw.niceStep(rows, (sent.rows * rh) / 26);
    for (let i = 0; i < rows; i += unit) {
      text(g, String(i), LEFT - 5, TOP + C.cellOf(i, rows, sent.rows) * rh + rh / 2, { align: 'right' });
    }
    text(g, 'slot', LEFT - 5, TOP - 8, { align: 'right' });
    const wide = S.draw.niceStep(cols, (sent.cols * cw) / 26);
    for (const x of xs) {
      for (let k = 0; k < cols; k += wide) {
        text(g, String(k), x + C.cellOf(k, cols, sent.cols) * cw + cw / 2, TOP + sent.rows * rh + 8, { align: 'center' });
      }
      text(g, 'word', x + (sent.cols * cw) / 2, TOP + sent.rows * rh + 19, { align: 'center' });
    }
  }

  /** The change between two times, on the scale of the matrix; codes are exact to one step of that scale. */
  function difference(now, before) {
    if (now.change && now.changeFrom === before) return now.change;
    const codes = new Uint8Array(now.codes.length);
    let most = 0;
    let broken = false;
    for (let i = 0; i < codes.length; i++) {
      const a = now.codes[i];
      const b = before.codes[i];
      if (a > C.LAST || b > C.LAST) {
        codes[i] = a > C.LAST ? a : b;
        broken = true;
        continue;
      }
      // A code of difference zero is noise of the two roundings when it is off by one.
      const d = Math.abs(a - b) <= 1 ? 0 : a - b;
      most = Math.max(most, (Math.abs(d) / C.LAST) * (now.vmax - now.vmin));
      codes[i] = Math.max(0, Math.min(C.LAST, C.MIDDLE + d));
    }
    const tile = { ...now, id: now.id + '-change', codes, bitmap: null, specials: null };
    now.changeFrom = before;
    return (now.change = { tile, most, broken });
  }

  let marksWidth = 37;

  /** Tiles of the heads that write and read, at most four. */
  function headsOf(frame) {
    const heads = frame.tiles.filter((x) => ['write_weights', 'read_weights'].includes(S.kinds.bareName(x.field, frame.memory)) && x.row_axis === 'slot');
    heads.sort((a, b) => (a.field === b.field ? a.head - b.head : a.field.includes('write') ? -1 : 1));
    return heads.slice(0, 4);
  }

  /** Who writes and reads each row at this time: one column per head, marked by its shape. */
  function weights(g, heads, tile, t, xw, rh) {
    heads.forEach((head, k) => {
      const x = xw + k * 13;
      const mark = S.draw.marker(head.field.endsWith('write_weights') ? 'write' : 'read', head.head || 0);
      S.draw.drawMarker(g, mark, x + 5.5, TOP - 8, 5);
      const column = { ...head, cols: 1, full_cols: 1, codes: new Uint8Array(head.rows), bitmap: null, specials: null };
      const c = C.cellOf(t, head.full_cols, head.cols);
      for (let r = 0; r < head.rows; r++) column.codes[r] = head.codes[r * head.cols + c];
      const image = S.tiles.bitmap(column);
      g.imageSmoothingEnabled = false;
      g.drawImage(image, x, TOP, 11, tile.rows * rh);
    });
  }

  /** Length of every row; not shown where words were pooled, because then it cannot be known here. */
  function norms(g, tile, xw, rh, cols) {
    const x = xw + marksWidth + 8;
    if (tile.cols !== cols || tile.rows !== tile.full_rows) return;
    text(g, '‖M‖', x, TOP - 8, { colour: token('ink2') });
    const lengths = [];
    for (let r = 0; r < tile.rows; r++) {
      let n = 0;
      for (let k = 0; k < tile.cols; k++) n += (C.value(tile.codes[r * tile.cols + k], tile) || 0) ** 2;
      lengths.push(Math.sqrt(n));
    }
    const scale = Math.abs(tile.vmax) * Math.sqrt(cols) * 0.5;
    g.fillStyle = token('line-strong');
    lengths.forEach((n, r) => {
      const height = Math.max(1, Math.min(5, rh - 1));
      if (Number.isFinite(n)) g.fillRect(x, TOP + r * rh + Math.floor((rh - height) / 2), Math.min(1, n / scale) * (WIDTH - 8 - x), height);
    });
  }

  function bar(tile) {
    const g = S.draw.fit(dom.bar, 172, 26);
    for (let i = 0; i < 96; i++) {
      g.fillStyle = S.colour.css(S.colour.diverging((i / 95) * 2 - 1));
      g.fillRect(38 + i, 8, 1, 8);
    }
    g.strokeStyle = token('line');
    g.strokeRect(37.5, 7.5, 97, 9);
    const most = S.words.short(Math.max(Math.abs(tile.vmin), Math.abs(tile.vmax)));
    text(g, S.words.MINUS + most, 33, 12.5, { align: 'right', colour: token('ink2') });
    text(g, '0', 86, 21, { align: 'center', size: 9, colour: token('ink2') });
    text(g, '+' + most, 138, 12.5, { colour: token('ink2') });
  }

  function locate(event) {
    if (!hit) return null;
    const box = dom.canvas.getBoundingClientRect();
    const y = event.clientY - box.top - TOP;
    let x = event.clientX - box.left - LEFT;
    let which = 'M';
    if (x > hit.w) {
      x = event.clientX - box.left - hit.xd;
      which = 'change';
    }
    if (x < 0 || y < 0 || x >= hit.w || y >= hit.h) return null;
    const r = Math.floor(y / hit.rh);
    const c = Math.floor(x / hit.cw);
    const slot = C.firstOf(r, hit.rows, hit.tile.rows);
    return { which, r, c, slot, word: C.firstOf(c, hit.cols, hit.tile.cols) };
  }

  function onMove(event) {
    const at = locate(event);
    if (!at) return S.tip.hide();
    const { tile, change, t, base } = hit;
    const from = at.which === 'M' ? tile : change && change.tile;
    if (!from) return S.tip.hide();
    const v = C.value(from.codes[at.r * from.cols + at.c], from);
    const about = `${at.which === 'M' ? 'Memory' : `Change since t = ${t - 1}`}\nt = ${t}, slot ${at.slot}, word ${at.word}`;
    const read = (time) => ({ ...base, t: time, slot: at.slot });
    const id = `${base.memory}/memory`;
    const pick = (cell) => cell && cell.get(id) && cell.get(id)[at.word];
    const exact = async (ask) => {
      const now = pick(await S.api.cell(read(t)));
      return at.which === 'M' ? now : now - pick(await S.api.cell(read(t - 1)));
    };
    S.tip.show(event.clientX, event.clientY, about, `≈ ${S.words.short(v)}`, (ask) => (ask ? exact() : null));
  }

  function onDown(event) {
    const at = locate(event);
    if (at) S.store.set({ slot: at.slot }, true);
  }

  S.memory = { mount, draw };
})();

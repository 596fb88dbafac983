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
  const COSINE = 17; // column of the cosines with its gap

  let dom = null;
  let hit = null; // what the pointer can reach

  function mount() {
    dom = {
      sub: el('span.sub'),
      bar: el('canvas', { 'aria-hidden': 'true' }),
      canvas: el('canvas.sc-matrix', { tabindex: 0 }),
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
    const change = S.matrices.at({ ...base, change: 1 }, field, 0, t, times, S.page.invalidate);
    const now = told(base, t);
    dom.canvas.hidden = false;
    dom.bar.style.visibility = '';
    put(dom.card, 'data-state', tile ? 'ready' : 'loading');
    put(dom.card, 'data-time', tile ? t : '');
    paint(tile, change instanceof Error ? null : change, t, frame, rows, cols, base, now);
    const said = sentence(now);
    say(dom.note, said);
    dom.note.hidden = false;
    put(dom.canvas, 'aria-label', `Memory at time ${t}: ${rows} slots by ${cols} words, and its change since the time before. ${said}`);
  }

  let timer = 0;

  /** What the server says of the rows at this time, from exact values; asked for when time rests. */
  function told(base, t) {
    const parts = { time: t, slot: S.store.state.slot };
    const known = S.api.tellNow(base, 'state', parts);
    if (known) return known;
    clearTimeout(timer);
    timer = setTimeout(() => S.page.active() && S.api.tell(base, 'state', parts).then(S.page.invalidate, () => {}), 60);
    return null;
  }

  function sentence(now) {
    if (!now || !now.norm) return '';
    const { short, fixed, num } = S.words;
    const parts = [];
    const moved = now.largest_change;
    if (moved) parts.push(num(moved.by) > 1e-6 ? `Largest change: slot ${moved.slot} (${short(num(moved.by))}).` : 'Nothing changed.');
    else parts.push('Some rows are not finite.');
    if (now.alike) parts.push(`Most alike: slots ${now.alike.slots[0]} and ${now.alike.slots[1]}, cosine ${fixed(num(now.alike.cosine), 2)}.`);
    return parts.join(' ');
  }

  function paint(tile, change, t, frame, rows, cols, base, now) {
    const sent = tile || { rows: Math.min(rows, 184), cols: Math.min(cols, 184) };
    const heads = headsOf(frame);
    marksWidth = Math.max(11, heads.length * 13 - 2) + COSINE;
    // A low window has room for smaller cells only.
    const most = dom.card.parentElement.clientHeight > 760 ? 11 : 9;
    // Both matrices share one cell size, in whole pixels, and leave room for the marks and the norms.
    const side = Math.min(184, Math.floor((WIDTH - 8 - 2 * LEFT - marksWidth - 32) / 2));
    const cw = Math.max(1, Math.min(most, Math.floor(side / sent.cols)));
    const rh = Math.max(1, Math.min(most, Math.floor((most === 11 ? 184 : 160) / sent.rows)));
    const w = sent.cols * cw;
    const h = sent.rows * rh;
    const xd = LEFT + Math.max(w, 104) + 20;
    const xw = xd + Math.max(w, 118) + 12;
    const g = S.draw.fit(dom.canvas, WIDTH, TOP + Math.max(h, 60) + 26);
    text(g, `M at t = ${t}`, LEFT, 9, { size: 11, weight: '600', colour: token('ink') });
    text(g, t ? `change since t = ${t - 1}` : 'change since the start', xd, 9, { size: 11, weight: '600', colour: token('ink') });
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
    if (change && change.rows === tile.rows) {
      S.tiles.draw(g, change, xd, TOP, cw, rh);
      const most = Math.max(Math.abs(change.low ?? 0), Math.abs(change.high ?? 0));
      const found = C.specials(change);
      if (most < (1.5 * (tile.vmax - tile.vmin)) / C.LAST && !found.nan && !found.inf) {
        const low = Math.abs(C.cellOf(S.store.state.slot, rows, tile.rows) * rh - h / 2) < 16;
        text(g, most > 0 ? `largest change ${S.words.short(most)}` : 'no change', xd + Math.max(w, 118) / 2, TOP + h * (low ? 0.25 : 0.5), { align: 'center', size: 11, colour: token('ink2') });
      }
    } else text(g, 'loading', xd + w / 2, TOP + h / 2, { align: 'center', size: 11 });
    weights(g, heads, tile, t, xw, rh);
    cosines(g, tile, now, xw + marksWidth - COSINE + 2, rh);
    norms(g, tile, now, xw, rh);
    const s = S.store.state;
    if (s.slot < rows) {
      const y = TOP + C.cellOf(s.slot, rows, tile.rows) * rh;
      g.strokeStyle = token('accent');
      g.lineWidth = rh < 4 ? 1 : 2;
      for (const [x, width] of [[LEFT, w], [xd, w], [xw, marksWidth - COSINE]]) g.strokeRect(x - 1, y - (rh < 4 ? 0.5 : 0), width + 2, rh + (rh < 4 ? 1 : 0));
    }
    if (s.word !== null && s.word < cols && s.slot < rows) {
      const x = LEFT + C.cellOf(s.word, cols, tile.cols) * cw;
      g.strokeStyle = token('ink');
      g.strokeRect(x - 1, TOP + C.cellOf(s.slot, rows, tile.rows) * rh - 1, cw + 2, rh + 2);
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

  /** Cosine of every row with the chosen one, signed. */
  function cosines(g, tile, now, x, rh) {
    if (!now || !now.cosine || tile.rows !== tile.full_rows) return;
    text(g, 'cos', x + 5, TOP - 8, { size: 9, align: 'center', colour: token('ink2') });
    now.cosine.forEach((given, r) => {
      const v = S.words.num(given);
      g.fillStyle = Number.isFinite(v) ? S.colour.css(S.colour.diverging(v)) : token('nan');
      g.fillRect(x, TOP + r * rh, 11, rh);
    });
    g.strokeStyle = token('line');
    g.lineWidth = 1;
    g.strokeRect(x - 0.5, TOP - 0.5, 12, tile.rows * rh + 1);
  }

  /** Length of every row, from exact values. */
  function norms(g, tile, now, xw, rh) {
    const x = xw + marksWidth + 8;
    if (!now || !now.norm || tile.rows !== tile.full_rows) return;
    text(g, '‖M‖', x, TOP - 8, { colour: token('ink2') });
    const lengths = now.norm.map(S.words.num);
    const scale = Math.max(1e-12, ...lengths.filter(Number.isFinite));
    lengths.forEach((n, r) => {
      const height = Math.max(1, Math.min(5, rh - 1));
      g.fillStyle = token(Number.isFinite(n) ? 'line-strong' : 'nan');
      const room = WIDTH - 8 - x;
      g.fillRect(x, TOP + r * rh + Math.floor((rh - height) / 2), Number.isFinite(n) ? (n / scale) * room : room, height);
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
    const from = at.which === 'M' ? tile : change;
    if (!from) return S.tip.hide();
    const v = C.value(from.codes[at.r * from.cols + at.c], from);
    const about = `${at.which === 'M' ? 'Memory' : `Change since ${t ? `t = ${t - 1}` : 'the start'}`}\nt = ${t}, slot ${at.slot}, word ${at.word}`;
    const read = (time) => ({ ...base, t: time, slot: at.slot });
    const id = `${base.memory}/memory`;
    const pick = (cell) => cell && cell.get(id) && cell.get(id)[at.word];
    const exact = async (ask) => {
      const now = pick(await S.api.cell(read(t)));
      if (at.which === 'M') return now;
      return t ? now - pick(await S.api.cell(read(t - 1))) : undefined;
    };
    S.tip.show(event.clientX, event.clientY, about, `≈ ${S.words.short(v)}`, (ask) => (ask ? exact() : null));
  }

  function onDown(event) {
    const at = locate(event);
    if (at) S.store.set({ slot: at.slot, word: S.store.state.slot === at.slot && S.store.state.word === at.word ? null : at.word }, true);
  }

  S.memory = { mount, draw };
})();

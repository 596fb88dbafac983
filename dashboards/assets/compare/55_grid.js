/* The grid A | B | B - A: a row per field and head, one time axis, one cross over all three. */
(function () {
  'use strict';
  const P = window.memviz.compare;
  const { el, say, put, text, line } = P.draw;
  const C = P.codes;
  const token = P.colour.token;
  const state = P.store.state;
  const GUTTER = 148;
  const GAP = 14;
  // What is shown at first: where is written and read, what is in use, and how it was decided.
  const MAIN = ['write_weights', 'read_weights', 'usage', 'memory', 'read_modes', 'write_gate', 'allocation_gate', 'free_gates', 'interpolation_gate', 'shift_weights', 'attention', 'episodic_attention', 'output'];
  let dom = null;
  let rows = [];
  let shown = null;

  function mount() {
    dom = {
      limits: el('div.ln-seg', { role: 'group', 'aria-label': 'Scale of the differences' }),
      fields: el('div.ln-seg', { role: 'group', 'aria-label': 'Fields' }),
      heads: el('canvas.cp-heads', { 'aria-hidden': 'true' }), list: el('div.cp-list', { tabindex: 0, 'aria-label': 'Fields of A, of B, and their difference', role: 'region' }), axis: el('canvas.cp-axis', { 'aria-hidden': 'true' }), bar: el('canvas', { role: 'img' }), sub: el('span.sub'),
    };
    for (const [name, words, title] of [['fixed', '±1', 'differences of weights on the fixed scale −1 to 1 (l)'], ['own', 'Own limits', 'each difference on a scale up to its largest (l)']]) {
      dom.limits.append(el('button', { type: 'button', title, 'data-limits': name, onclick: () => P.store.set({ limits: name }, true) }, words));
    }
    for (const [more, words] of [[false, 'Main fields'], [true, 'All fields']]) dom.fields.append(el('button', { type: 'button', title: `${words} (m)`, 'data-more': String(more), onclick: () => P.store.set({ more }, true) }, words));
    const head = el('div.ln-hd', {}, el('h2.ttl', {}, 'A | B | B − A'), dom.fields, dom.sub, el('span.spring'), dom.bar, dom.limits);
    return el('section.card.cp-grid', { 'aria-label': 'A, B and the difference' }, head, dom.heads, dom.list, dom.axis);
  }

  /** Pixels that one plot may take. */
  const room = () => Math.max(80, Math.floor((((dom && dom.list.clientWidth) || 1200) - GUTTER - 3 * P.TICKS - 2 * GAP - 16) / 3));

  /** What is asked of the server: a step of 64, so that a resize does not ask again for every pixel. */
  const columns = () => Math.max(64, Math.floor(room() / 64) * 64);

  const isMain = (tile) => MAIN.includes(tile.field.split('/').pop());

  function layout(data) {
    const triples = new Map();
    for (const tile of data.tiles) {
      const key = tile.id.slice(0, tile.id.lastIndexOf('|'));
      if (!triples.has(key)) triples.set(key, {});
      triples.get(key)[tile.side] = tile;
    }
    const all = [...triples.values()];
    const main = all.filter((tiles) => isMain(tiles.d));
    const few = state.more || !main.length || data.b.law_of ? all : main;
    const order = (tiles) => (isMain(tiles.d) ? MAIN.indexOf(tiles.d.field.split('/').pop()) : 100);
    return few.slice().sort((x, y) => order(x) - order(y));
  }

  function draw(data) {
    for (const button of dom.limits.children) put(button, 'aria-pressed', button.dataset.limits === state.limits);
    for (const button of dom.fields.children) put(button, 'aria-pressed', button.dataset.more === String(state.more));
    dom.fields.hidden = data.b.law_of;
    const key = [dom.list.clientWidth, state.more, P.colour.generation()].join('|');
    if (shown === data && dom.key === key) return;
    shown = data;
    dom.key = key;
    const list = layout(data);
    while (rows.length < list.length) rows.push(new P.Row());
    const used = rows.slice(0, list.length);
    dom.list.replaceChildren(...used.map((row) => row.node));
    const width = room();
    list.forEach((tiles, i) => used[i].show(tiles, data, width));
    dom.used = used;
    dom.width = Math.max(180, ...used.map((row) => row.cw * row.tiles.d.cols));
    dom.list.style.setProperty('--cp-plot', `${dom.width}px`);
    const hidden = data.tiles.length / 3 - list.length;
    const pooled = data.tiles.some((tile) => tile.cols < tile.full_cols || tile.rows < tile.full_rows);
    const same = data.a.run === data.b.run ? '' : 'one time axis';
    say(dom.sub, [same, pooled ? 'max-pooled to the screen' : '', hidden ? `${P.words.plural(hidden, 'further panel')} under “All fields”` : ''].filter(Boolean).join('  ·  '));
    if (list.length) headings(data);
    else P.draw.fit(dom.heads, 10, 1);
    bars();
    if (!list.length) dom.list.replaceChildren(el('p.cp-none', {}, 'Nothing that both have can be drawn over time. The reasons are listed under “Not compared”.'));
  }

  /** Left edge of each plot. */
  const lefts = () => [0, 1, 2].map((k) => 16 + GUTTER + P.TICKS + k * ((dom.width || 0) + P.TICKS + GAP));

  const span = () => dom.width || 0;

  function fitText(g, words, roomFor) {
    if (P.draw.widthOf(g, words, 12) <= roomFor) return words;
    let cut = words;
    while (cut.length > 4 && P.draw.widthOf(g, `${cut} …`, 12) > roomFor) cut = cut.slice(0, -1);
    return `${cut} …`;
  }

  function headings(data) {
    const g = P.draw.fit(dom.heads, dom.list.clientWidth || 1200, 20);
    const aligned = data.align.method !== 'none';
    const names = [`A   ${sideName(data.a)}`, `B   ${data.b.law_of ? `the update law (${data.a.law}) in numpy` : sideName(data.b)}`, 'B − A'];
    const notes = ['', aligned ? 'rows reordered to match A' : '', data.b.law_of ? 'recorded is A' : aligned ? 'after alignment' : 'as numbered'];
    lefts().forEach((x, k) => {
      const wide = span();
      const noteWide = notes[k] && wide > 260 ? P.draw.widthOf(g, notes[k], 11) + 12 : 0;
      const both = wide > noteWide + 90;
      text(g, fitText(g, names[k], both && noteWide ? wide - noteWide : wide + P.TICKS), x, 10, { size: 12, weight: '600', colour: token('ink') });
      if (both && noteWide) text(g, notes[k], x + wide, 10, { size: 11, align: 'right', colour: token('ink2') });
    });
  }

  const sideName = (side) => `${side.run}, step ${side.step}${side.items > 1 ? `, item ${side.item}` : ''}`;

  /** Both colour bars with their limits. */
  function bars() {
    const own = state.limits === 'own';
    const g = P.draw.fit(dom.bar, 390, 26);
    text(g, 'A, B', 0, 10, { size: 11, colour: token('ink2') });
    for (let i = 0; i < 128; i++) {
      g.fillStyle = P.colour.css(P.colour.cividis(i / 127));
      g.fillRect(32 + i, 5, 1, 9);
    }
    [0, 0.5, 1].forEach((v) => text(g, String(v), 32 + v * 128, 20, { size: 9, align: 'center', colour: token('ink2') }));
    text(g, 'B − A', 196, 10, { size: 11, colour: token('ink2') });
    for (let i = 0; i < 128; i++) {
      g.fillStyle = P.colour.css(P.colour.diverging((i / 127) * 2 - 1));
      g.fillRect(240 + i, 5, 1, 9);
    }
    const ends = own ? ['A more', '0', 'B more'] : ['−1', '0', '+1'];
    ends.forEach((v, i) => text(g, v, 240 + i * 64, 20, { size: 9, align: 'center', colour: token('ink2') }));
    put(dom.bar, 'aria-label', own ? 'A and B on 0 to 1; differences blue where A is more, orange where B is more, each panel up to its own limit' : 'A and B on 0 to 1; differences of weights on −1 to 1, blue where A is more, orange where B is more');
  }

  /** Move the cross in all panels. */
  function cursor(data, exact) {
    const t = Math.min(state.t, Math.max(0, data.times - 1));
    for (const row of dom.used || []) row.cursor(t, state.slot, exact);
    axis(data, t);
  }

  function axis(data, t) {
    const g = P.draw.fit(dom.axis, dom.list.clientWidth || 1200, 34);
    const wide = span();
    const row = (dom.used || []).find((one) => !one.field.startsWith('model/')) || (dom.used || [])[0];
    if (!row) return;
    const tile = row.tiles.d;
    const step = P.draw.niceStep(tile.full_cols, wide / 30);
    const chip = Math.max(row.cw, 12 + 7 * String(t).length);
    lefts().forEach((x, k) => {
      const at = (time) => x + C.cellOf(time, tile.full_cols, tile.cols) * row.cw + row.cw / 2;
      for (let time = 0; time < tile.full_cols; time += step) {
        line(g, Math.round(at(time)) + 0.5, 1, Math.round(at(time)) + 0.5, 4, token('line-strong'));
        if (Math.abs(at(time) - at(t)) > chip / 2 + 10) text(g, String(time), at(time), 12, { align: 'center', colour: token('ink2') });
      }
      g.fillStyle = token('accent');
      g.fillRect(Math.round(at(t) - chip / 2), 4, chip, 16);
      text(g, String(t), Math.round(at(t)), 12.5, { align: 'center', size: 11, weight: '700', colour: token('surface') });
      if (!k) text(g, 'time', x - 8, 12, { align: 'right' });
    });
  }

  /** Bring the row of a field into view. */
  function reveal(field, head) {
    const row = (dom.used || []).find((one) => one.field === field && (head === null || head === undefined || one.tiles.d.head === head)) || (dom.used || []).find((one) => one.field === field);
    if (row) row.node.scrollIntoView({ block: 'nearest' });
    return Boolean(row);
  }

  function clear() {
    shown = null;
    if (dom) dom.list.replaceChildren();
    if (dom) dom.used = [];
  }

  P.grid = { mount, draw, cursor, columns, reveal, clear, isMain, again: () => dom && (dom.key = '') };
})();

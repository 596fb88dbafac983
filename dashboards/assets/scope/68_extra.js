/* Cards for other matrices that a record holds, such as attention over queries and keys: any field of two axes at a time. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { el, say, put, text } = S.draw;
  const C = S.codes;
  const KNOWN = ['memory', 'link_matrix'];
  const SIDE = 200;
  const TOP = 12;
  const LEFT = 40;

  let host = null;
  const cards = new Map();

  function mount() {
    host = el('div.sc-extra');
    cards.clear();
    return host;
  }

  function make(field) {
    const card = { sub: el('span.sub'), canvas: el('canvas.sc-matrix', { role: 'img', tabindex: 0 }) };
    const head = el('div.sc-hd', {}, el('span.ttl', {}, field.title || S.words.titleOf(field.field)), card.sub);
    card.node = el('section.card', { 'data-field': field.field, role: 'group' }, head, card.canvas);
    card.canvas.addEventListener('pointermove', (event) => hover(card, event));
    card.canvas.addEventListener('pointerleave', S.tip.hide);
    return card;
  }

  function draw(about, frame) {
    const memory = frame && about && about.memories.find((m) => m.name === frame.memory);
    const wanted = memory ? memory.fields.filter((f) => !KNOWN.includes(f.name) && S.matrixFields.isMatrix(f)) : [];
    for (const [name, card] of cards) {
      if (!wanted.some((f) => f.field === name)) {
        card.node.remove();
        cards.delete(name);
      }
    }
    for (const field of wanted) {
      let card = cards.get(field.field);
      if (!card) {
        card = make(field);
        cards.set(field.field, card);
        host.append(card.node);
      }
      paint(card, field, frame);
    }
  }

  function paint(card, field, frame) {
    const s = S.store.state;
    const t = Math.min(s.t, frame.times - 1);
    const head = Math.min(s.head, S.matrixFields.pictures(field) - 1);
    const base = { run: s.run, rec: frame.index, item: s.item, memory: frame.memory };
    const tile = S.matrices.at(base, field, head, t, frame.times, S.page.invalidate);
    if (tile instanceof Error) {
      put(card.node, 'data-state', 'error');
      return say(card.sub, tile.message);
    }
    put(card.node, 'data-state', tile ? 'ready' : 'loading');
    const [rowAxis, colAxis] = S.matrixFields.pictureAxes(field);
    const rows = tile ? tile.rows : 1;
    const cols = tile ? tile.cols : 1;
    const cell = Math.max(1, Math.min(12, Math.floor(SIDE / rows), Math.floor(400 / cols)));
    const g = S.draw.fit(card.canvas, 494, TOP + (tile ? rows * cell : 60) + 24);
    card.hit = null;
    if (!tile) return text(g, 'loading', LEFT, TOP + 20, { size: 11 });
    S.tiles.draw(g, tile, LEFT, TOP, cell, cell);
    const many = S.matrixFields.pictures(field) > 1 ? `, head ${head}` : '';
    const pooled = tile.rows < tile.full_rows || tile.cols < tile.full_cols ? ', max-pooled' : '';
    say(card.sub, `${tile.full_rows} ${S.kinds.plural(rowAxis, tile.full_rows)} × ${tile.full_cols} ${S.kinds.plural(colAxis, tile.full_cols)} at t = ${t}${many}, ${S.kinds.limits(tile)}${pooled}`);
    const down = S.draw.niceStep(tile.full_rows, (rows * cell) / 26);
    for (let i = 0; i < tile.full_rows; i += down) text(g, String(i), LEFT - 6, TOP + C.cellOf(i, tile.full_rows, rows) * cell + cell / 2, { align: 'right' });
    const across = S.draw.niceStep(tile.full_cols, (cols * cell) / 30);
    for (let i = 0; i < tile.full_cols; i += across) text(g, String(i), LEFT + C.cellOf(i, tile.full_cols, cols) * cell + cell / 2, TOP + rows * cell + 9, { align: 'center' });
    put(card.canvas, 'aria-label', `${field.title || field.name} at time ${t}: ${tile.full_rows} ${rowAxis} by ${tile.full_cols} ${colAxis}`);
    card.hit = { tile, cell, rowAxis, colAxis, t };
  }

  function hover(card, event) {
    if (!card.hit) return;
    const { tile, cell, rowAxis, colAxis, t } = card.hit;
    const box = card.canvas.getBoundingClientRect();
    const r = Math.floor((event.clientY - box.top - TOP) / cell);
    const c = Math.floor((event.clientX - box.left - LEFT) / cell);
    if (r < 0 || c < 0 || r >= tile.rows || c >= tile.cols) return S.tip.hide();
    const at = `${rowAxis} ${C.firstOf(r, tile.full_rows, tile.rows)}, ${colAxis} ${C.firstOf(c, tile.full_cols, tile.cols)}`;
    S.tip.show(event.clientX, event.clientY, `t = ${t}, ${at}`, `≈ ${S.words.short(C.value(tile.codes[r * tile.cols + c], tile))}`, null);
  }

  S.extra = { mount, draw };
})();

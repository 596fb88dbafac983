/* One row of the grid: a field (and head) as A, B in the numbering of A, and B - A, with what is exact at the cursor. */
(function () {
  'use strict';
  const P = window.memviz.compare;
  const C = P.codes;
  const { el, say, put, text } = P.draw;
  const token = P.colour.token;
  const { short, fixed, num } = P.words;
  const TICKS = 34;
  const SIDES = ['a', 'b', 'd'];

  const MARKS = { write_weights: 'write', read_weights: 'read' };

  class Row {
    constructor() {
      this.mark = el('canvas.sc-mark', { 'aria-hidden': 'true' });
      this.name = el('span');
      this.lines = [0, 1].map(() => el('div.sc-line'));
      this.values = el('div.cp-values');
      this.label = el('div.cp-label', {}, el('div.sc-title', {}, this.mark, this.name), ...this.lines, this.values);
      this.plots = {};
      this.node = el('div.cp-row', { role: 'group' }, this.label);
      for (const side of SIDES) {
        const plot = { ticks: el('canvas.cp-ticks', { 'aria-hidden': 'true' }), cells: el('canvas.sc-cells', { 'aria-hidden': 'true' }), column: el('div.sc-col'), row: el('div.sc-row') };
        plot.node = el('div.sc-plot', { 'data-side': side, role: 'img', tabindex: side === 'd' ? 0 : null }, plot.cells, plot.row, plot.column);
        plot.node.addEventListener('pointerdown', (event) => this.onDown(event, plot));
        plot.node.addEventListener('pointermove', (event) => this.onMove(event, plot));
        plot.node.addEventListener('pointerleave', P.tip.hide);
        this.plots[side] = plot;
        this.node.append(plot.ticks, el('div.cp-plotbox', {}, plot.node));
      }
      this.dirty = true;
    }

    /** tiles: {a, b, d}. room: pixels of one plot. */
    show(tiles, data, room) {
      this.tiles = tiles;
      this.data = data;
      const tile = tiles.d;
      this.field = tile.field;
      const bare = tile.field.split('/').pop();
      const entry = data.fields.find((one) => `${one.memory}/${one.field}` === tile.field);
      this.cw = Math.max(1, Math.min(64, Math.floor(room / tile.cols)));
      this.rh = Math.max(1, Math.min(tile.full_rows > 1 ? 10 : 14, Math.floor(160 / tile.rows)));
      this.height = tile.rows * this.rh;
      this.title = entry ? entry.title : P.words.titleOf(tile.field);
      put(this.node, 'data-field', tile.field);
      put(this.node, 'data-head', tile.head ?? '');
      say(this.name, tile.folded ? `${this.title}, norm of rows` : this.title);
      const many = data.tiles.filter((one) => one.field === tile.field && one.side === 'd').length > 1;
      const head = many && tile.head !== null ? (tile.head_b === tile.head ? `head ${tile.head}` : `head ${tile.head}, of B ${tile.head_b}`) : '';
      this.head = many && tile.head !== null ? ` head ${tile.head}` : '';
      say(this.lines[0], head);
      this.lines[0].hidden = !head;
      say(this.lines[1], `mean |Δ| ${short(num(tile.mean))}\nmax |Δ| ${short(num(tile.largest))}\nscale of Δ ${this.limits('d')}`);
      this.lines[1].title = `A and B on ${this.limits('a')}, the difference on ${this.limits('d')}`;
      this.mark.hidden = !MARKS[bare];
      if (MARKS[bare]) P.draw.drawMarker(P.draw.fit(this.mark, 12, 12), P.draw.marker(MARKS[bare], tile.head || 0), 6, 6, 5);
      for (const side of SIDES) this.paint(side);
      this.cursorKey = '';
    }

    paint(side) {
      const plot = this.plots[side];
      const tile = this.tiles[side];
      const { cw, rh, height } = this;
      const width = tile.cols * cw;
      plot.node.style.width = `${width}px`;
      plot.node.style.height = `${height}px`;
      const g = P.draw.fit(plot.cells, width, height);
      P.tiles.draw(g, tile, 0, 0, cw, rh, false);
      for (let r = 0; r < tile.rows; r++) {
        if (tile.codes[r * tile.cols] === C.MISSING) P.draw.hatch(g, 0, r * rh, width, rh, token('line'));
      }
      plot.column.style.width = `${cw}px`;
      plot.column.classList.toggle('thin', cw < 5);
      plot.row.style.height = `${rh}px`;
      plot.row.hidden = tile.row_axis !== 'slot' || height < 24;
      this.paintTicks(side);
      put(plot.node, 'aria-label', this.sentence(side));
    }

    paintTicks(side) {
      const tile = this.tiles[side];
      const g = P.draw.fit(this.plots[side].ticks, TICKS, this.height + 12);
      if (tile.full_rows < 2) return;
      const step = P.draw.niceStep(tile.full_rows, Math.max(2, this.height / 24));
      for (let row = 0; row < tile.full_rows; row += step) {
        const y = 6 + C.cellOf(row, tile.full_rows, tile.rows) * this.rh + this.rh / 2;
        const own = side === 'b' && tile.row_axis === 'slot' ? this.ofB(row) : row;
        text(g, own < 0 ? '–' : String(own), TICKS - 6, y, { align: 'right', size: own > 999 ? 9 : 10 });
      }
    }

    /** The slot of B that stands for one of A; -1 for none. */
    ofB(slot) {
      const map = this.data.align.slots;
      return slot < map.length ? map[slot] : slot;
    }

    limits(side) {
      const tile = this.tiles[side];
      return tile.vmin < 0 ? `±${short(tile.vmax)}` : `0 to ${short(tile.vmax)}`;
    }

    sentence(side) {
      const tile = this.tiles[side];
      const name = `${this.title}${this.head}`;
      const found = C.specials(tile);
      const broken = [found.nan && `${found.nan} cells NaN`, found.inf && `${found.inf} cells infinite`, found.missing && `${found.missing} cells without a counterpart`].filter(Boolean);
      const tail = broken.length ? `; ${broken.join(', ')}` : '';
      if (side === 'd') return `${name}, B minus A, largest difference ${short(num(tile.largest))}, mean ${short(num(tile.mean))}, scale ${this.limits('d')}${tail}`;
      return `${name} of ${side.toUpperCase()}, ${tile.full_rows} rows over ${tile.full_cols} times, scale ${this.limits(side)}${tail}`;
    }

    /** Move the cross to (t, slot) and say the values there; exact: {a, b} maps of the cell route, or nulls. */
    cursor(t, slot, exact) {
      const tile = this.tiles.d;
      const time = Math.min(t, tile.full_cols - 1);
      const rowed = tile.row_axis === 'slot';
      const row = rowed ? Math.min(slot, tile.full_rows - 1) : 0;
      const x = C.cellOf(time, tile.full_cols, tile.cols) * this.cw;
      const y = C.cellOf(row, tile.full_rows, tile.rows) * this.rh;
      for (const side of SIDES) {
        this.plots[side].column.style.transform = `translateX(${x}px)`;
        if (rowed) this.plots[side].row.style.transform = `translateY(${y}px)`;
      }
      if (!rowed && tile.full_rows > 1) return say(this.values, '');
      const a = this.value('a', row, time, exact.a);
      const b = this.value('b', row, time, exact.b);
      const known = Number.isFinite(a.v) && Number.isFinite(b.v);
      const d = tile.folded ? null : known && a.exact && b.exact ? b.v - a.v : C.value(C.codeAt(tile, row, time), tile);
      const show = (v, is) => (v === null || !Number.isFinite(v) ? P.words.special(v) : `${is ? '' : '≈'}${number(v)}`);
      const parts = [`A ${show(a.v, a.exact)}`, `B ${show(b.v, b.exact)}`];
      if (d !== null) parts.push(`B − A ${show(d, a.exact && b.exact)}`);
      say(this.values, parts.join('\n'));
      put(this.values, 'data-exact', a.exact && b.exact);
    }

    /** The value of a side at a row of A: exact where the server has said it, otherwise to within a code. */
    value(side, row, time, cells) {
      const tile = this.tiles[side];
      const shown = C.value(C.codeAt(tile, row, time), tile);
      if (!cells || tile.folded || shown === null) return { v: shown, exact: false };
      const memory = side === 'a' ? this.data.a.memory : this.data.b.memory;
      const bare = tile.field.slice(tile.field.startsWith('model/') ? 6 : this.data.a.memory.length + 1);
      const name = tile.field.startsWith('model/') ? tile.field : `${memory}/${bare}`;
      const heads = tile.id.split('|').slice(1, -1);
      if (heads.length && side === 'b') heads[0] = String(tile.head_b);
      const ids = [name + (heads.length ? `:${heads.join('.')}` : ''), name + (heads.length ? `:${heads[0]}` : '')];
      const found = ids.map((id) => cells.get(id)).find((v) => v !== undefined);
      return typeof found === 'number' ? { v: found, exact: true } : { v: shown, exact: false };
    }

    locate(event, plot) {
      const box = plot.node.getBoundingClientRect();
      const tile = this.tiles.d;
      const c = Math.max(0, Math.min(tile.cols - 1, Math.floor((event.clientX - box.left) / this.cw)));
      const r = Math.max(0, Math.min(tile.rows - 1, Math.floor((event.clientY - box.top) / this.rh)));
      return { t: C.firstOf(c, tile.full_cols, tile.cols), row: C.firstOf(r, tile.full_rows, tile.rows) };
    }

    onDown(event, plot) {
      if (event.button !== 0 || !this.tiles) return;
      event.preventDefault();
      const go = (e, push) => {
        const { t, row } = this.locate(e, plot);
        P.store.set({ t, ...(this.tiles.d.row_axis === 'slot' ? { slot: row } : {}) }, push);
      };
      P.drag(event, go);
    }

    onMove(event, plot) {
      if (!this.tiles) return;
      const { t, row } = this.locate(event, plot);
      const tile = this.tiles.d;
      const axis = (tile.row_axis || '').replaceAll('_', ' ');
      const of = tile.row_axis === 'slot' ? `, slot ${row} of A, ${this.ofB(row) < 0 ? 'none' : this.ofB(row)} of B` : axis ? `, ${axis} ${row}` : '';
      const [a, b, d] = SIDES.map((side) => C.value(C.codeAt(this.tiles[side], row, t), this.tiles[side]));
      P.tip.show(event.clientX, event.clientY, `${this.title}${this.head}, t = ${t}${of}\nA ≈ ${short(a)}   B ≈ ${short(b)}   ${tile.folded ? 'norm of B − A' : 'B − A'} ≈ ${short(d)}`, '', null);
    }
  }

  const number = (v) => (Math.abs(v) > 0 && Math.abs(v) < 5e-4 ? short(v) : Math.abs(v) >= 100 ? short(v) : fixed(v, 3));

  P.Row = Row;
  P.TICKS = TICKS;
})();

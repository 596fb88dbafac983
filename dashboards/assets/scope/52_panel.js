/* One panel: label, cells, crosshair and readout of one tile. Painted when its tile changes; scrubbing only moves lines. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { el, say, put } = S.draw;
  const C = S.codes;
  const K = S.kinds;
  const token = S.colour.token;
  const TICKS = 30; // width of the tick labels to the left of the cells
  const ABOVE = 16; // room above them for the name of the axis

  class Panel {
    constructor(id) {
      this.id = id;
      this.mark = el('canvas.sc-mark', { 'aria-hidden': 'true' });
      this.name = el('span');
      this.lines = [0, 1, 2, 3].map(() => el('div.sc-line'));
      this.cells = el('canvas.sc-cells', { 'aria-hidden': 'true' });
      this.ticks = el('canvas.sc-ticks', { 'aria-hidden': 'true' });
      this.column = el('div.sc-col');
      this.row = el('div.sc-row');
      this.note = el('div.sc-note');
      this.plot = el('div.sc-plot', {}, this.cells, this.row, this.column, this.note);
      this.value = el('span.sc-value');
      this.read = el('div.sc-read', {}, this.value);
      this.title = el('div.sc-title', {}, this.mark, this.name);
      this.label = el('div.sc-label', {}, this.title, ...this.lines);
      this.node = el('div.sc-panel', { role: 'img', tabindex: 0 }, this.label, this.ticks, this.plot, this.read);
      this.node.panel = this;
      this.tile = null;
      this.dirty = true;
      this.seen = true;
    }

    /** Give the panel a tile. context: {titleOf, memory, width, times, target}. */
    show(tile, context) {
      this.tile = tile;
      this.context = context;
      this.form = K.formOf(tile);
      this.rh = K.rowHeight(tile);
      this.height = K.plotHeight(tile);
      this.foreign = tile.full_cols !== context.times;
      this.cw = Math.max(1, Math.min(64, Math.floor(context.width / tile.cols)));
      const head = tile.head === null || tile.head === undefined ? null : tile.head;
      this.node.className = `sc-panel sc-${this.form}${this.first ? ' sc-first' : ''}`;
      put(this.node, 'data-field', tile.field);
      if (head !== null) put(this.node, 'data-head', head);
      put(this.plot, 'data-cell-width', this.cw);
      put(this.plot, 'data-cell-height', this.form === 'modes' ? this.height : this.rh);
      this.plot.style.width = tile.cols * this.cw + 'px';
      this.plot.style.height = this.height + 'px';
      this.column.style.width = this.cw + 'px';
      this.column.classList.toggle('thin', this.cw < 5);
      this.row.style.height = this.rh + 'px';
      this.row.classList.toggle('thin', this.rh < 4);
      this.row.hidden = this.form !== 'heat';
      this.column.hidden = this.foreign;
      const title = context.titleOf(tile.field);
      this.titleText = title;
      const many = context.heads.get(tile.field) > 1;
      const inline = ['gate', 'strip', 'modes'].includes(this.form);
      say(this.name, inline && many ? `${title}, head ${head}` : title);
      this.title.title = context.meaningOf(tile.field);
      this.headLine = !inline && head !== null && (many || K.markOf(tile, context.memory)) ? `head ${head}` : '';
      this.dirty = true;
      this.state('ready');
      if (this.seen) this.paint();
    }

    state(name) {
      put(this.node, 'data-state', name);
    }

    paint() {
      if (!this.dirty || !this.tile) return;
      this.dirty = false;
      const { tile, cw, rh } = this;
      const g = S.draw.fit(this.cells, tile.cols * cw, this.height);
      say(this.note, '');
      if (this.form === 'modes') this.paintModes(g);
      else S.tiles.draw(g, tile, 0, 0, cw, rh, tile.field === 'model/target');
      if (tile.field === 'model/target') this.paintNoTarget();
      if (tile.field === 'model/output') this.wrong = S.output.paint(g, tile, this.context.target, cw, rh);
      const found = C.specials(tile);
      if (found.missing === tile.codes.length) say(this.note, 'not recorded');
      this.paintTicks();
      this.paintMark();
    }

    paintModes(g) {
      const { tile, cw, height } = this;
      const colours = ['mode-backward', 'mode-content', 'mode-forward'].map(token);
      const inks = S.colour.isDark() ? ['#fff', '#10202f', '#10202f'] : ['#10202f', '#10202f', '#fff'];
      const gap = cw >= 6 ? 1 : 0;
      for (let c = 0; c < tile.cols; c++) {
        const v = [0, 1, 2].map((k) => C.value(tile.codes[k * tile.cols + c], tile));
        if (v.some((x) => x === null)) continue;
        if (v.some((x) => !Number.isFinite(x))) {
          g.fillStyle = token('nan');
          g.fillRect(c * cw, 0, cw - gap, height);
          continue;
        }
        const most = v.indexOf(Math.max(...v));
        const total = Math.max(1, v[0] + v[1] + v[2]);
        let y = 0;
        for (const k of [2, 1, 0]) {
          const h = (v[k] / total) * height;
          g.fillStyle = colours[k];
          g.fillRect(c * cw, y, cw - gap, h);
          if (k === most && h > 9 && cw >= 12) {
            const o = { size: 9, weight: '600', align: 'center', colour: inks[k] };
            S.draw.text(g, 'BCF'[k], c * cw + (cw - gap) / 2, y + h / 2 + 0.5, o);
          }
          y += h;
        }
      }
    }

    /** Times without a target: a NaN there says that nothing was asked, so it is left blank instead of magenta. */
    paintNoTarget() {
      const blank = S.output.blankColumns(this.tile);
      let run = 0;
      while (run < blank.length && blank[run]) run++;
      if (run * this.cw >= 72) say(this.note, 'no target here');
    }

    paintTicks() {
      const { tile, rh } = this;
      const labelled = tile.full_rows > 1 && (this.form === 'heat' || this.form === 'other' || this.form === 'words');
      this.ticks.hidden = !labelled;
      if (!labelled) return;
      const g = S.draw.fit(this.ticks, TICKS, this.height + ABOVE + 6);
      if (this.first && K.groupOf(tile, this.context.memory) === 'main') S.draw.text(g, (tile.row_axis || '').slice(0, 5), TICKS - 8, 6, { align: 'right' });
      const step = S.draw.niceStep(tile.full_rows, Math.max(2, Math.floor(this.height / 22)));
      for (let row = 0; row < tile.full_rows; row += step) {
        const y = ABOVE + C.cellOf(row, tile.full_rows, tile.rows) * rh + rh / 2;
        S.draw.text(g, String(row), TICKS - 8, y + 0.5, { align: 'right', size: row > 999 ? 9 : 10 });
        S.draw.line(g, TICKS - 5, Math.round(y) + 0.5, TICKS - 2, Math.round(y) + 0.5, token('line-strong'));
      }
    }

    paintMark() {
      const mark = K.markOf(this.tile, this.context.memory);
      this.mark.hidden = !mark;
      if (!mark) return;
      put(this.mark, 'data-shape', mark.shape);
      S.draw.drawMarker(S.draw.fit(this.mark, 12, 12), mark, 6, 6, 5);
    }

    /** Move the crosshair and say what the column holds. `cell` is the exact answer of the server or null. */
    cursor(t, slot, cell) {
      const tile = this.tile;
      if (!tile || !this.seen) return;
      const time = Math.min(t, tile.full_cols - 1);
      if (!this.foreign) this.column.style.transform = `translateX(${C.cellOf(time, tile.full_cols, tile.cols) * this.cw}px)`;
      const said = this.foreign ? [`own axis, ${tile.full_cols} positions`] : K.lines(tile, time, this.context.memory);
      const lines = this.headLine ? [this.headLine, ...said] : said;
      if (this.form === 'sequence') lines.push(this.sequenceLine());
      if (this.form === 'strip') this.title.title = K.limits(tile);
      for (let i = 0; i < this.lines.length; i++) say(this.lines[i], lines[i] || '');
      this.readout(time, slot, cell);
    }

    /** Refresh what a screen reader hears; not at every frame of a scrub. */
    describe(t) {
      if (this.tile) put(this.node, 'aria-label', K.sentence(this.tile, this.titleText, t, this.context.memory));
    }

    sequenceLine() {
      const { tile } = this;
      if (this.wrong && tile.field === 'model/output') return this.wrong;
      const scale = S.colour.scaleOf(tile);
      const n = tile.full_rows;
      return scale === 'bit' ? `${n} ${n === 1 ? 'channel' : 'channels'}` : `${n} ch., ±${S.words.short(tile.vmax)}`;
    }

    readout(t, slot, cell) {
      const { tile } = this;
      const exact = cell ? cell.get(tile.id) : undefined;
      let row = 0;
      let given = null;
      if (this.form === 'heat') {
        if (slot >= tile.full_rows) return this.tell('', 0, false);
        row = C.cellOf(slot, tile.full_rows, tile.rows);
        const pooled = tile.rows !== tile.full_rows || tile.cols !== tile.full_cols;
        given = typeof exact === 'number' ? exact : pooled ? undefined : C.value(C.codeAt(tile, slot, t), tile);
        return this.tell(given === undefined ? '…' : number(given, typeof exact === 'number'), row, typeof exact === 'number');
      }
      if (this.form === 'gate' || this.form === 'strip') {
        const known = Array.isArray(exact) ? exact[0] : exact;
        given = typeof known === 'number' ? known : K.statsAt(tile, t).mean;
        const text = this.form === 'gate' ? S.words.fixed(given, 2) : S.words.short(given);
        return this.tell(text, 0, given !== null);
      }
      if (this.form === 'modes') {
        const v = Array.isArray(exact) ? exact : [0, 1, 2].map((k) => C.value(C.codeAt(tile, k, t), tile));
        if (!v.every((x) => Number.isFinite(x))) return this.tell('NaN', 0, Array.isArray(exact));
        const most = v.indexOf(Math.max(...v));
        return this.tell(`${'BCF'[most]} ${S.words.fixed(v[most], 2)}`, 0, Array.isArray(exact));
      }
      if (this.form === 'words' || this.form === 'other') {
        const s = K.statsAt(tile, t);
        if (s.peak !== null) return this.tell(S.words.short(s.peak), C.cellOf(s.peakSlot, tile.full_rows, tile.rows), true);
      }
      return this.tell('', 0, false);
    }

    tell(text, row, exact) {
      say(this.value, text);
      put(this.value, 'data-exact', exact);
      const height = Math.max(this.height, 12);
      const y = Math.max(0, Math.min(height - 12, row * this.rh + this.rh / 2 - 7));
      this.value.style.transform = `translateY(${Math.round(y)}px)`;
    }

    /** The time and row of the record under a point of the plot, in its own pixels. */
    locate(x, y) {
      const { tile } = this;
      const c = Math.max(0, Math.min(tile.cols - 1, Math.floor(x / this.cw)));
      const r = Math.max(0, Math.min(tile.rows - 1, Math.floor(y / (this.form === 'modes' ? this.height / 3 : this.rh))));
      const t = C.firstOf(c, tile.full_cols, tile.cols);
      let row = C.firstOf(r, tile.full_rows, tile.rows);
      // A pooled cell stands for several slots: the one at the peak of this time is what the reader means.
      const peak = K.statsAt(tile, t).peakSlot;
      if (tile.rows !== tile.full_rows && peak !== null && C.cellOf(peak, tile.full_rows, tile.rows) === r) row = peak;
      return { t, row, code: tile.codes[r * tile.cols + c] };
    }
  }

  /** A value in the readout: three decimals; one that is only known to within a code says so. */
  function number(v, exact) {
    if (v === null || !Number.isFinite(v)) return S.words.special(v);
    const a = Math.abs(v);
    const text = a > 0 && a < 5e-4 && exact ? S.words.short(v) : a >= 100 ? S.words.short(v) : S.words.fixed(v, exact ? 3 : 2);
    return exact ? text : '≈' + text;
  }

  S.Panel = Panel;
})();

/* One field at one time, through the whole training: rows over steps, on the same axis as the curves. */
(function () {
  'use strict';
  const F = window.memviz.film;
  const { el, say, put, text, line } = F.draw;
  const C = F.codes;
  const token = F.colour.token;
  const { state } = F.store;
  const ROOM = 168;
  const AXIS = 36;
  let dom = null;
  let shown = null; // {tile, axis, rh}

  function mount() {
    dom = {
      title: el('h2.ttl'),
      sub: el('span.sub'),
      field: el('select.sc-select', { 'aria-label': 'Field', onchange: () => F.store.set({ still: dom.field.value, head: 0 }, true) }),
      head: el('div.ln-seg', { role: 'group', 'aria-label': 'Head' }),
      by: el('div.ln-seg', { role: 'group', 'aria-label': 'What is fixed' }),
      cells: el('canvas', { 'aria-hidden': 'true' }),
      column: el('div.sc-col'),
      row: el('div.sc-row'),
      note: el('p.fm-note'),
      rows: el('canvas.fm-rows', { 'aria-hidden': 'true' }),
      axis: el('canvas.fm-axis', { 'aria-hidden': 'true' }),
    };
    dom.plot = el('div.fm-plot', { role: 'img', tabindex: 0 }, dom.cells, dom.row, dom.column, dom.note);
    dom.plot.addEventListener('pointerdown', onDown);
    dom.plot.addEventListener('pointermove', onMove);
    dom.plot.addEventListener('pointerleave', F.tip.hide);
    dom.byTime = el('button', { type: 'button', onclick: () => F.store.set({ at: null }, true) });
    dom.byName = el('button', { type: 'button', onclick: () => F.store.set({ at: F.page.nameAt(state.t) }, true) });
    dom.by.append(dom.byTime, dom.byName);
    return el('div.fm-still', {}, el('div.ln-hd', {}, dom.title, dom.sub, el('span.spring'), dom.by, el('label.sc-picker', {}, 'field', dom.field), dom.head), dom.rows, dom.plot, dom.axis);
  }

  /** The fields that can be shown: rows over time. */
  const fieldsOf = (memory) =>
    memory.fields.filter((field) => field.axes.includes('time') && field.kind !== 'index' && F.matrixFields.pictureAxes(field).length === 1);

  const FIRST = ['read_weights', 'write_weights', 'attention', 'episodic_attention', 'usage'];

  /** The chosen field; null where the record has none. */
  function chosen(memory) {
    const fields = fieldsOf(memory);
    return fields.find((field) => field.name === state.still) || FIRST.map((name) => fields.find((field) => field.name === name)).find(Boolean) || fields[0] || null;
  }

  function controls(memory, field, heads, name) {
    const fields = fieldsOf(memory);
    const key = fields.map((one) => one.name).join('|');
    if (dom.field.dataset.key !== key) {
      dom.field.dataset.key = key;
      dom.field.replaceChildren(...fields.map((one) => el('option', { value: one.name }, one.title)));
    }
    dom.field.value = field.name;
    dom.field.parentElement.hidden = false;
    const want = Math.min(heads, 8);
    if (dom.head.childElementCount !== want) dom.head.replaceChildren(...[...Array(want).keys()].map((h) => el('button', { type: 'button', onclick: () => F.store.set({ head: h }, true) }, `head ${h}`)));
    dom.head.hidden = heads < 2;
    [...dom.head.children].forEach((button, h) => put(button, 'aria-pressed', h === Math.min(state.head, heads - 1)));
    say(dom.byTime, `time ${state.t}`);
    say(dom.byName, name ? `“${name}”` : 'no name');
    dom.by.hidden = !name && state.at === null;
    put(dom.byTime, 'aria-pressed', state.at === null);
    put(dom.byName, 'aria-pressed', state.at !== null);
    put(dom.byTime, 'title', 'The same position in every record');
    put(dom.byName, 'title', 'The first time with this name in every record, wherever it stands');
  }

  function draw(found, field, axis, width, heads, name) {
    const { tile, problem, about } = found;
    const where = state.at !== null ? `at “${state.at}”` : `at t = ${state.t}${name ? `, ${name}` : ''}`;
    const head = heads > 1 ? `, head ${Math.min(state.head, heads - 1)}` : '';
    say(dom.title, `${field.title}${head}, ${where}`);
    const parts = [];
    if (tile && (tile.rows < tile.full_rows || about.block > 1)) parts.push('max-pooled to the screen');
    if (about && about.state === 'working') parts.push(`${about.known} of ${F.words.plural(about.records, 'record')} read`);
    if (tile && tile.derived) parts.push('derived');
    if (tile) parts.push(tile.vmin < 0 ? `scale ±${F.words.short(tile.vmax)}` : `scale 0 to ${F.words.short(tile.vmax)}`);
    say(dom.sub, parts.join('  ·  '));
    const waiting = !tile && !problem;
    put(dom.plot, 'data-state', tile ? 'ready' : waiting ? 'loading' : 'error');
    say(dom.note, tile ? '' : problem || 'Reading the records …');
    dom.plot.style.marginLeft = `${axis.x0}px`;
    if (!tile) {
      // What is shown stays while the next time is on its way, so that scrubbing does not flicker.
      if (problem || !shown) {
        shown = null;
        F.draw.fit(dom.cells, Math.max(80, axis.x1 - axis.x0), 60);
        dom.plot.style.width = `${Math.max(80, axis.x1 - axis.x0)}px`;
        dom.column.hidden = dom.row.hidden = true;
      } else say(dom.note, '');
      return steps(axis, width);
    }
    const rh = Math.max(1, Math.min(12, Math.floor(ROOM / tile.rows)));
    const gen = F.colour.generation();
    if (!shown || shown.tile !== tile || shown.cw !== axis.cw || shown.gen !== gen) {
      shown = { tile, rh, cw: axis.cw, gen };
      const g = F.draw.fit(dom.cells, tile.cols * axis.cw, tile.rows * rh);
      F.tiles.draw(g, tile, 0, 0, axis.cw, rh, false);
      for (let c = 0; c < tile.cols; c++) if (tile.codes[c] === C.MISSING) F.draw.hatch(g, c * axis.cw, 0, Math.ceil(axis.cw), tile.rows * rh, token('line'));
      dom.plot.style.width = `${tile.cols * axis.cw}px`;
      dom.plot.style.height = `${tile.rows * rh}px`;
      ticks(tile, rh);
      const missing = C.specials(tile);
      const broken = missing.nan ? `; ${missing.nan} cells NaN` : '';
      put(dom.plot, 'aria-label', `${field.title}${head} ${where}: ${tile.full_rows} rows over ${F.words.plural(F.feed.steps.length, 'record')}, step ${F.feed.steps[0]} to ${F.feed.steps[F.feed.steps.length - 1]}${broken}`);
    }
    put(dom.plot, 'data-time', tile.time ?? '');
    put(dom.plot, 'data-name', state.at ?? '');
    put(dom.plot, 'data-cell-width', axis.cw);
    cross(axis);
    steps(axis, width);
  }

  function cross(axis) {
    const { tile, rh } = shown;
    const column = Math.floor((state.rec || 0) / axis.block);
    dom.column.hidden = false;
    dom.column.style.width = `${Math.max(1, axis.cw)}px`;
    dom.column.classList.toggle('thin', axis.cw < 5);
    dom.column.style.transform = `translateX(${column * axis.cw}px)`;
    dom.row.hidden = tile.row_axis !== 'slot' || tile.rows < 2;
    dom.row.style.height = `${rh}px`;
    dom.row.style.transform = `translateY(${C.cellOf(Math.min(state.slot, tile.full_rows - 1), tile.full_rows, tile.rows) * rh}px)`;
  }

  /** The numbers of rows, in the gutter. */
  function ticks(tile, rh) {
    const g = F.draw.fit(dom.rows, F.GUTTER, tile.rows * rh + 8);
    dom.rows.style.top = `${dom.plot.offsetTop - 4}px`;
    text(g, (tile.row_axis || '').replaceAll('_', ' '), 12, 10, { size: 11, colour: token('ink2') });
    if (tile.full_rows < 2) return;
    const step = F.draw.niceStep(tile.full_rows, Math.max(2, (tile.rows * rh) / 22));
    for (let row = 0; row < tile.full_rows; row += step) text(g, String(row), F.GUTTER - 6, 4 + C.cellOf(row, tile.full_rows, tile.rows) * rh + rh / 2, { align: 'right', size: row > 999 ? 9 : 10 });
  }

  /** What the lines and colours of the curves mean. */
  function legend(g, x, y) {
    const heads = new Set(F.reel.series.filter((one) => one.memory === state.memory && one.head !== null).map((one) => one.head));
    const say = (words, wide) => {
      text(g, words, x, y, { size: 11, colour: token('ink2') });
      x += wide;
    };
    const stroke = (colour, dash) => {
      line(g, x, y, x + 18, y, token(colour), 1.5, dash);
      x += 23;
    };
    if (heads.size > 1) {
      stroke('read0', []);
      say('read head 0', 78);
      stroke('read1', [5, 3]);
      say('1', 20);
    }
    if (F.reel.series.some((one) => one.statistic.startsWith('mode_'))) {
      for (const name of ['backward', 'content', 'forward']) {
        g.fillStyle = token(`mode-${name}`);
        g.fillRect(x, y - 5, 10, 10);
        x += 14;
        say(name, { backward: 60, content: 52, forward: 54 }[name]);
      }
    }
    F.draw.polygon(g, [[x, y - 4], [x + 9, y - 4], [x + 4.5, y + 4]], token('ink2'));
    x += 13;
    say('a new level', 0);
  }

  /** The axis of steps, with the chosen one, and the rows beside the picture. */
  function steps(axis, width) {
    const g = F.draw.fit(dom.axis, width, AXIS);
    const { steps: known } = F.feed;
    if (!known.length || !axis.columns) return;
    const rec = state.rec ?? 0;
    const chosen = axis.at(rec);
    const chip = 12 + 7 * String(known[rec]).length;
    const unit = F.draw.niceStep(axis.columns, (axis.x1 - axis.x0) / 64);
    for (let c = 0; c < axis.columns; c += unit) {
      const x = axis.x0 + c * axis.cw + axis.cw / 2;
      line(g, Math.round(x) + 0.5, 1, Math.round(x) + 0.5, 4, token('line-strong'));
      const label = String(known[Math.min(known.length - 1, c * axis.block)]);
      if (Math.abs(x - chosen) > chip / 2 + 4 + 3.2 * label.length) text(g, label, x, 12, { align: 'center', colour: token('ink2') });
    }
    g.fillStyle = token('accent');
    g.fillRect(Math.round(chosen - chip / 2), 4, chip, 16);
    text(g, String(known[rec]), Math.round(chosen), 12.5, { align: 'center', size: 11, weight: '700', colour: token('surface') });
    if (axis.x1 - axis.x0 > 620) legend(g, axis.x0 + 230, 29);
    text(g, axis.block > 1 ? `step of the first of ${axis.block} records` : 'step, one column per record', axis.x0, 29, { size: 11, colour: token('ink2') });
  }

  function locate(event) {
    const axis = F.curves.axis();
    const box = dom.plot.getBoundingClientRect();
    const { tile, rh } = shown;
    const column = Math.max(0, Math.min(tile.cols - 1, Math.floor((event.clientX - box.left) / axis.cw)));
    const r = Math.max(0, Math.min(tile.rows - 1, Math.floor((event.clientY - box.top) / rh)));
    return { rec: F.recordOf(column, axis.block), row: C.firstOf(r, tile.full_rows, tile.rows), code: tile.codes[r * tile.cols + column] };
  }

  function onDown(event) {
    if (event.button !== 0 || !shown) return;
    event.preventDefault();
    const go = (e, push) => {
      const at = locate(e);
      F.moves.choose(at.rec, push);
      if (shown && shown.tile.row_axis === 'slot') F.store.set({ slot: at.row });
    };
    F.drag(event, go);
  }

  function onMove(event) {
    if (!shown) return;
    const at = locate(event);
    const axis = (shown.tile.row_axis || 'row').replaceAll('_', ' ');
    F.tip.show(event.clientX, event.clientY, `step ${F.feed.steps[at.rec]}, ${axis} ${at.row}: ≈ ${F.words.short(C.value(at.code, shown.tile))}`, '', null);
  }

  /** No field of this memory is rows over time. */
  function none(words) {
    shown = null;
    say(dom.title, 'Through training');
    say(dom.sub, '');
    say(dom.note, words);
    put(dom.plot, 'data-state', 'empty');
    dom.plot.style.width = dom.plot.style.marginLeft = '';
    dom.plot.style.height = '';
    for (const node of [dom.by, dom.head, dom.field.parentElement, dom.column, dom.row]) node.hidden = true;
    for (const canvas of [dom.cells, dom.rows, dom.axis]) F.draw.fit(canvas, 1, 1);
  }

  F.still = { mount, draw, chosen, controls, none, clear: () => (shown = null) };
})();

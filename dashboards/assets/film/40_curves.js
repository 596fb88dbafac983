/* Small multiples: each number of the memory over the records, heads as lines, changes as ticks, all on one axis. */
(function () {
  'use strict';
  const F = window.memviz.film;
  const { el, say, put, text, line, polygon } = F.draw;
  const token = F.colour.token;
  const { short, plural } = F.words;
  const { state } = F.store;
  const HEIGHT = 44;
  const TOP = 8;
  const BOTTOM = HEIGHT - 5;
  const MODES = ['backward', 'content', 'forward'];
  // Numbers that are shares of something: their scale is 0 to 1.
  const SHARES = ['read_mass', 'allocation_share', 'usage', 'free_gates', 'modes'];
  let dom = null;
  let panels = [];
  let axis = null;
  let drawn = '';

  function mount() {
    dom = { list: el('div.fm-list', { tabindex: 0, role: 'region', 'aria-label': 'Numbers of every record' }), cursor: el('div.fm-cursor', { 'aria-hidden': 'true' }) };
    dom.node = el('div.fm-curves', {}, dom.list);
    return dom.node;
  }

  /** Series of the chosen memory as panels: one per number, of the modes one per head. */
  function panelsOf(reel) {
    const found = new Map();
    for (const one of reel.series) {
      if (one.memory !== state.memory) continue;
      const mode = one.statistic.startsWith('mode_') ? one.statistic.slice(5) : null;
      const key = mode ? `modes ${one.head}` : one.statistic;
      if (!found.has(key)) found.set(key, { key, statistic: mode ? 'modes' : one.statistic, head: mode ? one.head : null, title: mode ? `read modes${headsOf(reel) > 1 ? `, head ${one.head}` : ''}` : one.title, scale: one.scale, series: [], modes: {} });
      const panel = found.get(key);
      if (mode) panel.modes[mode] = one;
      panel.series.push(one);
    }
    for (const panel of found.values()) {
      panel.changes = reel.changes.filter((c) => c.memory === state.memory && c.statistic === panel.statistic && (panel.head === null || c.head === panel.head));
    }
    return [...found.values()];
  }

  const headsOf = (reel) => new Set(reel.series.filter((one) => one.memory === state.memory && one.statistic === 'mode_content').map((one) => one.head)).size;

  /** The smallest and largest value of a panel, rounded outwards to what its axis says. */
  function extent(panel) {
    const all = panel.series.flatMap((one) => [...(one.low || one.last), ...(one.high || one.last)]).filter((v) => v !== null && (panel.scale !== 'log' || v > 0));
    if (!all.length) return null;
    const low = Math.min(...all);
    const high = Math.max(...all);
    if (SHARES.includes(panel.statistic)) return [Math.min(0, low), Math.max(1, high)];
    if (panel.scale === 'log') return low === high ? [low / 2, high * 2] : [low, high];
    return low === high ? [low - 0.5, high + 0.5] : [Math.min(0, low), high];
  }

  function ruler(panel) {
    const [low, high] = panel.extent;
    const share = panel.scale === 'log' ? (v) => Math.log(v / low) / Math.log(high / low) : (v) => (v - low) / (high - low);
    return (v) => BOTTOM - Math.max(0, Math.min(1, share(v))) * (BOTTOM - TOP);
  }

  const inkOf = (panel, one) => (/^write|^allocation/.test(panel.statistic) ? 'write' : one.head !== null && one.head % 2 ? 'read1' : 'read0');

  function draw(reel, width) {
    axis = F.axisOf(width, reel.columns, reel.block);
    const key = [width, reel.known, reel.columns, reel.state === 'loading', state.memory, F.colour.generation(), reel.changes.length].join('|');
    if (key === drawn) return axis;
    drawn = key;
    const wanted = panelsOf(reel);
    panels = wanted.map((panel) => {
      const canvas = el('canvas', { 'aria-hidden': 'true' });
      const values = el('div.fm-values');
      const node = el('div.fm-panel', { role: 'img', 'data-statistic': panel.key }, canvas, values);
      node.addEventListener('pointerdown', (event) => onDown(event, panel));
      node.addEventListener('pointermove', (event) => onMove(event, panel));
      node.addEventListener('pointerleave', F.tip.hide);
      Object.assign(panel, { canvas, values, node, extent: extent(panel) });
      values.style.left = `${axis.x1 + 10}px`;
      paint(panel, width);
      return panel;
    });
    const none = reel.known > 0 && !panels.length ? [el('p.note.fm-nothing', {}, 'No numbers are taken of this kind of memory: they are about reading and writing slots.')] : [];
    dom.list.replaceChildren(...panels.map((panel) => panel.node), dom.cursor, ...none);
    return axis;
  }

  function paint(panel, width) {
    const g = F.draw.fit(panel.canvas, width, HEIGHT);
    const title = panel.title.charAt(0).toUpperCase() + panel.title.slice(1);
    lines(g, title, 12);
    line(g, axis.x0, BOTTOM + 0.5, axis.x1, BOTTOM + 0.5, token('line'));
    if (!panel.extent) {
      text(g, 'no record has it', axis.x0 + 8, (TOP + BOTTOM) / 2, { size: 11, colour: token('ink2') });
      return put(panel.node, 'aria-label', `${title}: no record has it`);
    }
    const y = ruler(panel);
    const [low, high] = panel.extent;
    text(g, short(high), axis.x0 - 6, TOP + 1, { align: 'right', size: 9, colour: token('ink2') });
    text(g, short(low), axis.x0 - 6, BOTTOM - 2, { align: 'right', size: 9, colour: token('ink2') });
    if (panel.statistic === 'modes') stack(g, panel);
    else for (const one of panel.series) curve(g, panel, one, y);
    for (const change of panel.changes) {
      const x = Math.round(axis.at(change.index));
      line(g, x + 0.5, TOP - 1, x + 0.5, BOTTOM, token('ink2'), 1, [2, 2]);
      polygon(g, [[x - 4.5, 0], [x + 5.5, 0], [x + 0.5, 7]], token('ink2'));
    }
    const told = panel.changes.map((c) => c.sentence).join('; ');
    put(panel.node, 'aria-label', `${title} over ${plural(F.feed.steps.length, 'record')}, ${panel.scale === 'log' ? 'log ' : ''}scale ${short(low)} to ${short(high)}${told ? `: ${told}` : '; no change of level'}`);
  }

  /** A title in at most two lines. */
  function lines(g, title, y) {
    const words = title.split(' ');
    const rows = [''];
    for (const word of words) {
      const next = rows[rows.length - 1] ? `${rows[rows.length - 1]} ${word}` : word;
      if (F.draw.widthOf(g, next, 11.5) > F.GUTTER - 56 && rows[rows.length - 1]) rows.push(word);
      else rows[rows.length - 1] = next;
    }
    rows.slice(0, 3).forEach((row, i) => text(g, row, 12, y + i * 13, { size: 11.5, weight: '600', colour: token('ink') }));
  }

  function curve(g, panel, one, y) {
    const colour = token(inkOf(panel, one));
    const good = (v) => v !== null && (panel.scale !== 'log' || v > 0);
    if (one.low) {
      g.globalAlpha = 0.3;
      g.fillStyle = colour;
      for (let c = 0; c < one.last.length; c++) {
        if (good(one.low[c]) && good(one.high[c])) g.fillRect(axis.x0 + c * axis.cw, y(one.high[c]), axis.cw, Math.max(1, y(one.low[c]) - y(one.high[c])));
      }
      g.globalAlpha = 1;
    }
    g.strokeStyle = colour;
    g.lineWidth = 1.5;
    // Heads differ by their dash as well as by their colour.
    g.setLineDash([[], [5, 3], [2, 2], [8, 3, 2, 3]][(one.head || 0) % 4]);
    g.beginPath();
    let on = false;
    one.last.forEach((v, c) => {
      // A record that is still to be read leaves no gap in the line; one without the number does once all are known.
      if (!good(v)) return F.reel.state === 'working' ? undefined : (on = false);
      const x = axis.x0 + c * axis.cw + axis.cw / 2;
      if (on) g.lineTo(x, y(v));
      else g.moveTo(x, y(v));
      if (!on && !good(one.last[c + 1])) g.fillRect(x - 1, y(v) - 1, 2, 2);
      on = true;
    });
    g.stroke();
    g.setLineDash([]);
  }

  function stack(g, panel) {
    const n = Math.max(0, ...panel.series.map((one) => one.last.length));
    const gap = axis.cw > 6 ? 1 : 0;
    for (let c = 0; c < n; c++) {
      const v = MODES.map((name) => (panel.modes[name] ? panel.modes[name].last[c] : null));
      if (v.some((x) => x === null)) continue;
      const total = Math.max(1e-9, v[0] + v[1] + v[2]);
      let y = BOTTOM;
      MODES.forEach((name, k) => {
        const h = (v[k] / total) * (BOTTOM - TOP);
        y -= h;
        g.fillStyle = token(`mode-${name}`);
        g.fillRect(axis.x0 + c * axis.cw, y, axis.cw - gap, h);
      });
    }
  }

  /** Move the line of the chosen record and say the numbers there. */
  function cursor(rec) {
    if (!axis || rec === null) return;
    dom.cursor.hidden = !panels.length;
    const column = Math.floor(rec / axis.block);
    dom.cursor.style.transform = `translateX(${Math.round(axis.x0 + column * axis.cw)}px)`;
    dom.cursor.style.width = `${Math.max(2, axis.cw)}px`;
    dom.cursor.style.height = `${panels.length * HEIGHT}px`;
    for (const panel of panels) {
      const values = panel.statistic === 'modes' ? [leading(panel, column)] : panel.series.slice(0, 3).map((one) => (one.last[column] === null || one.last[column] === undefined ? '–' : short(one.last[column])));
      say(panel.values, values.join('\n'));
    }
  }

  function leading(panel, column) {
    const v = MODES.map((name) => (panel.modes[name] ? panel.modes[name].last[column] : null));
    if (v.some((x) => x === null || x === undefined)) return '–';
    const most = v.indexOf(Math.max(...v));
    return `${MODES[most]}\n${F.words.fixed(100 * v[most], 0)} %`;
  }

  const columnAt = (event) => {
    const box = dom.list.getBoundingClientRect();
    const x = event.clientX - box.left;
    return { x, column: Math.max(0, Math.min(axis.columns - 1, Math.floor((x - axis.x0) / axis.cw))), inside: x >= axis.x0 - 4 && x <= axis.x1 + 4 };
  };

  const nearChange = (panel, x) => panel.changes.map((change) => [Math.abs(axis.at(change.index) - x), change]).sort((a, b) => a[0] - b[0]).filter(([far]) => far <= 6)[0];

  function onDown(event, panel) {
    if (event.button !== 0 || !axis || !axis.columns) return;
    const at = columnAt(event);
    if (!at.inside) return;
    const near = nearChange(panel, at.x);
    if (near) return F.changes.show(near[1]);
    F.moves.choose(F.recordOf(at.column, axis.block), true);
  }

  function onMove(event, panel) {
    if (!axis || !axis.columns) return;
    const at = columnAt(event);
    if (!at.inside) return F.tip.hide();
    const rec = F.recordOf(at.column, axis.block);
    const near = nearChange(panel, at.x);
    const parts = near ? [near[1].sentence] : [`step ${F.feed.steps[rec]}`];
    if (!near) for (const one of panel.series) parts.push(`${one.title}${one.head === null ? '' : `, head ${one.head}`}: ${short(one.last[at.column] ?? null)}`);
    F.tip.show(event.clientX, event.clientY, parts.join('\n'), '', null);
  }

  F.curves = { mount, draw, cursor, again: () => (drawn = ''), axis: () => axis };
})();

/* The area of linked panels: which are shown, in which order, at which width; pointer to selection. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { el, say, put } = S.draw;
  const K = S.kinds;
  const C = S.codes;
  const LABEL = 164; // label and tick gutter
  const READOUT = 56;
  const MAX_ROWS = 160;

  const panels = new Map(); // by tile id
  let order = []; // panels on the page, in order
  let frame = null;
  let meta = null;
  let dom = null;
  let watcher = null;
  let dragging = null;
  let geometry = { x0: LABEL, width: 640, height: 15, cw: 1, times: 1, cols: 1 };

  function mount() {
    dom = {
      sub: el('span.sub'),
      bar: el('canvas', { role: 'img', 'aria-label': 'Colour bar from 0 to 1, cividis; magenta is NaN' }),
      phases: el('canvas.sc-phases', { role: 'img' }),
      list: el('div.sc-list'),
      more: el('div.sc-more'),
      axis: el('canvas.sc-axis', { 'aria-hidden': 'true' }),
      cover: el('div.sc-cover', { role: 'status' }),
      explain: el('p.sc-explain', { id: 'scope-explained' }),
    };
    dom.scroll = el('div.sc-scroll', { tabindex: -1 }, dom.list, dom.more);
    const head = el('div.sc-hd', {}, el('span.ttl', {}, 'Slot × time'), dom.sub, el('span.spring'), dom.bar);
    dom.card = el('section.card.sc-panels', { 'aria-label': 'Slot by time' }, head, dom.phases, dom.scroll, dom.axis, dom.explain, dom.cover);
    watcher = new IntersectionObserver(onSeen, { root: dom.scroll, rootMargin: '120px 0px' });
    dom.scroll.addEventListener('pointermove', onMove);
    dom.scroll.addEventListener('pointerdown', onDown);
    dom.scroll.addEventListener('pointerleave', S.tip.hide);
    dom.scroll.addEventListener('scroll', S.tip.hide, { passive: true });
    panels.clear();
    order = [];
    frame = null;
    return dom.card;
  }

  function onSeen(entries) {
    for (const entry of entries) {
      const panel = entry.target.panel;
      panel.seen = entry.isIntersecting;
      if (!panel.seen) continue;
      panel.paint();
      cursorOf(panel);
    }
  }

  /** Pixels that the plot has now: what the server pools to. */
  function room() {
    const width = dom ? dom.scroll.clientWidth : 0;
    return { px: Math.max(64, width - LABEL - READOUT), py: MAX_ROWS };
  }

  const metaOf = (field) => {
    for (const memory of (meta && meta.memories) || []) {
      const found = memory.fields.find((f) => f.field === field);
      if (found) return found;
    }
    return null;
  };
  const titleOf = (field) => (metaOf(field) && metaOf(field).title) || S.words.titleOf(field);
  const meaningOf = (field) => {
    const m = metaOf(field);
    return m ? `${m.symbol || ''} ${m.meaning || ''}${m.derived ? ' (derived from generators)' : ''}`.trim() : '';
  };

  /** Show a frame. `about` is the record's JSON. */
  function show(next, about) {
    const same = frame === next && meta === about && geometry.width === room().px;
    meta = about;
    if (same) return;
    frame = next;
    layout();
  }

  /** Lay out again: another frame, width, theme or choice of fields. */
  function layout() {
    if (!frame || !dom) return;
    const state = S.store.state;
    const memory = frame.memory;
    const catalogue = ((meta && meta.memories.find((m) => m.name === memory)) || { fields: [] }).fields.map((f) => f.field);
    const timed = frame.tiles.filter((tile) => tile.full_cols > 0 && tile.full_rows > 0);
    const hidden = new Set(state.hide);
    const shown = timed.filter((tile) => !hidden.has(K.bareName(tile.field, memory)));
    shown.sort((a, b) => K.orderOf(a, memory, catalogue) - K.orderOf(b, memory, catalogue));
    const { px } = room();
    const lead = shown.find((tile) => tile.full_cols === frame.times) || timed[0];
    const cols = lead ? lead.cols : 1;
    const cw = Math.max(1, Math.min(64, Math.floor(px / cols)));
    geometry = { x0: LABEL, width: px, height: 15, cw, times: frame.times, cols };
    const heads = new Map();
    for (const tile of timed) heads.set(tile.field, Math.max(heads.get(tile.field) || 0, (tile.head ?? 0) + 1));
    const target = timed.find((tile) => tile.field === 'model/target');
    const context = { titleOf, meaningOf, memory, width: px, times: frame.times, heads, target };
    const main = shown.filter((tile) => K.groupOf(tile, memory) !== 'more');
    const more = shown.filter((tile) => K.groupOf(tile, memory) === 'more');
    const missing = S.missing.panels(timed, frame, meta, hidden);
    arrange(dom.list, main, context, missing);
    S.more.arrange(dom.more, more, state.more, { meta, frame, place: (list, tiles) => arrange(list, tiles, context, []) });
    order = [...dom.card.querySelectorAll('.sc-panel')].map((node) => node.panel).filter(Boolean);
    prune();
    S.axis.phases(dom.phases, geometry, meta && meta.labels && meta.labels.phases);
    say(dom.sub, sizeWords(timed, memory));
    legend();
    cursor(true);
  }

  /** Put the panels of these tiles into a list, reusing the ones that are there. */
  function arrange(list, tiles, context, extra) {
    const nodes = [];
    let group = null;
    for (const tile of tiles) {
      let panel = panels.get(tile.id);
      if (!panel) {
        panel = new S.Panel(tile.id);
        panels.set(tile.id, panel);
        watcher.observe(panel.node);
      }
      const now = K.groupOf(tile, context.memory);
      const first = group !== null ? now !== group : now === 'more';
      if (panel.node.classList.toggle('sc-first', first) !== panel.first) panel.dirty = true;
      panel.first = first;
      group = now;
      if (panel.tile !== tile || panel.context.width !== context.width || panel.context.titleOf(tile.field) !== panel.titleText) {
        panel.show(tile, context);
      } else {
        panel.context = context;
        panel.state('ready');
        if (panel.seen) panel.paint();
      }
      nodes.push(panel.node);
      for (const node of extra.filter((x) => x.after === tile.field)) nodes.push(node);
    }
    for (const node of extra) if (!nodes.includes(node)) nodes.push(node);
    const kept = [...list.children];
    if (nodes.length !== kept.length || nodes.some((node, i) => node !== kept[i])) list.replaceChildren(...nodes);
  }

  function prune() {
    const ids = new Set(order.map((panel) => panel.id));
    for (const [id, panel] of panels) {
      if (ids.has(id)) continue;
      watcher.unobserve(panel.node);
      panels.delete(id);
    }
  }

  /** "16 slots, 21 times, every cell drawn", or what was pooled, in words. */
  function sizeWords(tiles, memory) {
    const slots = tiles.find((tile) => tile.row_axis === 'slot');
    const pooled = tiles.filter((tile) => tile.rows < tile.full_rows || tile.cols < tile.full_cols);
    const size = [slots && `${slots.full_rows} slots`, `${frame.times} ${frame.times === 1 ? 'time' : 'times'}`].filter(Boolean).join(', ');
    if (!pooled.length) return `${size}, every cell drawn`;
    const rows = slots && slots.rows < slots.full_rows ? `${slots.full_rows} slots to ${slots.rows} rows` : '';
    const wide = pooled.find((tile) => tile.cols < tile.full_cols);
    const cols = wide ? `${wide.full_cols} times to ${wide.cols} columns` : '';
    const what = [rows, cols].filter(Boolean).join(', ') || `${pooled[0].full_rows} rows to ${pooled[0].rows}`;
    return `${size}; max-pooled: ${what}`;
  }

  function legend() {
    const found = { above: 0, below: 0 };
    for (const panel of order) {
      const s = C.specials(panel.tile);
      if (S.colour.scaleOf(panel.tile) !== 'unit') continue;
      found.above += s.above;
      found.below += s.below;
    }
    const log = frame.tiles.some((tile) => tile.scale === 'log') ? 'log' : 'linear';
    S.axis.bar(dom.bar, Math.min(548, Math.max(220, dom.card.clientWidth - dom.sub.offsetWidth - 130)), log, found);
  }

  function cellQuery() {
    const s = S.store.state;
    const about = meta && meta.memories.find((m) => m.name === frame.memory);
    const slots = (about && about.slots) || 1;
    return { run: s.run, rec: frame.index, item: s.item, memory: frame.memory, t: Math.min(s.t, frame.times - 1), slot: Math.max(0, Math.min(s.slot, slots - 1)) };
  }

  function cursorOf(panel) {
    if (!frame) return;
    const s = S.store.state;
    panel.cursor(Math.min(s.t, frame.times - 1), s.slot, S.api.cellNow(cellQuery()));
    const row = panel.tile && panel.form === 'heat' && s.slot < panel.tile.full_rows;
    panel.row.style.visibility = row ? 'visible' : 'hidden';
    if (row) panel.row.style.transform = `translateY(${C.cellOf(s.slot, panel.tile.full_rows, panel.tile.rows) * panel.rh}px)`;
  }

  let described = 0;
  /** Move the crosshair of every panel to the selection. */
  function cursor(now) {
    if (!frame || !dom) return;
    const s = S.store.state;
    const t = Math.min(s.t, frame.times - 1);
    for (const panel of order) cursorOf(panel);
    const modes = order.some((panel) => panel.form === 'modes');
    S.axis.time(dom.axis, geometry, t, modes);
    clearTimeout(described);
    const describe = () => order.forEach((panel) => panel.describe(Math.min(S.store.state.t, frame.times - 1)));
    if (now) describe();
    else described = setTimeout(describe, 120);
  }

  /** Usage, freeing and allocation at the chosen time in one sentence, as the server tells it with the memory. */
  function explain() {
    const s = S.store.state;
    const query = frame && { run: s.run, rec: frame.index, item: s.item, memory: frame.memory };
    const told = query && S.api.tellNow(query, 'state', { time: Math.min(s.t, frame.times - 1), slot: s.slot });
    // While the next sentence is on its way the last one stays, and says which time it is about.
    if (told) say(dom.explain, told.explained ? `t = ${told.time}: ${told.explained}` : '');
    put(dom.explain, 'title', dom.explain.textContent);
  }

  /** Set the state of all panels: ready, loading, stale or error; `words` cover the plots where there is nothing to see. */
  function setState(name, words) {
    for (const panel of order) panel.state(name);
    put(dom.card, 'data-state', frame || name !== 'ready' ? name : 'empty');
    say(dom.cover, words || '');
    dom.cover.hidden = !words;
    dom.cover.classList.toggle('sc-full', !frame);
  }

  function clear() {
    frame = meta = null;
    order = [];
    panels.clear();
    watcher.disconnect();
    dom.list.replaceChildren();
    dom.more.replaceChildren();
    for (const canvas of [dom.phases, dom.axis]) S.draw.fit(canvas, 1, canvas === dom.axis ? 38 : 15);
    say(dom.sub, '');
    say(dom.explain, '');
  }

  function repaint() {
    for (const panel of panels.values()) {
      panel.dirty = true;
      if (panel.seen) panel.paint();
    }
    layout();
  }

  const panelAt = (event) => {
    const plot = event.target.closest && event.target.closest('.sc-plot');
    const node = plot && plot.closest('.sc-panel');
    return node && node.panel && node.panel.tile ? { panel: node.panel, box: plot.getBoundingClientRect() } : null;
  };

  function onMove(event) {
    if (dragging) {
      const { panel, box } = dragging;
      S.store.set({ t: panel.locate(event.clientX - box.left, 0).t }, false);
      return;
    }
    const hit = panelAt(event);
    if (!hit || !frame) return S.tip.hide();
    const { panel, box } = hit;
    const { t, row, code } = panel.locate(event.clientX - box.left, event.clientY - box.top);
    const tile = panel.tile;
    const axis = (tile.row_axis || '').replaceAll('_', ' ');
    const name = panel.form === 'modes' ? ['backward', 'content', 'forward'][row] : tile.full_rows > 1 ? `${axis} ${row}` : '';
    const about = `${panel.titleText}${tile.head === null || tile.head === undefined ? '' : `, head ${tile.head}`}\nt = ${t}${name ? `, ${name}` : ''}`;
    const v = C.value(code, tile);
    const approx = v === null ? 'not recorded' : Number.isFinite(v) ? `≈ ${S.words.short(v)}` : S.words.special(v);
    const query = { ...cellQuery(), t, slot: tile.row_axis === 'slot' ? row : S.store.state.slot };
    const pick = (cell) => {
      const given = cell && cell.get(tile.id);
      return Array.isArray(given) ? given[row] : given;
    };
    S.tip.show(event.clientX, event.clientY, about, approx, (ask) =>
      ask ? S.api.cell(query).then(pick) : pick(S.api.cellNow(query))
    );
  }

  function onDown(event) {
    const hit = event.button === 0 && panelAt(event);
    if (!hit || hit.panel.foreign) return;
    const { panel, box } = hit;
    const { t, row } = panel.locate(event.clientX - box.left, event.clientY - box.top);
    S.store.set(panel.tile.row_axis === 'slot' ? { t, slot: row } : { t }, true);
    dragging = hit;
    S.tip.hide();
    const end = () => {
      dragging = null;
      window.removeEventListener('pointerup', end);
      window.removeEventListener('pointercancel', end);
    };
    window.addEventListener('pointerup', end);
    window.addEventListener('pointercancel', end);
  }

  /** The panel that has the focus, or the first one of the main group. */
  const focused = () => order.find((panel) => panel.node === document.activeElement) || order.find((p) => p.form === 'heat') || order[0];

  S.panels = { mount, room, show, layout, cursor, setState, clear, repaint, explain, titleOf, metaOf, focused, cellQuery };
  Object.defineProperty(S.panels, 'frame', { get: () => frame });
  Object.defineProperty(S.panels, 'shown', { get: () => order });
})();

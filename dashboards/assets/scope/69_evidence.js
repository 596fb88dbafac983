/* The evidence of the chosen finding: a ring around its cells, and what happened there in a sentence. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { el, say, put } = S.draw;
  const C = S.codes;
  const K = S.kinds;
  const { short, num } = S.words;

  let dom = null;
  let wanted = null; // a field to bring into view once it is drawn
  let lastKey = '';
  const rings = new Set();

  function mount() {
    dom = { what: el('p.sc-ewhat'), place: el('b', { id: 'scope-evidence' }), more: el('span') };
    const close = el('button.btn', { type: 'button', title: 'Leave the finding (Esc)', onclick: () => S.store.set({ finding: null }, true) }, 'Leave');
    const next = el('button.btn', { type: 'button', title: 'Next finding (.)', onclick: () => S.findings.walk(1) }, 'Next');
    const lineage = el('button.btn', { type: 'button', title: 'Lineage of this read (g)', onclick: () => S.session.go('lineage') }, 'Lineage');
    dom.bar = el('div.sc-evidence', { role: 'status', hidden: true }, el('div.sc-etext', {}, dom.what, el('p.sc-emore', {}, dom.place, '  ', dom.more)), lineage, next, close);
    return dom.bar;
  }

  const reveal = (field) => {
    wanted = field;
    S.page.invalidate();
  };

  /** Take away what marks another finding; what still holds stays, so that nothing blinks while somebody scrubs. */
  function keep(wantedRings, field, severity) {
    for (const ring of [...rings]) {
      if (wantedRings.has(ring) && ring.isConnected) continue;
      ring.remove();
      rings.delete(ring);
    }
    for (const node of document.querySelectorAll('#scope-root [data-evidence]')) {
      if (node.dataset.field !== field || node.dataset.evidence !== severity) node.removeAttribute('data-evidence');
    }
  }

  function draw(frame) {
    if (!dom) return;
    const f = S.findings.chosen();
    const place = f ? null : S.query.place();
    const at = f || place;
    const key = at ? `${at.key}|${at.index}|${at.item}` : '';
    // What was just chosen has its field brought into view; scrolling away from it later is left alone.
    if (key !== lastKey && at) wanted = S.findings.fieldOf(at);
    if (key !== lastKey && !f && S.store.state.finding === null) lastKey = key;
    dom.bar.hidden = !f;
    const here = Boolean(at && frame && (f ? S.findings.isHere(f) : S.query.isHere(place)));
    // While a record is on its way what is on the screen stays as it is.
    if (frame || !at) keep(here ? ring(at) : new Set(), here ? S.findings.fieldOf(at) : '', here ? at.severity : '');
    if (f) {
      lastKey = key;
      put(dom.bar, 'data-severity', f.severity);
      words(f, frame, here);
    }
    if (frame && wanted) bring(frame);
  }

  /** Scroll to a field, opening the area of further fields when it is there. */
  function bring(frame) {
    const field = wanted;
    const tile = frame.tiles.find((x) => x.field === field);
    if (tile && K.groupOf(tile, frame.memory) === 'more' && !S.store.state.more) return S.store.set({ more: true }, false);
    let node = S.panels.shown.filter((panel) => panel.tile && panel.tile.field === field).map((panel) => panel.node)[0];
    node = node || [...document.querySelectorAll('#scope-root .card[data-field], #scope-root .sc-restrow, #scope-root .sc-empty')].find((one) => one.dataset.field === field);
    if (!node && !tile && !S.store.state.more && document.querySelector('#scope-root .sc-morebtn')) return S.store.set({ more: true }, false);
    wanted = null;
    if (node) node.scrollIntoView({ block: 'nearest' });
  }

  /** Mark the cells: in the panels of the field, or the card that shows it. Returns the rings. */
  function ring(f) {
    const made = new Set();
    const field = S.findings.fieldOf(f);
    for (const panel of S.panels.shown) {
      if (!panel.tile || panel.tile.field !== field) continue;
      if (f.head !== null && panel.tile.head !== null && panel.tile.head !== undefined && panel.tile.head !== f.head) continue;
      made.add(around(panel, f));
    }
    for (const node of document.querySelectorAll('#scope-root .card[data-field], #scope-root .sc-restrow')) {
      if (node.dataset.field === field) put(node, 'data-evidence', f.severity);
    }
    return made;
  }

  function around(panel, f) {
    const { tile, cw, rh, height } = panel;
    const rowed = tile.row_axis && tile.full_rows > 1 && panel.form !== 'modes';
    const cell = f.time !== null && !panel.foreign;
    const x = cell ? C.cellOf(f.time, tile.full_cols, tile.cols) * cw : 0;
    const w = cell ? cw : tile.cols * cw;
    const byRow = rowed && f.slot !== null && f.slot < tile.full_rows;
    const y = byRow ? C.cellOf(f.slot, tile.full_rows, tile.rows) * rh : 0;
    const h = byRow ? rh : height;
    const known = [...rings].find((one) => one.parentElement === panel.node);
    const mark = known || el('div.sc-ring');
    for (const [name, given] of [['severity', f.severity], ['time', f.time ?? ''], ['slot', f.slot ?? '']]) put(mark, `data-${name}`, given);
    const gap = 2;
    Object.assign(mark.style, { width: `${w + 2 * gap}px`, height: `${h + 2 * gap}px`, transform: `translate(${x - gap}px, ${y - gap}px)` });
    if (!known) panel.node.append(mark);
    rings.add(mark);
    return mark;
  }

  /** Where it is, and what the numbers do there. */
  function words(f, frame, here) {
    const number = `${short(num(f.value))} against a threshold of ${short(f.threshold)}`;
    const spread = f.spread ? ` in ${f.spread.beyond} of ${S.words.plural(f.spread.items, 'item')}` : '';
    const since = f.since !== f.step ? `, since step ${f.since}` : '';
    say(dom.what, f.sentence);
    say(dom.more, `${number}${spread}${since}. Try: ${f.suggestion}`);
    put(dom.more, 'title', `Source: ${f.source}`);
    if (!here) return say(dom.place, S.store.state.rec === f.index ? `Shown is something else; the evidence is in item ${f.item} of ${f.memory}.` : `Shown is something else; the evidence is at step ${f.step}.`);
    const place = S.findings.where(f);
    const told = happened(f, frame);
    say(dom.place, `${place.charAt(0).toUpperCase()}${place.slice(1)}${told ? `: ${told}` : '.'}`);
  }

  /** "read weights at slot 0: from 0.021 at t = 2 to NaN here." From exact values; '' until they are known. */
  function happened(f, frame) {
    if (!f.field || f.time === null) return '';
    const field = S.findings.fieldOf(f);
    const title = S.panels.titleOf(field);
    const twins = frame.tiles.filter((x) => x.field === field);
    const tile = twins.find((x) => f.head === null || x.head === f.head) || twins[0];
    const axes = (S.panels.metaOf(field) || { axes: [] }).axes;
    if (f.slot === null || !axes.includes('slot')) return tile ? column(title, tile, f) : '';
    const q = { run: S.store.state.run, rec: frame.index, item: f.item, memory: frame.memory, slot: f.slot ?? S.store.state.slot };
    const id = tile ? tile.id : field;
    const at = (t) => {
      const cell = S.api.cellNow({ ...q, t });
      if (!cell) S.api.cell({ ...q, t }).then(S.page.invalidate, () => {});
      return cell ? cell.get(id) : undefined;
    };
    const now = at(f.time);
    const before = f.time > 0 ? at(f.time - 1) : null;
    if (now === undefined || before === undefined) return '';
    const [a, b] = [before, now].map((v) => (Array.isArray(v) ? Math.hypot(...v) : v));
    const what = Array.isArray(now) ? `norm of ${title.toLowerCase()} slot ${f.slot}` : `${title.toLowerCase()} at slot ${f.slot}`;
    return a === null || a === undefined ? `${what}: ${short(b)} here.` : change(what, a, b, f.time);
  }

  const change = (what, a, b, t) => {
    const same = a === b || (Number.isNaN(a) && Number.isNaN(b));
    return same ? `${what}: ${short(b)} here, as at t = ${t - 1}.` : `${what}: from ${short(a)} at t = ${t - 1} to ${short(b)} here.`;
  };

  /** A whole column, from the statistics that come with its tile. */
  function column(title, tile, f) {
    const s = K.statsAt(tile, f.time);
    if (s.peakSlot !== null && s.peakSlot !== undefined) {
      const spread = s.nEff === null || s.nEff === undefined ? '' : `, spread over ${S.words.fixed(s.nEff, 1)} of ${tile.full_rows}`;
      return `the peak of ${title.toLowerCase()} is ${(tile.row_axis || 'row').replaceAll('_', ' ')} ${s.peakSlot} with ${short(s.peak)}${spread}.`;
    }
    const before = f.time > 0 ? K.statsAt(tile, f.time - 1).mean : null;
    return before === null ? `${title.toLowerCase()}: ${short(s.mean)} here.` : change(title.toLowerCase(), before, s.mean, f.time);
  }

  S.evidence = { mount, draw, reveal };
})();

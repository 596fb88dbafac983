/* Which panel a tile gets: its group, order, size of a row, and what its label says about the chosen time. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const C = S.codes;
  const W = S.words;
  const { short, fixed } = W;

  // Groups in the order in which they are stacked; "more" is the area that opens.
  const GROUPS = ['sequence', 'main', 'gates', 'modes', 'addressing', 'strengths', 'more'];
  const MAIN = ['write_weights', 'read_weights', 'usage', 'allocation_weights', 'attention', 'episodic_attention'];
  const SEQUENCE = ['model/input', 'model/target', 'model/output'];

  const bareName = (field, memory) =>
    field.startsWith(memory + '/') ? field.slice(memory.length + 1) : field.startsWith('model/') ? field.slice(6) : field;

  /** The form of a panel: "sequence", "heat", "gate", "modes", "strip", "words" or "other". */
  function formOf(tile) {
    if (SEQUENCE.includes(tile.field)) return 'sequence';
    if (tile.kind === 'mode') return 'modes';
    if (tile.kind === 'gate' && tile.full_rows <= 1) return 'gate';
    if (tile.full_rows <= 1 || tile.row_axis === null || tile.row_axis === undefined) return 'strip';
    if (tile.row_axis === 'slot' || tile.row_axis === 'fact') return 'heat';
    return tile.row_axis === 'word' ? 'words' : 'other';
  }

  function groupOf(tile, memory) {
    const form = formOf(tile);
    const bare = bareName(tile.field, memory);
    if (form === 'sequence') return 'sequence';
    if (form === 'modes') return 'modes';
    if (bare.startsWith('grad/') || tile.field.startsWith('model/')) return 'more';
    if (form === 'gate') return 'gates';
    if (form === 'strip') return 'strengths';
    if (MAIN.includes(bare)) return 'main';
    return form === 'heat' ? 'addressing' : 'more';
  }

  /** Height of one row in pixels; whole, so that no row is wider than its neighbour. */
  function rowHeight(tile) {
    const form = formOf(tile);
    if (form === 'gate' || form === 'strip') return 12;
    if (form === 'modes') return 16;
    if (form === 'sequence') return Math.max(1, Math.min(12, Math.floor(28 / tile.rows)));
    return Math.max(1, Math.min(12, Math.floor(88 / tile.rows)));
  }

  const plotHeight = (tile) => (formOf(tile) === 'modes' ? 16 : tile.rows * rowHeight(tile));

  /** The marker of the head that a tile belongs to, or null. */
  function markOf(tile, memory) {
    const bare = bareName(tile.field, memory);
    if (bare === 'write_weights') return S.draw.marker('write', 0);
    if (bare === 'read_weights' && tile.head !== null) return S.draw.marker('read', tile.head);
    return null;
  }

  const at = (list, t) => (list && t < list.length ? W.num(list[t]) : null);

  /** The numbers of a column: given by the server exactly, for every time of the record. */
  function statsAt(tile, t) {
    const s = tile.stats || {};
    return {
      peakSlot: at(s.peak_slot, t),
      peak: at(s.peak, t),
      mass: at(s.mass, t),
      nEff: at(s.n_eff, t),
      mean: at(s.mean, t),
    };
  }

  /** Share of rows above 0.95, from the codes; null when rows were pooled. */
  function fullRows(tile, t) {
    if (tile.rows !== tile.full_rows || tile.scale === 'log') return null;
    let n = 0;
    const c = C.cellOf(t, tile.full_cols, tile.cols);
    for (let r = 0; r < tile.rows; r++) n += C.value(tile.codes[r * tile.cols + c], tile) > 0.95 ? 1 : 0;
    return n;
  }

  const THIN = 0.05; // below this mass a spread means nothing (mockups, README)

  /** The lines under a title: what the column at t says. */
  function lines(tile, t, memory) {
    const form = formOf(tile);
    const s = statsAt(tile, t);
    const bare = bareName(tile.field, memory);
    const rows = tile.full_rows;
    if (form !== 'sequence' && (Number.isNaN(s.mean) || Number.isNaN(s.mass))) return ['NaN at this time'];
    if (form === 'heat' && tile.kind === 'weight') {
      if (bare === 'usage') {
        const full = fullRows(tile, t);
        return [`mean ${fixed(s.mean, 2)}`, full === null ? '' : `full (> 0.95): ${full} of ${rows}`].filter(Boolean);
      }
      if (bare === 'allocation_weights') {
        const first = s.mass !== null && s.mass < THIN ? 'no free slot' : `next free: slot ${s.peakSlot ?? '–'}`;
        return [first, `Σ ${fixed(s.mass, 3)}`];
      }
      const peak = `peak ${rows > 999 ? '' : tile.row_axis + ' '}${s.peakSlot ?? '–'}  ${fixed(s.peak, 3)}`;
      const thin = s.mass !== null && s.mass < THIN;
      const mass = `mass ${fixed(s.mass, 3)}${thin && bare === 'write_weights' ? ' (closed)' : ''}`;
      const spread = thin ? 'N_eff not shown' : s.nEff === null ? '' : `N_eff ${fixed(s.nEff, 1)} of ${rows}`;
      return [peak, mass, spread].filter(Boolean);
    }
    if (form === 'sequence') return [];
    if (form === 'words' || form === 'other' || form === 'heat') return [`${rows} ${plural(tile.row_axis, rows)}`, limits(tile)];
    return [];
  }

  const plural = (axis, n) => {
    const plain = (axis || 'row').replaceAll('_', ' ');
    return n === 1 ? plain : plain.replace(/y$/, 'ie') + 's';
  };

  /** The scale of a tile in words. */
  function limits(tile) {
    const scale = S.colour.scaleOf(tile);
    if (tile.scale === 'log') return `log, ${short(tile.floor)} to ${short(tile.vmax)}`;
    if (scale === 'signed') return `scale ±${short(Math.max(Math.abs(tile.vmin), Math.abs(tile.vmax)))}`;
    if (scale === 'grey') return `scale 0 to ${short(tile.vmax)}`;
    return 'scale 0 to 1';
  }

  /** What a screen reader hears for a panel. */
  function sentence(tile, title, t, memory) {
    const s = statsAt(tile, t);
    const head = tile.head === null || tile.head === undefined ? '' : ` head ${tile.head}`;
    const name = title + head;
    const found = C.specials(tile);
    const broken = [found.nan && `${found.nan} cells NaN`, found.inf && `${found.inf} cells infinite`].filter(Boolean);
    const tail = broken.length ? `; ${broken.join(', ')}` : '';
    if (formOf(tile) === 'heat' && s.peakSlot !== null) {
      const spread = s.nEff !== null && s.mass >= THIN ? `, N_eff ${fixed(s.nEff, 1)}` : '';
      return `${name} at time ${t} peaks at ${tile.row_axis} ${s.peakSlot}, ${fixed(s.peak, 2)}${spread}${tail}`;
    }
    const size = `${tile.full_rows} ${plural(tile.row_axis, tile.full_rows)} over ${tile.full_cols} times`;
    return `${name}, ${size}, ${limits(tile)}${tail}`;
  }

  function orderOf(tile, memory, catalogue) {
    const group = GROUPS.indexOf(groupOf(tile, memory));
    const list = group === 0 ? SEQUENCE : MAIN;
    const key = group === 0 ? tile.field : bareName(tile.field, memory);
    const main = list.indexOf(key);
    const place = main >= 0 ? main : list.length + Math.max(0, catalogue.indexOf(tile.field));
    return group * 1e6 + place * 1e3 + (tile.head ?? 0);
  }

  S.kinds = { GROUPS, bareName, formOf, groupOf, rowHeight, plotHeight, markOf, statsAt, lines, limits, sentence, orderOf, plural, THIN };
})();

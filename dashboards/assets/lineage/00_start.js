/* The Lineage page has what all pages about a run have (assets/base/), and its own parts beside it. */
(function () {
  'use strict';
  const L = (window.memviz.lineage = Object.create(window.memviz.base));
  L.page = {}; // filled by 90_page.js; what draws only needs it once somebody acts

  /** A share as a percentage with a true minus sign: "56.4 %". */
  L.percent = (share, digits) => (Number.isFinite(share) ? `${L.words.fixed(100 * share, digits ?? 1)} %` : '–');

  /** Name of a source: 0 is the initial memory, s + 1 the write at time s. */
  L.sourceName = (source) => (source === 0 ? 'initial memory' : `t = ${source - 1}`);

  /** The bits that went in at each time, drawn as a small strip; nothing without an input of at most 64 channels. */
  L.bits = (g, frame, t, x, y, w, h) => {
    const tile = frame && frame.tiles.find((one) => one.field === 'model/input');
    if (!tile || tile.rows > 64 || t >= tile.cols || tile.cols !== tile.full_cols) return;
    const column = { ...tile, cols: tile.rows, rows: 1, full_cols: tile.rows, full_rows: 1, bitmap: null, specials: null };
    column.codes = new Uint8Array(tile.rows);
    for (let r = 0; r < tile.rows; r++) column.codes[r] = tile.codes[r * tile.cols + t];
    L.tiles.draw(g, column, x, y, w / tile.rows, h);
  };
})();

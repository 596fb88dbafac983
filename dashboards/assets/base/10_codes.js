/* Bytes of the data routes: the MVF1 envelope and the codes of a tile (docs/api.md, "frame"). */
(function () {
  'use strict';
  const memviz = (window.memviz = window.memviz || {});
  const S = (memviz.base = memviz.base || {}); // what the pages about a run share

  const LAST = 248; // 0..248 are numbers from vmin to vmax
  const MIDDLE = 124; // zero of a symmetric range
  const BELOW = 249;
  const ABOVE = 250;
  const MISSING = 251;
  const MINUS_INF = 252;
  const PLUS_INF = 253;
  const NAN = 255;

  /** Decode an envelope. Every tile of the header gets `codes`, a view of its bytes (rows x cols, row-major). */
  function decode(buffer) {
    const bytes = new Uint8Array(buffer);
    const magic = String.fromCharCode(...bytes.subarray(0, 4));
    if (magic !== 'MVF1') throw new Error(`expected a frame that starts with MVF1, got ${JSON.stringify(magic)}`);
    const length = new DataView(buffer).getUint32(4, true);
    const head = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    let offset = 8 + length;
    for (const tile of head.tiles) {
      const size = tile.rows * tile.cols;
      if (offset + size > bytes.length) throw new Error(`the frame ends inside the tile ${tile.id}`);
      tile.codes = bytes.subarray(offset, offset + size);
      offset += size;
    }
    head.bytes = bytes.length;
    return head;
  }

  /** The number that a code stands for, to within 1/248 of the range; null where nothing was recorded. */
  function value(code, tile) {
    if (code <= LAST) {
      const share = code / LAST;
      if (tile.scale === 'log') return code === 0 ? tile.floor : tile.floor * Math.pow(tile.vmax / tile.floor, share);
      return tile.vmin + share * (tile.vmax - tile.vmin);
    }
    if (code === BELOW) return tile.vmin;
    if (code === ABOVE) return tile.vmax;
    if (code === MINUS_INF) return -Infinity;
    if (code === PLUS_INF) return Infinity;
    return code === NAN ? NaN : null;
  }

  // Pooling cuts `full` into `sent` blocks as evenly as possible: block k starts at floor(k * full / sent).
  /** The cell of a pooled axis that holds `index` of the record. */
  const cellOf = (index, full, sent) =>
    sent >= full ? index : Math.max(0, Math.min(sent - 1, Math.ceil(((index + 1) * sent) / full) - 1));
  /** The first index of the record that a cell of a pooled axis holds. */
  const firstOf = (cell, full, sent) => (sent >= full ? cell : Math.floor((cell * full) / sent));

  /** Code at a row and a time of the record. */
  function codeAt(tile, row, time) {
    const r = cellOf(row, tile.full_rows, tile.rows);
    const c = cellOf(time, tile.full_cols, tile.cols);
    return tile.codes[r * tile.cols + c];
  }

  /** Which special codes a tile holds: {nan, inf, below, above, missing} counts of cells. Counted once per tile. */
  function specials(tile) {
    if (tile.specials) return tile.specials;
    const found = { nan: 0, inf: 0, below: 0, above: 0, missing: 0 };
    for (const code of tile.codes) {
      if (code <= LAST) continue;
      if (code === NAN) found.nan++;
      else if (code === BELOW) found.below++;
      else if (code === ABOVE) found.above++;
      else if (code === MISSING) found.missing++;
      else found.inf++;
    }
    return (tile.specials = found);
  }

  S.codes = { LAST, MIDDLE, BELOW, ABOVE, MISSING, MINUS_INF, PLUS_INF, NAN };
  S.codes.decode = decode;
  S.codes.value = value;
  S.codes.cellOf = cellOf;
  S.codes.firstOf = firstOf;
  S.codes.codeAt = codeAt;
  S.codes.specials = specials;
})();

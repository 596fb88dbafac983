/* The model's answer against the target: which columns ask for something, and which bits are wrong. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const C = S.codes;

  /** One boolean per column of a target tile: true where nothing was asked (all NaN or not recorded). */
  function blankColumns(tile) {
    const blank = new Array(tile.cols).fill(true);
    for (let i = 0; i < tile.codes.length; i++) {
      if (tile.codes[i] !== C.NAN && tile.codes[i] !== C.MISSING) blank[i % tile.cols] = false;
    }
    return blank;
  }

  const isPooled = (tile) => tile.rows !== tile.full_rows || tile.cols !== tile.full_cols;

  /** Whether a tile holds nothing but zeros and ones. */
  function isBinary(tile) {
    const one = Math.round(C.MIDDLE + C.MIDDLE / Math.max(1e-9, tile.vmax));
    return tile.vmax === 1 && tile.codes.every((code) => code === C.MIDDLE || code === one || code > C.LAST);
  }

  /** Wash out what was not asked for and mark wrong bits; returns the words for the label ('' when not judged). */
  function paint(g, tile, target, cw, rh) {
    if (!target || target.cols !== tile.cols || target.rows !== tile.rows) return '';
    const blank = blankColumns(target);
    g.fillStyle = S.colour.token('surface');
    g.globalAlpha = 0.62;
    blank.forEach((none, c) => none && g.fillRect(c * cw, 0, cw, tile.rows * rh));
    g.globalAlpha = 1;
    if (!isBinary(target)) return '';
    if (isPooled(tile)) return 'pooled: bits not judged';
    const threshold = S.colour.scaleOf(tile) === 'bit' ? 0.5 : 0;
    let wrong = 0;
    let asked = 0;
    let lost = 0;
    g.fillStyle = S.colour.token('nan');
    const w = Math.min(6, Math.max(1, cw - 2));
    const h = Math.min(2, rh);
    for (let i = 0; i < tile.codes.length; i++) {
      const c = i % tile.cols;
      const wanted = C.value(target.codes[i], target);
      if (blank[c] || wanted === null || Number.isNaN(wanted)) continue;
      asked++;
      const said = C.value(tile.codes[i], tile);
      if (said === null || Number.isNaN(said)) {
        lost++;
        continue;
      }
      if (said > threshold === wanted > 0.5) continue;
      wrong++;
      const r = Math.floor(i / tile.cols);
      g.fillRect(c * cw + Math.floor((cw - w) / 2), r * rh + Math.floor((rh - h) / 2), w, h);
    }
    if (lost) return `${lost} of ${asked} bits NaN${wrong ? `, ${wrong} wrong` : ''}`;
    return asked ? `${wrong} of ${asked} bits wrong` : '';
  }

  S.output = { blankColumns, paint };
})();

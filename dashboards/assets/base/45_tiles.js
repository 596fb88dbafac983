/* From tile to pixels: each tile is painted once, off screen, one pixel a cell; showing it is then a single copy. */
(function () {
  'use strict';
  const S = window.memviz.base;
  const C = S.codes;
  const MAX_MARKS = 1500; // glyphs in cells; beyond that the colour alone says it

  /** The tile as a canvas of cols x rows pixels; kept with the tile until the theme changes. */
  function bitmap(tile, blankNan) {
    const lut = S.colour.table(tile, blankNan);
    if (tile.bitmap && tile.bitmapLut === lut) return tile.bitmap;
    const canvas = document.createElement('canvas');
    canvas.width = Math.max(1, tile.cols);
    canvas.height = Math.max(1, tile.rows);
    const g = canvas.getContext('2d');
    const image = g.createImageData(canvas.width, canvas.height);
    const pixels = new Uint32Array(image.data.buffer);
    const codes = tile.codes;
    for (let i = 0; i < codes.length; i++) pixels[i] = lut[codes[i]];
    g.putImageData(image, 0, 0);
    tile.bitmap = canvas;
    tile.bitmapLut = lut;
    return canvas;
  }

  /** Draw a tile with cells of cw x rh pixels at (x, y), NaN and infinities marked where a cell has room for a mark. */
  function draw(g, tile, x, y, cw, rh, blankNan) {
    g.imageSmoothingEnabled = false;
    g.drawImage(bitmap(tile, blankNan), x, y, tile.cols * cw, tile.rows * rh);
    const found = C.specials(tile);
    if ((found.nan && !blankNan) || found.inf) marks(g, tile, x, y, cw, rh, blankNan);
  }

  function marks(g, tile, x, y, cw, rh, blankNan) {
    if (cw < 5 || rh < 4) return;
    const light = S.colour.css(S.colour.mix(S.colour.nanColour(), [255, 255, 255], 0.6));
    const dark = S.colour.css(S.colour.nanColour());
    let left = MAX_MARKS;
    for (let i = 0; i < tile.codes.length && left > 0; i++) {
      const code = tile.codes[i];
      const cx = x + (i % tile.cols) * cw;
      const cy = y + Math.floor(i / tile.cols) * rh;
      if (code === C.NAN && !blankNan) {
        g.fillStyle = light;
        g.fillRect(cx + 1, cy + rh - 2, Math.min(3, cw - 2), 1);
        g.fillRect(cx + cw - 4, cy + 1, 3, 1);
        left--;
      } else if (code === C.PLUS_INF || code === C.MINUS_INF) {
        g.strokeStyle = dark;
        g.lineWidth = 1;
        g.strokeRect(cx + 0.5, cy + 0.5, cw - 1, rh - 1);
        if (rh >= 9 && cw >= 12) {
          const sign = code === C.PLUS_INF ? '∞' : '−∞';
          S.draw.text(g, sign, cx + cw / 2, cy + rh / 2 + 0.5, { size: Math.min(11, rh), align: 'center', colour: dark });
        }
        left--;
      }
    }
  }

  /** One column of a tile as numbers, to within a code; the time is one of the record. */
  function column(tile, time) {
    const c = C.cellOf(time, tile.full_cols, tile.cols);
    const out = new Float64Array(tile.rows);
    for (let r = 0; r < tile.rows; r++) {
      const v = C.value(tile.codes[r * tile.cols + c], tile);
      out[r] = v === null ? NaN : v;
    }
    return out;
  }

  S.tiles = { bitmap, draw, column };
})();

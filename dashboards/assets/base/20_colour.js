/* Colours: cividis for 0..1, a diverging map around zero, a grey ramp for positive data; one lookup table per scale. */
(function () {
  'use strict';
  const S = window.memviz.base;
  const C = S.codes;

  // Ten stops of cividis (Nuñez, Anderton and Renslow 2018), the same in both themes: its order survives colour blindness.
  const CIVIDIS = ['00224e', '123570', '3b496c', '575d6d', '707173', '8a8678', 'a59c74', 'c3b369', 'e1cc55', 'fee838'].map(
    (hex) => rgbOf('#' + hex)
  );
  const OVER = [255, 106, 19]; // a value above the fixed scale: a broken law, so no colour of the scale
  const UNDER = [25, 195, 214];

  let tokens = new Map();
  let tables = new Map();
  let resets = 0;

  /** The value of a CSS variable of the theme, without its dashes; cached until the theme changes. */
  function token(name) {
    let found = tokens.get(name);
    if (found === undefined) {
      found = getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
      tokens.set(name, found);
    }
    return found;
  }

  /** Forget cached tokens and tables: called when the theme changes. */
  function reset() {
    tokens = new Map();
    tables = new Map();
    resets++;
  }

  const isDark = () => document.documentElement.dataset.theme === 'dark';

  function rgbOf(hex) {
    const long = hex.length === 4 ? '#' + [...hex.slice(1)].map((c) => c + c).join('') : hex;
    return [1, 3, 5].map((i) => parseInt(long.slice(i, i + 2), 16));
  }
  const mix = (a, b, share) => a.map((v, i) => Math.round(v + (b[i] - v) * share));
  const css = (rgb) => `rgb(${rgb[0]},${rgb[1]},${rgb[2]})`;

  function cividis(share) {
    const x = Math.max(0, Math.min(1, share)) * 9;
    const i = Math.min(8, Math.floor(x));
    return mix(CIVIDIS[i], CIVIDIS[i + 1], x - i);
  }

  /** Colour of a signed share in -1..1; the exponent keeps small values visible beside large ones. */
  function diverging(share) {
    const x = Math.max(-1, Math.min(1, share));
    return mix(rgbOf(token('div-mid')), rgbOf(token(x < 0 ? 'div-neg' : 'div-pos')), Math.pow(Math.abs(x), 0.8));
  }

  const grey = (share) => mix(rgbOf(token('sunken')), rgbOf(token('ink2')), Math.max(0, Math.min(1, share)));

  const nanColour = () => rgbOf(token('nan'));
  const infColour = () => mix(rgbOf(token('nan')), [255, 255, 255], 0.55);

  /** How a tile is coloured: its kind, or "bit" for signed data that stays within 0..1 (symbols and probabilities). */
  function scaleOf(tile) {
    if (tile.scaleName) return tile.scaleName;
    let name = { weight: 'unit', gate: 'unit', mode: 'unit', positive: 'grey', index: 'grey' }[tile.kind] || 'signed';
    const within = tile.low !== null && tile.low >= 0 && tile.high <= 1;
    if (name === 'signed' && tile.field.startsWith('model/') && within) name = 'bit';
    return (tile.scaleName = name);
  }

  /** The share of the colour scale that a code of this tile takes. */
  function colourOf(scale, code, vmax) {
    if (scale === 'unit') return cividis(code / C.LAST);
    if (scale === 'grey') return grey(code / C.LAST);
    const share = (code - C.MIDDLE) / C.MIDDLE;
    return scale === 'bit' ? cividis(share * vmax) : diverging(share);
  }

  /** 256 packed pixels (little-endian ABGR), one per code; missing cells are transparent. */
  function table(tile, blankNan) {
    const scale = scaleOf(tile);
    const key = scale + (scale === 'bit' ? tile.vmax : '') + (blankNan ? '-' : '');
    let lut = tables.get(key);
    if (lut) return lut;
    lut = new Uint32Array(256);
    const pack = (rgb) => ((255 << 24) | (rgb[2] << 16) | (rgb[1] << 8) | rgb[0]) >>> 0;
    for (let code = 0; code <= C.LAST; code++) lut[code] = pack(colourOf(scale, code, tile.vmax));
    lut[C.BELOW] = pack(UNDER);
    lut[C.ABOVE] = pack(OVER);
    lut[C.MINUS_INF] = lut[C.PLUS_INF] = pack(infColour());
    lut[C.NAN] = blankNan ? 0 : pack(nanColour());
    tables.set(key, lut);
    return lut;
  }

  S.colour = { token, reset, isDark, cividis, diverging, grey, css, mix, rgbOf, scaleOf, table, nanColour, infColour };
  S.colour.generation = () => resets;
  S.colour.OVER = OVER;
  S.colour.UNDER = UNDER;
})();

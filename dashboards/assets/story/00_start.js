/* The Story page has what all pages about a run have (assets/base/), and its own parts beside it. */
(function () {
  'use strict';
  const Y = (window.memviz.story = Object.create(window.memviz.base));
  Y.page = {}; // filled by 90_page.js; what draws only needs it once somebody acts
  const { num, fixed } = Y.words;
  const MOST_TEXT = 60;

  /** A share as a cell shows it: three decimals, and no zero that is not one. */
  Y.gate = (v) => {
    if (v === null || !Number.isFinite(v)) return Y.words.special(v);
    if (v === 0) return '0';
    if (Math.abs(v) < 0.0005) return v < 0 ? `>${Y.words.MINUS}.001` : '<.001';
    return fixed(v, 3);
  };

  /** A probability in few characters. */
  Y.chance = (v) => (v === null || !Number.isFinite(v) ? Y.words.special(v) : v !== 0 && v < 0.001 ? Y.words.short(v) : fixed(v, 3));

  const luminance = ([r, g, b]) => {
    const linear = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : Math.pow((c / 255 + 0.055) / 1.055, 2.4));
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  };

  /** Paint a cell on the fixed scale 0 to 1, with black or white text, whichever contrasts more; NaN has its own colour. */
  Y.paint = (node, v) => {
    const odd = v === null || !Number.isFinite(v);
    const rgb = odd ? Y.colour.nanColour() : Y.colour.cividis(v);
    node.style.backgroundColor = Y.colour.css(rgb);
    node.style.color = luminance(rgb) > 0.179 ? '#000000' : '#ffffff';
  };

  Y.num = num;
  Y.short = (text, most) => (text.length <= (most || MOST_TEXT) ? text : text.slice(0, (most || MOST_TEXT) - 1) + '…');

  /** The name of a fact: its number, and its words where it has any. */
  Y.factName = (data, fact, most) => (data.texts[fact] ? `fact ${fact} “${Y.short(data.texts[fact].replace(/\.\s*$/, ''), most)}”` : `fact ${fact}`);
})();

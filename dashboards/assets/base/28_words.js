/* Numbers and states in words: one place for how the page speaks. */
(function () {
  'use strict';
  const S = window.memviz.base;
  const MINUS = '\u2212';

  /** JSON of the routes spells what JSON cannot hold as strings. */
  function num(given) {
    if (typeof given === 'number') return given;
    if (given === 'NaN') return NaN;
    if (given === 'Infinity') return Infinity;
    if (given === '-Infinity') return -Infinity;
    return given === null || given === undefined ? null : Number(given);
  }

  function special(v) {
    if (v === null || v === undefined) return '\u2013';
    if (Number.isNaN(v)) return 'NaN';
    return v > 0 ? '+Inf' : MINUS + 'Inf';
  }

  /** Fixed number of decimals, a true minus sign, no negative zero. */
  function fixed(v, digits) {
    if (v === null || v === undefined || !Number.isFinite(v)) return special(v);
    const d = digits === undefined ? 3 : digits;
    const s = v.toFixed(d);
    return (/[1-9]/.test(s) ? s : (0).toFixed(d)).replace('-', MINUS);
  }

  /** A number of any magnitude in few characters: 0.973, 12.4, 1.2e−5. */
  function short(v) {
    if (v === null || v === undefined || !Number.isFinite(v)) return special(v);
    if (v === 0) return '0';
    const a = Math.abs(v);
    if (a < 1e-3 || a >= 1e5) return v.toExponential(1).replace('e+', 'e').replaceAll('-', MINUS);
    const s = v.toPrecision(3);
    return (s.includes('.') ? s.replace(/0+$/, '').replace(/\.$/, '') : s).replace('-', MINUS);
  }

  /** Every digit that a float32 has. */
  function exact(v) {
    if (v === null || v === undefined || !Number.isFinite(v)) return special(v);
    return String(Number(v.toPrecision(8))).replaceAll('-', MINUS);
  }

  const plural = (n, one, many) => `${n} ${n === 1 ? one : many || one + 's'}`;

  function ago(seconds) {
    if (seconds === null || seconds === undefined) return '';
    if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
    if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
    return `${Math.round(seconds / 86400)} days`;
  }

  /** "read_content_weights" or "grad/usage" as a title, where the record itself gives none. */
  function titleOf(field) {
    const bare = field.split('/').slice(1).join('/') || field;
    const plain = bare.replaceAll('_', ' ').replaceAll('/', ', ');
    return plain.charAt(0).toUpperCase() + plain.slice(1);
  }

  S.words = { num, fixed, short, exact, special, plural, ago, titleOf, MINUS };
})();

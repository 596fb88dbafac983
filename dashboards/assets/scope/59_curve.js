/* One training curve: the band of minimum and maximum per column, the curve, and its running mean, on a log axis. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { text, line } = S.draw;
  const token = S.colour.token;
  const num = S.words.num;

  /** Running mean over an odd number of columns that is finite where any of them is. */
  function smooth(values, reach) {
    return values.map((_, i) => {
      let total = 0;
      let n = 0;
      for (let k = Math.max(0, i - reach); k <= Math.min(values.length - 1, i + reach); k++) {
        if (Number.isFinite(values[k])) {
          total += values[k];
          n++;
        }
      }
      return n ? total / n : NaN;
    });
  }

  /** The range of the axis: whole decades when every number is positive, a plain range otherwise. */
  function axisOf(low, high) {
    const finite = low.concat(high).filter((v) => Number.isFinite(v));
    if (!finite.length) return { log: false, a: 0, b: 1, ticks: [0, 1] };
    const min = Math.min(...finite);
    const max = Math.max(...finite);
    if (min > 0) {
      // Whole decades, except that a value just past one does not open another.
      const top = Math.log10(max);
      const foot = Math.log10(min);
      const b = top - Math.floor(top) < 0.25 ? top + 0.02 : Math.ceil(top);
      let a = Math.ceil(foot) - foot < 0.25 ? foot - 0.02 : Math.floor(foot);
      a = Math.max(b - 12, Math.min(a, b - 1));
      const every = Math.max(1, Math.ceil((b - a) / 3.6));
      const ticks = [];
      for (let e = Math.floor(b); e >= a; e -= every) ticks.push(Math.pow(10, e));
      return { log: true, a, b, ticks };
    }
    const span = max - min || Math.abs(max) || 1;
    const unit = Math.pow(10, Math.floor(Math.log10(span)));
    const a = Math.floor(min / unit) * unit;
    const b = Math.max(a + unit, Math.ceil(max / unit) * unit);
    return { log: false, a, b, ticks: [a, (a + b) / 2, b] };
  }

  const tickLabel = (v) => (v !== 0 && (Math.abs(v) < 1e-3 || Math.abs(v) >= 1e4) ? v.toExponential(0).replace('e+', 'e').replaceAll('-', S.words.MINUS) : String(Number(v.toPrecision(3))));

  /** Draw a curve into a box; returns what the axis shows, in words. */
  function draw(g, curve, { x0, x1, top, bottom, sx }) {
    const low = curve ? curve.low.map(num) : [];
    const high = curve ? curve.high.map(num) : [];
    const last = curve ? curve.last.map(num) : [];
    const axis = axisOf(low, high);
    const place = (v) => (axis.log ? Math.log10(v) : v);
    const sy = (v) => bottom - ((Math.max(axis.a, Math.min(axis.b, place(v))) - axis.a) / (axis.b - axis.a)) * (bottom - top);
    if (curve && curve.steps.length) {
      for (const tick of axis.ticks) {
        const y = Math.round(sy(tick)) + 0.5;
        line(g, x0, y, x1, y, token('line'));
        text(g, tickLabel(tick), x0 - 7, y, { align: 'right' });
      }
    } else {
      line(g, x0, bottom + 0.5, x1, bottom + 0.5, token('line'));
      return '';
    }
    const xs = curve.steps.map(sx);
    band(g, xs, low.map(sy), high.map(sy), low);
    stroke(g, xs, last, sy, token('line-strong'), 1, 0.55);
    const reach = Math.max(2, Math.round(last.length / 160));
    // A short curve has nothing to smooth.
    const smoothed = last.length > 24;
    stroke(g, xs, smoothed ? smooth(last, reach) : last, sy, token('ink'), 1.6, 1);
    broken(g, xs, low, last, x1, top, bottom);
    return `${axis.log ? 'log axis' : 'linear axis'}${smoothed ? `, mean of ${2 * reach + 1}` : ''}`;
  }

  /** Where the curve is no number: a hatched band, named where there is room. */
  function broken(g, xs, low, last, x1, top, bottom) {
    let from = -1;
    for (let i = 0; i <= xs.length; i++) {
      const bad = i < xs.length && !(Number.isFinite(low[i]) && Number.isFinite(last[i]));
      if (bad && from < 0) from = i;
      if (bad || from < 0) continue;
      const x = Math.round(xs[from]) - 1;
      const w = Math.max(3, Math.round(i < xs.length ? xs[i] : x1) - x);
      S.draw.hatch(g, x, top, w, bottom - top, token('nan'));
      if (w > 60) {
        g.fillStyle = token('surface');
        g.fillRect(x + w / 2 - 18, (top + bottom) / 2 - 8, 36, 16);
        const name = Number.isNaN(last[from]) || Number.isNaN(low[from]) ? 'NaN' : 'Inf';
        text(g, name, x + w / 2, (top + bottom) / 2 + 0.5, { size: 11, weight: '600', align: 'center', colour: token('nan') });
      }
      from = -1;
    }
  }

  function band(g, xs, bottoms, tops, low) {
    g.fillStyle = token('line-strong');
    g.globalAlpha = 0.28;
    g.beginPath();
    let open = false;
    const flush = (from, to) => {
      for (let k = to; k >= from; k--) g.lineTo(xs[k], bottoms[k]);
      g.closePath();
    };
    let from = 0;
    for (let i = 0; i < xs.length; i++) {
      if (!Number.isFinite(low[i]) || !Number.isFinite(tops[i])) {
        if (open) flush(from, i - 1);
        open = false;
        continue;
      }
      if (open) g.lineTo(xs[i], tops[i]);
      else {
        g.moveTo(xs[i], tops[i]);
        from = i;
        open = true;
      }
    }
    if (open) flush(from, xs.length - 1);
    g.fill();
    g.globalAlpha = 1;
  }

  function stroke(g, xs, values, sy, colour, width, alpha) {
    g.strokeStyle = colour;
    g.lineWidth = width;
    g.globalAlpha = alpha;
    g.beginPath();
    let open = false;
    values.forEach((v, i) => {
      if (!Number.isFinite(v)) {
        open = false;
        return;
      }
      g[open ? 'lineTo' : 'moveTo'](xs[i], sy(v));
      open = true;
    });
    g.stroke();
    g.globalAlpha = 1;
  }

  /** The value of a curve at a step, in words; '' where there is none. */
  function valueAt(curve, step) {
    if (!curve || !curve.steps.length) return '';
    let i = curve.steps.findIndex((s) => s >= step);
    if (i < 0) i = curve.steps.length - 1;
    const [low, high, last] = [curve.low[i], curve.high[i], curve.last[i]].map(num);
    return low === high ? S.words.short(last) : `${S.words.short(low)} to ${S.words.short(high)}`;
  }

  S.curve = { draw, valueAt };
})();

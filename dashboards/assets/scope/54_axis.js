/* What all panels share: the phases above them, the time axis below, and the colour bar with its legend. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { text, line } = S.draw;
  const C = S.codes;
  const token = S.colour.token;

  /** Phases of a record, labels.phases = [[name, start, stop], ...], as bands over the plot. */
  function phases(canvas, geometry, list) {
    const { x0, width, height, cw, times, cols } = geometry;
    const g = S.draw.fit(canvas, x0 + width + 60, height);
    text(g, 'at (t, slot)', x0 + cols * cw + 8, height / 2 + 0.5, { size: 10 });
    const names = [];
    for (const phase of Array.isArray(list) ? list : []) {
      if (!Array.isArray(phase) || phase.length < 3) continue;
      const [name, start, stop] = phase;
      if (!(stop > start) || start >= times) continue;
      const a = x0 + C.cellOf(Math.max(0, start), times, cols) * cw;
      const b = x0 + (stop >= times ? cols : C.cellOf(stop, times, cols)) * cw;
      g.fillStyle = token('sunken');
      g.fillRect(a, 0, Math.max(1, b - a - 1), height - 1);
      names.push(`${name} ${start} to ${Math.min(stop, times) - 1}`);
      const label = `${name}${b - a > 90 && !/phase/.test(name) ? ' phase' : ''}`;
      if (S.draw.widthOf(g, String(label), 10) < b - a - 4) {
        text(g, label, (a + b) / 2, height / 2 + 0.5, { align: 'center', colour: token('ink2') });
      }
    }
    S.draw.put(canvas, 'aria-label', names.length ? `Phases: ${names.join(', ')}` : 'No phases were labelled');
  }

  /** The time axis with the chosen time, and the legend of the read modes where there are any. */
  function time(canvas, geometry, t, modes) {
    const { x0, width, cw, times, cols } = geometry;
    const g = S.draw.fit(canvas, x0 + width + 60, 38);
    const step = S.draw.niceStep(times, Math.floor((cols * cw) / 30));
    const at = (x) => x0 + C.cellOf(x, times, cols) * cw + cw / 2;
    const chosen = at(Math.min(t, times - 1));
    const chip = Math.max(cw, 12 + 7 * String(t).length);
    for (let x = 0; x < times; x += step) {
      const p = at(x);
      line(g, Math.round(p) + 0.5, 1, Math.round(p) + 0.5, 4, token('line-strong'));
      if (Math.abs(p - chosen) > chip / 2 + 10) text(g, String(x), p, 12, { align: 'center', colour: token('ink2') });
    }
    g.fillStyle = token('accent');
    g.fillRect(Math.round(chosen - chip / 2), 4, chip, 16);
    text(g, String(t), Math.round(chosen), 12.5, { align: 'center', size: 11, weight: '700', colour: token('surface') });
    text(g, 'time  (position in sequence)', x0, 30, { size: 11, colour: token('ink2') });
    if (modes && cols * cw > 460) {
      ['backward', 'content', 'forward'].forEach((name, k) => {
        const x = x0 + cols * cw - 268 + k * 92;
        g.fillStyle = token('mode-' + name);
        g.fillRect(x, 25, 10, 10);
        text(g, `${'BCF'[k]}  ${name}`, x + 15, 30.5, { size: 11, colour: token('ink2') });
      });
    }
  }

  /** Colour bar of the fixed scale and the legend of what is no number. found: counts of special codes on screen. */
  function bar(canvas, room, scale, found) {
    const wide = room >= 520;
    const width = Math.min(room, 548);
    const g = S.draw.fit(canvas, width, 26);
    let x = 0;
    const label = scale === 'log' ? 'weights, log scale' : wide ? 'weight, usage, gate, bit' : '0 to 1';
    text(g, label, x, 12, { size: 11, colour: token('ink2') });
    x += wide || scale === 'log' ? 138 : 44;
    const length = wide ? 128 : 96;
    for (let i = 0; i < length; i++) {
      g.fillStyle = S.colour.css(S.colour.cividis(i / (length - 1)));
      g.fillRect(x + i, 6, 1, 8);
    }
    const ticks = scale === 'log' ? ['1e−6', '1e−3', '1'] : ['0', '0.5', '1'];
    ticks.forEach((tick, i) => text(g, tick, x + (i / 2) * length, 20, { size: 9, align: 'center', colour: token('ink2') }));
    x += length + 22;
    const swatch = (paint, name, gap) => {
      paint(x);
      text(g, name, x + 21, 10.5, { size: 11, colour: token('ink2') });
      x += 21 + gap;
    };
    const nan = S.colour.css(S.colour.nanColour());
    const fill = (colour) => (at) => {
      g.fillStyle = colour;
      g.fillRect(at, 6, 16, 8);
    };
    swatch(fill(nan), 'NaN', 32);
    swatch((at) => {
      fill(S.colour.css(S.colour.infColour()))(at);
      g.strokeStyle = nan;
      g.lineWidth = 1;
      g.strokeRect(at + 0.5, 6.5, 15, 7);
    }, 'Inf', 26);
    if (found.above) swatch(fill(S.colour.css(S.colour.OVER)), 'above 1', 50);
    if (found.below) swatch(fill(S.colour.css(S.colour.UNDER)), 'below 0', 50);
    if (found.above || found.below || x + 76 > width) return;
    swatch((at) => {
      g.fillStyle = nan;
      g.fillRect(at + 5, 9, 6, 2);
    }, 'bit wrong', 58);
    if (x + 90 < width) {
      swatch((at) => {
        fill(token('sunken'))(at);
        g.strokeStyle = token('line-strong');
        g.lineWidth = 1;
        g.strokeRect(at + 0.5, 6.5, 15, 7);
      }, 'not recorded', 0);
    }
  }

  S.axis = { phases, time, bar };
})();

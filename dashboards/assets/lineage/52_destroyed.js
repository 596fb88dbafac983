/* Tab "Who destroyed it": how much of each write every later write took away, and what is left at the end. */
(function () {
  'use strict';
  const L = window.memviz.lineage;
  const { el, put, text } = L.draw;
  const token = L.colour.token;
  const { num } = L.words;
  const MOST = 24; // what the route tells at once

  /** The writes worth a row: those that wrote most, in order of time; the chosen write is always among them. */
  function writesOf(data, write) {
    const order = data.write_mass.map((mass, t) => [t, num(mass)]).filter(([, mass]) => mass > 0.05);
    order.sort((a, b) => b[1] - a[1] || a[0] - b[0]);
    const times = order.slice(0, MOST).map(([t]) => t);
    if (write !== null && !times.includes(write)) times[Math.max(0, times.length - (times.length === MOST ? 1 : 0))] = write;
    return times.sort((a, b) => a - b);
  }

  function build(data, write) {
    const times = writesOf(data, write);
    if (!times.length) return [el('p.note', {}, 'Nothing is written with a weight above 0.05, so nothing can be destroyed.')];
    const parts = { times: times.join(',') };
    const query = L.page.query();
    const answer = L.api.tellNow(query, 'destroyed', parts);
    if (!answer) {
      const failed = L.page.ask('destroyed', parts);
      return [el('p.note', {}, failed || 'loading …')];
    }
    const canvas = el('canvas', { role: 'img' });
    const box = el('div.ln-destroyed', {}, canvas);
    const known = answer.writes.filter((w) => Number.isFinite(num(w.left)));
    const worst = known.reduce((a, w) => (!a || num(w.left) < num(a.left) ? w : a), null);
    const name = (t) => `t = ${t}${answer.names[t] ? ` (${answer.names[t]})` : ''}`;
    const said = [];
    if (write !== null) said.push(answer.writes.find((w) => w.time === write).sentence);
    if (worst) said.push(`Least preserved${data.write_mass.filter((mass) => num(mass) > 0.05).length > known.length ? ` of the ${known.length} largest` : ''}: the write of ${name(worst.time)}, ${L.percent(num(worst.left))} left${culprit(worst)}.`);
    requestAnimationFrame(() => paint(canvas, box, answer, write));
    put(canvas, 'aria-label', answer.writes.map((w) => w.sentence).join('; '));
    return [box, el('p.ln-say', {}, said[0] || ''), said[1] ? el('p.note', {}, said[1]) : '', el('p.note', {}, 'Losses telescope to 1 minus survival, so every lost part has exactly one culprit.')];
  }

  function culprit(write) {
    const lost = write.lost.map(num);
    const t = lost.indexOf(Math.max(...lost));
    return lost[t] >= 0.01 ? `. The write at t = ${t} took ${L.percent(lost[t])}` : '';
  }

  function paint(canvas, box, answer, write) {
    if (!canvas.isConnected) return;
    const width = box.clientWidth;
    const X0 = 118;
    const x1 = width - 126;
    const T = answer.times;
    const cw = (x1 - X0) / T;
    const rh = 19;
    const g = L.draw.fit(canvas, width, answer.writes.length * rh + 54);
    text(g, 'left at the end', x1 + 12, 8, { size: 11, colour: token('ink2') });
    answer.writes.forEach((w, r) => {
      const y = 18 + r * rh;
      text(g, `t = ${w.time}`, 2, y + rh / 2, { size: 12, weight: '700', colour: token(w.time === write ? 'accent-ink' : 'ink') });
      text(g, (answer.names[w.time] || '').slice(0, 11), 52, y + rh / 2, { size: 11, colour: token('ink2') });
      g.fillStyle = token('sunken');
      g.fillRect(X0, y, x1 - X0, rh - 1);
      for (let t = w.time + 1; t < T; t++) {
        const lost = num(w.lost[t]);
        g.fillStyle = Number.isFinite(lost) ? L.colour.css(L.colour.cividis(lost)) : token('nan');
        g.fillRect(X0 + t * cw, y, Math.ceil(cw), rh - 1);
        if (lost >= 0.05 && cw > 22) text(g, L.words.fixed(lost, 2), X0 + t * cw + cw / 2, y + rh / 2, { align: 'center', weight: '700', size: 10, colour: lost > 0.55 ? '#10202f' : '#fff' });
      }
      L.draw.drawMarker(g, { shape: 'triangle', token: 'write' }, X0 + w.time * cw + cw / 2, y + rh / 2, Math.min(5, Math.max(2, cw / 2)));
      const left = num(w.left);
      if (Number.isFinite(left)) {
        g.fillStyle = token('line-strong');
        g.fillRect(x1 + 12, y + 5, 54 * left, 8);
      }
      text(g, L.percent(left), width - 2, y + rh / 2, { size: 11, weight: '600', align: 'right', colour: token('ink') });
    });
    const base = 18 + answer.writes.length * rh;
    const unit = L.draw.niceStep(T, (x1 - X0) / 30);
    for (let t = 0; t < T; t += unit) text(g, String(t), X0 + t * cw + cw / 2, base + 8, { align: 'center', colour: token('ink2') });
    text(g, 'destroyed at time', X0, base + 18, { size: 10, colour: token('ink2'), base: 'top' });
  }

  L.destroyed = { build };
})();

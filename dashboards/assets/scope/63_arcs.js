/* The strongest links as arcs over the slots in order of writing: a sound chain is a row of equal steps to the right. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { text } = S.draw;
  const token = S.colour.token;
  const WIDTH = 222;
  const X0 = 12;
  const BASE = 132;
  let hit = null;

  /** chain: the answer of the route `arcs`; last: time of the last write of each slot, null when it was pooled. */
  function paint(canvas, chain, last, slots) {
    const g = S.draw.fit(canvas, WIDTH, BASE + 44);
    hit = null;
    if (!chain) return text(g, 'loading', WIDTH / 2, BASE / 2, { align: 'center', size: 11 });
    const shown = chain.order.slice(0, Math.max(2, chain.written));
    const pitch = (WIDTH - 2 * X0) / Math.max(1, shown.length - 1);
    const place = new Map(shown.map((slot, i) => [slot, X0 + i * pitch]));
    const chosen = S.store.state.slot;
    for (const arc of chain.arcs.slice().reverse()) {
      const a = place.get(arc.from);
      const b = place.get(arc.to);
      if (a === undefined || b === undefined) continue;
      const weight = Math.min(1, S.words.num(arc.weight));
      const up = Math.min(BASE - 16, Math.abs(b - a) * 0.55 + 12);
      g.beginPath();
      g.moveTo(a, BASE);
      // Steps forward in the order of writing go above the line, steps back below it.
      const y = b > a ? BASE - up * 1.3 : BASE + Math.min(30, up);
      g.bezierCurveTo(a, y, b, y, b, BASE);
      const mine = arc.from === chosen || arc.to === chosen;
      g.strokeStyle = token(mine ? 'accent' : 'line-strong');
      g.globalAlpha = 0.25 + 0.75 * weight;
      g.lineWidth = 0.5 + 3.5 * weight;
      g.stroke();
    }
    g.globalAlpha = 1;
    const every = S.draw.niceStep(shown.length, (WIDTH - 2 * X0) / 20);
    shown.forEach((slot, i) => {
      const x = place.get(slot);
      S.draw.dot(g, x, BASE, slot === chosen ? 4 : 2.5, token(slot === chosen ? 'accent' : 'ink2'));
      if (i % every === 0 || slot === chosen) text(g, String(slot), x, BASE + 13, { align: 'center', weight: slot === chosen ? '700' : '', colour: token(slot === chosen ? 'accent-ink' : 'ink2') });
    });
    text(g, 'slots in order of writing', WIDTH / 2, BASE + 34, { align: 'center' });
    hit = { shown, pitch, chain };
  }

  const slotAt = (event) => {
    if (!hit) return null;
    const box = event.currentTarget.getBoundingClientRect();
    const i = Math.round((event.clientX - box.left - X0) / hit.pitch);
    return i >= 0 && i < hit.shown.length ? hit.shown[i] : null;
  };

  function hover(event) {
    const slot = slotAt(event);
    if (slot === null) return S.tip.hide();
    const out = hit.chain.arcs.filter((arc) => arc.from === slot).slice(0, 3).map((arc) => `to slot ${arc.to}: ${S.words.short(S.words.num(arc.weight))}`);
    const written = hit.chain.last_write[slot];
    S.tip.show(event.clientX, event.clientY, [`slot ${slot}, ${written === null ? 'never written' : `written at t = ${written}`}`, ...out].join('\n'), '', null);
  }

  function press(event) {
    const slot = slotAt(event);
    if (slot !== null) S.store.set({ slot, word: null }, true);
  }

  S.arcs = { paint, hover, press };
})();

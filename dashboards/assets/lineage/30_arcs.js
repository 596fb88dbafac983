/* Arcs over time: from the writes to the chosen read, or from a chosen write to the reads that it reaches. */
(function () {
  'use strict';
  const L = window.memviz.lineage;
  const { el, put, text, line } = L.draw;
  const token = L.colour.token;
  const { num } = L.words;
  const X0 = 84;
  const LEAST = 0.005;
  let dom = null;
  let hit = null;

  function mount() {
    dom = {
      canvas: el('canvas', { role: 'img' }),
      records: el('div.ln-seg', { role: 'group', 'aria-label': 'Record' }),
      heads: el('div.ln-seg', { role: 'group', 'aria-label': 'Read head' }),
      picks: el('span.ln-picks'),
    };
    dom.plot = el('div.ln-plot', {}, dom.canvas);
    const head = el('div.ln-hd', {}, el('h2.ttl', {}, 'From writes to this read'), el('span.sub', {}, 'click ● for a read, ▼ for a write'), el('span.spring'), dom.picks, dom.records, dom.heads);
    dom.canvas.addEventListener('pointerdown', onDown);
    dom.canvas.addEventListener('pointermove', onMove);
    dom.canvas.addEventListener('pointerleave', L.tip.hide);
    return el('section.card.ln-arcs', { 'aria-label': 'From writes to this read' }, head, dom.plot);
  }

  /** Sources by the size of their share, largest first: [source, share]. */
  const ranked = (data) => data.shares.map((share, source) => [source, num(share)]).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));

  function draw(data, frame, write, readers) {
    const width = dom.plot.clientWidth || 900;
    const height = Math.max(200, dom.plot.clientHeight - 2);
    const g = L.draw.fit(dom.canvas, width, height);
    hit = null;
    if (!data) return;
    const T = data.times;
    const cw = Math.max(1, Math.min(48, (width - X0 - 16) / T));
    const base = height - 96;
    const at = (t) => X0 + t * cw + cw / 2;
    hit = { cw, T, base, height };
    legend(g, width, write);
    band(g, at(data.time), cw, base, height);
    if (write === null) fromWrites(g, data, at, base);
    else toReads(g, readers, write, at, base);
    line(g, X0, base + 14, X0 + T * cw, base + 14, token('line'));
    rows(g, data, frame, at, cw, base, write);
    put(dom.canvas, 'aria-label', write === null ? `${data.title}. ${data.sentence}` : readers ? readers.sentence : '');
  }

  function band(g, x, cw, base, height) {
    const w = Math.max(cw, 10);
    g.fillStyle = token('accent-bg');
    g.fillRect(Math.round(x - w / 2), base - 12, Math.round(w), height - base + 10);
  }

  function legend(g, width, write) {
    L.draw.drawMarker(g, { shape: 'triangle', token: 'write' }, width - 262, 12, 5);
    text(g, 'write (larger = more)', width - 252, 12.5, { size: 11, colour: token('ink2') });
    L.draw.drawMarker(g, L.draw.marker('read', L.store.state.head), width - 118, 12, 5);
    text(g, write === null ? 'the chosen read' : 'reads of the write', width - 108, 12.5, { size: 11, colour: token('ink2') });
  }

  /** One arc; the dash says that a share is negative. */
  function arc(g, a, b, base, share, strong) {
    const middle = Math.min(base - 34, Math.max(24, Math.abs(b - a) * 0.36 + 20));
    g.beginPath();
    g.moveTo(a, base);
    g.bezierCurveTo(a, base - middle * 1.3, b, base - middle * 1.3, b, base);
    g.strokeStyle = token(strong ? 'accent' : 'line-strong');
    g.globalAlpha = strong ? 1 : 0.35 + 0.6 * Math.min(1, Math.abs(share));
    g.lineWidth = Math.max(1, Math.min(1, Math.abs(share)) * 20);
    g.setLineDash(share < 0 ? [5, 4] : []);
    g.stroke();
    g.setLineDash([]);
    g.globalAlpha = 1;
    // Where the curve passes a quarter of its way, for the label.
    return { x: a + 0.16 * (b - a), y: base - middle * 1.3 * 0.42 };
  }

  function label(g, words, x, y, strong, taken) {
    const w = L.draw.widthOf(g, words, 12) + 10;
    for (let tries = 0; tries < 6; tries++) {
      if (!taken.some((box) => Math.abs(box.x - x) < (box.w + w) / 2 + 2 && Math.abs(box.y - y) < 19)) break;
      y -= 20;
    }
    taken.push({ x, y, w });
    g.fillStyle = token(strong ? 'accent-bg' : 'surface');
    g.strokeStyle = token(strong ? 'accent' : 'line');
    g.lineWidth = 1;
    g.beginPath();
    g.rect(x - w / 2, y - 9, w, 18);
    g.fill();
    g.stroke();
    text(g, words, x, y + 0.5, { size: 12, weight: '600', align: 'center', colour: token(strong ? 'accent-ink' : 'ink2') });
  }

  function fromWrites(g, data, at, base) {
    const order = ranked(data).filter(([source, share]) => source > 0 && Math.abs(share) >= LEAST);
    const end = at(data.time);
    const labels = [];
    order
      .slice()
      .reverse()
      .forEach(([source, share]) => {
        const strong = order.length > 0 && order[0][0] === source;
        labels.unshift([arc(g, at(source - 1), end, base, share, strong), share, strong, source]);
      });
    const taken = [];
    for (const [, share, strong, source] of labels.slice(0, 4)) label(g, L.percent(share, 0), Math.max(X0 + 18, at(source - 1)), base - 22, strong, taken);
  }

  function toReads(g, readers, write, at, base) {
    if (!readers) return;
    const taken = [];
    const start = at(write);
    readers.strongest
      .slice()
      .reverse()
      .forEach((one, k, all) => arc(g, start, at(one.time), base, num(one.share), k === all.length - 1));
    readers.strongest.slice(0, 4).forEach((one, k) => label(g, `${L.percent(num(one.share), 0)} h${one.head}`, at(one.time), base - 22, k === 0, taken));
  }

  /** Under the arcs: the writes, what went in, where, the names and numbers of times, and the reads to click. */
  function rows(g, data, frame, at, cw, base, write) {
    const T = data.times;
    const side = (words, y) => text(g, words, 12, y, { size: 11, colour: token('ink2') });
    const most = Math.max(0.3, ...data.write_mass.map(num).filter(Number.isFinite));
    side('write', base);
    side('input', base + 24);
    side('top slot', base + 41);
    side('time', base + 62);
    side('read', base + 90);
    const every = L.draw.niceStep(T, (T * cw) / 26);
    for (let t = 0; t < T; t++) {
      const mass = num(data.write_mass[t]);
      if (mass > 0.003) L.draw.drawMarker(g, { shape: 'triangle', token: t === write ? 'accent' : 'write' }, at(t), base, Math.min(cw / 2, 2 + 5 * Math.sqrt(mass / most)));
      if (cw > 14) L.bits(g, frame, t, at(t) - cw / 2 + 1.5, base + 20, cw - 3, 7);
      if (t % every && t !== data.time) continue;
      const chosen = t === data.time;
      const near = !chosen && Math.abs(t - data.time) * cw < 14;
      if (near) continue;
      if (cw > 16 && mass > 0.003) text(g, String(data.write_slot[t]), at(t), base + 41, { size: 10.5, align: 'center', colour: token('ink2') });
      text(g, String(t), at(t), base + 62, { size: 11, align: 'center', weight: chosen ? '700' : '', colour: token(chosen ? 'accent-ink' : 'ink2') });
      if (cw > 26) text(g, short(data.names[t], cw), at(t), base + 76, { size: 9, align: 'center', colour: token('ink3') });
    }
    for (let t = 0; t < T; t++) {
      const mark = L.draw.marker('read', L.store.state.head);
      if (t === data.time) L.draw.drawMarker(g, mark, at(t), base + 90, 6);
      else L.draw.dot(g, at(t), base + 90, Math.min(2.5, cw / 3), token('line-strong'));
    }
    if (write === null) L.draw.drawMarker(g, L.draw.marker('read', L.store.state.head), at(data.time), base - 2, 6);
  }

  const short = (name, room) => (name.length * 4.8 < room ? name : name.replace(/^(\w{2})\w* /, '$1 ').slice(0, Math.max(2, Math.floor(room / 4.8))));

  const timeAt = (event) => {
    if (!hit) return null;
    const box = dom.canvas.getBoundingClientRect();
    const t = Math.floor((event.clientX - box.left - X0) / hit.cw);
    if (t < 0 || t >= hit.T) return null;
    const y = event.clientY - box.top - hit.base;
    return { t, write: Math.abs(y) < 12 };
  };

  function onDown(event) {
    const at = timeAt(event);
    if (!at) return;
    if (at.write) L.page.chooseWrite(at.t);
    else L.page.chooseRead(at.t);
  }

  function onMove(event) {
    const at = timeAt(event);
    const data = L.page.data();
    dom.canvas.style.cursor = at ? 'pointer' : 'default';
    if (!at || !data) return L.tip.hide();
    const share = data.shares[at.t + 1];
    const name = data.names[at.t] ? `, ${data.names[at.t]}` : '';
    const parts = [`t = ${at.t}${name}`, `written with ${L.words.fixed(num(data.write_mass[at.t]), 3)}, most to slot ${data.write_slot[at.t]}`];
    if (share !== undefined) parts.push(`${L.percent(num(share), 2)} of the read at t = ${data.time}`);
    L.tip.show(event.clientX, event.clientY, parts.join('\n'), '', null);
  }

  /** Buttons for the records around the chosen one and for the heads; pickers where there is a choice. */
  function controls(about, memory) {
    const s = L.store.state;
    const { steps } = L.feed;
    const near = [s.rec - 1, s.rec, s.rec + 1].filter((i) => i >= 0 && i < steps.length);
    const button = (words, on, go) => el('button', { type: 'button', 'aria-pressed': String(on), onclick: go }, words);
    const key = JSON.stringify([s.rec, near.map((i) => steps[i]), s.head, memory && memory.read_heads, s.item, s.memory, about && about.batch, about && about.memories.length]);
    if (dom.key === key) return;
    dom.key = key;
    dom.records.replaceChildren(...near.map((i) => button(`step ${steps[i]}`, i === s.rec, () => L.moves.choose(i, true))));
    const heads = (memory && memory.read_heads) || 0;
    dom.heads.replaceChildren(...[...Array(Math.min(8, heads)).keys()].map((h) => button(`head ${h}`, h === s.head, () => L.store.set({ head: h, write: null }, true))));
    dom.heads.hidden = heads < 2;
    const picks = [];
    const names = about ? about.memories.filter((m) => m.name !== 'model').map((m) => m.name) : [];
    if (names.length > 1) picks.push(picker('memory', names.map((name) => [name, name]), s.memory, (v) => L.store.set({ memory: v, head: 0, slot: 0 }, true)));
    const batch = (about && about.batch) || [];
    if (batch.length > 1) picks.push(picker('item', batch.map((name, i) => [i, `${name}  (${i + 1} of ${batch.length})`]), s.item, (v) => L.store.set({ item: Number(v) }, true)));
    dom.picks.replaceChildren(...picks);
  }

  function picker(name, options, value, change) {
    const select = el('select.sc-select', { 'aria-label': name, onchange: () => change(select.value) }, ...options.map(([v, words]) => el('option', { value: v }, words)));
    select.value = String(value);
    return el('label.sc-picker', {}, name, select);
  }

  L.arcs = { mount, draw, controls, ranked };
})();

/* The slot card: the life of one slot over the sequence, its numbers at the chosen time, and one sentence about it. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { el, say, put, text, line } = S.draw;
  const token = S.colour.token;
  const { fixed, num } = S.words;
  const X0 = 72;
  const REST_MS = 80;
  const SEEN = 0.02; // weights below are not worth a mark

  let dom = null;
  let timer = 0;
  let failedKey = '';

  function mount() {
    dom = {
      title: el('h2.ttl'),
      sub: el('span.sub'),
      canvas: el('canvas', { role: 'img' }),
      numbers: el('dl.sc-numbers'),
      sentence: el('p.sc-sentence', { 'data-role': 'slot-sentence' }),
      note: el('div.sc-cardnote'),
      watch: el('p.sc-sentence.sc-watch', { role: 'status' }),
      events: el('ol.sc-events', { tabindex: 0, 'aria-label': 'Events of this slot, in order of time' }),
    };
    dom.now = el('div.sc-slotnow');
    dom.body = el('div.sc-slotbody', {}, dom.canvas, dom.now, dom.numbers);
    dom.card = el('section.card.sc-slot', { 'aria-label': 'The chosen slot', role: 'group' }, el('div.sc-hd', {}, dom.title, dom.sub, el('span.spring'), ...buttons()), dom.body, dom.sentence, dom.watch, dom.events, dom.note);
    dom.canvas.addEventListener('pointerdown', onDown);
    drawn = null;
    return dom.card;
  }

  /** Back to the writer, on to the next overwrite, and to the origin of what is read: as keys b, n, g. */
  function buttons() {
    const button = (words, key, title, run) => el('button.btn', { type: 'button', title: `${title} (${key})`, onclick: run }, words, el('kbd', {}, key));
    return [
      button('Writer', 'b', 'Back to the write behind what is here', () => S.watch.toWriter()),
      button('Overwrite', 'n', 'On to the next overwrite', () => S.watch.toNext()),
      button('Lineage', 'g', 'Lineage of this read', () => S.session.go('lineage')),
    ];
  }

  let listed = '';

  /** The life of the slot, or of one cell of it, as a list; a row goes to its time. */
  function events(query, t) {
    const said = S.watch.now();
    if (!said) {
      const key = JSON.stringify([query, S.store.state.word]);
      if (eventsFailed !== key) {
        clearTimeout(eventsTimer);
        eventsTimer = setTimeout(() => S.page.active() && S.watch.load().then(S.page.invalidate, () => (eventsFailed = key)), REST_MS);
      }
      dom.events.hidden = true;
      return;
    }
    const shown = said.events.filter((e) => e.kind !== 'read' || num(e.weight) >= 0.05);
    const key = JSON.stringify([query, S.store.state.word, shown.length]);
    dom.events.hidden = !shown.length;
    if (listed !== key || dom.events.said !== said) {
      listed = key;
      dom.events.said = said;
      const mark = { written: '▼', erased: '✕', freed: '○', read: '●' };
      dom.events.replaceChildren(
        ...shown.slice(0, 300).map((e) => {
          const kind = el('span.sc-kind', { 'data-kind': e.kind, 'aria-hidden': 'true' }, mark[e.kind]);
          const go = el('button', { type: 'button', 'data-time': e.time, onclick: () => S.store.set({ t: e.time }, true) }, kind, S.watch.sentence(e));
          return el('li', {}, go);
        })
      );
    }
    for (const button of dom.events.querySelectorAll('button')) put(button, 'aria-current', Number(button.dataset.time) === t ? 'time' : 'false');
  }

  let eventsTimer = 0;
  let eventsFailed = '';

  function empty(state, words) {
    dom.events.hidden = true;
    say(dom.watch, '');

    put(dom.card, 'data-state', state);
    dom.body.hidden = true;
    dom.note.hidden = false;
    say(dom.sentence, '');
    say(dom.note, words);
  }

  let scale = null;
  let drawn = null;
  let drawnKey = 0;

  function draw(about, frame) {
    const s = S.store.state;
    say(dom.title, frame && !hasSlots(frame) ? 'Slot' : `Slot ${s.slot}${s.word === null ? '' : `, word ${s.word}`}`);
    say(dom.watch, S.watch.said());
    if (!frame || !about) {
      say(dom.sub, '');
      return empty(...S.status.nothing());
    }
    const t = Math.min(s.t, frame.times - 1);
    say(dom.sub, `at t = ${t}`);
    if (!hasSlots(frame)) return empty('empty', 'No field of this memory has slots: weights, usage and memory were not recorded.');
    const slots = slotCount(frame);
    if (s.slot >= slots) return empty('empty', `This memory has slots 0 to ${slots - 1}; slot ${s.slot} does not exist.`);
    const query = { run: s.run, rec: frame.index, item: s.item, memory: frame.memory, slot: s.slot };
    const key = JSON.stringify(query);
    const life = S.api.lifeNow(query);
    if (life) {
      dom.body.hidden = false;
      dom.note.hidden = true;
      put(dom.card, 'data-state', 'ready');
      events(query, t);
      return paint(life, t, s.slot);
    }
    if (failedKey === key) return;
    put(dom.card, 'data-state', 'loading');
    dom.card.classList.add('sc-dim');
    clearTimeout(timer);
    timer = setTimeout(() => {
      S.api.life(query).then(S.page.invalidate, (error) => {
        failedKey = key;
        dom.card.classList.remove('sc-dim');
        empty('error', `The slot could not be read: ${error.message}`);
      });
    }, REST_MS);
  }

  const slotTile = (frame) => frame.tiles.find((tile) => tile.row_axis === 'slot' && tile.field.startsWith(frame.memory + '/'));
  const hasSlots = (frame) => Boolean(slotTile(frame));
  const slotCount = (frame) => slotTile(frame).full_rows;

  function paint(life, t, slot) {
    dom.card.classList.remove('sc-dim');
    const T = life.times;
    const x1 = 372;
    const cw = (x1 - X0) / T;
    scale = { cw, T };
    dom.now.style.width = Math.max(2, cw) + 'px';
    dom.now.style.transform = `translateX(${X0 + t * cw}px)`;
    numbers(life, t);
    say(dom.sentence, sentence(life, t));
    const key = S.colour.generation();
    if (drawn === life && drawnKey === key) return;
    drawn = life;
    drawnKey = key;
    put(dom.canvas, 'aria-label', `Life of slot ${slot} over ${T} times`);
    const rows = [
      ...life.write.map((v, h) => ({ name: life.write.length > 1 ? `write ${h}` : 'write', v, mark: S.draw.marker('write', h) })),
      ...life.read.map((v, h) => ({ name: `head ${h}`, v, mark: S.draw.marker('read', h) })),
    ];
    const shown = rows.slice(0, 6);
    const pitch = shown.length > 3 ? Math.floor(66 / shown.length) : 20;
    const g = S.draw.fit(dom.canvas, x1 + 8, 118);
    shown.forEach((row, k) => {
      const y = 12 + k * pitch;
      text(g, row.name, X0 - 8, y, { align: 'right', size: 11, colour: token('ink2') });
      line(g, X0, y + 0.5, x1, y + 0.5, token('line'));
      for (let x = 0; x < row.v.length; x++) {
        const v = num(row.v[x]);
        const at = X0 + x * cw + cw / 2;
        if (Number.isNaN(v)) S.draw.dot(g, at, y + 0.5, 2, token('nan'));
        else if (v > SEEN) S.draw.drawMarker(g, row.mark, at, y + 0.5, Math.min(Math.max(2, pitch / 2 - 1), 1.5 + 5 * Math.sqrt(Math.min(1, v))));
      }
    });
    usage(g, life, cw, x1);
    const unit = S.draw.niceStep(T, 6);
    for (let x = 0; x < T; x += unit) text(g, String(x), X0 + x * cw + cw / 2, 106, { align: 'center' });
    text(g, 'time', X0 - 8, 106, { align: 'right' });
  }

  function usage(g, life, cw, x1) {
    const y0 = 93;
    text(g, 'usage', X0 - 8, y0 - 7, { align: 'right', size: 11, colour: token('ink2') });
    line(g, X0, y0 + 0.5, x1, y0 + 0.5, token('line'));
    if (!life.usage) return text(g, 'not recorded', X0 + 6, y0 - 7, { size: 10 });
    g.strokeStyle = token('ink2');
    g.lineWidth = 1.5;
    g.beginPath();
    life.usage.forEach((given, x) => {
      const v = num(given);
      const y = y0 - (Number.isFinite(v) ? Math.max(0, Math.min(1, v)) : 0) * 18;
      g[x ? 'lineTo' : 'moveTo'](X0 + x * cw, y);
      g.lineTo(X0 + (x + 1) * cw, y);
    });
    g.stroke();
  }

  function numbers(life, t) {
    const at = (list) => (list ? num(list[t]) : null);
    const pairs = [];
    if (life.usage) pairs.push(['usage', fixed(at(life.usage))]);
    if (life.allocation && life.allocation.length) pairs.push(['alloc.', fixed(at(life.allocation[0]))]);
    life.write.forEach((v, h) => pairs.push([life.write.length > 1 ? `write ${h}` : 'write', fixed(at(v))]));
    life.read.forEach((v, h) => pairs.push([`head ${h}`, fixed(at(v))]));
    if (life.norm) pairs.push(['‖M‖', fixed(at(life.norm), 2)]);
    const few = pairs.slice(0, 6);
    while (dom.numbers.children.length > few.length * 2) dom.numbers.lastChild.remove();
    few.forEach(([name, given], i) => {
      if (dom.numbers.children.length <= 2 * i) dom.numbers.append(el('dt'), el('dd'));
      say(dom.numbers.children[2 * i], name);
      say(dom.numbers.children[2 * i + 1], given);
    });
  }

  function sentence(life, t) {
    const last = life.last_write ? life.last_write[t] : null;
    const known = life.write.length && life.last_write;
    let first = 'Writes were not recorded.';
    if (known && (last === null || last === undefined)) first = `Not written up to t = ${t}.`;
    else if (known) {
      const weight = Math.max(...life.write.map((v) => num(v[last])));
      first = Number.isNaN(weight) ? `Write weight NaN at t = ${last}.` : `Last write t = ${last}, weight ${fixed(weight, 2)}.`;
    }
    const now = life.read.map((v) => num(v[t]));
    const readers = now.map((v, h) => [v, h]).filter(([v]) => v >= 0.05);
    if (!life.read.length) return first;
    if (now.some((v) => Number.isNaN(v))) return `${first} Read weights are NaN now.`;
    const second = readers.length
      ? `Read now by ${readers.map(([v, h]) => `head ${h} (${fixed(v, 2)})`).join(' and ')}.`
      : `Not read now (${now.length === 1 ? 'head' : now.length === 2 ? 'both heads' : 'all heads'} below 0.05).`;
    return `${first} ${second}`;
  }

  function onDown(event) {
    if (!scale) return;
    const t = Math.floor((event.clientX - dom.canvas.getBoundingClientRect().left - X0) / scale.cw);
    if (t >= 0 && t < scale.T) S.store.set({ t }, true);
  }

  S.watch.listen(() => S.page.invalidate && S.page.invalidate());
  S.slotCard = { mount, draw };
})();

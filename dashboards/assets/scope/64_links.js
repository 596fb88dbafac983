/* Links at the chosen time: the link matrix in order of writing, and the forward walk from the chosen slot. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { el, say, put, text, line } = S.draw;
  const C = S.codes;
  const token = S.colour.token;
  const SIDE = 180;
  const TOP = 20;
  const LEFT = 32;
  const WRITTEN = 0.1; // a write of less counts as none (docs/api.md, slot)
  const REST_MS = 90;

  let dom = null;
  let hit = null;
  let timer = 0;
  let failedKey = '';

  function mount() {
    dom = {
      sub: el('span.sub'),
      side: el('span.sub'),
      canvas: el('canvas.sc-matrix', { role: 'img', tabindex: 0 }),
      walk: el('div.sc-walk', { 'aria-live': 'off' }),
      said: el('p.sc-sentence'),
      forms: el('div.ln-seg.sc-forms', { role: 'group', 'aria-label': 'How links are drawn' }),
      note: el('div.sc-cardnote'),
    };
    const head = el('div.sc-hd', {}, el('h2.ttl', {}, 'Links'), dom.sub, el('span.spring'), dom.side, dom.forms);
    for (const [name, title] of [['matrix', 'Matrix'], ['arcs', 'Arcs']]) dom.forms.append(el('button', { type: 'button', 'data-form': name, onclick: () => S.store.set({ links: name }, true) }, title));
    dom.body = el('div.sc-linkbody', {}, dom.canvas, dom.walk);
    dom.card = el('section.card.sc-links', { 'aria-label': 'Link matrix at the chosen time', role: 'group' }, head, dom.body, dom.said, dom.note);
    dom.canvas.addEventListener('pointermove', onMove);
    dom.canvas.addEventListener('pointerleave', S.tip.hide);
    dom.canvas.addEventListener('pointerdown', onDown);
    return dom.card;
  }

  function empty(state, words) {
    hit = null;
    put(dom.card, 'data-state', state);
    say(dom.note, words);
    dom.note.hidden = !words;
    dom.body.hidden = true;
    dom.said.hidden = dom.forms.hidden = true;
    say(dom.sub, '');
    say(dom.side, '');
  }

  /** Time of the last write of each slot up to t (-1: never), from the tiles; null when they were pooled. */
  function lastWrites(frame, t) {
    const heads = frame.tiles.filter((tile) => tile.field === `${frame.memory}/write_weights`);
    if (!heads.length || heads.some((h) => h.rows !== h.full_rows || h.cols !== h.full_cols)) return null;
    const last = new Int32Array(heads[0].rows).fill(-1);
    for (const head of heads) {
      for (let r = 0; r < head.rows; r++) {
        for (let c = t; c > last[r]; c--) {
          const code = head.codes[r * head.cols + c];
          if (C.value(code, head) > WRITTEN) {
            last[r] = c;
            break;
          }
        }
      }
    }
    return last;
  }

  /** Slots in the order of their last write, those never written at the end. */
  function orderOf(last) {
    const rank = (slot) => (last[slot] < 0 ? Infinity : last[slot]);
    return [...last.keys()].sort((a, b) => rank(a) - rank(b) || a - b);
  }

  function draw(about, frame) {
    const s = S.store.state;
    put(dom.card, 'data-field', frame ? `${frame.memory}/link_matrix` : '');
    if (!frame || !about) return empty(...S.status.nothing());
    const memory = about.memories.find((m) => m.name === frame.memory);
    const field = memory && memory.fields.find((f) => f.name === 'link_matrix');
    if (!field || !S.matrixFields.isMatrix(field)) {
      const law = (memory && memory.law) || '';
      const has = law === 'dnc' || law === 'sdnc';
      return empty(
        'empty',
        has
          ? 'The link matrix was not recorded and cannot be derived. Record it with memviz.attach(…, fields="all").'
          : `This memory${law ? ` (${law})` : ''} has no link matrix: nothing was recorded under that name. Record one with memviz.tap("link_matrix", L).`
      );
    }
    const t = Math.min(s.t, frame.times - 1);
    const slots = S.matrixFields.lengthOf(field, 'slot_to');
    // Links belong to write heads; the chosen head leads as far as there are any.
    const writeHead = Math.min(s.head, S.matrixFields.pictures(field) - 1);
    const base = { run: s.run, rec: frame.index, item: s.item, memory: frame.memory };
    const tile = S.matrices.at(base, field, writeHead, t, frame.times, S.page.invalidate);
    if (tile instanceof Error) return empty('error', `The link matrix could not be read: ${tile.message}`);
    dom.body.hidden = dom.said.hidden = dom.forms.hidden = false;
    dom.note.hidden = true;
    for (const button of dom.forms.children) put(button, 'aria-pressed', button.dataset.form === s.links);
    const chain = told(base, t, writeHead);
    put(dom.card, 'data-state', tile ? 'ready' : 'loading');
    put(dom.card, 'data-time', tile ? t : '');
    const last = lastWrites(frame, t);
    const order = tile && last && tile.rows === slots && last.length === slots ? orderOf(last) : null;
    const pooled = tile && tile.rows < slots;
    say(dom.sub, pooled ? `max-pooled ${slots} to ${tile.rows}, in slot order` : order ? 'rows and columns in order of writing' : 'in slot order');
    say(dom.side, field.derived ? 'derived, same 0 to 1 scale' : 'same 0 to 1 scale');
    const heavy = field.derived && S.matrixFields.sizeOf(field) > 2 ** 20;
    say(dom.said, chain ? [chain.sentence, chain.followed].filter(Boolean).join(' ') : '');
    put(dom.said, 'title', dom.said.textContent);
    if (s.links === 'arcs') S.arcs.paint(dom.canvas, chain, last, slots);
    else paint(tile, order, slots, heavy ? `deriving ${slots} × ${slots} links` : 'loading');
    walk(base, t, s.slot, writeHead);
    put(dom.canvas, 'aria-label', `Link matrix at time ${t}, ${order ? 'ordered by write time' : 'in slot order'}; chosen slot ${s.slot}. ${chain ? chain.sentence : ''}`);
  }

  /** The strongest links and the sentence about the chain; asked for when time rests. */
  function told(base, t, head) {
    const parts = { time: t, head, reader: S.store.state.head };
    const known = S.api.tellNow(base, 'arcs', parts);
    if (known) return known;
    clearTimeout(chainTimer);
    chainTimer = setTimeout(() => S.page.active() && S.api.tell(base, 'arcs', parts).then(S.page.invalidate, () => {}), REST_MS);
    return null;
  }

  let chainTimer = 0;

  function paint(tile, order, slots, waiting) {
    const n = tile ? tile.rows : Math.min(slots, 184);
    const c = Math.max(1, Math.min(dom.card.parentElement.clientHeight > 760 ? 11 : 9, Math.floor(SIDE / n)));
    const side = n * c;
    const g = S.draw.fit(dom.canvas, Math.max(side, 110) + LEFT + 8, TOP + side + 20);
    g.strokeStyle = token('line');
    g.lineWidth = 1;
    g.strokeRect(LEFT - 0.5, TOP - 0.5, side + 1, side + 1);
    hit = null;
    if (!tile) return text(g, waiting, LEFT + side / 2, TOP + side / 2, { align: 'center', size: 11 });
    let shown = tile;
    if (order) {
      const codes = new Uint8Array(tile.codes.length);
      order.forEach((from, a) => order.forEach((to, b) => (codes[a * n + b] = tile.codes[from * n + to])));
      shown = { ...tile, codes, bitmap: null, specials: null };
    }
    S.tiles.draw(g, shown, LEFT, TOP, c, c);
    const unit = S.draw.niceStep(n, side / 26);
    for (let a = 0; a < n; a += unit) {
      const slot = order ? order[a] : C.firstOf(a, slots, n);
      text(g, String(slot), LEFT - 5, TOP + a * c + c / 2, { align: 'right' });
      text(g, String(slot), LEFT + a * c + c / 2, TOP - 6, { align: 'center' });
    }
    text(g, 'to', LEFT - 12, TOP - 9, { align: 'right' });
    text(g, 'from slot', LEFT + side / 2, TOP + side + 9, { align: 'center' });
    const slot = S.store.state.slot;
    const a = slot >= slots ? -1 : order ? order.indexOf(slot) : C.cellOf(slot, slots, n);
    if (a >= 0) {
      g.strokeStyle = '#fff';
      g.strokeRect(LEFT - 0.5, TOP + a * c - 0.5, side + 1, c + 1);
      g.strokeStyle = S.colour.isDark() ? token('accent') : '#8ea6ff';
      g.strokeRect(LEFT + a * c - 0.5, TOP - 0.5, c + 1, side + 1);
    }
    hit = { tile: shown, order, c, side, n, slots };
  }

  /** The table of hops; asked for when time rests, because the server computes it. */
  function walk(base, t, slot, head) {
    const query = { ...base, t, slot, head };
    const known = S.api.walkNow(query);
    if (known) return table(known, base.rec, t, slot);
    if (failedKey === JSON.stringify(query)) return;
    clearTimeout(timer);
    if (dom.walk.dataset.key !== `${base.rec}|${t}|${slot}`) dom.walk.classList.add('sc-dim');
    timer = setTimeout(() => {
      S.api.walk(query).then(
        () => S.page.invalidate(),
        (error) => {
          failedKey = JSON.stringify(query);
          dom.walk.replaceChildren(el('div.note', {}, `The walk could not be computed: ${error.message}`));
        }
      );
    }, REST_MS);
  }

  function table(answer, rec, t, slot) {
    const key = `${rec}|${t}|${slot}`;
    if (dom.walk.dataset.key === key && dom.walk.answer === answer) return dom.walk.classList.remove('sc-dim');
    dom.walk.dataset.key = key;
    dom.walk.answer = answer;
    dom.walk.classList.remove('sc-dim');
    const { fixed } = S.words;
    const rows = [];
    let ended = null;
    for (const hop of answer.hops) {
      const mass = S.words.num(hop.mass);
      if (hop.hop > 0 && !(mass >= 0.02)) {
        ended = el('tr', {}, el('td', {}, String(hop.hop)), el('td', { colspan: 4 }, Number.isNaN(mass) ? 'NaN: the chain cannot be followed' : `chain ends here (mass ${fixed(mass, 3)})`));
        break;
      }
      const weight = S.words.num(hop.weight);
      const fill = el('span');
      fill.style.width = `${Math.round(44 * Math.max(0, Math.min(1, weight || 0)))}px`;
      const bar = el('span.sc-bar', {}, fill);
      const never = hop.written === null || hop.written === undefined;
      rows.push(
        el('tr', {}, el('td', {}, String(hop.hop)), el('td.sc-strong', {}, String(hop.slot)), el('td', {}, never ? 'never' : `t = ${hop.written}`), el('td.sc-ink', {}, bar, fixed(weight, 2)), el('td.sc-ink.sc-right', {}, fixed(S.words.num(hop.n_eff), 1)))
      );
    }
    const head = el('tr', {}, ...['hop', 'top slot', 'written', 'weight'].map((name) => el('th', { scope: 'col' }, name)), el('th.sc-right', { scope: 'col' }, 'N_eff'));
    const body = el('tbody', {}, ...rows);
    if (ended) body.append(ended);
    dom.walk.replaceChildren(el('table', {}, el('caption', {}, `Forward walk from slot ${slot}`), el('thead', {}, head), body));
  }

  function locate(event) {
    if (!hit) return null;
    const box = dom.canvas.getBoundingClientRect();
    const a = Math.floor((event.clientY - box.top - TOP) / hit.c);
    const b = Math.floor((event.clientX - box.left - LEFT) / hit.c);
    if (a < 0 || b < 0 || a >= hit.n || b >= hit.n) return null;
    const slotOf = (k) => (hit.order ? hit.order[k] : C.firstOf(k, hit.slots, hit.n));
    return { to: slotOf(a), from: slotOf(b), code: hit.tile.codes[a * hit.n + b] };
  }

  function onMove(event) {
    if (S.store.state.links === 'arcs') return S.arcs.hover(event);
    const at = locate(event);
    if (!at) return S.tip.hide();
    S.tip.show(event.clientX, event.clientY, `Link from slot ${at.from} to slot ${at.to}`, `≈ ${S.words.short(C.value(at.code, hit.tile))}`, null);
  }

  function onDown(event) {
    if (S.store.state.links === 'arcs') return S.arcs.press(event);
    const at = locate(event);
    if (at) S.store.set({ slot: at.to }, true);
  }

  S.links = { mount, draw, lastWrites, orderOf };
})();

/* Facts down, hops across: the gate, what the episode kept, and the facts that the answer rests on, side by side. */
(function () {
  'use strict';
  const Y = window.memviz.story;
  const { el, say, put } = Y.draw;
  const { num, exact } = Y.words;
  const state = Y.store.state;
  const MOST = 400; // facts that are listed before somebody asks for all
  let dom = null;
  let shown = null; // the data that the table was built of
  let key = '';
  let all = false;
  let cells = new Map(); // "hop|fact|kind" -> td
  let rows = new Map();

  function mount() {
    const scale = el('canvas.st-bar', { 'aria-hidden': 'true' });
    dom = { scale, table: el('table.st-table'), readout: el('p.st-readout'), legend: el('span'), more: el('button.btn', { type: 'button', hidden: true, onclick: () => ((all = true), Y.page.again()) }), item: picker('item', (v) => Y.page.go({ item: Number(v) })), memory: picker('memory', (v) => Y.page.go({ memory: v })) };
    dom.readout.setAttribute('id', 'story-readout');
    const head = el(
      'div.st-hd', {}, el('h2.ttl', {}, 'Facts × hops'), el('span.sub', {}, 'gate beside what the episode keeps of each fact'),
      el('span.spring'), dom.memory.box, dom.item.box, el('span.st-scale', {}, '0', scale, '1')
    );
    dom.scroll = el('div.st-scroll', { tabindex: 0, role: 'region', 'aria-label': 'Table of facts and hops' }, dom.table);
    dom.scroll.addEventListener('click', onClick);
    dom.scroll.addEventListener('pointermove', onMove);
    dom.scroll.addEventListener('pointerleave', Y.tip.hide);
    dom.foot = el('div.st-foot', {}, dom.readout, dom.legend, dom.more);
    key = '';
    return el('section.card.st-facts', { 'aria-label': 'Facts and hops' }, head, dom.scroll, dom.foot);
  }

  function picker(label, change) {
    const select = el('select', { 'aria-label': label, onchange: () => change(select.value) });
    return { select, box: el('label.st-picker', { hidden: true }, el('span', {}, label), select) };
  }

  function fill(pick, wanted, value) {
    const now = JSON.stringify(wanted);
    if (pick.key !== now) {
      pick.key = now;
      pick.select.replaceChildren(...wanted.map(([v, name]) => el('option', { value: v }, name)));
    }
    pick.select.value = String(value);
    pick.box.hidden = wanted.length < 2;
  }

  /** A memory that belongs to a choice is named by it. */
  const nameOf = (data, memory) => {
    const text = data.choices[memory.split('.').pop()];
    return text === undefined ? memory : `${memory}: ${Y.short(text, 24)}`;
  };

  /** Facts in the order that was asked for. */
  function order(data) {
    const facts = [...Array(data.facts).keys()];
    const [by, hop] = (state.sort || '').split('.');
    const h = Number(hop);
    if (by === 'gold') {
      const gold = new Set(data.supporting || []);
      return facts.sort((a, b) => gold.has(b) - gold.has(a) || a - b);
    }
    if ((by === 'raw' || by === 'effective') && h < data.hops) {
      const value = (fact) => num(data[by][h][fact]);
      const rank = (v) => (Number.isFinite(v) ? v : Infinity); // what is no number comes first
      return facts.sort((a, b) => rank(value(b)) - rank(value(a)) || a - b);
    }
    return facts;
  }

  const sortOf = (by) => (state.sort === by ? (by ? 'descending' : 'ascending') : 'none');

  function sorter(by, words, className, about) {
    const sort = sortOf(by) === 'none' && by === '' && !state.sort ? 'ascending' : sortOf(by);
    const button = el('button.st-sort', { type: 'button', title: about, onclick: () => Y.store.set({ sort: by }, true) }, words, sort === 'none' ? '' : by ? ' ▾' : ' ▴');
    return el(`th${className}`, { scope: 'col', 'aria-sort': sort }, button);
  }

  function head(data) {
    const hops = [...Array(data.hops).keys()];
    const top = hops.map((hop) => {
      const fact = data.most[hop];
      const share = num(data.effective[hop][fact]);
      const words = share >= 0.5 ? `keeps fact ${fact}` : num(data.left[hop]) >= 0.5 ? 'keeps no fact' : 'keeps parts';
      const button = el('button', { type: 'button', 'data-hop': hop, 'aria-pressed': 'false', onclick: () => Y.page.choose(hop, data.most[hop]) }, el('b', {}, `Hop ${hop}`), el('span.sub', {}, words));
      return el('th.st-hop.st-lead', { colspan: 2, scope: 'colgroup' }, button);
    });
    const first = el('tr', {}, el('td', { colspan: 3 }), ...top);
    const raw = 'the gate g, as recorded';
    const kept = 'E, what the episode keeps of the fact';
    const second = el(
      'tr', {},
      sorter('', '#', '.st-n', 'story order'), el('th.st-fact', { scope: 'col' }, 'fact'), sorter('gold', 'gold', '.st-goldcell.st-center', 'the facts that the answer rests on, first'),
      ...hops.flatMap((hop) => [sorter(`raw.${hop}`, 'raw', '.st-center.st-lead', `${raw}, at hop ${hop}`), sorter(`effective.${hop}`, 'effective', '.st-center', `${kept}, at hop ${hop}`)])
    );
    return el('thead', {}, first, second);
  }

  function gate(data, hop, fact, kind) {
    const v = num(data[kind][hop][fact]);
    const top = (kind === 'raw' ? data.opened : data.most)[hop] === fact && v > 0;
    const eclipsed = kind === 'effective' && data.dark.has(`${hop}|${fact}`);
    const box = el(top ? 'span.st-top' : 'span', {}, Y.gate(v));
    Y.paint(box, v);
    const said = [top ? 'largest of the hop' : '', eclipsed ? 'eclipsed' : ''].filter(Boolean).join(', ');
    const node = el(`td.st-gate${kind === 'effective' ? '.st-kept' : ''}${eclipsed ? '.st-eclipsed' : ''}`, { 'data-hop': hop, 'data-fact': fact, 'data-kind': kind }, box, said ? el('span.sr-only', {}, ` (${said})`) : null);
    cells.set(`${hop}|${fact}|${kind}`, node);
    return node;
  }

  function body(data) {
    const gold = new Set(data.supporting || []);
    const listed = order(data);
    const end = data.facts - data.padding;
    const some = all ? listed : listed.slice(0, MOST);
    return el(
      'tbody', {},
      ...some.map((fact) => {
        const padded = fact >= end;
        const name = data.texts[fact] || (padded ? 'padding' : 'no text');
        const mark = gold.has(fact) ? el('span', { title: 'the answer rests on this fact' }, el('span', { 'aria-hidden': 'true' }, '✓'), el('span.sr-only', {}, 'supporting')) : '';
        const row = el(
          `tr${gold.has(fact) ? '.st-gold' : ''}${padded || !data.texts[fact] ? '.st-padding' : ''}`, {},
          el('td.st-n', {}, String(fact)), el('th.st-fact', { scope: 'row' }, name), el('td.st-goldcell', {}, mark),
          ...[...Array(data.hops).keys()].flatMap((hop) => [gate(data, hop, fact, 'raw'), gate(data, hop, fact, 'effective')])
        );
        rows.set(fact, row);
        return row;
      })
    );
  }

  function foot(data) {
    const hops = [...Array(data.hops).keys()];
    const line = (words, value, className) => el(`tr${className}`, {}, el('td'), el('th', { scope: 'row', colspan: 2 }, words), ...hops.flatMap((hop) => [el('td'), el('td', {}, value(hop))]));
    const left = data.episode === 'sum' ? 'left to 1  (1 − Σ g)' : 'left from the empty state  ∏ (1 − g)';
    return el('tfoot', {}, line(left, (hop) => Y.gate(num(data.left[hop])), '.st-first'), line('sum of effective gates and rest', (hop) => Y.words.fixed(num(data.sum[hop]), 3), ''));
  }

  function legend(data) {
    const parts = [el('span.st-sample', { 'aria-hidden': 'true' }), `eclipsed: the gate exceeds what is kept by more than ${data.eclipse}`];
    const extra = ['▲ largest of the hop', '✓ the answer rests on it'];
    if (data.padding) extra.push(`${Y.words.plural(data.padding, 'fact')} of padding`);
    return [...(data.episode === 'sum' ? ['gate and effective gate are the same: the episode is a weighted sum'] : parts), '  ·  ', extra.join('  ·  ')];
  }

  function draw(data) {
    fill(dom.memory, data.memories.map((name) => [name, nameOf(data, name)]), data.memory);
    fill(dom.item, [...Array(data.items).keys()].map((i) => [i, String(i)]), data.item);
    const now = [Y.colour.generation(), state.sort, all].join('|');
    if (shown !== data || key !== now) {
      if (shown !== data) all = false;
      shown = data;
      key = now;
      data.dark = new Set(data.eclipsed.map(([hop, fact]) => `${hop}|${fact}`));
      cells = new Map();
      rows = new Map();
      const caption = el('caption.sr-only', {}, `${data.sentences.kept} ${data.sentences.gate}`);
      dom.table.replaceChildren(caption, head(data), body(data), foot(data));
      dom.legend.replaceChildren(...legend(data));
      dom.more.hidden = all || data.facts <= MOST;
      dom.more.textContent = `Show all ${data.facts} facts`;
      bar();
    }
    cursor(data);
  }

  function bar() {
    const g = Y.draw.fit(dom.scale, 96, 9);
    for (let i = 0; i < 96; i++) {
      g.fillStyle = Y.colour.css(Y.colour.cividis(i / 95));
      g.fillRect(i, 0, 1, 9);
    }
  }

  let marked = [];
  /** Mark what is chosen, and say it in exact numbers. */
  function cursor(data) {
    for (const [node, name] of marked) node.classList.remove(name);
    marked = [];
    const { t, slot } = state;
    const mark = (node, name) => node && (node.classList.add(name), marked.push([node, name]));
    mark(cells.get(`${t}|${slot}|raw`), 'st-chosen');
    mark(cells.get(`${t}|${slot}|effective`), 'st-chosen');
    mark(rows.get(slot), 'st-here');
    for (const button of dom.table.querySelectorAll('.st-hop button')) if (button.dataset.hop !== undefined) put(button, 'aria-pressed', Number(button.dataset.hop) === t);
    say(dom.readout, readout(data, t, slot));
  }

  function readout(data, t, slot) {
    if (t >= data.hops || slot >= data.facts) return '';
    const g = num(data.raw[t][slot]);
    const kept = num(data.effective[t][slot]);
    const gold = (data.supporting || []).includes(slot) ? '; the answer rests on it' : '';
    const lost = data.dark.has(`${t}|${slot}`) ? ', for later facts take its place' : '';
    return `Hop ${t}, ${Y.factName(data, slot)}: gate ${exact(g)}, the episode keeps ${exact(kept)}${lost}${gold}.`;
  }

  const cellAt = (event) => (event.target instanceof Element ? event.target.closest('.st-gate') : null);

  function onClick(event) {
    const cell = cellAt(event);
    const row = event.target instanceof Element && event.target.closest('tbody tr');
    if (cell) Y.page.choose(Number(cell.dataset.hop), Number(cell.dataset.fact));
    else if (row) for (const [fact, node] of rows) if (node === row) Y.page.choose(state.t, fact);
  }

  function onMove(event) {
    const cell = cellAt(event);
    if (!cell || !shown) return Y.tip.hide();
    const [hop, fact] = [Number(cell.dataset.hop), Number(cell.dataset.fact)];
    const value = num(shown[cell.dataset.kind][hop][fact]);
    Y.tip.show(event.clientX, event.clientY, `Hop ${hop}, fact ${fact}, ${cell.dataset.kind === 'raw' ? 'gate' : 'kept'}`, exact(value));
  }

  /** Facts as they are listed, for keys that go up and down. */
  const listed = () => (shown ? order(shown) : []);

  /** Bring the chosen fact into view, within the table alone; to its middle when another story is shown. */
  function reveal(middle) {
    const row = rows.get(state.slot);
    if (!row) return;
    const box = dom.scroll.getBoundingClientRect();
    const at = row.getBoundingClientRect();
    const top = box.top + 56;
    if (middle && (at.top < top || at.bottom > box.bottom)) return void (dom.scroll.scrollTop += at.top - (top + box.bottom) / 2);
    if (at.top < top) dom.scroll.scrollTop -= top - at.top;
    else if (at.bottom > box.bottom) dom.scroll.scrollTop += at.bottom - box.bottom + 4;
  }

  Y.facts = { mount, draw, listed, reveal, readout };
})();

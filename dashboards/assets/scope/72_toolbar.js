/* The bar above the cards: what is selected (memory, item, head), what is shown (fields, scale), and the table view. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { el, say, put } = S.draw;
  let dom = null;

  function picker(label, id, change) {
    const select = el('select.sc-select', { id, 'aria-label': label, onchange: () => change(select.value) });
    const box = el('label.sc-picker', {}, el('span', {}, label), select);
    return { box, select };
  }

  function mount() {
    dom = {
      memory: picker('memory', 'scope-memory', (v) => S.store.set({ memory: v, slot: 0, head: 0 }, true)),
      item: picker('item', 'scope-item', (v) => S.store.set({ item: Number(v) }, true)),
      head: picker('head', 'scope-head', (v) => S.store.set({ head: Number(v) }, true)),
      about: el('span.sub', { id: 'scope-about' }),
      log: el('button.btn', { type: 'button', id: 'scope-log', title: 'Weights on a log scale, floor 1e−6 (l)', onclick: () => S.page.toggleLog() }, 'Log scale'),
      query: el('button.btn', { type: 'button', id: 'scope-find', title: 'Find records, times, items and heads (/)', onclick: () => S.queryBox.open() }, 'Find'),
      story: el('button.btn', { type: 'button', id: 'scope-story', hidden: true, title: 'Facts, hops and answer of this record (s)', onclick: () => S.stories.go() }, 'Story'),
      share: el('button.btn', { type: 'button', id: 'scope-export', hidden: Boolean(window.memviz.offline), title: 'Figures, panels, values, the record as one file, Python (e)', onclick: () => S.exporting.open() }, 'Export'),
      table: el('button.btn', { type: 'button', id: 'scope-table', title: 'Exact values of the focused panel (v)', onclick: () => S.table.open() }, 'Table'),
    };
    dom.list = el('div.sc-menu', { role: 'group', 'aria-label': 'Fields shown' });
    dom.summary = el('summary.btn', { id: 'scope-fields' }, 'Fields');
    dom.fields = el('details.sc-details', {}, dom.summary, dom.list);
    // A menu that stays open over the panels would hide what was just chosen.
    document.addEventListener('pointerdown', (event) => {
      if (dom.fields.open && !dom.fields.contains(event.target)) dom.fields.open = false;
    });
    dom.bar = el('div.sc-toolbar', { role: 'toolbar', 'aria-label': 'Selection' }, dom.memory.box, dom.item.box, dom.head.box, dom.about, el('span.spring'), dom.story, dom.query, dom.log, dom.fields, dom.table, dom.share);
    return dom.bar;
  }

  function options(pick, wanted, value, few) {
    const key = wanted.map(([v, name]) => `${v}=${name}`).join('|');
    if (pick.select.dataset.key !== key) {
      pick.select.dataset.key = key;
      pick.select.replaceChildren(...wanted.map(([v, name]) => el('option', { value: v }, name)));
    }
    const string = String(value);
    if (pick.select.value !== string) pick.select.value = string;
    pick.box.hidden = wanted.length === 0;
    pick.select.disabled = wanted.length < few;
  }

  /** Everything in the bar, from the record and the selection. */
  function draw(about, frame) {
    if (!dom) return;
    const s = S.store.state;
    const memories = about ? about.memories.filter((m) => m.name !== 'model' || about.memories.length === 1) : [];
    options(dom.memory, memories.map((m) => [m.name, m.law ? `${m.name} (${m.law})` : m.name]), s.memory, 2);
    const batch = about ? about.batch || [0] : [];
    options(dom.item, batch.map((name, i) => [i, batch.length > 1 || name !== i ? `${name}  (${i + 1} of ${batch.length})` : '0']), s.item, 2);
    const memory = memories.find((m) => m.name === s.memory);
    const heads = memory ? Math.max(memory.read_heads || 0, countHeads(frame)) : 0;
    options(dom.head, [...Array(heads).keys()].map((h) => [h, `read ${h}`]), Math.min(s.head, Math.max(0, heads - 1)), 2);
    say(dom.about, describe());
    dom.story.hidden = !S.stories.memories(about).length;
    dom.log.classList.toggle('on', s.scale === 'log');
    put(dom.log, 'aria-pressed', s.scale === 'log');
    chooser(frame);
  }

  function countHeads(frame) {
    if (!frame) return 0;
    const reads = frame.tiles.filter((tile) => tile.field === `${frame.memory}/read_weights`);
    return reads.length;
  }

  /** The model and the run's own facts: "DNC, 12,345 parameters · task copy · seed 0". */
  function describe() {
    const info = S.feed.info;
    if (!info) return '';
    const model = info.model || {};
    const size = model.parameters ? `, ${Number(model.parameters).toLocaleString('en')} parameters` : '';
    const facts = Object.entries(info.attributes || {}).filter(([, v]) => ['string', 'number'].includes(typeof v)).slice(0, 3);
    return [model.class ? `${model.class}${size}` : '', ...facts.map(([k, v]) => `${k} ${v}`)].filter(Boolean).join('  ·  ');
  }

  function chooser(frame) {
    if (!frame) return;
    const hidden = new Set(S.store.state.hide);
    const names = [...new Set(frame.tiles.map((tile) => S.kinds.bareName(tile.field, frame.memory)))];
    const shown = names.filter((name) => !hidden.has(name)).length;
    say(dom.summary, shown === names.length ? 'Fields' : `Fields ${shown} of ${names.length}`);
    dom.summary.classList.toggle('on', shown !== names.length);
    const key = names.join('|');
    if (dom.list.dataset.key !== key) {
      dom.list.dataset.key = key;
      const all = el('button.btn', { type: 'button', onclick: () => S.store.set({ hide: [] }, true) }, 'Show all');
      const rows = names.map((name) => {
        const tile = frame.tiles.find((x) => S.kinds.bareName(x.field, frame.memory) === name);
        const box = el('input', { type: 'checkbox', value: name, onchange: () => toggle(name, box.checked) });
        return el('label.sc-check', {}, box, S.panels.titleOf(tile.field));
      });
      dom.list.replaceChildren(...rows, all);
    }
    for (const box of dom.list.querySelectorAll('input')) box.checked = !hidden.has(box.value);
  }

  function toggle(name, on) {
    const hide = new Set(S.store.state.hide);
    if (on) hide.delete(name);
    else hide.add(name);
    S.store.set({ hide: [...hide].sort() }, true);
  }

  const close = () => {
    const was = dom && dom.fields.open;
    if (was) dom.fields.open = false;
    return Boolean(was);
  };

  S.toolbar = { mount, draw, close };
})();

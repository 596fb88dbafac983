/* The table of all stories: filtered by result, task and words, in an order that puts the worst first, each row a link. */
(function () {
  'use strict';
  const Y = window.memviz.story;
  const { el, say, put } = Y.draw;
  const state = Y.store.state;
  const FILL_MS = 400; // a run that grows is drawn no more often
  let dom = null;
  let drawn = null; // the list, filter and run that the grid was filled with
  let last = 0;
  let timer = 0;

  function mount() {
    const list = document.getElementById('story-list');
    const bar = document.getElementById('story-bar');
    dom = { list, table: document.getElementById('story-table'), chips: el('div.st-chips', { role: 'group', 'aria-label': 'Result' }), progress: el('span.note', { id: 'story-progress', role: 'status' }), none: el('p.st-none.note', { id: 'story-none', hidden: true }) };
    dom.task = el('select', { 'aria-label': 'Task', id: 'story-task', onchange: () => Y.store.set({ only: dom.task.value || null }, true) });
    dom.taskBox = el('label.st-picker', { hidden: true }, el('span', {}, 'task'), dom.task);
    dom.find = el('input.st-find', { type: 'text', placeholder: 'Filter: milk, garden', 'aria-label': 'Filter stories by words', autocomplete: 'off', spellcheck: 'false', oninput: () => Y.store.set({ find: dom.find.value.trim() || null }) });
    dom.find.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' || event.key === 'Enter') dom.find.blur();
      if (event.key === 'Enter') walk(0);
    });
    const button = (words, title, by) => el('button.btn', { type: 'button', title, onclick: () => walk(by) }, words);
    bar.replaceChildren(el('h2.ttl', {}, 'Stories of this run'), dom.chips, dom.taskBox, dom.find, el('span.spring'), dom.progress, el('span.st-walk', {}, button('↑ Previous', 'Previous story of the table (↑)', -1), button('↓ Next', 'Next story of the table (↓)', 1)));
    bar.classList.add('st-listbar');
    bar.after(dom.none);
    drawn = null;
    new ResizeObserver(() => Y.session.active('story') && columns()).observe(list);
    list.addEventListener('click', onClick);
    // ag-grid takes these keys for its own cells, of which this table has none to choose.
    dom.table.addEventListener('keydown', onArrow, true);
  }

  function onArrow(event) {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    walk(by);
  }

  function onClick(event) {
    const target = event.target instanceof Element ? event.target : null;
    const row = target && target.closest('.ag-row');
    if (!row || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (!target.closest('a') && String(window.getSelection()) !== '') return;
    event.preventDefault();
    const found = Y.rows.list.find((one) => one.key === row.getAttribute('row-id'));
    if (found) Y.page.open(found, true);
  }

  /** The rows that the filters leave, the worst first. */
  function chosen() {
    const words = (state.find || '').toLowerCase().split(/\s+/).filter(Boolean);
    const text = (row) => [row.question, row.answer, row.predicted, row.family, row.kind].join(' ').toLowerCase();
    return Y.rows.list
      .filter((row) => (!state.kind || row.kind === state.kind) && (!state.only || nameOf(row) === state.only) && (!words.length || words.every((word) => text(row).includes(word))))
      .sort(Y.rows.compare);
  }

  /** Columns that say nothing, or for which there is no room, are left out. */
  async function columns() {
    const room = dom.list.clientWidth;
    const items = Y.rows.list.some((row) => row.item > 0);
    const wanted = [room > 1060, room > 1130, items, Y.rows.list.some(nameOf)].join();
    if (dom.columns === wanted || !room) return;
    const api = await grid();
    if (!api) return;
    dom.columns = wanted;
    ['left', 'facts', 'item', 'task'].forEach((name, i) => api.setColumnsVisible([name], wanted.split(',')[i] === 'true'));
  }

  const nameOf = (row) => row.task || row.family;

  function draw() {
    if (!dom) mount();
    const { rows } = Y;
    dom.list.hidden = false;
    chips();
    tasks();
    if (document.activeElement !== dom.find && dom.find.value !== (state.find || '')) dom.find.value = state.find || '';
    const filter = [state.kind, state.only, state.find].join('|');
    const now = { list: rows.list, filter, run: rows.run };
    const same = drawn && drawn.list === now.list && drawn.filter === now.filter && drawn.run === now.run;
    if (!same) {
      clearTimeout(timer);
      const wait = drawn && drawn.filter === now.filter && drawn.run === now.run ? FILL_MS - (performance.now() - last) : 0;
      if (wait > 0) timer = setTimeout(() => Y.session.active('story') && draw(), wait);
      else {
        drawn = now;
        last = performance.now();
        fill(chosen());
      }
    }
    words();
    mark();
    columns();
  }

  function fill(list) {
    dom.table.hidden = !list.length;
    // No more room than the rows take: a header of 32, rows of 28, and the lines around them.
    dom.table.style.height = `${Math.min(316, 38 + 28 * list.length)}px`;
    put(dom.list, 'data-rows', list.length);
    if (!window.dash_clientside || !window.dash_clientside.set_props) {
      // Dash is not up yet.
      drawn = null;
      timer = setTimeout(() => Y.session.active('story') && draw(), 100);
      return;
    }
    window.dash_clientside.set_props('story-grid', { rowData: list });
    dom.filled = list;
    dom.marked = null;
  }

  function chips() {
    const { list, kinds } = Y.rows;
    const inTask = state.only ? list.filter((row) => nameOf(row) === state.only) : list;
    const counts = new Map();
    for (const row of inTask) counts.set(row.kind, (counts.get(row.kind) || 0) + 1);
    const wanted = [[null, 'All', inTask.length], ...kinds.filter((kind) => counts.get(kind) || kind === state.kind).map((kind) => [kind, kind, counts.get(kind) || 0])];
    const key = JSON.stringify([wanted, state.kind]);
    if (dom.chipKey === key) return;
    dom.chipKey = key;
    const focused = document.activeElement && document.activeElement.closest('.st-chips') ? document.activeElement.dataset.kind : undefined;
    dom.chips.replaceChildren(
      ...wanted.map(([kind, name, count]) => el('button.btn', { type: 'button', 'data-kind': kind || 'all', 'aria-pressed': String(state.kind === kind), onclick: () => Y.store.set({ kind }, true) }, `${name} `, el('b', {}, String(count))))
    );
    if (focused !== undefined) {
      const again = [...dom.chips.children].find((chip) => chip.dataset.kind === focused);
      if (again) again.focus();
    }
  }

  function tasks() {
    const found = new Map();
    for (const row of Y.rows.list) if (nameOf(row)) found.set(nameOf(row), [row.task, row.family].filter(Boolean).join(' '));
    if (state.only && !found.has(state.only)) found.set(state.only, state.only);
    const wanted = [...found].sort((a, b) => a[0].localeCompare(b[0], 'en', { numeric: true }));
    const key = JSON.stringify(wanted);
    if (dom.taskKey !== key) {
      dom.taskKey = key;
      dom.task.replaceChildren(el('option', { value: '' }, `all ${wanted.length}`), ...wanted.map(([value, name]) => el('option', { value }, name)));
    }
    dom.task.value = state.only || '';
    dom.taskBox.hidden = wanted.length < 2 && !state.only;
  }

  function words() {
    const { rows } = Y;
    const n = (dom.filled || []).length;
    const parts = [];
    if (rows.problem) parts.push(`The stories cannot be read: ${rows.problem}`);
    else if (rows.full) parts.push(`only the first ${rows.list.length} stories are listed`);
    else if (!rows.whole()) parts.push(rows.count ? `reading record ${rows.to} of ${rows.count}` : 'reading the stories …');
    if (rows.list.length) parts.push(`${n} of ${Y.words.plural(rows.list.length, 'story', 'stories')}`);
    if (rows.skipped) parts.push(`${Y.words.plural(rows.skipped, 'record')} could not be read`);
    say(dom.progress, parts.join(', '));
    put(dom.list, 'data-state', rows.problem ? 'error' : rows.whole() ? 'ready' : 'reading');
    const empty = rows.list.length ? (n ? '' : 'No story is left by these filters.') : rows.whole() ? 'No record of this run is a story: none has gates over facts.' : '';
    say(dom.none, empty);
    dom.none.hidden = !empty;
  }

  /** The keys of the rows in the order in which the table shows them. */
  async function shown() {
    const api = await grid();
    if (!api) return (dom.filled || []).map((row) => row.key);
    const keys = [];
    api.forEachNodeAfterFilterAndSort((node) => keys.push(node.data.key));
    return keys;
  }

  async function grid() {
    if (!window.dash_ag_grid || !window.dash_ag_grid.getApiAsync) return null;
    try {
      return await window.dash_ag_grid.getApiAsync('story-grid');
    } catch (error) {
      return null; // the table is not there yet; the next answer draws it
    }
  }

  /** Select the row of the story that is shown, and bring it into view. */
  async function mark() {
    const key = `${state.rec}.${state.item}`;
    if (dom.marked === key) return;
    dom.marked = key;
    const api = await grid();
    if (!api || dom.marked !== key) return;
    const node = api.getRowNode(key);
    if (!node) {
      // The rows may still be on their way into the grid.
      dom.marked = null;
      return api.deselectAll();
    }
    node.setSelected(true, true);
    api.ensureNodeVisible(node);
  }

  /** The next or previous story of the table; 0 for the first that the filters leave. */
  async function walk(by) {
    if (!dom) return;
    const keys = await shown();
    if (!keys.length) return window.memviz.announce(dom.none.textContent || 'There is no story to go to.');
    const at = keys.indexOf(`${state.rec}.${state.item}`);
    const next = by === 0 ? 0 : at < 0 ? (by > 0 ? 0 : keys.length - 1) : Math.max(0, Math.min(keys.length - 1, at + by));
    const row = Y.rows.list.find((one) => one.key === keys[next]);
    if (at === next && by) return window.memviz.announce(by > 0 ? 'This is the last story of the table.' : 'This is the first story of the table.');
    if (row) Y.page.open(row, false);
  }

  const hide = () => {
    const list = document.getElementById('story-list');
    if (list) list.hidden = true;
  };

  Y.list = { draw, walk, hide, again: () => dom && (dom.marked = null), focus: () => dom && dom.find.focus() };
})();

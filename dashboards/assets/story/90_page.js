/* The Story page: asks for the story of the chosen record and item, and has every part drawn when that changes. */
(function () {
  'use strict';
  const Y = window.memviz.story;
  const { el, put } = Y.draw;
  const state = Y.store.state;
  const RETRY_MS = 1500;
  let root = null;
  let scheduled = 0;
  let shown = null;
  let telling = false; // another story was opened: show where something happened in it
  let crumbKey = '';
  const failures = new Map(); // question -> what the server said
  const pending = new Set();

  const active = () => Y.session.active('story');

  function build(node) {
    root = node;
    root.classList.add('st-root');
    const two = el('div.st-two', {}, Y.facts.mount(), el('div.st-side', {}, Y.answer.mount(), ...Y.told.mount()));
    root.replaceChildren(Y.head.mount(), two);
  }

  function invalidate() {
    if (!scheduled) scheduled = requestAnimationFrame(render);
  }

  const query = () => ({ run: state.run, rec: state.rec, item: state.item, memory: state.memory });

  /** Ask for something once; what it failed with, if it has. */
  function ask(key, make) {
    if (failures.has(key)) return failures.get(key);
    if (pending.has(key)) return null;
    pending.add(key);
    const again = () => (pending.delete(key), invalidate());
    make().then(again, (error) => {
      // A server that is away comes back; what it refused it refuses again.
      if (error.status === 0) setTimeout(again, RETRY_MS);
      else failures.set(key, error.what || error.message), again();
    });
    return null;
  }

  function render() {
    scheduled = 0;
    if (!root || !active()) return;
    Y.rows.open(state.run, invalidate);
    const rec = Y.session.resolve();
    if (rec === null) return tell('empty', Y.status.cover('') || 'Nothing recorded yet.');
    Y.list.draw();
    const about = Y.session.about();
    if (!about) {
      const failed = ask(`record|${state.run}|${rec}`, () => Y.api.record({ run: state.run, rec }));
      if (failed) tell('error', failed);
      return;
    }
    const memories = Y.stories.memories(about);
    if (!memories.length) {
      return tell('error', `Record ${rec} is no story: no memory of it has gates over facts (episodic_attention), as a dynamic memory network has.`);
    }
    settle(about, memories);
    crumbs();
    const data = Y.api.tellNow(query(), 'story', {});
    if (!data) {
      const failed = ask(JSON.stringify(query()), () => Y.api.tell(query(), 'story', {}));
      if (failed) return tell('error', `The story cannot be told: ${failed}`);
      put(root, 'data-state', 'loading');
      return;
    }
    show(data);
  }

  /** The memory of the choice that was made, where there is one per choice; otherwise the first. */
  function chosen(about, memories) {
    const { choices, predicted } = about.labels || {};
    const pair = Object.entries(choices && typeof choices === 'object' ? choices : {}).find(([, text]) => text === predicted);
    return memories.find((name) => name.split('.').pop() === (pair ? pair[0] : predicted)) || memories[0];
  }

  /** Choose a memory that has a story and an item that the record has. */
  function settle(about, memories) {
    const items = (about.batch || [0]).length;
    const patch = {};
    if (!memories.includes(state.memory)) patch.memory = chosen(about, memories);
    if (state.item >= items) patch.item = Math.max(0, items - 1);
    if (!Object.keys(patch).length) return;
    Object.assign(state, patch);
    Y.store.write(false);
  }

  function show(data) {
    const fresh = shown !== data;
    shown = data;
    place(data);
    root.classList.remove('st-failed');
    Y.head.draw(data);
    Y.facts.draw(data);
    if (fresh) Y.facts.reveal(true);
    Y.answer.draw(data);
    Y.told.draw(data);
    crumbs();
    mark(Y.status.isStale() ? 'stale' : 'ready');
    ahead(data);
  }

  /** Stand at a hop and fact that the story has; where none was asked for, at one that says something. */
  function place(data) {
    const patch = {};
    if (state.open || telling) {
      const lost = data.eclipsed.reduce((best, [hop, fact]) => {
        const by = Y.num(data.raw[hop][fact]) - Y.num(data.effective[hop][fact]);
        return !best || by > best.by ? { hop, fact, by } : best;
      }, null);
      // An eclipsed fact is what the gate alone hides; without one, the fact that the last hop kept.
      Object.assign(patch, lost ? { t: lost.hop, slot: lost.fact } : { t: data.hops - 1, slot: data.most[data.hops - 1] });
    }
    const t = patch.t ?? state.t;
    const slot = patch.slot ?? state.slot;
    if (t > data.hops - 1) patch.t = data.hops - 1;
    if (slot > data.facts - 1) patch.slot = data.most[Math.min(t, data.hops - 1)];
    telling = false;
    if (!Object.keys(patch).length && !state.open) return;
    Object.assign(state, patch, { open: false });
    Y.store.write(false);
  }

  /** The stories above and below in the table, so that going through them finds them there. */
  function ahead(data) {
    if (data.items > 1 && state.item + 1 < data.items) Y.api.tell({ ...query(), item: state.item + 1 }, 'story', {}).catch(() => {});
  }

  function crumbs() {
    const list = [{ label: 'run', value: state.run }];
    if (state.step !== null) list.push({ label: 'step', value: String(state.step) });
    if (shown && shown.items > 1) list.push({ label: 'item', value: String(state.item) });
    if (shown && shown.memories.length > 1) list.push({ label: 'memory', value: state.memory || '–' });
    list.push({ label: 'hop', value: String(state.t) }, { label: 'fact', value: String(state.slot) });
    const key = JSON.stringify(list);
    if (key === crumbKey) return;
    crumbKey = key;
    window.memviz.setCrumbs(list);
  }

  function tell(kind, words) {
    shown = null;
    root.classList.add('st-failed');
    Y.head.fail(words, kind === 'error' && state.rec !== null);
    if (Y.rows.list.length || kind === 'error') Y.list.draw();
    else Y.list.hide();
    mark(kind);
  }

  /** What tests and scripts can read off the page. */
  function mark(kind) {
    const facts = { state: kind, run: state.run, step: state.step ?? '', record: state.rec ?? '', item: state.item, memory: state.memory ?? '', time: state.t, slot: state.slot, sort: state.sort || '' };
    for (const [name, given] of Object.entries(facts)) put(root, `data-${name}`, given);
  }

  /** Go to another story. */
  function open(row, push) {
    const step = Y.feed.steps[row.index] ?? row.step;
    const twin = Y.feed.steps[row.index - 1] === step || Y.feed.steps[row.index + 1] === step;
    telling = true;
    Y.store.set({ rec: row.index, step, record: twin ? row.index : null, item: row.item, memory: row.memory, finding: null, follow: false }, push);
    window.memviz.announce(`${row.question || `record ${row.index}, item ${row.item}`}: ${row.kind}`);
  }

  /** The address of a story, with the filters of the table as they are. */
  const hashOf = (row) => {
    const { step, index: record, item, memory } = row;
    const hash = Y.store.format({ ...state, view: 'story', step, record, item, memory, finding: null, follow: false, t: 0, slot: 0 });
    return hash.replace(/&t=0&slot=0&head=\d+/, '');
  };

  function choose(t, slot) {
    Y.store.set({ t, slot }, true);
    if (shown) window.memviz.announce(Y.facts.readout(shown, state.t, state.slot));
    Y.facts.reveal();
  }

  const go = (patch) => {
    telling = true;
    Y.store.set(patch, true);
  };

  /** Up and down the facts as they are listed. */
  function moveFact(by) {
    if (!shown) return;
    const facts = Y.facts.listed();
    const next = facts[Math.max(0, Math.min(facts.length - 1, facts.indexOf(state.slot) + by))];
    Y.store.set({ slot: next });
    window.memviz.announce(Y.facts.readout(shown, state.t, state.slot));
    Y.facts.reveal();
  }

  function moveHop(by) {
    if (!shown) return;
    Y.store.set({ t: Math.max(0, Math.min(shown.hops - 1, state.t + by)) });
    window.memviz.announce(Y.facts.readout(shown, state.t, state.slot));
  }

  function nextSort() {
    const kinds = ['', `effective.${state.t}`, `raw.${state.t}`, ...(shown && shown.supporting ? ['gold'] : [])];
    const sort = kinds[(kinds.indexOf(state.sort || '') + 1) % kinds.length];
    Y.store.set({ sort }, true);
    window.memviz.announce(`Facts ${{ '': 'in story order', gold: 'with the supporting ones first' }[sort] || `by ${sort.startsWith('raw') ? 'the gate' : 'what is kept'} at hop ${state.t}`}`);
  }

  const shared = Y.commands.shared.filter((action) => !['ArrowLeft', 'ArrowRight', 'Home', 'End', 'j', 'k', 'h', 'b', 'n'].includes(action.key));
  window.memviz.actions.offer('story', [
    { keys: ['←', '→'], key: 'ArrowLeft', text: 'hop back, forward', palette: false, run: () => moveHop(-1) },
    { key: 'ArrowRight', palette: false, run: () => moveHop(1) },
    { keys: ['↑', '↓'], key: 'ArrowUp', text: 'previous, next story of the table', palette: false, run: () => Y.list.walk(-1) },
    { key: 'ArrowDown', palette: false, run: () => Y.list.walk(1) },
    { keys: ['Home', 'End'], key: 'Home', text: 'first, last hop', palette: false, run: () => moveHop(-Infinity) },
    { key: 'End', palette: false, run: () => moveHop(Infinity) },
    { keys: ['j', 'k'], key: 'j', text: 'fact down, up', palette: false, run: () => moveFact(1) },
    { key: 'k', palette: false, run: () => moveFact(-1) },
    { keys: ['o'], key: 'o', text: 'order of the facts: story, kept, gate, supporting', run: nextSort },
    { keys: ['/'], key: '/', text: 'filter the stories', run: () => Y.list.focus() },
    { text: 'next story of the table', run: () => Y.list.walk(1) },
    { text: 'previous story of the table', run: () => Y.list.walk(-1) },
    { text: 'all stories: clear the filters', run: () => Y.store.set({ kind: null, only: null, find: null }, true) },
    ...shared,
  ]);

  Y.session.page('story', {
    root: 'story-root',
    build,
    enter: () => ((crumbKey = ''), Y.list.again(), invalidate()),
    leave: () => {},
    forget: () => (failures.clear(), pending.clear(), Y.rows.forget()),
    recolour: invalidate,
    changed: invalidate,
    fed: () => (Y.rows.more(), invalidate()),
    found: invalidate,
  });
  Object.assign(Y.page, { open, hashOf, choose, go, query, again: invalidate, data: () => shown });
})();

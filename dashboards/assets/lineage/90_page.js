/* The Lineage page: asks for the origin of the chosen read and has every card drawn when the answer or the choice changes. */
(function () {
  'use strict';
  const L = window.memviz.lineage;
  const { el, put } = L.draw;
  const state = L.store.state;
  const RETRY_MS = 1500;
  let root = null;
  let scheduled = 0;
  let shownData = null;
  const failures = new Map(); // question -> what the server said
  const pending = new Set();

  const active = () => L.session.active('lineage');

  function build(node) {
    root = node;
    root.classList.add('ln-root');
    const upper = el('div.ln-two', {}, L.arcs.mount(), L.stored.mount());
    const lower = el('div.ln-two', {}, L.tabs.mount(), L.split.mount());
    root.replaceChildren(L.head.mount(), upper, lower);
    new ResizeObserver(() => active() && invalidate()).observe(root);
  }

  function invalidate() {
    if (!scheduled) scheduled = requestAnimationFrame(render);
  }

  const query = () => ({ run: state.run, rec: state.rec, item: state.item, memory: state.memory });

  /** Ask a question about the record once; what it failed with, if it has. `again` draws when the answer is here. */
  function ask(what, parts) {
    const q = query();
    const key = JSON.stringify([q, what, parts]);
    if (failures.has(key)) return failures.get(key);
    if (pending.has(key)) return null;
    pending.add(key);
    const again = () => {
      pending.delete(key);
      L.tabs.again();
      invalidate();
    };
    L.api.tell(q, what, parts).then(again, (error) => {
      // A server that is away comes back; what it refused it refuses again.
      if (error.status === 0) setTimeout(again, RETRY_MS);
      else failures.set(key, error.what || error.message), again();
    });
    return null;
  }

  function frame() {
    if (state.rec === null || !state.memory) return null;
    const q = { ...query(), px: 672, py: 160, scale: 'linear' };
    const found = L.api.frameNow(q);
    if (!found && !pending.has('frame' + JSON.stringify(q))) {
      pending.add('frame' + JSON.stringify(q));
      L.api.frame(q).then(() => (L.tabs.again(), invalidate()), () => {});
    }
    return found;
  }

  function render() {
    scheduled = 0;
    if (!root || !active()) return;
    const rec = L.session.resolve();
    if (rec === null) return tell('empty', L.status.cover('') || 'Nothing recorded yet.');
    const about = L.session.about();
    if (!about) {
      const key = `record${state.run}|${rec}`;
      if (!pending.has(key)) {
        pending.add(key);
        L.api.record({ run: state.run, rec }).then(invalidate, (error) => tell('error', error.message)).finally(() => pending.delete(key));
      }
      return;
    }
    L.session.settle(about);
    const memory = L.session.memory();
    if (!memory) return;
    const T = memory.times || 1;
    const heads = Math.max(1, memory.read_heads || 1);
    const patch = {};
    if (state.open) patch.t = Math.round(0.75 * (T - 1));
    if (state.t > T - 1) patch.t = Math.max(0, T - 1);
    if (state.head > heads - 1) patch.head = heads - 1;
    if (state.write !== null && state.write > T - 1) patch.write = null;
    if (Object.keys(patch).length) {
      Object.assign(state, patch, { open: false });
      L.store.write(false);
    }
    const parts = { time: state.t, head: state.head };
    const data = L.api.tellNow(query(), 'lineage', parts);
    L.arcs.controls(about, memory);
    L.session.crumbs([{ label: 'head', value: String(state.head) }]);
    if (!data) {
      const failed = ask('lineage', parts);
      if (failed) return tell('error', `The origin of this read cannot be told: ${failed}`);
      put(root, 'data-state', 'loading');
      return;
    }
    shownData = data;
    L.ablation.of(query());
    const { write } = state;
    const readers = L.readers.of(write);
    if (write !== null && !readers) ask('readers', { time: write });
    root.classList.remove('ln-failed');
    L.head.draw(data, write, readers);
    L.arcs.draw(data, frame(), write, readers);
    L.stored.draw(data);
    L.tabs.draw(data, write, Boolean(frame()));
    L.split.draw(data);
    mark('ready');
    ahead(T);
  }

  /** The reads beside this one, so that stepping through time finds them there. */
  function ahead(T) {
    for (const t of [state.t + 1, state.t - 1]) {
      if (t >= 0 && t < T && !L.api.tellNow(query(), 'lineage', { time: t, head: state.head })) L.api.tell(query(), 'lineage', { time: t, head: state.head }).catch(() => {});
    }
  }

  function tell(kind, words) {
    shownData = null;
    root.classList.add('ln-failed');
    L.head.fail(words);
    L.arcs.draw(null);
    L.stored.draw(null);
    L.tabs.draw(null);
    L.split.draw(null);
    mark(kind);
  }

  /** What tests and scripts can read off the page. */
  function mark(kind) {
    const facts = { state: kind, run: state.run, step: state.step ?? '', time: state.t, head: state.head, write: state.write ?? '', tab: state.tab };
    for (const [name, given] of Object.entries(facts)) put(root, `data-${name}`, given);
  }

  const chooseRead = (t) => L.store.set({ t, write: null }, true);
  const chooseWrite = (t) => L.store.set({ write: t, tab: state.tab === 'destroyed' ? 'destroyed' : 'readers' }, true);

  function strongestWrite() {
    if (state.write !== null) return L.store.set({ write: null, tab: 'shares' }, true);
    const best = shownData && L.arcs.ranked(shownData).find(([source]) => source > 0);
    if (best) chooseWrite(best[0] - 1);
  }

  window.memviz.actions.offer('lineage', [
    { keys: ['w'], key: 'w', text: 'the write behind this read, and back', run: strongestWrite },
    { keys: ['d'], key: 'd', text: 'who destroyed the writes', run: () => L.store.set({ tab: 'destroyed' }, true) },
    { keys: ['v'], key: 'v', text: 'shares as a table', run: () => L.store.set({ tab: 'table' }, true) },
    { keys: ['Esc'], key: 'Escape', text: 'back to the read', palette: false, run: () => L.store.set({ write: null, tab: 'shares' }, true) },
  ]);

  const changed = (keys) => {
    if (keys.has('t') && !keys.has('write') && state.write !== null) state.write = null;
    invalidate();
  };

  L.session.page('lineage', {
    root: 'lineage-root',
    build,
    enter: invalidate,
    leave: () => {},
    forget: () => (failures.clear(), pending.clear(), L.ablation.forget()),
    recolour: () => (L.tabs.again(), invalidate()),
    changed,
    fed: invalidate,
    found: () => {},
  });
  Object.assign(L.page, { invalidate, chooseRead, chooseWrite, query, ask, frame, data: () => shownData });
})();

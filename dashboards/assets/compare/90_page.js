/* The Compare page: finds both sides, asks for the comparison as often as it takes, and has every part drawn. */
(function () {
  'use strict';
  const P = window.memviz.compare;
  const { el, put } = P.draw;
  const state = P.store.state;
  const AGAIN_MS = 200;
  const AWAY_MS = 1500;
  const CELL_MS = 60;
  let root = null;
  let scheduled = 0;
  let shown = null; // the comparison on the screen
  let asked = ''; // the question that is being asked
  let failure = null; // {key, words}
  let stopped = ''; // the question that was called off
  let progress = '';
  let timer = 0;
  let cellTimer = 0;
  const pending = new Set();
  const broken = new Map(); // record -> why it cannot be read
  let current = null; // the question that the server works on

  const active = () => P.session.active('compare');

  function build(node) {
    root = node;
    root.classList.add('cp-root');
    root.replaceChildren(el('div.cp-wrap', {}, P.head.mount(), P.sides.mount(), P.said.mount(), P.grid.mount()), P.foot.mount());
    new ResizeObserver(() => active() && invalidate()).observe(root);
  }

  function invalidate() {
    if (!scheduled) scheduled = requestAnimationFrame(render);
  }

  function record(run, rec) {
    const found = P.api.recordNow({ run, rec });
    const key = `${run}|${rec}`;
    if (!found && !pending.has(key) && !broken.has(key)) {
      pending.add(key);
      const failed = (error) => {
        if (error.status === 0) setTimeout(invalidate, AWAY_MS);
        else broken.set(key, error.what || error.message), invalidate();
      };
      P.api.record({ run, rec }).then(invalidate, failed).finally(() => pending.delete(key));
    }
    return found;
  }

  /** The question as the route takes it. */
  function question(there) {
    const q = { run: state.run, record: state.rec, item: state.item, memory: state.memory, align: state.align, limits: state.limits === 'own' ? 'own' : null, px: P.grid.columns(), py: 160 };
    if (there.kind === 'law') return { ...q, law: 1, align: null };
    return { ...q, other: there.run, other_record: there.index, other_item: state.cmpitem ?? null, other_memory: state.cmpmemory };
  }

  /** The item of B: the one that was chosen, else the same as that of A where B has it. */
  function withItem(q, aboutB) {
    if (q.law) return q;
    const items = (aboutB.batch || [0]).length;
    return { ...q, other_item: Math.min(q.other_item ?? state.item, items - 1) };
  }

  async function ask(q, key) {
    asked = key;
    clearTimeout(timer);
    // What nobody waits for any more need not be worked out.
    if (current && current.key !== key) P.api.comparison({ ...current.q, stop: 1 }).catch(() => {});
    current = { q, key };
    let again = 0;
    try {
      const answer = await P.api.comparison(q);
      if (answer.state !== 'working' && current && current.key === key) current = null;
      if (asked !== key) return;
      if (answer.state === 'done') failure = null;
      else if (answer.state === 'failed') failure = { key, words: answer.problem };
      else if (answer.state === 'stopped') stopped = key;
      else {
        progress = answer.doing;
        again = AGAIN_MS;
      }
    } catch (error) {
      if (asked !== key) return;
      if (error.status === 0) again = AWAY_MS;
      else failure = { key, words: error.what || error.message };
    }
    asked = '';
    if (again) {
      asked = key;
      timer = setTimeout(() => asked === key && active() && ask(q, key), again);
    }
    invalidate();
  }

  function stop(q, key) {
    stopped = key;
    asked = '';
    clearTimeout(timer);
    P.api.comparison({ ...q, stop: 1 }).catch(() => {});
    invalidate();
  }

  function render() {
    scheduled = 0;
    if (!root || !active()) return;
    const rec = P.session.resolve();
    if (rec === null) return tell('empty', P.status.cover('') || 'Nothing recorded yet.');
    const about = record(state.run, rec);
    if (broken.has(`${state.run}|${rec}`)) return tell('error', `Record ${rec + 1} cannot be read: ${broken.get(`${state.run}|${rec}`)}`);
    if (!about) return put(root, 'data-state', 'loading');
    P.session.settle(about);
    if (!state.cmp) choose();
    const there = P.other.chosen(invalidate);
    const aboutB = there.kind === 'record' ? record(there.run, there.index) : null;
    P.sides.draw(about, there, aboutB, shown);
    if (there.kind === 'none') return tell('choose', 'There is nothing else to hold this record against yet. Choose a run for B.');
    if (there.kind === 'problem') return tell('error', `${there.words} Choose another run for B.`);
    if (there.kind === 'record' && broken.has(`${there.run}|${there.index}`)) return tell('error', `B cannot be read: ${broken.get(`${there.run}|${there.index}`)}`);
    if (there.kind === 'loading' || (there.kind === 'record' && !aboutB)) return waiting('Opening the other run …');
    const q = withItem(question(there), aboutB);
    const key = JSON.stringify(q);
    const data = P.api.comparisonNow(q);
    P.session.crumbs([{ label: 'slot', value: String(state.slot) }]);
    if (!data) {
      if (failure && failure.key === key) return tell('error', `These two cannot be compared: ${failure.words}`, offers());
      if (stopped === key) return tell('stopped', 'The comparison was called off.', [['Compare', () => ((stopped = ''), invalidate())]]);
      if (asked !== key) ask(q, key);
      return waiting(`Comparing … ${progress}`, [['Stop', () => stop(q, key)]]);
    }
    shown = data;
    progress = '';
    open(data);
    root.classList.remove('cp-failed');
    P.head.wait(false);
    P.head.draw(data);
    P.sides.draw(about, there, aboutB, data);
    P.said.draw(data);
    P.grid.draw(data);
    P.grid.cursor(data, cells(q, data));
    P.foot.draw(data);
    mark('ready');
  }

  /** Without a choice the record before this one is what it is held against. */
  function choose() {
    const best = P.offers()[0];
    if (!best) return;
    const { view, ...patch } = best[1];
    Object.assign(state, patch);
    P.store.write(false);
  }

  function open(data) {
    const patch = {};
    if (state.open) patch.t = Math.round(0.75 * Math.max(0, data.times - 1));
    if (state.t > data.times - 1) patch.t = Math.max(0, data.times - 1);
    if (data.a.slots && state.slot > data.a.slots - 1) patch.slot = data.a.slots - 1;
    if (!Object.keys(patch).length) return;
    Object.assign(state, patch, { open: false });
    P.store.write(false);
  }

  /** Exact values at the cross: of A, and of the slot of B that stands there. Asked for once the cross rests. */
  function cells(q, data) {
    const t = Math.min(state.t, Math.max(0, data.times - 1));
    const a = { run: state.run, rec: state.rec, item: state.item, memory: data.a.memory, t, slot: data.a.slots ? state.slot : undefined };
    const of = data.align.slots.length ? data.align.slots[state.slot] : state.slot;
    const b = data.b.law_of || of === undefined || of < 0 ? null : { run: q.other, rec: q.other_record, item: q.other_item, memory: data.b.memory, t, slot: data.b.slots ? of : undefined };
    const now = { a: P.api.cellNow(a), b: b && P.api.cellNow(b) };
    clearTimeout(cellTimer);
    if (!now.a || (b && !now.b)) {
      cellTimer = setTimeout(() => {
        if (!active()) return;
        Promise.all([P.api.cell(a), b ? P.api.cell(b) : null]).then(invalidate, () => {});
      }, CELL_MS);
    }
    return now;
  }

  const offers = () => P.offers().slice(0, 4).map(([text, patch]) => [`Compare with ${text}`, () => P.store.set(patch, true)]);

  /** What is shown stays, dimmed, until the next is here. */
  function waiting(words, actions) {
    if (!shown) {
      root.classList.add('cp-failed');
      P.head.tell(words, actions);
      P.foot.draw(null);
    } else {
      P.head.wait(true);
      timer2(words, actions);
    }
    mark('loading');
  }

  let late = 0;
  /** Only what takes long is worth a word over the comparison that is still shown. */
  function timer2(words, actions) {
    clearTimeout(late);
    late = setTimeout(() => active() && root.dataset.state === 'loading' && P.head.tell(words, actions), 600);
  }

  function tell(kind, words, actions) {
    shown = null;
    root.classList.add('cp-failed');
    P.head.wait(false);
    P.head.tell(words, actions || (kind === 'error' || kind === 'choose' ? offers() : []));
    P.said.clear();
    P.grid.clear();
    P.foot.draw(null);
    mark(kind);
  }

  /** What tests and scripts can read off the page. */
  function mark(kind) {
    const facts = { state: kind, run: state.run, step: state.step ?? '', time: state.t, slot: state.slot, cmp: state.cmp || '', align: shown ? shown.align.method : '' };
    for (const [name, given] of Object.entries(facts)) put(root, `data-${name}`, given);
  }

  function swap() {
    const there = P.other.chosen(invalidate);
    if (there.kind !== 'record') return;
    const of = shown && shown.align.slots.length ? shown.align.slots[state.slot] : state.slot;
    const twin = P.feed.steps[state.rec - 1] === state.step || P.feed.steps[state.rec + 1] === state.step;
    const next = {
      run: there.run,
      step: there.step,
      record: state.cmprecord,
      follow: false,
      range: null,
      finding: null,
      item: shown ? shown.b.item : state.cmpitem ?? state.item,
      memory: shown ? shown.b.memory : state.memory,
      slot: of >= 0 ? of : 0,
      cmp: P.name(state.run, state.step),
      cmprecord: twin ? state.rec : null,
      cmpitem: state.item,
      cmpmemory: null,
    };
    P.store.write(false);
    window.memviz.navigate(P.store.format({ ...state, ...next }));
  }

  function reveal(field, head) {
    wanted = [field, head];
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (wanted && P.grid.reveal(...wanted)) wanted = null;
    }));
  }
  let wanted = null;

  window.memviz.actions.offer('compare', [
    { keys: ['Space'], key: ' ', text: 'play through time, or pause', run: () => P.foot.toggle() },
    { keys: ['x'], key: 'x', text: 'swap A and B', run: swap },
    { keys: ['a'], key: 'a', text: 'slots aligned, or as numbered', run: () => P.store.set({ align: state.align === 'none' ? null : 'none' }, true) },
    { keys: ['l'], key: 'l', text: 'differences on their own limits, or on −1 to 1', run: () => P.store.set({ limits: state.limits === 'own' ? 'fixed' : 'own' }, true) },
    { keys: ['m'], key: 'm', text: 'all fields, or the main ones', run: () => P.store.set({ more: !state.more }, true) },
    { keys: ['Esc'], key: 'Escape', text: 'back to the record', palette: false, run: () => P.session.go('scope') },
  ]);

  P.session.page('compare', {
    root: 'compare-root',
    build,
    enter: ({ newRun }) => {
      if (newRun) shown = null;
      P.other.listRuns(invalidate);
      invalidate();
    },
    leave: () => {
      clearTimeout(timer);
      asked = '';
      P.foot.stop();
    },
    forget: () => {
      shown = null;
      failure = null;
      stopped = '';
      asked = '';
      P.other.forget();
      pending.clear();
      broken.clear();
      current = null;
      if (root) P.grid.clear();
    },
    recolour: () => (P.grid.again(), invalidate()),
    changed: invalidate,
    fed: invalidate,
    found: () => {},
  });
  Object.assign(P.page, { invalidate, swap, reveal, data: () => shown });
})();

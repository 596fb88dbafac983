/* The Film page: takes a route, asks for the film and for the picture of one time, and has every part drawn. */
(function () {
  'use strict';
  const F = window.memviz.film;
  const { el, put } = F.draw;
  const { state } = F.store;
  let root = null;
  let main = null;
  let scheduled = 0;
  let names = []; // of the times of the record that is shown
  let frameShown = null;
  let lastAbout = null;
  const pending = new Set();

  const active = () => F.session.active('film');

  function build(node) {
    root = node;
    root.classList.add('fm-root');
    main = el('section.card.fm-main', { 'aria-label': 'Through training' }, F.curves.mount(), F.still.mount());
    const side = el('div.fm-side', {}, F.changes.mount(), F.now.mount());
    root.replaceChildren(el('div.fm-wrap', {}, F.head.mount(), el('div.fm-two', {}, main, side)), F.foot.mount());
    new ResizeObserver(() => active() && invalidate()).observe(root);
  }

  function invalidate() {
    if (!scheduled) scheduled = requestAnimationFrame(render);
  }

  /** Columns that are asked for: a column takes at least a pixel. */
  const columns = () => Math.max(64, Math.floor((main.clientWidth - F.GUTTER - F.RIGHT) / 64) * 64);

  function load(key, ask) {
    if (pending.has(key)) return;
    pending.add(key);
    ask().then(
      () => (pending.delete(key), invalidate()),
      (error) => setTimeout(() => (pending.delete(key), invalidate()), error.status === 0 ? 1500 : 5000)
    );
  }

  function render() {
    scheduled = 0;
    if (!root || !active()) return;
    const rec = F.session.resolve();
    F.reel.open(state.run, columns());
    F.head.draw(F.reel);
    if (rec === null) return empty();
    const about = F.api.recordNow({ run: state.run, rec });
    if (!about) load(`record ${state.run} ${rec}`, () => F.api.record({ run: state.run, rec }));
    else {
      lastAbout = about;
      F.session.settle(about);
    }
    const known = about || lastAbout;
    const memory = known && known.memories.find((m) => m.name === state.memory);
    if (!memory) return put(root, 'data-state', 'loading');
    root.classList.remove('fm-failed');
    if (about) place(about, memory);
    const width = main.clientWidth - 2;
    const reel = F.reel.columns ? F.reel : { ...F.reel, columns: F.feed.steps.length, block: 1 };
    const axis = F.curves.draw(reel, width);
    F.curves.cursor(rec);
    F.changes.draw(F.reel);
    const field = F.still.chosen(memory);
    if (field) {
      const heads = Math.max(1, F.matrixFields.pictures(field));
      const head = Math.min(state.head, heads - 1);
      F.still.controls(memory, field, heads, nameAt(state.t));
      const found = F.reel.still(field.field, head, state.t, columns());
      F.still.draw(found, field, axis, width, heads, nameAt(state.t));
      const query = { run: state.run, rec, item: state.item, memory: state.memory, px: 480, py: 150, scale: 'linear' };
      const frame = F.api.frameNow(query);
      if (!frame) load(`frame ${JSON.stringify(query)}`, () => F.api.frame(query));
      frameShown = frame;
      if (frame) F.now.draw(frame, field, heads);
      ahead(query);
    } else {
      F.still.none('No field of this memory is rows over time, so there is no picture of one time through training.');
      F.now.none();
    }
    F.foot.draw();
    F.session.crumbs([{ label: 'slot', value: String(state.slot) }]);
    mark(about && (frameShown || !field) ? 'ready' : 'loading');
  }

  /** The record beside this one, so that playing finds it there. */
  function ahead(query) {
    const next = query.rec + 1;
    if (next >= F.feed.steps.length || !frameShown) return;
    if (!F.api.recordNow({ run: state.run, rec: next })) F.api.record({ run: state.run, rec: next }).catch(() => {});
    if (!F.api.frameNow({ ...query, rec: next })) F.api.frame({ ...query, rec: next }).catch(() => {});
  }

  /** Bring the time into the record, and to where the chosen name stands in it. */
  function place(about, memory) {
    names = namesOf(about.labels || {}, state.item, memory.times || 0);
    const T = Math.max(1, memory.times || 1);
    let t = state.open ? Math.round(0.75 * (T - 1)) : Math.min(state.t, T - 1);
    if (state.at !== null && names[t] !== state.at && names.includes(state.at)) t = names.indexOf(state.at);
    if (t === state.t && !state.open) return;
    Object.assign(state, { t, open: false });
    F.store.write(false);
  }

  /** What the times are called, as answers/naming.py has it: tokens, otherwise phases with a count. */
  function namesOf(labels, item, T) {
    let { tokens } = labels;
    if (Array.isArray(tokens) && tokens.length && Array.isArray(tokens[Math.min(item, tokens.length - 1)])) tokens = tokens[Math.min(item, tokens.length - 1)];
    if (Array.isArray(tokens) && tokens.length) return [...Array(T).keys()].map((t) => (t < tokens.length ? [...String(tokens[t])].slice(0, 40).join('') : ''));
    const named = Array(T).fill('');
    for (const phase of Array.isArray(labels.phases) ? labels.phases : []) {
      if (!(Array.isArray(phase) && phase.length >= 3 && Number.isInteger(phase[1]) && Number.isInteger(phase[2]))) continue;
      const [start, stop] = [Math.max(0, phase[1]), Math.min(T, phase[2])];
      const name = [...String(phase[0])].slice(0, 40).join('');
      for (let t = start; t < stop; t++) named[t] = stop - start === 1 ? name : `${name} ${t - start}`;
    }
    return named;
  }

  const nameAt = (t) => names[t] || '';

  /** Another time; where a name is held fixed, the name of that time. */
  function toTime(t, push, more) {
    const at = state.at === null ? null : nameAt(t) || null;
    F.store.set({ t, at, ...more }, push);
  }

  function empty() {
    root.classList.add('fm-failed');
    F.foot.draw();
    mark('empty');
  }

  /** What tests and scripts can read off the page. */
  function mark(kind) {
    const facts = { state: kind, run: state.run, step: state.step ?? '', time: state.t, slot: state.slot, head: state.head, film: F.reel.state, known: F.reel.known, at: state.at ?? '' };
    for (const [name, given] of Object.entries(facts)) put(root, `data-${name}`, given);
  }

  window.memviz.actions.offer('film', [
    { keys: ['Space'], key: ' ', text: 'play through training, or pause', run: () => F.foot.toggle() },
    { keys: ['[', ']'], key: ']', text: 'previous, next change', run: () => F.changes.walk(1) },
    { key: '[', text: 'previous change', keys: ['['], help: false, run: () => F.changes.walk(-1) },
    { text: 'stop or go on reading the records', run: () => F.reel.halt(!F.reel.isHalted()) },
    { keys: ['Esc'], key: 'Escape', text: 'back to the record', palette: false, run: () => F.session.go('scope') },
  ]);
  window.memviz.palette.source(() => (F.session.name === 'film' ? F.reel.changes.map((change) => ({ group: 'change', text: change.sentence, run: () => F.changes.show(change) })) : []));

  const changed = (keys) => {
    // Time was moved by a key: the name that is held is that of the new time.
    if (keys.has('t') && !keys.has('at') && state.at !== null && nameAt(state.t)) {
      state.at = nameAt(state.t);
      F.store.write(false);
    }
    if (keys.has('still') || keys.has('item') || keys.has('memory')) F.still.clear();
    invalidate();
  };

  F.session.page('film', {
    root: 'film-root',
    build,
    enter: invalidate,
    leave: () => {
      F.reel.leave();
      F.foot.stop();
    },
    forget: () => {
      F.reel.forget();
      F.still.clear();
      pending.clear();
      lastAbout = frameShown = null;
      names = [];
    },
    recolour: () => (F.curves.again(), invalidate()),
    changed,
    fed: () => {
      F.reel.fed();
      invalidate();
    },
    found: () => {},
  });
  Object.assign(F.page, { invalidate, toTime, nameAt, isShown: () => Boolean(frameShown) });
})();

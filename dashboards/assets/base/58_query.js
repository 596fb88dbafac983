/* The query to the run (docs/api.md, "query"): asked for while it is worked on, its places walked through and jumped to. */
(function () {
  'use strict';
  const S = window.memviz.base;
  const state = S.store.state;
  const SEARCHING_MS = 200;
  const RETRY_MS = 2000;

  const fresh = () => ({ run: null, text: null, state: 'idle', done: 0, total: 0, count: 0, matching: 0, hits: [], sentence: '', problem: '', at: null });
  const known = fresh();
  let listener = () => {};
  let timer = 0;
  let generation = 0;

  /** Take up the query of the selection, where it is another than the one that is known. */
  function sync() {
    const text = (state.q || '').trim();
    if (known.run === state.run && known.text === text && known.state !== 'cancelled') return;
    stop();
    Object.assign(known, fresh(), { run: state.run, text, state: text ? 'searching' : 'idle' });
    if (text) ask(++generation);
    listener();
  }

  /** Ask no more; the server puts the search down. What was found stays. */
  function stop() {
    generation++;
    clearTimeout(timer);
    timer = 0;
  }

  function cancel() {
    if (known.state !== 'searching') return;
    stop();
    known.state = 'cancelled';
    window.memviz.announce('The search is cancelled');
    listener();
  }

  /** Go on with a search that was cancelled, or begin it again after a failure. */
  function again() {
    if (!known.text) return;
    if (known.state !== 'cancelled') Object.assign(known, fresh(), { run: state.run, text: known.text });
    known.state = 'searching';
    ask(++generation);
    listener();
  }

  const forget = () => (stop(), Object.assign(known, fresh()));

  async function ask(mine) {
    timer = 0;
    if (mine !== generation || document.hidden) return;
    let wait = 0;
    try {
      const answer = await S.api.query(known.run, known.text, known.hits.length);
      if (mine !== generation) return;
      const { hits, from, ...rest } = answer;
      // Another answer may have come in between; only what follows on is news.
      if (from === known.hits.length) known.hits.push(...hits);
      const ended = known.state === 'searching' && answer.state !== 'searching';
      Object.assign(known, rest, { text: known.text, problem: answer.problem || '', at: null });
      if (ended) window.memviz.announce(words());
      wait = answer.state === 'searching' ? SEARCHING_MS : 0;
    } catch (error) {
      if (mine !== generation) return;
      if (error.status === 0) wait = RETRY_MS;
      else {
        Object.assign(known, { state: error.status === 400 ? 'refused' : 'failed', problem: error.what || error.message, at: error.at ?? null });
        window.memviz.announce(words());
      }
    }
    if (wait && mine === generation) timer = setTimeout(() => ask(mine), wait);
    listener();
  }

  /** The feed has heard of the run: new records are asked as well. */
  function fed() {
    if (known.state === 'done' && !timer && known.run === state.run && S.feed.steps.length > known.total) timer = setTimeout(() => ask(generation), 300);
  }

  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && known.state === 'searching' && !timer) ask(++generation);
  });

  /** The state of the search in words. */
  function words() {
    if (known.state === 'refused') return known.at === null ? known.problem : `${known.problem} (character ${known.at + 1})`;
    if (known.state === 'failed') return `The query failed: ${known.problem}`;
    if (known.state === 'idle') return '';
    const found = `${S.words.plural(known.count, 'place')} so far`;
    const asked = `${known.done} of ${S.words.plural(known.total, 'record')}`;
    if (known.state === 'cancelled') return `Cancelled after ${asked}; ${found}.`;
    if (known.state === 'searching') return known.total ? `Asking ${asked}; ${found}.` : 'Asking …';
    return known.sentence;
  }

  /** The place that was chosen last, as something that can be ringed; null without one. */
  function place() {
    const hit = state.hit === null || state.q === null ? null : known.hits[state.hit];
    return hit ? { ...hit, key: `place ${state.hit}`, severity: 'note' } : null;
  }

  const isHere = (p) => state.rec === p.index && state.memory === p.memory && (p.item === null || state.item === p.item) && (p.time === null || state.t === p.time);

  /** Go to a place: step, item, memory, time, slot, head. */
  function show(i) {
    const hit = known.hits[i];
    if (!hit) return;
    const patch = { rec: hit.index, step: hit.step, record: null, finding: null, hit: i, follow: false, playing: false, view: 'scope', open: false };
    if (S.feed.steps[hit.index - 1] === hit.step || S.feed.steps[hit.index + 1] === hit.step) patch.record = hit.index;
    if (hit.memory !== 'model') patch.memory = hit.memory;
    if (hit.item !== null) patch.item = hit.item;
    if (hit.time !== null) patch.t = hit.time;
    if (hit.slot !== null) patch.slot = hit.slot;
    // The head of the page is a read head; that of a write field is not.
    if (hit.head !== null && hit.head_axis !== 'write_head') patch.head = hit.head;
    if (hit.field) patch.hide = state.hide.filter((name) => name !== hit.field);
    S.store.set(patch, true);
    window.memviz.announce(`${i + 1} of ${known.hits.length}: ${where(hit)}`);
  }

  /** The next or previous place, around the ends. */
  function walk(by) {
    const n = known.hits.length;
    if (!n) return window.memviz.announce(known.text ? words() : 'There is no query; / asks one');
    show(state.hit === null ? (by > 0 ? 0 : n - 1) : (state.hit + by + n) % n);
  }

  /** "step 250, item 1, t = 3, slot 0, read head 0". */
  function where(hit) {
    const parts = [`step ${hit.step}`];
    if (hit.item !== null) parts.push(`item ${hit.item}`);
    if (hit.time !== null) parts.push(`t = ${hit.time}`);
    if (hit.slot !== null) parts.push(`slot ${hit.slot}`);
    if (hit.head !== null) parts.push(`${hit.head_axis.replaceAll('_', ' ')} ${hit.head}`);
    return parts.join(', ');
  }

  S.query = Object.assign(known, { sync, cancel, again, stop, fed, forget, words, place, isHere, show, walk, where, listen: (f) => (listener = f) });
})();

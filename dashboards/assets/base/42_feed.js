/* The run as it grows: polls for new records while it is live and this page is seen, backs off when it is not. */
(function () {
  'use strict';
  const S = window.memviz.base;
  const LIVE_MS = 100;
  const QUIET_MS = 2000;
  const RETRY_MS = 1000;

  const feed = {
    id: null,
    info: null, // GET /runs/{id}
    steps: [],
    walls: [],
    gaps: [],
    dropped: 0,
    state: 'loading', // loading | live | closed | interrupted | error | gone | deleted
    age: null, // seconds since the last write, at `heard`
    heard: 0,
    problem: '',
    scalars: null, // {name, steps, low, high, last}
  };
  let listener = () => {};
  let timer = 0;
  let generation = 0;
  let revision = null;
  let scalarWanted = null;
  let scalarBusy = false;
  let scalarSeen = null;
  let scalarAt = 0;

  /** Seconds since the run was last written, counting on between two answers. */
  const age = () => (feed.age === null ? null : feed.age + (performance.now() - feed.heard) / 1000);

  function open(id, onChange) {
    stop();
    Object.assign(feed, { id, info: null, steps: [], walls: [], gaps: [], dropped: 0, state: 'loading' });
    Object.assign(feed, { age: null, problem: '', scalars: null });
    revision = scalarSeen = scalarWanted = null; // another run may log other names
    scalarAt = 0;
    listener = onChange;
    tick(++generation);
  }

  function stop() {
    generation++;
    clearTimeout(timer);
    feed.id = null;
  }

  function soon(mine, ms) {
    clearTimeout(timer);
    timer = setTimeout(() => tick(mine), ms);
  }

  async function tick(mine) {
    if (mine !== generation) return;
    if (document.hidden && feed.info) return; // visibilitychange starts it again
    let wait = QUIET_MS;
    try {
      if (!feed.info) feed.info = await S.api.run(feed.id);
      if (mine !== generation) return;
      const answer = await S.api.poll(feed.id, feed.steps.length);
      if (mine !== generation) return;
      take(answer);
      wait = feed.state === 'live' ? LIVE_MS : QUIET_MS;
    } catch (error) {
      if (mine !== generation) return;
      fail(error);
      wait = RETRY_MS;
    }
    soon(mine, wait);
  }

  function take(answer) {
    const was = feed.state;
    // Fewer records than are known: the same name was written anew.
    if (answer.count < feed.steps.length || was === 'deleted') {
      S.api.forget();
      feed.steps = [];
      feed.walls = [];
      revision = null;
      feed.info = null;
      if (answer.from > 0) return;
    }
    const fresh = answer.steps.length > 0 && answer.from === feed.steps.length;
    if (fresh) {
      feed.steps = feed.steps.concat(answer.steps);
      feed.walls = feed.walls.concat(answer.walls);
    }
    feed.gaps = answer.gaps || [];
    feed.dropped = answer.dropped || 0;
    feed.state = answer.state;
    feed.age = answer.age;
    feed.heard = performance.now();
    feed.problem = '';
    const moved = answer.revision !== revision;
    revision = answer.revision;
    if (moved && (!feed.info || !feed.info.memories || !feed.info.memories.length)) refreshInfo();
    if (fresh || moved || was !== feed.state) listener(fresh ? 'records' : 'state');
    loadScalars();
  }

  async function refreshInfo() {
    const mine = generation;
    try {
      const info = await S.api.run(feed.id);
      if (mine === generation) {
        feed.info = info;
        listener('state');
      }
    } catch (error) {
      // The next poll meets the same trouble and says it.
    }
  }

  function fail(error) {
    const before = feed.state;
    feed.problem = error.message;
    if (error.status === 0) feed.state = 'gone';
    else if (error.status === 404) feed.state = 'deleted';
    else feed.state = 'error';
    if (before !== feed.state || before === 'error') listener('state');
  }

  /** Which curve the timeline wants, at how many columns. */
  function wantScalars(name, px) {
    scalarWanted = { name, px };
    scalarSeen = null;
    scalarAt = 0;
    loadScalars();
  }

  async function loadScalars() {
    const seen = `${revision}|${feed.steps.length}`;
    if (!scalarWanted || !scalarWanted.name || scalarBusy || scalarSeen === seen || !feed.id) return;
    if (performance.now() - scalarAt < 400) return;
    scalarBusy = true;
    scalarAt = performance.now();
    const mine = generation;
    try {
      const curve = await S.api.scalars(feed.id, scalarWanted.name, scalarWanted.px);
      if (mine === generation && curve.name === scalarWanted.name) {
        feed.scalars = curve;
        scalarSeen = seen;
        listener('scalars');
      }
    } catch (error) {
      scalarSeen = seen; // asked again at the next change
    } finally {
      scalarBusy = false;
    }
  }

  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && feed.id) tick(generation);
  });

  /** Index of the last record at or before a step; 0 when all are later. */
  function indexAt(step) {
    let low = 0;
    let high = feed.steps.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (feed.steps[middle] <= step) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  /** Index of the record nearest to a step. */
  function nearest(step) {
    const i = indexAt(step);
    const next = feed.steps[i + 1];
    return next !== undefined && next - step < step - feed.steps[i] ? i + 1 : i;
  }

  S.feed = feed;
  Object.assign(feed, { open, stop, ageNow: age, wantScalars, indexAt, nearest, retry: () => tick(generation) });
})();

/* What is asked of the server: the numbers of the run, and one field at one time, both as they come. */
(function () {
  'use strict';
  const F = window.memviz.film;
  const { state } = F.store;
  const WORKING_MS = 250;
  const LIVE_MS = 1000;
  const AWAY_MS = 1500;
  const HELD_BYTES = 64 * 2 ** 20;

  const numbers = { run: null, state: 'loading', done: 0, total: 0, records: 0, known: 0, problem: '', series: [], changes: [], block: 1, columns: 0, px: 0 };
  let timer = 0;
  let generation = 0;
  let halted = false;
  let busy = false; // a question is on its way

  /** Begin to ask; once begun, each answer says when to ask again. */
  function open(run, px) {
    if (numbers.run === run && numbers.px === px) return;
    const fresh = numbers.run !== run;
    Object.assign(numbers, { run, px, known: -1 }, fresh ? { state: 'loading', done: 0, total: 0, records: 0, problem: '', series: [], changes: [], columns: 0 } : {});
    if (fresh) halted = false;
    ask(++generation, halted);
  }

  async function ask(mine, stop) {
    clearTimeout(timer);
    timer = 0;
    if (mine !== generation || numbers.run === null) return;
    if (document.hidden && !stop) return (timer = setTimeout(() => ask(mine), AWAY_MS));
    let wait = 0;
    busy = true;
    try {
      const answer = await F.api.film(numbers.run, { px: numbers.px, seen: numbers.known >= 0 ? numbers.known : null, stop: stop ? 1 : null });
      if (mine !== generation) return;
      Object.assign(numbers, answer, { problem: answer.problem || '' });
      wait = { working: WORKING_MS, following: LIVE_MS }[answer.state] || 0;
    } catch (error) {
      if (mine !== generation) return;
      if (error.status === 0) wait = AWAY_MS;
      else Object.assign(numbers, { state: 'failed', problem: error.what || error.message });
    }
    busy = false;
    if (wait && !halted) timer = setTimeout(() => ask(mine), wait);
    F.page.invalidate();
  }

  /** Call the work off, or take it up again. */
  function halt(on) {
    halted = on;
    ask(++generation, on);
  }

  /** New records, or a run that has been closed: there may be more to know. */
  function fed() {
    if (numbers.run !== null && !timer && !busy && !halted && (F.feed.steps.length !== numbers.records || numbers.state === 'following')) ask(++generation);
  }

  function leave() {
    generation++;
    clearTimeout(timer);
    timer = 0;
    busy = false;
    numbers.px = 0; // coming back begins to ask again
  }

  function forget() {
    leave();
    numbers.run = null;
    halted = false;
    strips.clear();
    about.clear();
    failed.clear();
  }

  // Stills: {head of the envelope, tiles by id}, by question without the time.

  const strips = new Map();
  const about = new Map(); // question -> the last header, for progress
  const failed = new Map();
  let asking = '';
  let stillTimer = 0;

  const question = (field, head, px) => ({ field, head, item: state.item, px, py: 160, name: state.at });
  const keyOf = (q, time) => JSON.stringify([state.run, q, q.name === null ? time : null]);

  /** The picture of a field at a time: {tile, head, problem}; asks for it where it is not here. */
  function still(field, head, time, px) {
    const q = question(field, head, px);
    const key = keyOf(q, time);
    const found = strips.get(key);
    const stale = !found || found.records < F.feed.steps.length || (found.state !== 'done' && found.state !== 'following');
    if (stale && failed.get(key) === undefined && asking !== key) request(q, time, key);
    return { tile: found ? found.tile : null, about: found || about.get(key) || null, problem: failed.get(key) || '' };
  }

  async function request(q, time, key) {
    asking = key;
    clearTimeout(stillTimer);
    let wait = 0;
    try {
      const parts = { ...q, time: q.name === null ? time : null };
      const answer = await F.api.stills(state.run, parts);
      if (answer.state === 'failed') failed.set(key, answer.problem);
      for (const tile of answer.tiles) {
        const { tiles, ...rest } = answer;
        strips.set(keyOf(q, tile.time), { ...rest, tile });
      }
      if (!answer.tiles.length) about.set(key, answer);
      // A name that no record has is known once all have been looked at.
      if (!answer.tiles.length && (answer.state === 'done' || answer.state === 'following')) failed.set(key, q.name === null ? 'No record has this time.' : `No record has a time named “${q.name}”.`);
      trim();
      if (answer.state === 'working') wait = WORKING_MS;
    } catch (error) {
      if (error.status === 0) wait = AWAY_MS;
      else failed.set(key, error.what || error.message);
    }
    if (asking !== key) return;
    if (!wait) asking = '';
    else stillTimer = setTimeout(() => (asking === key && (asking = ''), F.page.invalidate()), wait);
    F.page.invalidate();
  }

  /** Forget the pictures that were taken first, beyond what a browser should hold. */
  function trim() {
    const size = ({ tile }) => tile.codes.length * 5; // with its painted copy
    let held = [...strips.values()].reduce((sum, strip) => sum + size(strip), 0);
    for (const [key, strip] of strips) {
      if (held <= HELD_BYTES) break;
      strips.delete(key);
      held -= size(strip);
    }
  }

  F.reel = Object.assign(numbers, { open, halt, fed, leave, forget, still, isHalted: () => halted });
})();

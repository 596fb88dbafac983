/* Moves within a run, the same on every page about it: to another time, record, slot or head. */
(function () {
  'use strict';
  const S = window.memviz.base;
  const state = S.store.state;

  const clamp = (v, low, high) => Math.max(low, Math.min(high, v));
  const moveTime = (by) => S.store.set({ t: clamp(state.t + by, 0, S.session.times() - 1) });
  const toTime = (t) => S.store.set({ t: clamp(t, 0, S.session.times() - 1) });

  /** Show the record of an index; following stops, because somebody chose. */
  function choose(index, push) {
    const rec = clamp(index, 0, Math.max(0, S.feed.steps.length - 1));
    const step = S.feed.steps[rec] ?? null;
    const twin = S.feed.steps[rec - 1] === step || S.feed.steps[rec + 1] === step;
    S.store.set({ rec, step, record: twin ? rec : null, follow: false }, push);
  }

  function moveRecord(by) {
    const [low, high] = rangeOfRecords();
    choose(clamp((state.rec ?? 0) + by, Math.min(low, state.rec ?? 0), Math.max(high, state.rec ?? 0)), false);
  }

  /** Indices of the records inside the brushed range; all of them without one. */
  function rangeOfRecords() {
    const n = S.feed.steps.length;
    if (!state.range) return [0, Math.max(0, n - 1)];
    const low = S.feed.steps.findIndex((step) => step >= state.range[0]);
    const high = S.feed.indexAt(state.range[1]);
    return low < 0 || high < low ? [0, Math.max(0, n - 1)] : [low, high];
  }

  function moveSlot(by) {
    const slots = (S.session.memory() || {}).slots;
    if (slots) S.store.set({ slot: clamp(state.slot + by, 0, slots - 1) });
  }

  function nextHead() {
    const heads = (S.session.memory() || {}).read_heads || 0;
    if (heads > 1) S.store.set({ head: (state.head + 1) % heads }, true);
  }

  function follow(on) {
    if (on) S.store.set({ follow: true, playing: false, rec: null }, true);
    else S.store.set({ follow: false }, true);
  }

  S.moves = { choose, moveTime, toTime, moveRecord, rangeOfRecords, moveSlot, nextHead, follow };
})();

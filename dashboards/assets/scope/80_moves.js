/* Moves: from here to another time, record, slot or head, by hand or by playing. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const state = S.store.state;

  const clamp = (v, low, high) => Math.max(low, Math.min(high, v));
  const moveTime = (by) => S.store.set({ t: clamp(state.t + by, 0, S.page.times() - 1) });

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
    const tile = S.panels.frame && S.panels.frame.tiles.find((x) => x.row_axis === 'slot');
    if (tile) S.store.set({ slot: clamp(state.slot + by, 0, tile.full_rows - 1) });
  }

  function nextHead() {
    const frame = S.panels.frame;
    const heads = frame ? frame.tiles.filter((x) => x.field === `${frame.memory}/read_weights`).length : 0;
    if (heads > 1) S.store.set({ head: (state.head + 1) % heads }, true);
  }

  const toggleLog = () => S.store.set({ scale: state.scale === 'log' ? 'linear' : 'log' }, true);

  function follow(on) {
    if (on) S.store.set({ follow: true, playing: false, rec: null }, true);
    else S.store.set({ follow: false }, true);
  }

  function play(on) {
    const patch = { playing: on };
    const end = state.t >= S.page.times() - 1;
    const [, last] = rangeOfRecords();
    if (on && state.mode === 'all' && end && state.rec === last) patch.t = 0;
    S.store.set(patch);
  }

  /** One tick of playing. */
  function advance() {
    if (!S.page.active() || !S.panels.frame || S.panels.frame.index !== state.rec) return; // wait for what is still loading
    const [low, high] = rangeOfRecords();
    const end = state.t >= S.page.times() - 1;
    if (state.mode === 'time') return S.store.set({ t: end ? 0 : state.t + 1 });
    if (state.mode === 'all' && !end) return S.store.set({ t: state.t + 1 });
    if (state.rec >= high) {
      if (state.mode === 'steps' && high > low) return choose(low, false);
      return play(false);
    }
    choose(Math.max(low, state.rec + 1), false);
    if (state.mode === 'all') S.store.set({ t: 0 });
  }

  S.page = {}; // filled by the page itself; what draws only needs it once somebody acts
  S.moves = { choose, moveTime, moveRecord, moveSlot, nextHead, toggleLog, follow, play, advance };
})();

/* Playing: the clock of the foot moves through times, records, or both. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const state = S.store.state;

  const toggleLog = () => S.store.set({ scale: state.scale === 'log' ? 'linear' : 'log' }, true);

  function play(on) {
    const patch = { playing: on };
    const end = state.t >= S.page.times() - 1;
    const [, last] = S.moves.rangeOfRecords();
    if (on && state.mode === 'all' && end && state.rec === last) patch.t = 0;
    S.store.set(patch);
  }

  /** One tick of playing. */
  function advance() {
    if (!S.page.active() || !S.panels.frame || S.panels.frame.index !== state.rec) return; // wait for what is still loading
    const [low, high] = S.moves.rangeOfRecords();
    const end = state.t >= S.page.times() - 1;
    if (state.mode === 'time') return S.store.set({ t: end ? 0 : state.t + 1 });
    if (state.mode === 'all' && !end) return S.store.set({ t: state.t + 1 });
    if (state.rec >= high) {
      if (state.mode === 'steps' && high > low) return S.moves.choose(low, false);
      return play(false);
    }
    S.moves.choose(Math.max(low, state.rec + 1), false);
    if (state.mode === 'all') S.store.set({ t: 0 });
  }

  S.playing = { toggleLog, play, advance };
})();

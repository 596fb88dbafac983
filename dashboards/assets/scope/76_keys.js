/* The keys of this page beside those that all pages about a run have (base/54_commands.js). */
(function () {
  'use strict';
  const S = window.memviz.scope;

  function escape() {
    if (S.toolbar.close()) return;
    if (S.store.state.playing) S.page.play(false);
    else if (S.store.state.finding) S.store.set({ finding: null }, true);
    else if (S.store.state.hit !== null) S.store.set({ hit: null }, true);
    else if (S.store.state.word !== null) S.store.set({ word: null }, true);
    else if (S.store.state.range) S.store.set({ range: null }, true);
    S.tip.hide();
  }

  window.memviz.actions.offer('scope', [
    { keys: ['Space'], key: ' ', text: 'play or pause', run: () => S.page.play(!S.store.state.playing) },
    { keys: ['l'], key: 'l', text: 'weights on a log scale', run: () => S.page.toggleLog() },
    { keys: ['v'], key: 'v', text: 'exact values of the focused panel as a table', run: () => S.table.open() },
    { keys: ['i'], key: 'i', text: 'all findings, with what was checked', run: () => S.report.open() },
    { keys: ['Esc'], key: 'Escape', text: 'close, clear the finding, the place or the range', palette: false, run: escape },
  ]);
})();

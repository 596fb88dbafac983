/* The Film page has what all pages about a run have (assets/base/), and its own parts beside it. */
(function () {
  'use strict';
  const F = (window.memviz.film = Object.create(window.memviz.base));
  const { state } = F.store;
  F.page = {}; // filled by 90_page.js
  F.GUTTER = 156; // room for names to the left of everything that shares the axis of steps
  F.RIGHT = 76; // and for values to the right

  /** The one axis of steps: a column per block of records. `cw` is the width of a column in pixels. */
  F.axisOf = (width, columns, block) => {
    const room = Math.max(80, width - F.GUTTER - F.RIGHT);
    const raw = room / Math.max(1, columns);
    // Wide columns are of one width. Narrow ones fill the room: each takes a pixel at least, since the server pools to as
    // many as there is room for, and some take one more.
    const cw = raw >= 8 ? Math.min(48, Math.floor(raw)) : Math.max(1, raw);
    return { cw, columns, block, x0: F.GUTTER, x1: F.GUTTER + cw * columns, at: (record) => F.GUTTER + (Math.floor(record / block) + 0.5) * cw };
  };

  /** The record that a column stands for: its last one. */
  F.recordOf = (column, block) => Math.min(F.feed.steps.length - 1, column * block + block - 1);

  const open = () => F.store.set({ view: state.view === 'film' ? 'scope' : 'film', playing: false }, true);
  const key = { keys: ['t'], key: 't', text: 'the film of the training, and back', run: open };
  for (const page of ['scope', 'lineage', 'compare', 'film']) window.memviz.actions.offer(page, [key]);
})();

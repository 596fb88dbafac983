/* What happens without a write, where `memviz ablate` has run the record again; shares hold the addressing, this does not. */
(function () {
  'use strict';
  const L = window.memviz.lineage;
  const { el } = L.draw;
  const { short, num } = L.words;
  let key = '';
  let known = null; // the answer for the record, memory and item that are shown

  /** Ask once per record, memory and item; the server keeps what a command has left beside the trace. */
  function of(q) {
    const now = JSON.stringify(q);
    if (now === key) return;
    key = now;
    known = null;
    L.api.ablation(q).then(
      (answer) => {
        if (key !== now) return;
        known = answer;
        L.tabs.again();
        L.page.invalidate();
      },
      () => {}
    );
  }

  const any = () => Boolean(known && known.removals && known.removals.length);

  /** The removal of the write at a time, or null. */
  const at = (t) => (any() && known.removals.find((one) => one.time === t)) || null;

  /** The cell of a write for a read at time t: what the output does there, and where it changes most. */
  function cell(write, t) {
    const one = at(write);
    if (!one) return el('span.ln-removed', { title: 'this write was not removed' }, '–');
    const here = one.effect[t] ?? null;
    const peak = one.effect.indexOf(Math.max(...one.effect));
    const loss = one.loss === null || known.loss === null ? '' : `; ${known.loss_name} ${short(num(known.loss))} to ${short(num(one.loss))}`;
    const words = `without the write at t = ${write} the output changes by ${short(num(here))} at t = ${t}, by up to ${short(num(one.largest))} at t = ${peak}${loss}`;
    return el('span.ln-removed', { title: words }, el('b', {}, short(num(here))), ` max ${short(num(one.largest))}`);
  }

  const HEAD = 'removed: output changes by';

  /** Where the numbers are from, or how to get them. */
  function note() {
    if (!known) return null;
    if (!known.removals) return el('p.note.ln-ablnote', {}, 'What the model would answer without a write is not known yet: ', el('code', {}, known.command), ' runs the record again from a checkpoint.');
    return el('p.note.ln-ablnote', {}, `Removed: how far the output changes at this time, and at most; ${L.words.plural(known.removals.length, 'write')} removed one by one, the addressing free to move (${known.source}).`);
  }

  L.ablation = { of, any, at, cell, note, HEAD, forget: () => ((key = ''), (known = null)) };
})();

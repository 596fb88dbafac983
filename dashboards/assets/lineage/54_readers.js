/* Tab "Who reads it": the reads that a write reaches, as bars; a row is a button that chooses its read. */
(function () {
  'use strict';
  const L = window.memviz.lineage;
  const { el } = L.draw;
  const { num } = L.words;

  /** The answer about a write if it is here; otherwise it is asked for. */
  function of(write) {
    if (write === null) return null;
    return L.api.tellNow(L.page.query(), 'readers', { time: write });
  }

  function build(data, write) {
    const best = L.arcs.ranked(data).find(([source]) => source > 0);
    const chosen = write !== null ? write : best ? best[0] - 1 : 0;
    const answer = L.api.tellNow(L.page.query(), 'readers', { time: chosen });
    if (!answer) {
      const failed = L.page.ask('readers', { time: chosen });
      return [el('p.note', {}, failed || `Resolving every read of the sequence for the write at t = ${chosen} …`)];
    }
    const rows = answer.strongest.map((one, i) => {
      const cells = [el('b', {}, `t = ${one.time}`), data.names[one.time] || '', '', `head ${one.head}`].map((cell) => el('span', {}, cell));
      const label = `Read at t = ${one.time} by head ${one.head}: ${L.percent(num(one.share))} from this write`;
      return el('button.ln-row', { type: 'button', 'aria-label': label, onclick: () => L.store.set({ t: one.time, head: one.head, write: null, tab: 'shares' }, true) }, ...cells, L.shares.bar(num(one.share), i === 0));
    });
    const heads = el('div.ln-row.ln-rowhead', {}, ...['read', '', '', 'by', `share from t = ${chosen}`].map((name) => el('span', {}, name)));
    return [el('p.ln-say', {}, `${answer.sentence}.`), heads, el('div.ln-rows', {}, ...rows)];
  }

  L.readers = { of, build };
})();

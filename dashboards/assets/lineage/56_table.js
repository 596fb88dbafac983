/* Tab "Table": every source of the read as numbers, for reading and for screen readers. */
(function () {
  'use strict';
  const L = window.memviz.lineage;
  const { el } = L.draw;
  const { num, fixed } = L.words;
  const MOST = 400;

  function build(data) {
    const ablated = L.ablation.any();
    const rows = data.shares.map((share, source) => [source, num(share)]).slice(0, MOST);
    const body = rows.map(([source, share]) => {
      const t = source - 1;
      const cells = source === 0 ? ['', '', ''] : [data.names[t], fixed(num(data.write_mass[t]), 4), String(data.write_slot[t])];
      const removal = source === 0 ? null : L.ablation.at(t);
      if (ablated) cells.push(...(removal ? [removal.effect[data.time] ?? null, removal.largest].map((one) => L.words.exact(num(one))) : ['', '']));
      return el('tr', {}, el('th', { scope: 'row' }, L.sourceName(source)), ...cells.map((cell) => el('td', {}, cell)), el('td', {}, L.words.exact(share)));
    });
    const head = el('tr', {}, ...['write', 'name', 'write mass', 'top slot', ...(ablated ? [L.ablation.HEAD, 'at most'] : []), 'share'].map((name) => el('th', { scope: 'col' }, name)));
    const table = el('table.sc-table', {}, el('caption.sr-only', {}, data.sentence), el('thead', {}, head), el('tbody', {}, ...body));
    const cut = data.shares.length > MOST ? `The first ${MOST} of ${data.shares.length} sources; memviz.lineage gives all.` : 'All sources; they sum to 1.';
    return [table, el('p.note', {}, `${cut} Addressing frozen.`)];
  }

  L.table = { build };
})();

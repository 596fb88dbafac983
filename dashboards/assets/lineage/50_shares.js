/* Tab "Shares": the writes with the largest shares as bars; a row is a button that chooses its write. */
(function () {
  'use strict';
  const L = window.memviz.lineage;
  const { el } = L.draw;
  const { num } = L.words;
  const MOST = 11;

  const bitsOf = (t) => {
    const canvas = el('canvas', { 'aria-hidden': 'true' });
    const g = L.draw.fit(canvas, 50, 8);
    L.bits(g, L.page.frame(), t, 0, 0, 49, 8);
    return canvas;
  };

  /** A bar from zero; a negative share is hatched. */
  function bar(share, strong) {
    const fill = el(`span.ln-fill${strong ? '.ln-strong' : ''}${share < 0 ? '.ln-negative' : ''}`);
    fill.style.width = `${Math.min(100, 100 * Math.abs(share))}%`;
    return el('span.ln-bar', {}, fill, el('span.ln-value', {}, L.percent(share)));
  }

  function row(cells, share, strong, go, label) {
    const parts = [...cells.map((cell) => (cell instanceof Element && cell.matches('.ln-removed') ? cell : el('span', {}, cell))), bar(share, strong)];
    return go ? el('button.ln-row', { type: 'button', onclick: go, 'aria-label': label }, ...parts) : el('div.ln-row', {}, ...parts);
  }

  function build(data) {
    const order = L.arcs.ranked(data).filter(([, share]) => Number.isFinite(share));
    if (!order.length) return [el('p.note', {}, `${data.sentence}.`)];
    const ablated = L.ablation.any();
    const shown = order.slice(0, MOST).filter(([, share], i) => i === 0 || Math.abs(share) >= 0.005);
    const rest = order.slice(shown.length).reduce((sum, [, share]) => sum + share, 0);
    const rows = shown.map(([source, share], i) => {
      if (source === 0) return row([el('b', {}, 'initial'), 'memory', '', '', ...(ablated ? [''] : [])], share, i === 0, null);
      const t = source - 1;
      const label = `Write at t = ${t}, ${L.percent(share)} of the read; who reads it and what became of it`;
      return row([el('b', {}, `t = ${t}`), data.names[t] || '', bitsOf(t), `slot ${data.write_slot[t]}`, ...(ablated ? [L.ablation.cell(t, data.time)] : [])], share, i === 0, () => L.page.chooseWrite(t), label);
    });
    if (order.length > shown.length) rows.push(el('div.ln-row.ln-rest', {}, el('span', {}, `all ${order.length - shown.length} others together`), bar(rest, false)));
    const heads = el('div.ln-row.ln-rowhead', {}, ...['write', '', 'input', 'stored in', ...(ablated ? [L.ablation.HEAD] : []), 'share'].map((name) => el('span', {}, name)));
    const scale = el('div.ln-scale', { 'aria-hidden': 'true' }, ...[0, 25, 50, 75, 100].map((v) => el('span', {}, v === 100 ? '100 %' : String(v))));
    return [el(`div${ablated ? '.ln-ablated' : ''}`, {}, heads, el('div.ln-rows', {}, ...rows), scale), L.ablation.note()];
  }

  L.shares = { build, bar, bitsOf };
})();

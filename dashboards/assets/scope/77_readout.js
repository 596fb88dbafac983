/* The cell cursor: in a focused panel the arrow keys move time and slot, and the cell under the cursor is read out. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const REST_MS = 180;
  let timer = 0;

  const focused = () => S.panels.shown.find((panel) => panel.node === document.activeElement) || null;

  /** Say the cell of the focused panel once the cursor rests; nothing while no panel has the focus. */
  function soon() {
    clearTimeout(timer);
    if (focused()) timer = setTimeout(say, REST_MS);
  }

  async function say() {
    const panel = focused();
    if (!panel || !S.panels.frame || !S.page.active()) return;
    const query = S.panels.cellQuery();
    let cell;
    try {
      cell = await S.api.cell(query);
    } catch (error) {
      return;
    }
    if (panel !== focused() || query.t !== S.panels.cellQuery().t || query.slot !== S.panels.cellQuery().slot) return;
    const given = cell.get(panel.tile.id);
    if (given === undefined) return;
    const head = panel.tile.head === null || panel.tile.head === undefined ? '' : `, head ${panel.tile.head}`;
    const slot = panel.tile.row_axis === 'slot' ? `, slot ${query.slot}` : '';
    const value = Array.isArray(given) ? given.map(S.words.short).join(', ') : S.words.short(given);
    window.memviz.announce(`${panel.titleText}${head}, time ${query.t}${slot}: ${value}`);
  }

  const inPanel = () => focused() !== null;
  window.memviz.actions.offer('scope', [
    { keys: ['↑', '↓'], key: 'ArrowUp', text: 'slot up, down in the focused panel, read out', palette: false, when: inPanel, run: () => S.moves.moveSlot(-1) },
    { key: 'ArrowDown', palette: false, when: inPanel, run: () => S.moves.moveSlot(1) },
  ]);
  S.store.listen((_, changed) => (changed.has('t') || changed.has('slot') || changed.has('rec')) && soon());
  document.addEventListener('focusin', soon);
})();

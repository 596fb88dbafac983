/* The table view: exact values of one field around the chosen time, for reading and for screen readers. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { el } = S.draw;
  const TIMES = 9; // columns around the chosen time
  const ROWS = 24;
  const LIMIT = 200000; // numbers that the route gives at once
  let dialog = null;
  let opener = null;

  function shell(title) {
    close();
    opener = document.activeElement;
    const shut = el('button.btn', { type: 'button', onclick: close }, 'Close');
    const body = el('div.sc-tablebody', {}, 'loading …');
    dialog = el('dialog.sc-dialog', { 'aria-label': title }, el('div.sc-hd', {}, el('span.ttl', {}, title), el('span.spring'), shut), body);
    dialog.addEventListener('close', close);
    document.body.append(dialog);
    dialog.showModal();
    shut.focus();
    return body;
  }

  function close() {
    if (!dialog) return false;
    const old = dialog;
    dialog = null;
    if (old.open) old.close();
    old.remove();
    if (opener && opener.isConnected) opener.focus({ preventScroll: true });
    return true;
  }

  /** Exact values of the focused panel around (t, slot). */
  async function open() {
    const card = document.activeElement && document.activeElement.closest('#scope-root .sc-right .card[data-field]');
    const matrix = card && S.panels.metaOf(card.dataset.field);
    if (matrix) return openField(matrix, Math.min(S.store.state.t, S.panels.frame.times - 1));
    const panel = S.panels.focused();
    if (!panel) return;
    const { tile } = panel;
    const s = S.store.state;
    const head = tile.head === null || tile.head === undefined ? '' : `, head ${tile.head}`;
    const body = shell(`${panel.titleText}${head}, exact values of record ${S.panels.frame.index + 1}`);
    const T = tile.full_cols;
    const t0 = Math.max(0, Math.min(s.t - (TIMES >> 1), T - TIMES));
    const times = [...Array(Math.min(TIMES, T)).keys()].map((i) => t0 + i);
    const n = tile.full_rows;
    const middle = tile.row_axis === 'slot' ? s.slot : 0;
    const r0 = Math.max(0, Math.min(middle - (ROWS >> 1), n - ROWS));
    const rows = [...Array(Math.min(ROWS, n)).keys()].map((i) => r0 + i);
    try {
      const columns = await columnsOf(panel, times);
      body.replaceChildren(grid(tile, times, rows, columns, s), note(tile, times, rows));
    } catch (error) {
      body.textContent = error.message;
    }
  }

  /** One list per time: the values of all rows. */
  async function columnsOf(panel, times) {
    const { tile } = panel;
    const s = S.store.state;
    const field = S.panels.metaOf(tile.field);
    const base = { run: s.run, rec: S.panels.frame.index, item: s.item, field: tile.field };
    // The route counts pictures over all head axes, in the order in which their tiles come.
    const twins = S.panels.frame.tiles.filter((x) => x.field === tile.field);
    const head = field && field.axes.some((axis) => S.matrixFields.HEAD_AXES.includes(axis)) ? twins.indexOf(tile) : null;
    const read = async (time) => {
      const { values } = await S.api.fieldValues({ ...base, head, time });
      return Array.isArray(values) ? values.map(S.words.num) : [S.words.num(values)];
    };
    return Promise.all(times.map(read));
  }

  function grid(tile, times, rows, columns, s) {
    const axis = (tile.row_axis || 'value').replaceAll('_', ' ');
    const head = el('tr', {}, el('th', { scope: 'col' }, `${axis} \\ time`), ...times.map((t) => el('th', { scope: 'col', class: t === s.t ? 'sc-now' : null }, String(t))));
    const body = rows.map((row) =>
      el(
        'tr',
        { class: tile.row_axis === 'slot' && row === s.slot ? 'sc-now' : null },
        el('th', { scope: 'row' }, tile.row_axis ? String(row) : ''),
        ...times.map((t, i) => el('td', { class: t === s.t ? 'sc-now' : null }, S.words.exact(columns[i][row])))
      )
    );
    return el('table.sc-table', {}, el('thead', {}, head), el('tbody', {}, ...body));
  }

  function note(tile, times, rows) {
    const part = rows.length < tile.full_rows || times.length < tile.full_cols;
    const words = part
      ? `${rows.length} of ${tile.full_rows} rows and ${times.length} of ${tile.full_cols} times, around the selection.`
      : 'All values.';
    return el('p.sub', {}, words);
  }

  /** All values of a field that has no panel, as far as the route gives them. */
  async function openField(field, at) {
    const body = shell(`${field.title || field.name}, exact values`);
    const s = S.store.state;
    const count = (field.shape || []).reduce((a, b) => a * b, 1);
    try {
      const time = at !== undefined ? at : count > LIMIT && field.axes.includes('time') ? s.t : null;
      const answer = await S.api.fieldValues({ run: s.run, rec: S.panels.frame.index, item: s.item, field: field.field, head: at === undefined ? null : Math.min(s.head, S.matrixFields.pictures(field) - 1), time });
      const { values } = answer;
      body.replaceChildren(anyShape(values), el('p.sub', {}, `${(field.axes || []).join(' × ')} = ${(field.shape || []).join(' × ')}${time === null ? '' : `, at t = ${time}`}`));
    } catch (error) {
      body.textContent = error.message;
    }
  }

  function anyShape(values) {
    if (!Array.isArray(values)) return el('p', {}, S.words.exact(S.words.num(values)));
    if (!Array.isArray(values[0])) values = [values];
    const flat = values.slice(0, 256);
    const text = (v) => (Array.isArray(v) ? v.slice(0, 64).map(text).join('  ') : S.words.exact(S.words.num(v)));
    const rows = flat.map((row, i) => el('tr', {}, el('th', { scope: 'row' }, String(i)), ...row.slice(0, 64).map((v) => el('td', {}, text(v)))));
    return el('table.sc-table', {}, el('tbody', {}, ...rows));
  }

  S.table = { open, openField, close, isOpen: () => dialog !== null };
})();

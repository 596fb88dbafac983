/* What has no panel at first sight: further fields, fields without a time axis, and fields that were not recorded. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const { el } = S.draw;
  const K = S.kinds;

  /** What a memory of a known law should have; its absence is said instead of left out. */
  const EXPECTED = {
    dnc: ['write_weights', 'read_weights', 'usage', 'allocation_weights'],
    sdnc: ['write_weights', 'read_weights', 'usage'],
    ntm: ['write_weights', 'read_weights'],
    sam: ['write_weights', 'read_weights'],
  };

  /** A panel without cells that says why. */
  function placeholder(field, state, words) {
    const title = S.panels.titleOf(field);
    return el(
      'div.sc-panel.sc-empty',
      { 'data-field': field, 'data-state': state, role: 'img', tabindex: 0, 'aria-label': `${title}: ${words}` },
      el('div.sc-label', {}, el('div.sc-title', {}, title)),
      el('span.sc-ticks'),
      el('div.sc-plot', {}, el('div.sc-note', {}, words))
    );
  }

  /** Placeholder panels for fields that could not be sent, and for expected fields that the record lacks. */
  function missing(tiles, frame, meta, hidden) {
    const { memory } = frame;
    const failed = (frame.missing || []).filter((one) => !hidden.has(K.bareName(one.field, memory)));
    const lost = new Set(failed.map((one) => one.field));
    const about = meta && meta.memories.find((m) => m.name === memory);
    const wanted = (about && EXPECTED[about.law]) || [];
    const there = new Set(tiles.map((tile) => K.bareName(tile.field, memory)));
    const absent = wanted.filter((name) => !there.has(name) && !hidden.has(name) && !lost.has(`${memory}/${name}`));
    return [
      ...absent.map((name) => placeholder(`${memory}/${name}`, 'empty', 'not recorded; record it with memviz.attach(…, fields="all")')),
      ...failed.map((one) => placeholder(one.field, 'error', one.reason)),
    ];
  }

  /** Fields of the record that no panel and no matrix draws: without a time axis, or with axes of their own. */
  function undrawn(meta, frame) {
    const drawn = new Set(frame.tiles.concat(frame.missing || []).map((one) => one.field));
    const out = [];
    for (const memory of (meta && meta.memories) || []) {
      if (memory.name !== frame.memory && memory.name !== 'model') continue;
      for (const field of memory.fields) {
        if (!drawn.has(field.field) && !S.matrixFields.isMatrix(field)) out.push(field);
      }
    }
    return out;
  }

  let pieces = null;

  /** The area of further fields: a button that opens it, its panels, and a table of what has no panel. */
  function arrange(host, tiles, open, { meta, frame, place }) {
    const rest = undrawn(meta, frame);
    if (!tiles.length && !rest.length) {
      host.replaceChildren();
      pieces = null;
      return;
    }
    if (!pieces || pieces.host !== host || !host.children.length) {
      const button = el('button.btn.sc-morebtn', { type: 'button', onclick: () => S.store.set({ more: !S.store.state.more }, true) });
      pieces = { host, button, list: el('div'), table: el('div.sc-rest') };
      host.replaceChildren(button, pieces.list, pieces.table);
    }
    const names = [...new Set(tiles.map((tile) => S.panels.titleOf(tile.field)))].concat(rest.map((f) => f.title || f.name));
    const some = names.slice(0, 4).join(', ') + (names.length > 4 ? ` and ${names.length - 4} more` : '');
    S.draw.say(pieces.button, `${open ? '▾' : '▸'} More fields: ${some}`);
    S.draw.put(pieces.button, 'aria-expanded', open);
    place(pieces.list, open ? tiles : []);
    pieces.table.replaceChildren(...(open ? rest.map(restRow) : []));
  }

  function restRow(field) {
    const size = field.shape && field.shape.length ? field.shape.join(' × ') : 'one number';
    const axes = (field.axes || []).join(', ');
    const words = `${size}${axes ? ` (${axes})` : ''}, ${field.dtype || ''}${field.derived ? ', derived' : ''}`;
    const button = el('button.btn', { type: 'button', onclick: () => S.table.openField(field) }, 'values');
    return el(
      'div.sc-restrow',
      { 'data-field': field.field, 'data-state': 'ready', title: field.meaning || '' },
      el('b', {}, field.title || S.words.titleOf(field.field)),
      el('span.sub', {}, words),
      button
    );
  }

  S.missing = { panels: missing };
  S.more = { arrange };
})();

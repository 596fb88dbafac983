/* What changed in words, the largest differences with a jump to each, and which slot stands for which. */
(function () {
  'use strict';
  const P = window.memviz.compare;
  const { el, say, put } = P.draw;
  const { short, num, plural } = P.words;
  const state = P.store.state;
  const MOST = 256; // slot pairs that are listed
  let dom = null;
  let shown = null;

  function mount() {
    const card = (name, title) => {
      const sub = el('span.sub');
      const body = el('div.ln-body', { tabindex: 0, role: 'group', 'aria-label': title });
      return { sub, body, node: el(`section.card.cp-card.cp-${name}`, { 'aria-label': title }, el('div.ln-hd', {}, el('h2.ttl', {}, title), sub), body) };
    };
    dom = { changes: card('changes', 'What changed'), largest: card('largest', 'Largest differences'), pairs: card('pairs', 'Slots of A and of B') };
    return el('div.cp-three', {}, dom.changes.node, dom.largest.node, dom.pairs.node);
  }

  function draw(data) {
    if (shown !== data) {
      shown = data;
      changes(data);
      largest(data);
      pairs(data);
    }
    mark();
  }

  function changes(data) {
    const parts = [];
    const list = (lines) => el('ul.cp-lines', {}, ...lines.map((line) => el('li', {}, line)));
    if (data.first) {
      const jump = el('button.cp-jump', { type: 'button', onclick: () => go({ time: data.first.time }, `${data.a.memory}/${data.first.field}`) }, `The first difference is at t = ${data.first.time}, in ${data.first.title.toLowerCase()}`);
      parts.push(el('p', {}, jump));
    }
    if (data.changes.length) parts.push(list(data.changes));
    else if (!data.fields.length) parts.push(el('p', {}, 'The two have nothing in common that could be held against each other.'));
    else if (!data.same && data.a.slots) parts.push(el('p.note', {}, 'How the memory is used is alike in both: no number of it differs by enough to say so.'));
    if (data.same && data.fields.length) parts.push(el('p', {}, data.b.law_of ? 'What was recorded follows its law within rounding.' : 'Nothing differs by more than rounding.'));
    if (data.missing.length) {
      parts.push(el('h3.cp-sub', {}, 'Not compared'));
      const by = new Map();
      for (const { field, reason } of data.missing) by.set(reason, [...(by.get(reason) || []), P.words.titleOf(`/${field}`).toLowerCase()]);
      parts.push(list([...by].map(([reason, fields]) => `${fields.join(', ')}: ${reason}`)));
    }
    if (data.notes.length) parts.push(el('h3.cp-sub', {}, 'Beside the records'), list(data.notes));
    dom.changes.body.replaceChildren(...parts);
    say(dom.changes.sub, data.changes.length ? plural(data.changes.length, 'change') : '');
  }

  function largest(data) {
    const rows = data.fields.filter((entry) => !entry.same);
    const head = el('tr', {}, ...['field', 'where', 'largest |Δ|', 'mean |Δ|'].map((name) => el('th', { scope: 'col' }, name)));
    const body = rows.slice(0, 40).map((entry) => {
      const where = Object.entries(entry.place).filter(([axis]) => axis !== 'write_head' || entry.place.write_head > 0).map(([axis, index]) => `${{ time: 't =', read_head: 'head', write_head: 'head' }[axis] || axis.replaceAll('_', ' ')} ${index}`).join(', ');
      const jump = el('button.cp-jump', { type: 'button', onclick: () => go(entry.place, `${entry.memory}/${entry.field}`) }, entry.title);
      return el('tr', {}, el('th', { scope: 'row' }, jump), el('td', {}, where), el('td', {}, short(num(entry.largest))), el('td', {}, short(num(entry.mean))));
    });
    const table = el('table.cp-table', {}, el('thead', {}, head), el('tbody', {}, ...body));
    dom.largest.body.replaceChildren(rows.length ? table : el('p', {}, data.fields.length > 1 ? `All ${data.fields.length} fields agree within rounding.` : data.fields.length ? 'The one field agrees within rounding.' : 'There is nothing to compare.'));
    say(dom.largest.sub, rows.length ? `${rows.length} of ${plural(data.fields.length, 'field')} ${rows.length === 1 ? 'differs' : 'differ'}; sorted in units of rounding` : '');
  }

  function pairs(data) {
    const { slots, read_heads: heads, alone, method } = data.align;
    const parts = [];
    if (slots.some((of) => of >= 0)) {
      const chips = slots.slice(0, MOST).map((of, slot) => {
        const moved = of !== slot;
        const chip = el('button.cp-pair', { type: 'button', 'data-slot': slot, title: of < 0 ? `slot ${slot} of A has no counterpart` : `slot ${slot} of A is slot ${of} of B`, onclick: () => P.store.set({ slot }, true) }, `${slot}→${of < 0 ? '–' : of}`);
        if (moved) chip.classList.add('moved');
        return el('li', {}, chip);
      });
      parts.push(el('ol.cp-pairs', { 'aria-label': 'Slot of A, slot of B' }, ...chips));
      if (slots.length > MOST) parts.push(el('p.note', {}, `and ${slots.length - MOST} more`));
      if (alone.length) parts.push(el('p.note', {}, `Of B ${plural(alone.length, 'slot')} stand for none of A: ${alone.slice(0, 24).join(', ')}${alone.length > 24 ? ' …' : ''}`));
      if (heads.some((of, head) => of !== head)) parts.push(el('p.note', {}, `Read heads A → B: ${heads.map((of, head) => `${head}→${of}`).join('  ')}`));
    }
    const text = data.align.text;
    parts.unshift(el('p.note', {}, `${text.charAt(0).toUpperCase()}${text.slice(1)}${method === 'none' ? '. Slots are exchangeable: two runs rarely use the same ones' : ''}.`));
    if (!slots.some((of) => of >= 0)) parts.splice(0, parts.length, el('p.note', {}, data.a.slots || data.b.slots ? 'Only one of the two has slots, so there is nothing to align.' : 'These memories have no slots, so there is nothing to align.'));
    if (data.b.law_of) parts.splice(0, parts.length, el('p.note', {}, 'The law uses the slots of the record, so there is nothing to align.'));
    dom.pairs.body.replaceChildren(...parts);
    const left = num(data.align.unexplained);
    say(dom.pairs.sub, slots.some((of) => of >= 0) && method !== 'none' && !data.b.law_of ? `${P.words.fixed(100 * left, left < 0.1 ? 1 : 0)} % of the squared distance is left` : '');
  }

  function mark() {
    for (const chip of dom.pairs.body.querySelectorAll('.cp-pair')) put(chip, 'aria-pressed', Number(chip.dataset.slot) === state.slot);
  }

  /** Go to a place of a field. */
  function go(place, field) {
    const patch = {};
    if (place.time !== undefined) patch.t = place.time;
    const slot = place.slot ?? place.slot_to;
    if (slot !== undefined) patch.slot = slot;
    if (place.read_head !== undefined) patch.head = place.read_head;
    if (!P.grid.isMain({ field })) patch.more = true;
    P.store.set(patch, true);
    P.page.reveal(field, place.read_head ?? place.write_head);
  }

  function clear() {
    shown = null;
    for (const { body, sub } of Object.values(dom)) {
      body.replaceChildren();
      say(sub, '');
    }
  }

  P.said = { mount, draw, clear };
})();

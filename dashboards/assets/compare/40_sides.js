/* What stands on either side: pickers of run, step and item, swapping, and how slots are aligned and differences scaled. */
(function () {
  'use strict';
  const P = window.memviz.compare;
  const { el, put } = P.draw;
  const state = P.store.state;
  const LISTED = 300; // steps in a list; beyond that a number is typed
  let dom = null;

  function picker(label, change) {
    const select = el('select.sc-select', { 'aria-label': label, onchange: () => change(select.value) });
    return { box: el('label.sc-picker', {}, label.replace(/^[AB] /, ''), select), select };
  }

  /** A list of steps, or a field to type one into where there are many. */
  function stepper(label, change) {
    const select = el('select.sc-select', { 'aria-label': label, onchange: () => change(Number(select.value)) });
    const input = el('input.cp-step', { type: 'number', min: 0, 'aria-label': label, onchange: () => input.value !== '' && change(null, Number(input.value)) });
    return { box: el('label.sc-picker', {}, 'step', select, input), select, input };
  }

  function mount() {
    dom = {
      aRun: picker('A run', (run) => run !== state.run && toRun(run)),
      aStep: stepper('A step', (index, step) => P.moves.choose(index ?? P.feed.nearest(step), true)),
      aItem: picker('A item', (item) => P.store.set({ item: Number(item) }, true)),
      bRun: picker('B run', chooseB),
      bStep: stepper('B step', chooseStepB),
      bItem: picker('B item', (item) => P.store.set({ cmpitem: Number(item) }, true)),
      bMemory: picker('B memory', (memory) => P.store.set({ cmpmemory: memory }, true)),
      aMemory: picker('A memory', (memory) => P.store.set({ memory, slot: 0, head: 0 }, true)),
      swap: el('button.btn', { type: 'button', title: 'A becomes B, and B becomes A (x)', onclick: () => P.page.swap() }, 'Swap'),
      align: el('div.ln-seg', { role: 'group', 'aria-label': 'How slots are aligned' }),
    };
    for (const [name, text, title] of [[null, 'Slots aligned', 'by what was written where; where that was not recorded, by what slots hold'], ['content', 'By content', 'by what slots hold after the last common time'], ['none', 'As numbered', 'slot 3 with slot 3']]) {
      dom.align.append(el('button', { type: 'button', title, 'data-align': name ?? 'auto', onclick: () => P.store.set({ align: name }, true) }, text));
    }
    const a = el('div.cp-side', { role: 'group', 'aria-label': 'A' }, el('b.cp-letter', {}, 'A'), dom.aRun.box, dom.aStep.box, dom.aItem.box, dom.aMemory.box);
    const b = el('div.cp-side', { role: 'group', 'aria-label': 'B' }, el('b.cp-letter', {}, 'B'), dom.bRun.box, dom.bStep.box, dom.bItem.box, dom.bMemory.box);
    return el('section.card.cp-sides', { 'aria-label': 'What is compared' }, a, dom.swap, b, el('span.spring'), dom.align);
  }

  /** Another run on side A: its last record, held against the same B. */
  function toRun(run) {
    window.memviz.navigate(P.store.format({ ...state, run, step: null, record: null, range: null, finding: null, memory: null, follow: false, cmp: state.cmp || P.name(state.run, state.step) }));
  }

  function chooseB(value) {
    if (value === P.LAW) return P.store.set({ ...P.against('', null), cmp: P.LAW }, true);
    if (value === state.run && state.rec !== null) return P.store.set(P.againstRecord(Math.max(0, state.rec - 1)), true);
    const run = P.other.runs().find((one) => one.id === value);
    P.store.set(P.against(value, run ? run.step : null), true);
  }

  function chooseStepB(index, step) {
    const there = P.other.chosen(P.page.invalidate);
    if (!there.steps || !there.steps.length) return;
    const at = index ?? P.other.indexAt(there.steps, step);
    const twin = there.steps[at - 1] === there.steps[at] || there.steps[at + 1] === there.steps[at];
    P.store.set({ cmp: P.name(there.run, there.steps[at]), cmprecord: twin ? at : null }, true);
  }

  function fill(pick, options, value) {
    const key = JSON.stringify(options);
    if (pick.select.dataset.key !== key) {
      pick.select.dataset.key = key;
      pick.select.replaceChildren(...options.map(([v, text]) => el('option', { value: v }, text)));
    }
    pick.select.value = String(value);
    pick.box.hidden = options.length < 2;
  }

  function fillSteps(pick, steps, index) {
    const listed = steps.length <= LISTED;
    pick.select.hidden = !listed;
    pick.input.hidden = listed;
    pick.box.hidden = !steps.length;
    if (!listed) return pick.input !== document.activeElement && (pick.input.value = steps[index] ?? '');
    const key = `${steps.length}|${steps[0]}|${steps[steps.length - 1]}`;
    if (pick.select.dataset.key !== key) {
      pick.select.dataset.key = key;
      pick.select.replaceChildren(...steps.map((step, i) => el('option', { value: i }, steps[i - 1] === step || steps[i + 1] === step ? `${step}, record ${i + 1}` : String(step))));
    }
    pick.select.value = String(index);
  }

  const items = (batch) => (batch || [0]).map((name, i) => [i, batch && batch.length > 1 ? `${name}  (${i + 1} of ${batch.length})` : '0']);

  /** there: as `P.other.chosen` says; aboutB: the description of its record, if it is here. */
  function draw(about, there, aboutB, data) {
    const ids = P.other.runs().map((run) => run.id);
    const known = ids.includes(state.run) ? ids : [state.run, ...ids];
    fill(dom.aRun, known.map((id) => [id, id]), state.run);
    fillSteps(dom.aStep, P.feed.steps, state.rec ?? 0);
    fill(dom.aItem, items(about && about.batch), state.item);
    const memories = (one) => (one ? one.memories.filter((m) => m.name !== 'model').map((m) => [m.name, m.name]) : []);
    fill(dom.aMemory, memories(about), state.memory);
    const other = there.run !== undefined && !known.includes(there.run) ? [...known, there.run] : known;
    const listB = [...(there.kind === 'none' ? [['', 'choose …']] : []), ...other.map((id) => [id, id === state.run ? `${id} (this run)` : id]), [P.LAW, 'the update law']];
    fill(dom.bRun, listB, there.kind === 'law' ? P.LAW : there.run ?? '');
    const record = there.kind === 'record';
    fillSteps(dom.bStep, record ? there.steps : [], record ? there.index : 0);
    fill(dom.bItem, record ? items(aboutB && aboutB.batch) : [], state.cmpitem ?? Math.min(state.item, aboutB ? (aboutB.batch || [0]).length - 1 : 0));
    fill(dom.bMemory, record ? memories(aboutB) : [], state.cmpmemory ?? (data ? data.b.memory : state.memory));
    dom.swap.disabled = !record;
    dom.align.hidden = there.kind === 'law' || Boolean(data && !data.align.slots.length);
    for (const button of dom.align.children) put(button, 'aria-pressed', button.dataset.align === (state.align === null || state.align === 'writes' ? 'auto' : state.align));
  }

  P.sides = { mount, draw };
})();

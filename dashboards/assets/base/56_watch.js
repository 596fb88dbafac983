/* The reverse watchpoint: from a slot (or a cell of it) back to the write that put there what it holds, and on again. */
(function () {
  'use strict';
  const S = window.memviz.base;
  const state = S.store.state;
  const FELT = 0.1; // a write of less is no writer (docs/api.md, slot)

  const query = () => ({ run: state.run, rec: state.rec, item: state.item, memory: state.memory });
  const parts = () => ({ slot: state.slot, word: state.word });

  /** The events of the chosen slot or cell; a promise. */
  const load = () => S.api.tell(query(), 'events', parts());
  /** The same if they are here. */
  const now = () => (state.rec === null || !state.memory ? null : S.api.tellNow(query(), 'events', parts()));

  const name = () => `slot ${state.slot}${state.word === null ? '' : `, word ${state.word}`}`;
  const isWrite = (event) => event.kind === 'written' && S.words.num(event.weight) >= FELT;

  /** Go to an event, or say why there is none. */
  async function go(pick, none) {
    if (state.rec === null || !state.memory) return;
    let said;
    try {
      said = await load();
    } catch (error) {
      return window.memviz.announce(`The history of ${name()} cannot be told: ${error.what || error.message}`), note(error.what || error.message);
    }
    if (said.missing) return window.memviz.announce(`The history of ${name()} cannot be told: ${said.missing}`), note(said.missing);
    const event = pick(said.events);
    if (!event) return window.memviz.announce(none), note(none);
    S.store.set({ t: event.time, finding: null }, true);
    const text = `${name()}: ${sentence(event)}`;
    window.memviz.announce(text);
    note(text);
  }

  /** Back to the write behind what is there now; from that write, to the one before it. */
  const toWriter = () =>
    go((events) => events.filter((e) => isWrite(e) && e.time < state.t + (atWrite(events) ? 0 : 1)).pop(), `Nothing wrote ${name()} before t = ${state.t}; what it holds is older.`);

  const atWrite = (events) => events.some((e) => isWrite(e) && e.time === state.t);

  /** On to what changed it next. */
  const toNext = () =>
    go((events) => events.find((e) => e.time > state.t && (isWrite(e) || (e.kind === 'erased' && S.words.num(e.weight) >= FELT))), `Nothing overwrites ${name()} after t = ${state.t}.`);

  /** One event in words: "written at t = 4 by write head 0 with weight 0.93, norm 0.02 to 1.41". */
  function sentence(event) {
    const { short, fixed, num } = S.words;
    const head = event.kind === 'erased' || event.kind === 'written' ? `write head ${event.head}` : `read head ${event.head}`;
    const what = state.word === null ? 'norm' : 'value';
    const moved = num(event.change) > 0 ? `, ${what} ${short(num(event.before))} to ${short(num(event.after))}` : '';
    return `${event.kind} at t = ${event.time} by ${head} with weight ${fixed(num(event.weight), 2)}${moved}`;
  }

  let said = '';
  let saidOf = '';
  const place = () => [state.run, state.rec, state.item, state.memory, state.slot, state.word].join('|');
  /** What the last jump did, for the slot card to show. */
  function note(text) {
    said = text;
    saidOf = place();
    for (const listener of listeners) listener();
  }
  const listeners = [];

  S.watch = { load, now, toWriter, toNext, sentence, isWrite, note, listen: (f) => listeners.push(f), said: () => (saidOf === place() ? said : '') };
})();

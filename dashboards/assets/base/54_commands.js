/* Commands that every page about a run has: its keys, and what the palette finds in it. */
(function () {
  'use strict';
  const S = window.memviz.base;
  const state = S.store.state;

  const shared = [
    { keys: ['←', '→'], key: 'ArrowLeft', text: 'time back, forward', palette: false, run: () => S.moves.moveTime(-1) },
    { key: 'ArrowRight', palette: false, run: () => S.moves.moveTime(1) },
    { keys: ['Shift', '←', '→'], key: 'Shift+ArrowLeft', text: 'record (training step)', palette: false, run: () => S.moves.moveRecord(-1) },
    { key: 'Shift+ArrowRight', palette: false, run: () => S.moves.moveRecord(1) },
    { keys: ['Home', 'End'], key: 'Home', text: 'first, last time', palette: false, run: () => S.moves.toTime(0) },
    { key: 'End', palette: false, run: () => S.moves.toTime(S.session.times() - 1) },
    { keys: ['j', 'k'], key: 'j', text: 'slot down, up', palette: false, run: () => S.moves.moveSlot(1) },
    { key: 'k', palette: false, run: () => S.moves.moveSlot(-1) },
    { keys: ['h'], key: 'h', text: 'next head', run: () => S.moves.nextHead() },
    { keys: ['.', ','], key: '.', text: 'next, previous finding', run: () => S.findings.walk(1) },
    { key: ',', text: 'previous finding', keys: [','], help: false, run: () => S.findings.walk(-1) },
    { keys: ['g'], key: 'g', text: 'lineage of this read, and back', run: () => S.session.go(state.view === 'lineage' ? 'scope' : 'lineage') },
    { keys: ['s'], key: 's', text: 'story of this record, and back', run: () => S.stories.go() },
    { keys: ['b'], key: 'b', text: 'back to the write behind this slot', run: () => S.watch.toWriter() },
    { keys: ['n'], key: 'n', text: 'on to the next overwrite of this slot', run: () => S.watch.toNext() },
    { keys: ['f'], key: 'f', text: 'follow the newest record', run: () => S.moves.follow(!state.follow) },
    { keys: ['y'], key: 'y', text: 'copy a link to this place', run: copyLink },
  ];
  for (const page of ['scope', 'lineage', 'compare', 'film']) window.memviz.actions.offer(page, shared);

  async function copyLink() {
    S.store.write(true);
    try {
      await navigator.clipboard.writeText(window.location.href);
      window.memviz.announce('The link is copied');
    } catch (error) {
      window.memviz.announce('The browser does not allow copying; the address bar holds the link');
    }
  }

  // Where the palette can go within a run.
  window.memviz.palette.source(() => {
    if (state.run === null) return [];
    const found = S.findings.list.map((f) => ({ group: f.severity, text: f.sentence, run: () => S.findings.show(f) }));
    const about = S.session.about();
    const fields = about ? about.memories.flatMap((m) => m.fields.map((field) => ({ group: 'field', text: `${field.title} (${field.field})`, run: () => S.session.toField(field) }))) : [];
    const memories = about && about.memories.length > 1 ? about.memories.filter((m) => m.name !== 'model').map((m) => ({ group: 'memory', text: m.name, run: () => S.store.set({ memory: m.name, slot: 0, head: 0 }, true) })) : [];
    return [...found, ...memories, ...fields];
  });

  S.commands = { copyLink, shared };
})();

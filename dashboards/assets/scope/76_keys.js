/* The keys of the page. Never taken in inputs, never with Ctrl, Alt or Meta, and space and Enter are left to buttons. */
(function () {
  'use strict';
  const S = window.memviz.scope;

  const HELP = [
    { keys: ['←', '→'], text: 'time' },
    { keys: ['Shift', '←', '→'], text: 'record (training step)' },
    { keys: ['Space'], text: 'play or pause' },
    { keys: ['Home', 'End'], text: 'first, last time' },
    { keys: ['j', 'k'], text: 'slot down, up' },
    { keys: ['h'], text: 'next head' },
    { keys: ['f'], text: 'follow the newest record' },
    { keys: ['l'], text: 'weights on a log scale' },
    { keys: ['v'], text: 'exact values as a table' },
    { keys: ['Esc'], text: 'close, clear the range' },
    { keys: ['?'], text: 'this list' },
  ];

  const actions = {
    ArrowRight: (e) => (e.shiftKey ? S.page.moveRecord(1) : S.page.moveTime(1)),
    ArrowLeft: (e) => (e.shiftKey ? S.page.moveRecord(-1) : S.page.moveTime(-1)),
    Home: () => S.store.set({ t: 0 }),
    End: () => S.store.set({ t: S.page.times() - 1 }),
    ' ': () => S.page.play(!S.store.state.playing),
    j: () => S.page.moveSlot(1),
    k: () => S.page.moveSlot(-1),
    h: () => S.page.nextHead(),
    f: () => S.page.follow(!S.store.state.follow),
    l: () => S.page.toggleLog(),
    v: () => S.table.open(),
    Escape: () => {
      if (S.table.close() || S.toolbar.close()) return;
      if (S.store.state.playing) S.page.play(false);
      else if (S.store.state.range) S.store.set({ range: null }, true);
      S.tip.hide();
    },
  };

  const typing = (node) => node && (node.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(node.tagName));

  function onKey(event) {
    if (!S.page.active() || event.defaultPrevented) return;
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (S.table.isOpen() && event.key !== 'Escape') return;
    // Another dialog, such as the help of the page, has the keys while it is open.
    if (!S.table.isOpen() && document.querySelector('dialog[open]')) return;
    const action = actions[event.key.length === 1 && !event.shiftKey ? event.key.toLowerCase() : event.key];
    if (!action) return;
    const button = event.target.closest && event.target.closest('button, summary, a');
    if (button && (event.key === ' ' || event.key === 'Enter')) return;
    event.preventDefault();
    action(event);
  }

  document.addEventListener('keydown', onKey);
  S.keys = { HELP };
})();

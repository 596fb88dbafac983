/* The lower card: tabs with shares, what was destroyed, who reads, and the table. */
(function () {
  'use strict';
  const L = window.memviz.lineage;
  const { el, put } = L.draw;
  const TABS = [
    ['shares', 'Shares', (data) => L.shares.build(data)],
    ['destroyed', 'Who destroyed it', (data, write) => L.destroyed.build(data, write)],
    ['readers', 'Who reads it', (data, write) => L.readers.build(data, write)],
    ['table', 'Table', (data) => L.table.build(data)],
  ];
  const SUB = {
    shares: 'writes with the largest shares; the rest is summed',
    destroyed: 'share of each write lost at each later write, scale 0 to 1; rows sum to 1 with what is left',
    readers: 'share of the chosen write in later reads',
    table: 'exact values',
  };
  let dom = null;
  let key = '';

  function mount() {
    dom = { list: el('div.ln-seg', { role: 'tablist', 'aria-label': 'What to show' }), sub: el('span.sub'), body: el('div.ln-body', { role: 'tabpanel', id: 'lineage-tabpanel', tabindex: 0 }) };
    TABS.forEach(([name, title], i) => {
      const tab = el('button', { type: 'button', role: 'tab', id: `lineage-tab-${name}`, 'aria-controls': 'lineage-tabpanel', onclick: () => L.store.set({ tab: name }, true) }, title);
      tab.addEventListener('keydown', (event) => {
        const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!by) return;
        event.preventDefault();
        event.stopPropagation();
        const next = (i + by + TABS.length) % TABS.length;
        L.store.set({ tab: TABS[next][0] }, true);
        dom.list.children[next].focus();
      });
      dom.list.append(tab);
    });
    key = '';
    return el('section.card.ln-tabs', { 'aria-label': 'Shares, losses and readers' }, el('div.ln-hd', {}, dom.list, el('span.spring'), dom.sub), dom.body);
  }

  function draw(data, write, waiting) {
    const tab = L.store.state.tab;
    TABS.forEach(([name], i) => {
      put(dom.list.children[i], 'aria-selected', name === tab);
      put(dom.list.children[i], 'tabindex', name === tab ? 0 : -1);
    });
    put(dom.body, 'aria-labelledby', `lineage-tab-${tab}`);
    L.draw.say(dom.sub, SUB[tab]);
    const now = [tab, write, L.colour.generation(), dom.body.clientWidth, waiting].join('|');
    if (dom.data === data && key === now) return;
    dom.data = data;
    key = now;
    if (!data) return dom.body.replaceChildren();
    const build = TABS.find(([name]) => name === tab)[2];
    dom.body.replaceChildren(...build(data, write).filter(Boolean));
  }

  L.tabs = { mount, draw, again: () => (key = '') };
})();

/* The command palette, Ctrl-K: every action of the page, every page, run, finding and field, found by typing. */
(function () {
  'use strict';
  const memviz = window.memviz;
  const MOST = 40;
  const sources = [];
  let dialog = null;
  let list = null;
  let input = null;
  let rest = null;
  let found = [];
  let at = 0;

  /** Add a source of entries: a function (or a promise of one) that gives [{group, text, keys, run}]. */
  const source = (entries) => sources.push(entries);

  const make = (tag, className, text) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };

  function build() {
    dialog = make('dialog', 'palette');
    dialog.setAttribute('aria-label', 'Command palette');
    input = make('input', 'palette-input');
    const given = { type: 'text', role: 'combobox', 'aria-expanded': 'true', 'aria-controls': 'palette-list', 'aria-label': 'Command', autocomplete: 'off', placeholder: 'Type a command, run, finding or field' };
    for (const [name, value] of Object.entries(given)) input.setAttribute(name, value);
    list = make('ul', 'palette-list');
    list.id = 'palette-list';
    list.setAttribute('role', 'listbox');
    list.setAttribute('aria-label', 'Commands');
    rest = make('p', 'palette-none');
    rest.setAttribute('role', 'status');
    dialog.append(input, list, rest);
    input.addEventListener('input', () => fill(0));
    input.addEventListener('keydown', onKey);
    dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
    document.body.append(dialog);
  }

  let entries = [];

  async function open() {
    if (!dialog) build();
    if (dialog.open) return dialog.close();
    if (document.querySelector('dialog[open]')) return;
    entries = [];
    input.value = '';
    dialog.showModal();
    fill(0);
    // Runs come from the server; what is known at once is listed at once.
    for (const one of [actions, ...sources]) {
      Promise.resolve(one()).then((more) => {
        entries = entries.concat(more);
        if (dialog.open) fill(at);
      });
    }
  }

  const actions = () => memviz.actions.here().filter((a) => a.text && a.palette !== false).map((a) => ({ group: 'do', text: a.text, keys: a.keys, run: a.run }));

  /** Every word typed must occur; what begins with it comes first. */
  function matches() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const ranked = entries
      .map((entry, i) => ({ entry, i, text: `${entry.group} ${entry.text}`.toLowerCase() }))
      .filter(({ text }) => words.every((word) => text.includes(word)));
    const rank = ({ entry }) => (words.length && entry.text.toLowerCase().startsWith(words[0]) ? 0 : 1);
    ranked.sort((a, b) => rank(a) - rank(b) || a.i - b.i);
    return ranked.map(({ entry }) => entry);
  }

  function fill(chosen) {
    const all = matches();
    found = all.slice(0, MOST);
    at = Math.max(0, Math.min(found.length - 1, chosen));
    list.replaceChildren(
      ...found.map((entry, i) => {
        const item = make('li', 'palette-item');
        item.id = `palette-${i}`;
        item.setAttribute('role', 'option');
        item.append(make('span', 'palette-group', entry.group), make('span', 'palette-text', entry.text));
        const keys = make('span', 'palette-keys');
        for (const key of entry.keys || []) keys.append(make('kbd', '', key));
        item.append(keys);
        item.addEventListener('click', () => run(i));
        item.addEventListener('pointermove', () => at !== i && mark(i));
        return item;
      })
    );
    const more = all.length > MOST ? `${all.length - MOST} more: type on` : '';
    rest.textContent = found.length ? more : entries.length ? 'Nothing matches' : 'loading …';
    rest.hidden = !rest.textContent;
    list.hidden = !found.length;
    mark(at);
  }

  function mark(i) {
    at = i;
    [...list.querySelectorAll('[role=option]')].forEach((item, k) => item.setAttribute('aria-selected', k === i));
    const item = list.children[i];
    if (item && found.length) {
      input.setAttribute('aria-activedescendant', item.id);
      item.scrollIntoView({ block: 'nearest' });
    } else input.removeAttribute('aria-activedescendant');
  }

  function run(i) {
    const entry = found[i];
    if (!entry) return;
    dialog.close();
    entry.run();
  }

  function onKey(event) {
    const n = found.length;
    const moves = { ArrowDown: () => mark((at + 1) % n), ArrowUp: () => mark((at + n - 1) % n), Enter: () => run(at) };
    if (!moves[event.key] || !n) return;
    event.preventDefault();
    moves[event.key]();
  }

  document.addEventListener('keydown', (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      open();
    }
  });
  document.addEventListener('click', (event) => {
    if (event.target instanceof Element && event.target.closest('#command-button')) open();
  });

  memviz.palette = { open, source };
})();

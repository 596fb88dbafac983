/*
 * Actions: what can be done on a page, with its keys, a name for the palette and a line for the help. One list serves all
 * three, so that none of them can promise what another does not know.
 */
(function () {
  'use strict';
  const memviz = (window.memviz = window.memviz || {});
  const groups = new Map(); // page name -> actions; "" is every page

  /**
   * Offer actions on a page. Each: {keys: ['←'], key: 'ArrowLeft' | ['j', 'k'] (event names, with Shift+ before them),
   * text, run(event), hidden}. An action without `key` is in the palette only; `keys` is what help shows.
   */
  function offer(page, actions) {
    groups.set(page, [...(groups.get(page) || []), ...actions]);
  }

  const here = () => {
    const route = memviz.route ? memviz.route() : { page: '' };
    return [...(groups.get(route.page) || []), ...(groups.get('') || [])];
  };

  /** What the help lists for the page that is shown. */
  const help = () => here().filter((a) => a.keys && a.help !== false).map((a) => ({ keys: a.keys, text: a.text }));

  const nameOf = (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    return (event.shiftKey && key.length > 1 ? 'Shift+' : '') + key;
  };

  /** Keys are never taken in inputs or lists, never with Ctrl, Alt or Meta, and space and Enter are left to buttons. */
  function onKey(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target instanceof Element ? event.target : null;
    if (at && (at.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName))) return;
    if (document.querySelector('dialog[open]')) return;
    if (at && at.closest('button, summary, a') && (event.key === ' ' || event.key === 'Enter')) return;
    const name = nameOf(event);
    const action = here().find((a) => [].concat(a.key || []).includes(name) && (!a.when || a.when(event)));
    if (!action) return;
    event.preventDefault();
    action.run(event);
  }

  document.addEventListener('keydown', onKey);
  memviz.actions = { offer, here, help };
})();

/* What this file is and what it does not hold, in words. */
(function () {
  'use strict';
  const start = window.memviz.offline;

  const make = (tag, text) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    return node;
  };

  function words() {
    const list = make('ul');
    for (const one of start.leftOut) list.append(make('li', one));
    const size = `${(start.bytes / 2 ** 20).toFixed(1)} MiB of data`;
    const parts = [
      make('p', `One record of the run ${start.run}, item ${start.item}, exported by memviz with ${size}. It needs no server and makes no request.`),
      make('p', start.leftOut.length ? 'Not in this file:' : 'Everything that the pages show of this record is in it.'),
    ];
    if (start.leftOut.length) parts.push(list);
    parts.push(make('p', 'Other records, items and pages: memviz serve on the trace.'));
    return parts;
  }

  function open() {
    const dialog = make('dialog');
    dialog.className = 'help of-about';
    dialog.setAttribute('aria-label', 'About this file');
    const shut = make('button', 'Close');
    shut.className = 'btn';
    shut.type = 'button';
    shut.addEventListener('click', () => dialog.close());
    const head = make('div');
    head.className = 'help-head';
    head.append(make('h2', 'About this file'), shut);
    dialog.append(head, ...words());
    dialog.addEventListener('close', () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }

  document.addEventListener('click', (event) => {
    if (event.target instanceof Element && event.target.closest('#about-file')) open();
  });
  window.memviz.actions.offer('', [{ text: 'about this file', run: open }]);
  window.addEventListener('DOMContentLoaded', () => document.querySelector('.of-start').append(...words()));
})();

/* The tooltip: a place that follows the pointer, and exact values fetched when the pointer rests. */
(function () {
  'use strict';
  const S = window.memviz.base;
  const REST_MS = 70;
  let node = null;
  let timer = 0;
  let ticket = 0;

  function element() {
    if (!node || !node.isConnected) {
      node = S.draw.el('div.sc-tip', { role: 'tooltip' });
      document.body.append(node);
    }
    return node;
  }

  function place(x, y) {
    const box = element();
    const { width, height } = box.getBoundingClientRect();
    box.style.left = Math.max(4, Math.min(window.innerWidth - width - 8, x + 14)) + 'px';
    box.style.top = (y + height + 24 > window.innerHeight ? y - height - 10 : y + 14) + 'px';
  }

  /**
   * Show a tooltip. `about` is text before the value, `approx` what is known at once (or ''); `exact`, if given, returns
   * the exact number or a promise of it, asked only when the pointer rests.
   */
  function show(x, y, about, approx, exact) {
    const box = element();
    const mine = ++ticket;
    clearTimeout(timer);
    box.style.display = 'block';
    box.dataset.exact = 'false';
    const now = exact && exact(false);
    if (typeof now === 'number') return settle(box, about, now, x, y);
    box.textContent = approx ? `${about}: ${approx}` : about;
    place(x, y);
    if (!exact) return;
    timer = setTimeout(async () => {
      try {
        const v = await exact(true);
        if (mine === ticket && typeof v === 'number') settle(box, about, v, x, y);
      } catch (error) {
        if (mine === ticket) box.textContent = `${about}: ${error.message}`;
      }
    }, REST_MS);
  }

  function settle(box, about, v, x, y) {
    box.textContent = `${about}: ${S.words.exact(v)}`;
    box.dataset.exact = 'true';
    place(x, y);
  }

  function hide() {
    ticket++;
    clearTimeout(timer);
    if (node) node.style.display = 'none';
  }

  S.tip = { show, hide };
})();

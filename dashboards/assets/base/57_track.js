/* A scrubber: a line with the places 0..n-1, dragged or moved by keys; and the clock that moves one while playing. */
(function () {
  'use strict';
  const S = window.memviz.base;
  const { el, put, text, line, dot, polygon } = S.draw;
  const token = S.colour.token;
  const HEIGHT = 32;

  /**
   * Make a scrubber. given: id, label, count() (number of places), at() (the chosen one), go(i, push), name(i) (its
   * tick label), words(i) (what a screen reader hears), marks() ([{at, colour}], small triangles above the line).
   */
  function track(given) {
    const canvas = el('canvas', { 'aria-hidden': 'true' });
    const node = el('div.sc-scrub', { id: given.id, role: 'slider', tabindex: 0, 'aria-label': given.label }, canvas);
    node.addEventListener('pointerdown', onDown);
    node.addEventListener('keydown', onKey);

    const clamp = (i) => Math.max(0, Math.min(given.count() - 1, i));

    function draw() {
      const n = Math.max(1, given.count());
      const at = clamp(given.at());
      const w = Math.max(120, node.clientWidth);
      const g = S.draw.fit(canvas, w, HEIGHT);
      const pitch = n > 1 ? (w - 20) / (n - 1) : 0;
      const x = 10 + at * pitch;
      line(g, 10, 14, w - 10, 14, token('line-strong'), 2);
      line(g, 10, 14, x, 14, token('accent'), 3);
      const widest = Math.max(...[0, n - 1].map((i) => String(given.name(i)).length));
      const unit = S.draw.niceStep(n, w / (20 + 7 * widest));
      for (let k = 0; k < n; k += pitch >= 5 ? 1 : unit) line(g, 10 + k * pitch, 10, 10 + k * pitch, 18, token('line-strong'));
      for (let k = 0; k < n; k += unit) text(g, String(given.name(k)), 10 + k * pitch, 27, { align: 'center', size: 9, colour: token('ink2') });
      for (const mark of given.marks ? given.marks() : []) {
        const m = 10 + mark.at * pitch;
        polygon(g, [[m - 4, 0], [m + 4, 0], [m, 7]], token(mark.colour));
      }
      dot(g, x, 14, 7, token('accent'));
      dot(g, x, 14, 3, token('surface'));
      put(node, 'aria-valuemin', 0);
      put(node, 'aria-valuemax', n - 1);
      put(node, 'aria-valuenow', at);
      put(node, 'aria-valuetext', given.words(at));
    }

    function onDown(event) {
      if (event.button !== 0) return;
      event.preventDefault();
      node.focus({ preventScroll: true });
      const to = (e, push) => {
        const box = node.getBoundingClientRect();
        given.go(clamp(Math.round(((e.clientX - box.left - 10) / Math.max(1, box.width - 20)) * (given.count() - 1))), push);
      };
      S.drag(event, to);
    }

    /** The keys of a slider move this one, whatever they do on the page. */
    function onKey(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
      const n = given.count();
      const at = given.at();
      const page = Math.max(1, Math.round(n / 10));
      const to = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, Home: 0, End: n - 1, PageDown: at - page, PageUp: at + page }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      given.go(clamp(to), false);
    }

    return { node, draw };
  }

  const PLAY = 'M3 1.500l7 4.500-7 4.500z';
  const PAUSE = 'M2.500 1.500h2.500v9h-2.500zM7 1.500h2.500v9h-2.500z';

  function icon(path) {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    for (const [name, given] of [['viewBox', '0 0 12 12'], ['width', '12'], ['height', '12'], ['aria-hidden', 'true']]) svg.setAttribute(name, given);
    const shape = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    shape.setAttribute('d', path);
    shape.setAttribute('fill', 'currentColor');
    svg.append(shape);
    return svg;
  }

  /** A button that plays and pauses, with the clock behind it. `advance` is called at the chosen speed while playing. */
  function player(advance) {
    const state = S.store.state;
    let ticker = 0;
    let running = '';
    const node = el('button.btn.ic', { type: 'button', onclick: toggle });
    function toggle() {
      S.store.set({ playing: !state.playing });
    }
    function draw() {
      const label = state.playing ? 'Pause (space)' : 'Play (space)';
      if (node.getAttribute('aria-label') !== label) {
        put(node, 'aria-label', label);
        put(node, 'title', label);
        node.replaceChildren(icon(state.playing ? PAUSE : PLAY));
      }
      const wanted = state.playing ? String(state.speed) : '';
      if (wanted === running) return;
      stop();
      running = wanted;
      if (wanted) ticker = setInterval(advance, 1000 / state.speed);
    }
    function stop() {
      clearInterval(ticker);
      ticker = 0;
      running = '';
    }
    return { node, draw, stop, toggle };
  }

  /** Times per second, as a list. */
  function speeds() {
    const select = el('select.sc-select', { 'aria-label': 'Speed', onchange: () => S.store.set({ speed: Number(select.value) }) });
    for (const n of [1, 2, 4, 8, 16, 30]) select.append(el('option', { value: n }, `${n} / s`));
    return { node: select, draw: () => select.value !== String(S.store.state.speed) && (select.value = String(S.store.state.speed)) };
  }

  S.track = track;
  S.player = player;
  S.speeds = speeds;
})();

/* Dragging: what a press does, done again for every move until the button is let go. */
(function () {
  'use strict';
  const S = window.memviz.base;

  /** go(event, push): at the press with push true, so that back undoes the whole drag; at the moves after it with false. */
  S.drag = function (event, go) {
    go(event, true);
    const move = (e) => go(e, false);
    const end = () => {
      window.removeEventListener('pointermove', move);
      window.removeEventListener('pointerup', end);
      window.removeEventListener('pointercancel', end);
    };
    window.addEventListener('pointermove', move);
    window.addEventListener('pointerup', end);
    window.addEventListener('pointercancel', end);
  };
})();

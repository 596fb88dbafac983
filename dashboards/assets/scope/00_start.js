/* The Scope page has what all pages about a run have (assets/base/), and its own parts beside it. */
(function () {
  'use strict';
  const S = (window.memviz.scope = Object.create(window.memviz.base));
  S.page = {}; // filled by 90_page.js; what draws only needs it once somebody acts
})();

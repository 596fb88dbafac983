/* Small canvas and DOM helpers that every part of the page draws with. */
(function () {
  'use strict';
  const S = window.memviz.base;
  const token = S.colour.token;
  const FONT = 'system-ui,-apple-system,"Segoe UI",Inter,Roboto,"Helvetica Neue","DejaVu Sans",sans-serif';

  /** Size a canvas in CSS pixels for this display and return its context, cleared. */
  function fit(canvas, width, height) {
    const ratio = Math.max(1, Math.round(window.devicePixelRatio || 1));
    const w = Math.max(1, Math.round(width));
    const h = Math.max(1, Math.round(height));
    const g = canvas.drawing || (canvas.drawing = canvas.getContext('2d'));
    if (canvas.width !== w * ratio || canvas.height !== h * ratio) {
      canvas.width = w * ratio;
      canvas.height = h * ratio;
      g.lastFont = '';
      canvas.style.width = w + 'px';
      canvas.style.height = h + 'px';
    }
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, h);
    return g;
  }

  /** Text; options: size, weight, colour, align, base. */
  function text(g, string, x, y, options) {
    const o = options || {};
    // Setting a font parses it, which is felt when a hundred labels are drawn at every frame.
    const font = `${o.weight || ''} ${o.size || 10}px ${FONT}`;
    if (g.lastFont !== font) {
      g.font = font;
      g.lastFont = font;
    }
    g.fillStyle = o.colour || token('ink3');
    g.textAlign = o.align || 'left';
    g.textBaseline = o.base || 'middle';
    g.fillText(string, x, y);
  }

  /** Width of a text in pixels at a size. */
  function widthOf(g, string, size) {
    g.font = `${size}px ${FONT}`;
    g.lastFont = '';
    return g.measureText(string).width;
  }

  function line(g, x1, y1, x2, y2, colour, width, dash) {
    g.strokeStyle = colour;
    g.lineWidth = width || 1;
    g.setLineDash(dash || []);
    g.beginPath();
    g.moveTo(x1, y1);
    g.lineTo(x2, y2);
    g.stroke();
    g.setLineDash([]);
  }

  function polygon(g, points, colour) {
    g.beginPath();
    points.forEach(([x, y], i) => (i ? g.lineTo(x, y) : g.moveTo(x, y)));
    g.closePath();
    g.fillStyle = colour;
    g.fill();
  }

  function dot(g, x, y, r, colour) {
    g.beginPath();
    g.arc(x, y, r, 0, 7);
    g.fillStyle = colour;
    g.fill();
  }

  const SHAPES = {
    triangle: (g, x, y, r, c) => polygon(g, [[x - r, y - r * 0.85], [x + r, y - r * 0.85], [x, y + r]], c),
    disc: (g, x, y, r, c) => dot(g, x, y, r * 0.9, c),
    diamond: (g, x, y, r, c) => polygon(g, [[x, y - r], [x + r, y], [x, y + r], [x - r, y]], c),
    square: (g, x, y, r, c) => polygon(g, [[x - r, y - r], [x + r, y - r], [x + r, y + r], [x - r, y + r]].map(([a, b]) => [x + (a - x) * 0.8, y + (b - y) * 0.8]), c),
  };

  /** Shape and colour of a head, so that heads differ without colour: writes triangles, reads disc, diamond, square. */
  function marker(kind, head) {
    if (kind === 'write') return { shape: 'triangle', token: 'write' };
    return { shape: ['disc', 'diamond', 'square'][head % 3], token: head % 2 ? 'read1' : 'read0' };
  }

  function drawMarker(g, mark, x, y, radius) {
    SHAPES[mark.shape](g, x, y, radius, token(mark.token));
  }

  /** Diagonal stripes clipped to a rectangle. */
  function hatch(g, x, y, w, h, colour) {
    g.save();
    g.beginPath();
    g.rect(x, y, w, h);
    g.clip();
    g.strokeStyle = colour;
    g.lineWidth = 1.2;
    g.beginPath();
    for (let i = -h; i < w + h; i += 4) {
      g.moveTo(x + i, y + h);
      g.lineTo(x + i + h, y);
    }
    g.stroke();
    g.restore();
  }

  /** A round step such that about `room` labels fit: 1, 2 or 5 times a power of ten. */
  function niceStep(span, room) {
    const raw = Math.max(1, span / Math.max(1, room));
    const power = Math.pow(10, Math.floor(Math.log10(raw)));
    const unit = raw / power;
    return power * (unit <= 1 ? 1 : unit <= 2.5 ? 2 : unit <= 6 ? 5 : 10);
  }

  /** An element: el('div.card', {title: 'x'}, child, 'text'). Attributes that are functions become listeners. */
  function el(tag, attributes, ...children) {
    const [name, ...classes] = tag.split('.');
    const node = document.createElement(name);
    if (classes.length) node.className = classes.join(' ');
    for (const [key, given] of Object.entries(attributes || {})) {
      if (given === null || given === undefined || given === false) continue;
      if (typeof given === 'function') node.addEventListener(key.replace(/^on/, ''), given);
      else node.setAttribute(key, given === true ? '' : given);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  /** Set the text of a node only when it differs, so that scrubbing lays out nothing needlessly. */
  function say(node, string) {
    if (node.saidText !== string) {
      node.saidText = string;
      node.textContent = string;
    }
  }

  /** Set an attribute only when it differs. */
  function put(node, name, given) {
    const string = String(given);
    if (node.getAttribute(name) !== string) node.setAttribute(name, string);
  }

  S.draw = { fit, text, widthOf, line, dot, polygon, marker, drawMarker, hatch, niceStep, el, say, put };
})();

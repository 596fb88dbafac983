/* Matrices at a time: chunks of neighbouring times are fetched ahead, so that scrubbing finds them there, never stale. */
(function () {
  'use strict';
  const S = window.memviz.base;
  const PX = 184; // largest number of rows and columns that a card has room for
  const CHUNK_BYTES = 400000;
  const CHUNK_CELLS = 2 ** 24; // what the server computes for one answer, whatever it sends
  const AHEAD_CELLS = 2 ** 20; // larger matrices are only computed when they are looked at
  const FORGET_MS = 30000; // a failure is not asked for again before
  const HEAD_AXES = ['read_head', 'write_head', 'head'];

  /** The axes of a field that make up one picture at one time. */
  const pictureAxes = (field) => field.axes.filter((axis) => !HEAD_AXES.includes(axis) && axis !== 'time' && axis !== 'batch');
  const isMatrix = (field) => field.axes.includes('time') && pictureAxes(field).length === 2;
  const lengthOf = (field, axis) => (field.axes.includes(axis) ? field.shape[field.axes.indexOf(axis)] : 1);

  /** Number of pictures of a field at one time: the product of its head axes. */
  const pictures = (field) => HEAD_AXES.reduce((n, axis) => n * lengthOf(field, axis), 1);

  /** Times in one request, a power of two so that chunks of one field line up. */
  function chunkOf(field) {
    const [rows, cols] = pictureAxes(field).map((axis) => lengthOf(field, axis));
    const cells = Math.min(rows, PX) * Math.min(cols, PX);
    let chunk = 1;
    while (chunk < 32 && chunk * 2 * cells <= CHUNK_BYTES && chunk * 2 * rows * cols <= CHUNK_CELLS) chunk *= 2;
    return chunk;
  }

  function queryOf(base, field, head, k, chunk, times) {
    return { ...base, field: field.field, head, change: base.change || null, t0: k * chunk, t1: Math.min(times, (k + 1) * chunk), px: PX };
  }

  const sizeOf = (field) => pictureAxes(field).reduce((n, axis) => n * lengthOf(field, axis), 1);

  let lastTime = 0;
  const failures = new Map();

  /**
   * The tile of a field at time t if it is here; null when it is on its way; an Error when it cannot be had.
   * base: run, rec, item. `done` is called when something has changed.
   */
  function at(base, field, head, t, times, done) {
    const chunk = chunkOf(field);
    const k = Math.floor(t / chunk);
    const last = Math.ceil(times / chunk) - 1;
    const query = queryOf(base, field, head, k, chunk, times);
    const found = S.api.matrixNow(query);
    const key = JSON.stringify(query);
    const failure = failures.get(key);
    if (failure && performance.now() - failure.when < FORGET_MS) return failure.error;
    const ahead = t >= lastTime ? [k + 1, k - 1] : [k - 1, k + 1];
    lastTime = t;
    if (!found) {
      S.api.matrix(query).then(done, (error) => {
        // A server that is away comes back; what it refused it refuses again.
        if (error.status !== 0) failures.set(key, { error, when: performance.now() });
        done();
      });
    } else if (sizeOf(field) <= AHEAD_CELLS) {
      // Neighbours only once this one is here: what is looked at comes first.
      for (const next of ahead) {
        if (next < 0 || next > last) continue;
        const q = queryOf(base, field, head, next, chunk, times);
        if (!S.api.matrixNow(q)) S.api.matrix(q).catch(() => {});
      }
    }
    return found ? found.tiles[t - query.t0] || null : null;
  }

  S.matrixFields = { HEAD_AXES, isMatrix, pictureAxes, pictures, lengthOf, sizeOf };
  S.matrices = { at };
})();

/* Matrices at a time: chunks of neighbouring times are fetched ahead, so that scrubbing finds them there, never stale. */
(function () {
  'use strict';
  const S = window.memviz.scope;
  const PX = 220; // largest number of rows and columns that a card has room for
  const CHUNK_BYTES = 400000;
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
    while (chunk < 32 && chunk * 2 * cells <= CHUNK_BYTES) chunk *= 2;
    // A large matrix costs the server its full size, whatever is sent.
    if (rows * cols > 2 ** 18) chunk = Math.min(chunk, 4);
    return chunk;
  }

  function queryOf(base, field, head, k, chunk, times) {
    return { ...base, field: field.field, head, t0: k * chunk, t1: Math.min(times, (k + 1) * chunk), px: PX };
  }

  let lastTime = 0;

  /**
   * The tile of a field at time t if it is here; otherwise null, and it is on its way. base: run, rec, item.
   * `done` is called when something asked for has arrived, `failed` with an error.
   */
  function at(base, field, head, t, times, done, failed) {
    const chunk = chunkOf(field);
    const k = Math.floor(t / chunk);
    const last = Math.ceil(times / chunk) - 1;
    const query = queryOf(base, field, head, k, chunk, times);
    const found = S.api.matrixNow(query);
    const ahead = t >= lastTime ? [k + 1, k - 1] : [k - 1, k + 1];
    lastTime = t;
    const load = (q, say) => S.api.matrix(q).then(say ? done : () => {}, say ? failed : () => {});
    if (!found) load(query, true);
    // Neighbours only once this one is here: what is looked at comes first.
    else {
      for (const next of ahead) {
        if (next < 0 || next > last) continue;
        const q = queryOf(base, field, head, next, chunk, times);
        if (!S.api.matrixNow(q)) load(q, false);
      }
    }
    return found ? found.tiles[t - query.t0] || null : null;
  }

  /** The tile at a time if it is already here, without asking for it. */
  function peek(base, field, head, t, times) {
    const chunk = chunkOf(field);
    const query = queryOf(base, field, head, Math.floor(t / chunk), chunk, times);
    const found = S.api.matrixNow(query);
    return found ? found.tiles[t - query.t0] || null : null;
  }

  S.matrixFields = { HEAD_AXES, isMatrix, pictureAxes, pictures, lengthOf };
  S.matrices = { at, peek };
})();

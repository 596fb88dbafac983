"""Sparse access memory (SAM) in torch: a recurrent controller with a memory that may have a million slots.

Rae et al. 2016, "Scaling Memory-Augmented Neural Networks with Sparse Reads and Writes". How a time costs the same
whatever the number of slots is in `memviz.demos.models.sparse_memory`.
"""

from __future__ import annotations

from memviz.demos.models.sparse_model import RnnType, SparseModel
from memviz.demos.models.sparse_search import Search


class SAM(SparseModel):
    """A recurrent controller with a sparsely accessed memory.

    Arguments have the names of the `dnc` package where it has them. As in the paper, and other than there, the
    controller sees what was read at the time before.

    Args:
        input_size: channels of the input.
        hidden_size: width of each controller layer.
        output_size: channels of the output; `input_size` by default.
        rnn_type: "lstm", "gru" or "rnn" (tanh).
        num_layers: controller layers; each is fed by the layer below, the lowest by the input and the last reads.
        nr_cells: N, memory slots.
        cell_size: W, words per slot.
        read_heads: R.
        sparse_reads: K, slots that each head reads; all of them where there are fewer.
        num_lists: cells of faiss's inverted file; about 4 √N by default.
        index_checks: of these, how many a search looks into; more of them miss fewer neighbours.
        search: "exact"; "faiss", which may miss some of the K slots; or "auto", faiss for large memories where it is
            installed.
        batch_first: input and output are [batch, time, channel] instead of [time, batch, channel].
        clip: bound on the absolute value of the controller's recurrent state; 0 for none.

    Raises:
        OptionError: an option that cannot be, in one line.
        MemvizError: `search` is "faiss", and faiss is not installed.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int | None = None,
        rnn_type: RnnType = "lstm",
        num_layers: int = 1,
        nr_cells: int = 5000,
        cell_size: int = 10,
        read_heads: int = 4,
        sparse_reads: int = 4,
        num_lists: int | None = None,
        index_checks: int = 32,
        search: Search = "auto",
        batch_first: bool = True,
        clip: float = 20.0,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            output_size,
            rnn_type,
            num_layers,
            batch_first,
            clip,
            nr_cells=nr_cells,
            cell_size=cell_size,
            read_heads=read_heads,
            sparse_reads=sparse_reads,
            num_lists=num_lists,
            index_checks=index_checks,
            search=search,
        )

"""torch -> trace: attach to a model, capture its memory on sampled forwards, hand it to the writer thread.

Data flows one way: model -> probes -> staging -> queue -> writer thread -> memviz.trace.
"""

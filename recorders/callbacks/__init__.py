"""Recorders in the training loops that people use: one line each.

    Trainer(callbacks=[memviz.recorders.callbacks.lightning.Memviz("runs/copy")])           PyTorch Lightning
    Trainer(..., callbacks=[memviz.recorders.callbacks.huggingface.Memviz("runs/gpt")])     Hugging Face transformers
    Accelerator(log_with=memviz.recorders.callbacks.accelerate.Memviz(model, "runs/copy"))  Hugging Face Accelerate

Each attaches when training begins, logs what the loop logs, and closes the trace when training ends, by an exception
too. `attach` alone works in all of them; these only spare the lines around it.
"""

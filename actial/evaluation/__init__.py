"""Evaluation: generation, stand-in models, scores with errors."""

"""Actial: viewpoint reasoning for multimodal language models, from rendered views to scored answers."""

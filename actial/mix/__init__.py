"""Conversations for supervised fine-tuning: direct answers and verified chains of thought."""

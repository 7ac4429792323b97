"""Questions and conversations in the forms that other tools open: Hugging Face datasets, LLaMA-Factory, VLMEvalKit."""

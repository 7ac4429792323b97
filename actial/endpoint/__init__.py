"""Asking any server that speaks OpenAI's chat completions: a client with patience, and the replies it keeps."""

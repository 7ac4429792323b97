"""Training jobs on TRL: SFT and GRPO, exact resume."""

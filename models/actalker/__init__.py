"""ACTalker (ICCV 2025): Stable Video Diffusion driven by sound and facial motion through a parallel-control
mamba layer."""

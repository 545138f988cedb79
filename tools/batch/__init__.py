"""A studio's batch: a manifest of clips, warm ComfyUI servers, one film or one sentence for every clip."""

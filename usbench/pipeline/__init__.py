"""From an encoder, a task and its data to a result."""

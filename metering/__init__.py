"""水龙头 The counted door: credentials, tokens, gate, till, usage, and the gateway that serves data."""

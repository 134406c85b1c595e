"""交易 Orders and the licenses that come of them: from a stated purpose to a door that opens."""

"""蓄水池 The ground floor: how things are kept. Knows nothing of what they mean."""

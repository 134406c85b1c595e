"""清洗 The refinery: recipes that turn a registered file into a product's tables, and the proof of how."""

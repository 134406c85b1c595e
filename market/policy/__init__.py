"""公益与商业的分界 The line between public-good and commercial, as pure rules. Keeps nothing, decides nothing alone."""

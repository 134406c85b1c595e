"""审批 Cases and decisions: who asked, who decided, when, why. Knows nothing of what is decided."""

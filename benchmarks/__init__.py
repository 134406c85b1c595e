"""The numbers the README quotes: ours and the reference, side by side in one run."""

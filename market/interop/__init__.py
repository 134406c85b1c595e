"""Other machines: webhooks and protocols."""

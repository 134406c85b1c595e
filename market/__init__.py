"""管道 Everything that composes: people, registry, catalogue, trading, billing, and the faces shown to them."""

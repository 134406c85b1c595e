"""The pages: server-rendered, Chinese first. Each file shows one part of the market and holds no rule."""

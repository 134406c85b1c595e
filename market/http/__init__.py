"""The kit shared by the faces: who asks, what they may do, how a write is made, how a refusal looks."""

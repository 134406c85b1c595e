"""授权运营 Mandates: who may run which public data, until when, at most at which price, for at most how much."""

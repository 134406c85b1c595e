"""Pure building blocks every room speaks: clock, ids, money, words, machines, problems."""

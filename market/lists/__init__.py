"""清单 The open list and the negative list: versioned, dated, reasoned, edited by two people, published."""

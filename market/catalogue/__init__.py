"""目录 Products with versions, plans and listings: what the market shows, finds and puts on the shelf."""

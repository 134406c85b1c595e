"""A market to try: a cast, assets, products and deals, all invented or from freely licensed packages."""

"""The language of the deal: terms, templates, licenses, signatures."""

"""The language of the deal: terms, templates, policy, licenses, signatures. Imports only the ground floor."""

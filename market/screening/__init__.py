"""审查 Secrecy review and grading of data assets, by people other than those who submit them."""

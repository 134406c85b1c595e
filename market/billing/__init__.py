"""结算 Money: payment requests and rails, the double-entry ledger, invoices and periods, reconciliation."""

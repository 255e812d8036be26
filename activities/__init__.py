"""Everything with effects on the world that a workflow asks for: records, e-mails, signed reports."""

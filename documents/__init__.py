"""The signed report: `report` draws it, `authority` keeps the keys, `signature` signs it and checks it."""

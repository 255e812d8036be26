"""SCIM 2.0 (RFC 7643, RFC 7644): an organization's directory keeps the people of a clinic as they are with it."""

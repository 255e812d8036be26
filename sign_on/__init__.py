"""The protocol by which people sign in through their organization: OpenID Connect, as a relying party. It knows no records."""

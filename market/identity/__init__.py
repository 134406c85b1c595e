"""Who acts: parties 主体, people, memberships, roles, sessions. Owns no business decision."""

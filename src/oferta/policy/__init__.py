"""What a seller allows: the policy file, consent, contact caps. Pure, with reason codes."""

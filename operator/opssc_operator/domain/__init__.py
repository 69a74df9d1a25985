"""Pure decisions: what was observed and what is wanted become actions and conditions."""

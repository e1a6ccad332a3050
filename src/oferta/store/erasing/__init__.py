"""The places of the store, where customers are erased, exported and looked for."""

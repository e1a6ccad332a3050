"""The models: one a file, behind the protocol in `oferta.models.protocol`."""

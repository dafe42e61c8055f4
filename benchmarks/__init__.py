"""The service measured beside a bare pass-through and the model server itself."""

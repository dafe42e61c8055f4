"""Reading files: what runs in the process that may be killed, one module a family of formats."""

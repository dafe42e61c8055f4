"""Tools: adapters behind the ports that reach services other than models."""

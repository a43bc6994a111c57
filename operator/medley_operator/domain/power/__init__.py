"""The decisions of the controller of power: what PowerDomains, nodes and pods make of the capping policy. Pure."""

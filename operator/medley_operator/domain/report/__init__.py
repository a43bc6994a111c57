"""Everything that users read: statuses, conditions, Events and gauges."""

"""What ships for monitoring: alert rules, dashboard, table of the metrics."""

"""The manager interface (AMI): connection, actions, snapshots, configuration snippets."""

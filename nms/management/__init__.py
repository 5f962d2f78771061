"""The management interfaces as configuration of the datastore: mec-management, beside the daemon's file."""

"""Sources, shards, tensor columns, quarantine and the run workspace: everything that touches storage."""

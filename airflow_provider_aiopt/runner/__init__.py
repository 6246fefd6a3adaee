"""Running stages over the shards of a workspace: durable, resumable, accounted for."""

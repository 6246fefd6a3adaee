"""Running stages: staged from the command line, or one stage of one shard from an operator."""

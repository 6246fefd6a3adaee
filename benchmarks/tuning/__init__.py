"""From a deliberately bad pipeline: how much of a grid's best ``aiopt tune`` finds, and how soon."""

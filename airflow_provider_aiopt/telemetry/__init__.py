"""Where the time goes: the stage clock, reports, the metric catalogue and what emits and draws them."""

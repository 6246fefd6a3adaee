"""What limits a run, in numbers, and what to change: pure functions of run reports."""

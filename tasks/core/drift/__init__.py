"""What a cluster holds against what it should hold: typed drift, its owner, its age, and the first date."""

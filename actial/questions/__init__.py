"""Questions about pairs of views, with answers computed from geometry."""

"""`actial review`: a person answers questions without being told the truth, on a page of this machine."""

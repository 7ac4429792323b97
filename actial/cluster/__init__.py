"""Work spread over the nodes of a Ray cluster, where machine setting `launcher` is ray: rendering and evaluation share what is here."""

"""Pictures of the help pages: what each node does to a frame or a curve, or the node among its neighbours."""

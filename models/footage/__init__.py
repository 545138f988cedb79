"""Films of a person that are to say something else: what is known of every frame before any of them is drawn."""

"""Pictures with exact cameras: scenes, cameras and the renderers that draw them."""

"""Models of Istio's resources, with the API's own field names."""

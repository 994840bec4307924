"""Models of Linkerd's resources and of those of the Gateway API that Linkerd reads, with the API's own field names."""

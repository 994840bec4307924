"""What the tests share: random programs, random requests that nearly fit them, and ways to run both."""

"""The parts of the syntax stage: from characters to `ast.File`. Other stages use `meshc.parse` and `meshc.format` alone."""

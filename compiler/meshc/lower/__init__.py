"""Lower: from a symbol table to the intermediate form, checking every construct on the way."""

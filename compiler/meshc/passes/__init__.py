"""Passes over the intermediate form: each module opens with what it takes and what it promises."""

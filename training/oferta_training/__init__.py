"""Train, compare, register, score everyone and publish."""

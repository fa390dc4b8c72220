"""The five main journeys of the people who work with the product, in a real browser."""

"""Services behind one weight per variant (HTTPRoute): their cheapest configurations as a covering knapsack."""

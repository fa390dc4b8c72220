"""Credit risk of firms: operating health, risk levels, warnings after a loan was made, and the tasks they lead to.

Pure functions over numpy columns. Who holds a column computes on it; what leaves a holder is said in each module.
"""

"""Arguments of calls: bound to parameters, read by their kind. Imports compiler/{contract,ir} and grammar."""

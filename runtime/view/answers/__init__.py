"""Answers: what an element shows in each state, as one or two sentences made from its numbers. Imports
runtime/fields and the view model; styles choose among these sentences or write their own."""
